// Sizes as people write and read them: 32M, 1.5 GiB.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mkfs_cfs {

// A number with an optional K, M, G or T (1024 each) behind it, in bytes; without one it counts `unit` bytes.
std::optional<std::uint64_t> parse_size(std::string_view text, std::uint64_t unit);
std::string size_text(std::uint64_t bytes);

}  // namespace mkfs_cfs
