// What a server offers, as the negotiation sees it.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "blockrep/nbd/protocol.hh"

namespace blockrep::nbd {

struct Export {
    std::string name;
    std::string description;
    std::uint64_t size = 0;             // bytes
    std::uint32_t minimum_block = 512;  // bytes; offsets and lengths must be multiples
    std::uint32_t preferred_block = 4096;
    bool read_only = false;

    std::uint16_t transmission_flags() const {
        const std::uint16_t common = has_flags | send_flush | send_fua | send_df | can_multi_conn;
        return read_only ? common | nbd::read_only : common | send_trim | send_write_zeroes;
    }
};

// Why an export cannot be used: err_unknown (there is none of this name) or err_policy (not now, not here).
struct ExportRefusal {
    OptionReply code = OptionReply::err_unknown;
    std::string message;  // for people, shown by the client
};

class ExportCatalog {
  public:
    virtual ~ExportCatalog() = default;
    virtual std::vector<std::string> names() const = 0;
    // The empty name asks for the default export. Nothing is opened by this call.
    virtual std::expected<Export, ExportRefusal> find(std::string_view name) const = 0;
};

}  // namespace blockrep::nbd
