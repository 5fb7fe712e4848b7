// The options of the net, disk, … sections: which exist, which are heeded, and how their values are read.
#pragma once

#include <string>
#include <string_view>

#include "blockrep/config/configuration.hh"

namespace blockrep::config {

// True for the sections whose content is options only: net, disk, options, handlers, startup, syncer, proxy.
bool is_option_section(std::string_view section);

// Reads one statement of `section` into `resource`. A statement that is known and not heeded adds a warning.
base::Result<void> apply_option(std::string_view section, const Statement& statement, ResourceConfig& resource,
                                std::vector<Warning>& warnings);

// An unsigned number with an optional unit: K, M, G (powers of 1024) or s (sectors of 512 bytes).
base::Result<std::uint64_t> parse_number(const Statement& statement, std::string_view text, std::uint64_t least,
                                         std::uint64_t most);

base::Result<void> expect_values(const Statement& statement, std::size_t least, std::size_t most);

}  // namespace blockrep::config
