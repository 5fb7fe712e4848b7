// Constants of the NBD protocol (NetworkBlockDevice/nbd, doc/proto.md), named as there. All integers are big-endian.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>

#include "base/bytes.hh"

namespace blockrep::nbd {

inline constexpr std::uint64_t greeting_magic = 0x4e42444d41474943;  // "NBDMAGIC"
inline constexpr std::uint64_t option_magic = 0x49484156454f5054;    // "IHAVEOPT"
inline constexpr std::uint64_t option_reply_magic = 0x0003e889045565a9;
inline constexpr std::uint32_t request_magic = 0x25609513;
inline constexpr std::uint32_t simple_reply_magic = 0x67446698;
inline constexpr std::uint32_t structured_reply_magic = 0x668e33ef;

// Handshake flags; the client's have the same bits.
inline constexpr std::uint16_t flag_fixed_newstyle = 1;
inline constexpr std::uint16_t flag_no_zeroes = 2;

enum class Option : std::uint32_t {
    export_name = 1,
    abort = 2,
    list = 3,
    info = 6,
    go = 7,
    structured_reply = 8,
};

enum class OptionReply : std::uint32_t {
    ack = 1,
    server = 2,
    info = 3,
    err_unsup = 0x80000001,
    err_policy = 0x80000002,
    err_invalid = 0x80000003,
    err_unknown = 0x80000006,
    err_too_big = 0x80000009,
};

enum class Info : std::uint16_t { export_ = 0, name = 1, description = 2, block_size = 3 };

// Transmission flags.
inline constexpr std::uint16_t has_flags = 1;
inline constexpr std::uint16_t read_only = 2;
inline constexpr std::uint16_t send_flush = 4;
inline constexpr std::uint16_t send_fua = 8;
inline constexpr std::uint16_t send_trim = 32;
inline constexpr std::uint16_t send_write_zeroes = 64;
inline constexpr std::uint16_t send_df = 128;
inline constexpr std::uint16_t can_multi_conn = 256;

enum class Command : std::uint16_t {
    read = 0,
    write = 1,
    disconnect = 2,
    flush = 3,
    trim = 4,
    write_zeroes = 6,
};

inline constexpr std::uint16_t command_fua = 1;
inline constexpr std::uint16_t command_no_hole = 2;
inline constexpr std::uint16_t command_df = 4;

// The only error numbers that may be sent; they are Linux's values.
enum class NbdError : std::uint32_t {
    none = 0,
    eperm = 1,
    eio = 5,
    enomem = 12,
    einval = 22,
    enospc = 28,
    eoverflow = 75,
    enotsup = 95,
    eshutdown = 108,
};

inline constexpr std::uint16_t structured_done = 1;
enum class Chunk : std::uint16_t { none = 0, offset_data = 1, error = 0x8001 };

inline constexpr std::size_t request_size = 28;
inline constexpr std::uint32_t max_payload = 32U << 20;  // what every client may assume
inline constexpr std::size_t max_name = 4096;            // of an export, bytes

template <std::integral T>
constexpr T big_endian(T value) {
    if constexpr (sizeof(T) == 1) return value;
    if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(static_cast<std::uint16_t>(value)));
    if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
    if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(static_cast<std::uint64_t>(value)));
}

// base::ByteReader and base::ByteWriter for big-endian fields.
template <std::integral T>
T read_big(base::ByteReader& reader) {
    return big_endian(reader.integer<T>());
}
template <std::integral T>
void append_big(base::Bytes& to, T value) {
    const T swapped = big_endian(value);
    const auto* raw = reinterpret_cast<const std::byte*>(&swapped);
    to.insert(to.end(), raw, raw + sizeof swapped);
}

}  // namespace blockrep::nbd
