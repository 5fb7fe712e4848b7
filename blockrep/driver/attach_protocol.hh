// What a local client and the daemon say on the attach socket (docs/format/attach.md). Both run on one machine.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.hh"
#include "base/error.hh"
#include "base/uuid.hh"

namespace blockrep::attach {

inline constexpr std::uint32_t magic = 0x41534643;  // "CFSA"
inline constexpr std::uint32_t version = 1;
inline constexpr std::size_t longest_name = 255;
inline constexpr std::size_t longest_text = 1024;
inline constexpr std::uint64_t largest_pool = 1ULL << 30;  // bytes
inline constexpr std::size_t most_in_flight = 1024;        // requests of one client

// First from the client; the pool's file descriptor comes with it (SCM_RIGHTS). The name follows.
struct HelloHead {
    std::uint32_t magic = attach::magic;
    std::uint32_t version = attach::version;
    base::Uuid client;              // made by the client for its whole life; the same after a reconnect
    std::uint64_t pool_length = 0;  // bytes
    std::uint32_t name_length = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(HelloHead) == 40);

// The answer. The text, of an error, follows.
struct WelcomeHead {
    std::uint32_t magic = attach::magic;
    std::uint32_t version = attach::version;
    std::uint32_t status = 0;  // 0 or an errno value
    std::uint32_t sector_size = 0;
    std::uint64_t size = 0;  // of the device, bytes
    std::uint32_t text_length = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(WelcomeHead) == 32);

enum class Operation : std::uint32_t { read = 1, write = 2, flush = 3, discard = 4 };
inline constexpr std::uint32_t flag_stable = 1;

struct Request {
    std::uint64_t id = 0;
    Operation operation = Operation::flush;
    std::uint32_t flags = 0;
    std::uint64_t offset = 0;  // on the device, bytes
    std::uint64_t length = 0;
    std::uint64_t pool_offset = 0;  // where the data is, or is wanted
};
static_assert(sizeof(Request) == 40);

struct Reply {
    std::uint64_t id = 0;
    std::uint32_t status = 0;  // 0 or an errno value
    std::uint32_t reserved = 0;
};
static_assert(sizeof(Reply) == 16);

// Whether the request may be passed on to a device of this size and a pool of this length: 0 or an errno value.
int validate(const Request& request, std::uint64_t device_size, std::uint32_t sector_size, std::uint64_t pool_length);

// All of `bytes`, and with them a descriptor that the other side gets as its own. Blocking, as the socket is.
base::Result<void> send_with_descriptor(int socket, base::ByteView bytes, int descriptor);

template <typename Struct>
base::ByteView bytes_of(const Struct& value) {
    return std::as_bytes(std::span(&value, 1));
}
template <typename Struct>
Struct load_struct(base::ByteView from) {
    Struct value;
    std::memcpy(&value, from.data(), sizeof value);
    return value;
}

std::string socket_path();  // <run>/blockrep/attach.sock

}  // namespace blockrep::attach
