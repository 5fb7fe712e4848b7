// The tables of lock modes.
#pragma once

#include <optional>

#include "dlm/format/types.hh"

namespace dlm {

// May both be granted on one resource at the same time? Symmetric.
bool compatible(Mode a, Mode b);

// Everything that may be granted beside `from` may be granted beside `to`: the conversion cannot fail. Includes the
// same mode. PR and CW are lower than neither of each other.
bool is_lower_or_equal(Mode from, Mode to);

// The strongest mode that is lower than or equal to both.
Mode common_mode(Mode a, Mode b);

// What an owner can be sure to hold while a conversion is under way: the master may have granted any mode that the
// request allows, and others' locks beside it, before the owner hears of it.
Mode assured_mode(Mode granted, Mode requested, Flags flags);

// A holder of this mode may have changed what the lock protects.
constexpr bool may_write(Mode mode) { return mode == Mode::CW || mode == Mode::PW || mode == Mode::EX; }
// While this is granted nobody else can hold a mode that may write.
constexpr bool excludes_writers(Mode mode) { return mode == Mode::PR || mode == Mode::PW || mode == Mode::EX; }

enum class ValueTransfer { none, read, write };
// What happens to the value block of a lock that goes `from` (none: a new lock) `to` (none: unlocked), if
// Flag::value_block is set.
ValueTransfer value_transfer(std::optional<Mode> from, std::optional<Mode> to);

}  // namespace dlm
