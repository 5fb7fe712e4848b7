// Data on its way between clients, disks and the peer: a handle that the core passes on and never looks into.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace blockrep {

// `length` bytes at `data`, alive while `owner` is. A payload without data stands for zeros.
struct Payload {
    std::shared_ptr<const void> owner;
    const std::byte* data = nullptr;
    std::uint64_t length = 0;

    bool is_zeros() const { return data == nullptr; }
    Payload slice(std::uint64_t offset, std::uint64_t size) const {
        return {owner, data == nullptr ? nullptr : data + offset, size};
    }
};

// Where a client wants the bytes of a read: at least as long as its range. Empty: the driver provides the memory.
struct ReadBuffer {
    std::shared_ptr<void> owner;
    std::byte* data = nullptr;
};

}  // namespace blockrep
