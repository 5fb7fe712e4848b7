#include "blockrep/nbd/negotiation.hh"

#include <algorithm>

#include "base/ensure.hh"

namespace blockrep::nbd {
namespace {

constexpr std::uint32_t largest_option = 8192;       // bytes that are looked at
constexpr std::uint32_t largest_skipped = 1U << 20;  // more is no mistake but an attack
constexpr std::uint32_t most_options = 1000;
constexpr std::size_t skip_step = 4096;

}  // namespace

base::Bytes Negotiation::greeting() {
    base::Bytes out;
    append_big(out, greeting_magic);
    append_big(out, option_magic);
    append_big(out, static_cast<std::uint16_t>(flag_fixed_newstyle | flag_no_zeroes));
    return out;
}

std::size_t Negotiation::needed() const {
    switch (phase_) {
        case Phase::client_flags:
            return 4;
        case Phase::option_header:
            return 16;
        case Phase::option_data:
            return length_;
        case Phase::skipping:
            return std::min<std::size_t>(length_, skip_step);
        case Phase::transmission:
        case Phase::closed:
            return 0;
    }
    return 0;
}

void Negotiation::receive(base::ByteView bytes, base::Bytes& out) {
    base::ensure(bytes.size() == needed(), "the negotiation is fed what it asked for");
    switch (phase_) {
        case Phase::client_flags:
            return on_client_flags(bytes);
        case Phase::option_header:
            return on_option_header(bytes, out);
        case Phase::option_data:
            return on_option(bytes, out);
        case Phase::skipping:
            return on_skipped(bytes.size());
        case Phase::transmission:
        case Phase::closed:
            return;
    }
}

void Negotiation::on_client_flags(base::ByteView bytes) {
    base::ByteReader reader(bytes);
    const auto flags = read_big<std::uint32_t>(reader);
    const std::uint32_t known = flag_fixed_newstyle | flag_no_zeroes;
    if ((flags & ~known) != 0) return close("the client set handshake flags that do not exist");
    no_zeroes_ = (flags & flag_no_zeroes) != 0;
    phase_ = Phase::option_header;
}

void Negotiation::on_option_header(base::ByteView bytes, base::Bytes& out) {
    base::ByteReader reader(bytes);
    const auto magic = read_big<std::uint64_t>(reader);
    option_ = read_big<std::uint32_t>(reader);
    length_ = read_big<std::uint32_t>(reader);
    if (magic != option_magic) return close("the client sent no option where one is expected");
    if (++options_seen_ > most_options) return close("the client never chose an export");
    if (length_ > largest_skipped) return close("the client sent an option of absurd length");
    if (length_ > largest_option) {
        refuse(out, OptionReply::err_too_big, "option too long");
        phase_ = Phase::skipping;
    } else if (length_ == 0) {
        on_option({}, out);
    } else {
        phase_ = Phase::option_data;
    }
}

void Negotiation::on_skipped(std::size_t count) {
    length_ -= static_cast<std::uint32_t>(count);
    if (length_ == 0) phase_ = Phase::option_header;
}

void Negotiation::on_option(base::ByteView data, base::Bytes& out) {
    phase_ = Phase::option_header;
    switch (static_cast<Option>(option_)) {
        case Option::export_name:
            return do_export_name(data, out);
        case Option::abort:
            reply(out, OptionReply::ack);
            return close("");
        case Option::list:
            return do_list(data, out);
        case Option::info:
        case Option::go:
            return do_info(data, out);
        case Option::structured_reply:
            return do_structured_reply(data, out);
    }
    refuse(out, OptionReply::err_unsup, "option not supported");
}

// The old way to choose: there is no way to refuse but closing.
void Negotiation::do_export_name(base::ByteView data, base::Bytes& out) {
    auto found = catalog_.find(base::as_text(data));
    if (!found) return close(found.error().message);
    append_big(out, found->size);
    append_big(out, found->transmission_flags());
    if (!no_zeroes_) out.insert(out.end(), 124, std::byte{0});
    chosen_ = std::move(*found);
    phase_ = Phase::transmission;
}

void Negotiation::do_list(base::ByteView data, base::Bytes& out) {
    if (!data.empty()) return refuse(out, OptionReply::err_invalid, "LIST has no data");
    for (const auto& name : catalog_.names()) {
        base::Bytes entry;
        append_big(entry, static_cast<std::uint32_t>(name.size()));
        entry.insert(entry.end(), base::as_bytes(name).begin(), base::as_bytes(name).end());
        reply(out, OptionReply::server, entry);
    }
    reply(out, OptionReply::ack);
}

// INFO and GO: u32 name length, name, u16 count, count information requests of u16.
void Negotiation::do_info(base::ByteView data, base::Bytes& out) {
    base::ByteReader reader(data);
    const auto name_length = read_big<std::uint32_t>(reader);
    if (!reader.ok() || name_length > max_name) return refuse(out, OptionReply::err_invalid, "malformed request");
    const auto name = reader.take(name_length);
    const auto count = read_big<std::uint16_t>(reader);
    if (!reader.ok() || reader.remaining() != std::size_t{count} * 2) {
        return refuse(out, OptionReply::err_invalid, "malformed request");
    }
    bool wants_name = false;
    bool wants_description = false;
    for (int i = 0; i < count; ++i) {
        const auto wanted = static_cast<Info>(read_big<std::uint16_t>(reader));
        wants_name |= wanted == Info::name;
        wants_description |= wanted == Info::description;
    }
    auto found = catalog_.find(base::as_text(name));
    if (!found) return refuse(out, found.error().code, found.error().message);
    send_info(out, *found, wants_name, wants_description);
    if (static_cast<Option>(option_) != Option::go) return;
    chosen_ = std::move(*found);
    phase_ = Phase::transmission;
}

void Negotiation::send_info(base::Bytes& out, const Export& offer, bool name, bool description) const {
    base::Bytes data;
    append_big(data, static_cast<std::uint16_t>(Info::export_));
    append_big(data, offer.size);
    append_big(data, offer.transmission_flags());
    reply(out, OptionReply::info, data);

    data.clear();
    append_big(data, static_cast<std::uint16_t>(Info::block_size));
    append_big(data, offer.minimum_block);
    append_big(data, offer.preferred_block);
    append_big(data, max_payload);
    reply(out, OptionReply::info, data);

    const auto send_text = [&](Info kind, std::string_view text) {
        data.clear();
        append_big(data, static_cast<std::uint16_t>(kind));
        data.insert(data.end(), base::as_bytes(text).begin(), base::as_bytes(text).end());
        reply(out, OptionReply::info, data);
    };
    if (name) send_text(Info::name, offer.name);
    if (description) send_text(Info::description, offer.description);
    reply(out, OptionReply::ack);
}

void Negotiation::do_structured_reply(base::ByteView data, base::Bytes& out) {
    if (!data.empty() || structured_) return refuse(out, OptionReply::err_invalid, "malformed or repeated request");
    structured_ = true;
    reply(out, OptionReply::ack);
}

void Negotiation::reply(base::Bytes& out, OptionReply code, base::ByteView data) const {
    append_big(out, option_reply_magic);
    append_big(out, option_);
    append_big(out, static_cast<std::uint32_t>(code));
    append_big(out, static_cast<std::uint32_t>(data.size()));
    out.insert(out.end(), data.begin(), data.end());
}

void Negotiation::refuse(base::Bytes& out, OptionReply code, std::string_view why) const {
    reply(out, code, base::as_bytes(why));
}

void Negotiation::close(std::string why) {
    close_reason_ = std::move(why);
    phase_ = Phase::closed;
}

}  // namespace blockrep::nbd
