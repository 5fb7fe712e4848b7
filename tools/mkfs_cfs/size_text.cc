#include "tools/mkfs_cfs/size_text.hh"

#include <cctype>
#include <charconv>
#include <cstdio>

namespace mkfs_cfs {

std::optional<std::uint64_t> parse_size(std::string_view text, std::uint64_t unit) {
    std::uint64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || rest == text.data()) return std::nullopt;
    if (end - rest == 1) {
        const auto power = std::string_view("kmgt").find(static_cast<char>(std::tolower(*rest)));
        if (power == std::string_view::npos) return std::nullopt;
        unit = std::uint64_t{1} << (10 * (power + 1));
    } else if (end != rest) {
        return std::nullopt;
    }
    if (number > UINT64_MAX / unit) return std::nullopt;
    return number * unit;
}

std::string size_text(std::uint64_t bytes) {
    static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1024 && unit + 1 < std::size(units); ++unit) value /= 1024;
    char text[32];
    std::snprintf(text, sizeof text,
                  value == static_cast<double>(static_cast<std::uint64_t>(value)) ? "%.0f %s" : "%.1f %s", value,
                  units[unit]);
    return text;
}

}  // namespace mkfs_cfs
