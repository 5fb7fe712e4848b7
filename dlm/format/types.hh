// The vocabulary that travels: modes, flags, outcomes, names, value blocks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dlm {

// From weakest to strongest; the numbers are those of VMS and of the kernel's dlm.
enum class Mode : std::uint8_t { NL = 0, CR = 1, CW = 2, PR = 3, PW = 4, EX = 5 };
inline constexpr std::size_t mode_count = 6;
inline constexpr std::array<Mode, mode_count> all_modes{Mode::NL, Mode::CR, Mode::CW, Mode::PR, Mode::PW, Mode::EX};
std::string_view text_of(Mode mode);

enum class Flag : std::uint32_t {
    no_queue = 1u << 0,            // refuse at once instead of waiting
    no_queue_notify = 1u << 1,     // with no_queue: the holders are told nevertheless
    queue_conversion = 1u << 2,    // an up-conversion waits behind earlier conversions
    expedite = 1u << 3,            // a new NL lock, granted whatever is queued
    head_of_queue = 1u << 4,       // waits in front of the others
    no_order = 1u << 5,            // granted as soon as it is compatible, whatever waits
    demote_on_deadlock = 1u << 6,  // in a conversion deadlock: give up the granted mode to NL instead of being refused
    alternate_pr = 1u << 7,        // PR will do when the asked mode does not fit
    alternate_cw = 1u << 8,        // so will CW
    value_block = 1u << 9,         // reads or writes the value block (core/mode.hh: value_transfer)
    invalidate_value = 1u << 10,   // lowering from PW or EX: marks the value block not valid
    recovery = 1u << 11,           // granted although the name is withheld for a dead node
};
inline constexpr std::uint32_t all_flags = (1u << 12) - 1;

struct Flags {
    std::uint32_t bits = 0;

    constexpr Flags() = default;
    constexpr Flags(Flag flag) : bits(static_cast<std::uint32_t>(flag)) {}
    constexpr explicit Flags(std::uint32_t raw) : bits(raw) {}
    constexpr bool has(Flag flag) const { return (bits & static_cast<std::uint32_t>(flag)) != 0; }
    constexpr Flags operator|(Flags other) const { return Flags(bits | other.bits); }
    bool operator==(const Flags&) const = default;
};
constexpr Flags operator|(Flag a, Flag b) { return Flags(a) | Flags(b); }

enum class Outcome : std::uint8_t {
    granted = 0,
    would_block = 1,  // no_queue
    deadlock = 2,     // a conversion; the granted mode stays
    cancelled = 3,
    invalid = 4,  // flags and mode do not go together, or the lock is busy or unknown
};
inline constexpr std::size_t outcome_count = 5;
std::string_view text_of(Outcome outcome);

inline constexpr std::size_t max_name_bytes = 64;
using Name = std::string;  // 1 to 64 bytes, any
inline bool is_valid_name(std::string_view name) { return !name.empty() && name.size() <= max_name_bytes; }

inline constexpr std::size_t value_block_bytes = 64;
using ValueBytes = std::array<std::byte, value_block_bytes>;

struct Value {
    ValueBytes bytes{};
    std::uint64_t sequence = 0;  // of the last write; 0: never written
    bool valid = true;
    bool operator==(const Value&) const = default;
};

using LockId = std::uint64_t;       // made by the owner, never reused in its session; 0 is none
using OperationId = std::uint64_t;  // one request or conversion of a lock; so that a late cancel hits nothing else
using Generation = std::uint64_t;

}  // namespace dlm
