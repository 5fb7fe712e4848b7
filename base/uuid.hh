// A 16-byte identifier: filesystem uuid, node incarnation, session. Made by drivers (base/io/random.hh), never by
// cores.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace base {

struct Uuid {
    std::array<std::byte, 16> bytes{};

    auto operator<=>(const Uuid&) const = default;
    bool is_nil() const { return *this == Uuid{}; }
    // 8-4-4-4-12 hexadecimal digits, lower case.
    std::string text() const;
    // Accepts what text() writes, upper or lower case; nothing else.
    static std::optional<Uuid> parse(std::string_view text);
};

}  // namespace base
