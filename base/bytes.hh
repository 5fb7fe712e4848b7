// Little-endian integers in byte buffers, and a reader and a writer that cannot leave their bounds.
// All on-disk and wire structures of this project are little-endian.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace base {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;
using MutableByteView = std::span<std::byte>;

static_assert(std::endian::native == std::endian::little, "the formats are memcpy'd: port load/store first");

// The integer at the front of `from`, which must hold at least sizeof(T) bytes.
template <std::integral T>
T load(ByteView from) {
    T value;
    std::memcpy(&value, from.data(), sizeof value);
    return value;
}

template <std::integral T>
void store(MutableByteView to, T value) {
    std::memcpy(to.data(), &value, sizeof value);
}

inline ByteView as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string_view as_text(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// To the front of `to`, which has room for them. (std::ranges::copy of std::byte is a loop, byte after byte.)
inline void copy_bytes(ByteView from, MutableByteView to) {
    if (!from.empty()) std::memmove(to.data(), from.data(), from.size());
}

// Reads fields in order. The first read past the end makes the reader failed for good: check ok() once at the end
// (and before a value is used as a length). A failed reader returns zeros and empty views.
class ByteReader {
  public:
    explicit ByteReader(ByteView bytes) : rest_(bytes) {}

    template <std::integral T>
    T integer() {
        const auto field = take(sizeof(T));
        return field.size() == sizeof(T) ? load<T>(field) : T{};
    }
    ByteView take(std::size_t length) {
        if (length > rest_.size()) {
            ok_ = false;
            rest_ = {};
            return {};
        }
        const auto field = rest_.first(length);
        rest_ = rest_.subspan(length);
        return field;
    }
    // A string with a 32-bit length in front; refused when longer than `limit` bytes.
    std::string text(std::size_t limit) {
        const auto length = integer<std::uint32_t>();
        if (length > limit) {
            ok_ = false;
            rest_ = {};
            return {};
        }
        return std::string(as_text(take(length)));
    }
    bool ok() const { return ok_; }
    std::size_t remaining() const { return rest_.size(); }
    // Everything was there and nothing is left over.
    bool complete() const { return ok_ && rest_.empty(); }

  private:
    ByteView rest_;
    bool ok_ = true;
};

// Appends fields in order.
class ByteWriter {
  public:
    template <std::integral T>
    ByteWriter& integer(T value) {
        std::byte raw[sizeof(T)];
        std::memcpy(raw, &value, sizeof value);
        bytes_.insert(bytes_.end(), raw, raw + sizeof value);
        return *this;
    }
    ByteWriter& append(ByteView bytes) {
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        return *this;
    }
    ByteWriter& text(std::string_view value) {
        integer(static_cast<std::uint32_t>(value.size()));
        return append(as_bytes(value));
    }
    const Bytes& bytes() const { return bytes_; }
    Bytes take() { return std::move(bytes_); }

  private:
    Bytes bytes_;
};

}  // namespace base
