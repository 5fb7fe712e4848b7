// Block images in memory, and the names of things on disk.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.hh"

namespace clusterfs {

inline constexpr std::size_t block_size = 4096;

using BlockNumber = std::uint64_t;  // in blocks from the start of the device; 0 is never a metadata block
using InodeNumber = BlockNumber;    // an inode is the block of that number

// One block image, in memory of its own: devices that want aligned buffers are given others. Operations change private
// copies; once a copy was applied to the cache it is never changed again, except that the commit that seals it (sequence
// and checksum) does so before anybody writes it.
struct alignas(64) Block {
    std::array<std::byte, block_size> bytes{};

    // The structure T of format/ that starts the block.
    template <typename T>
    T& as() {
        static_assert(sizeof(T) <= block_size);
        return *reinterpret_cast<T*>(bytes.data());
    }
    template <typename T>
    const T& as() const {
        static_assert(sizeof(T) <= block_size);
        return *reinterpret_cast<const T*>(bytes.data());
    }
};

using BlockHandle = std::shared_ptr<const Block>;

enum class LockType : char {
    inode = 'M',
    allocation_group = 'A',
    open = 'O',
    slot = 'J',
    slot_map = 'S',
    rename = 'R',
};

struct LockName {
    LockType type = LockType::inode;
    std::uint64_t number = 0;

    auto operator<=>(const LockName&) const = default;
    // The name as the lock manager has it: the letter and the number in hexadecimal ("M2f").
    std::string text() const;
};

inline LockName inode_lock(InodeNumber inode) { return {LockType::inode, inode}; }

// What operations ask for; the lock manager's PR and EX.
enum class LockMode { none, shared, exclusive };

}  // namespace clusterfs
