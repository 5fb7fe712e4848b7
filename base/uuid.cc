#include "base/uuid.hh"

#include <cstdint>

namespace base {
namespace {

bool dash_before(std::size_t byte_index) {
    return byte_index == 4 || byte_index == 6 || byte_index == 8 || byte_index == 10;
}

std::optional<unsigned> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
    return std::nullopt;
}

}  // namespace

std::string Uuid::text() const {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (dash_before(i)) out += '-';
        out += digits[std::to_integer<unsigned>(bytes[i]) >> 4];
        out += digits[std::to_integer<unsigned>(bytes[i]) & 15];
    }
    return out;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
    if (text.size() != 36) return std::nullopt;
    Uuid uuid;
    std::size_t at = 0;
    for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
        if (dash_before(i) && text[at++] != '-') return std::nullopt;
        const auto high = hex_digit(text[at++]);
        const auto low = hex_digit(text[at++]);
        if (!high || !low) return std::nullopt;
        uuid.bytes[i] = static_cast<std::byte>(*high << 4 | *low);
    }
    return uuid;
}

}  // namespace base
