// The server's side of the fixed newstyle handshake: bytes in, bytes out, until an export is chosen or the client goes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/bytes.hh"
#include "blockrep/nbd/export.hh"

namespace blockrep::nbd {

// The driver sends greeting(), then reads exactly needed() bytes, hands them to receive() and sends what comes out,
// until phase() is transmission or closed. No input, however wrong, does more than close.
class Negotiation {
  public:
    enum class Phase { client_flags, option_header, option_data, skipping, transmission, closed };

    explicit Negotiation(const ExportCatalog& catalog) : catalog_(catalog) {}

    static base::Bytes greeting();
    std::size_t needed() const;
    // Replies are appended to `out`; they are to be sent also when the phase became closed.
    void receive(base::ByteView bytes, base::Bytes& out);

    Phase phase() const { return phase_; }
    // In phase transmission.
    const Export& chosen() const { return *chosen_; }
    bool structured_replies() const { return structured_; }
    // In phase closed: for the log.
    const std::string& close_reason() const { return close_reason_; }

  private:
    void on_client_flags(base::ByteView bytes);
    void on_option_header(base::ByteView bytes, base::Bytes& out);
    void on_option(base::ByteView data, base::Bytes& out);
    void on_skipped(std::size_t count);
    void do_export_name(base::ByteView data, base::Bytes& out);
    void do_list(base::ByteView data, base::Bytes& out);
    void do_info(base::ByteView data, base::Bytes& out);
    void do_structured_reply(base::ByteView data, base::Bytes& out);
    void reply(base::Bytes& out, OptionReply code, base::ByteView data = {}) const;
    void refuse(base::Bytes& out, OptionReply code, std::string_view why) const;
    void send_info(base::Bytes& out, const Export& offer, bool name, bool description) const;
    void close(std::string why);

    const ExportCatalog& catalog_;
    Phase phase_ = Phase::client_flags;
    bool no_zeroes_ = false;
    bool structured_ = false;
    std::uint32_t option_ = 0;
    std::uint32_t length_ = 0;  // of the option's data, or what is still to be skipped
    std::uint32_t options_seen_ = 0;
    std::optional<Export> chosen_;
    std::string close_reason_;
};

}  // namespace blockrep::nbd
