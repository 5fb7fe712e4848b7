#include "dlm/format/link_frame.hh"

#include <algorithm>

#include "dlm/format/error.hh"

namespace dlm {
namespace {

enum class Type : std::uint8_t { hello = 1, data = 2, acknowledgement = 3 };

void put(base::ByteWriter& out, Type type) { out.integer(static_cast<std::uint8_t>(type)); }

base::Uuid get_uuid(base::ByteReader& in) {
    base::Uuid uuid;
    const auto bytes = in.take(uuid.bytes.size());
    std::copy(bytes.begin(), bytes.end(), uuid.bytes.begin());
    return uuid;
}

struct Encoder {
    base::ByteWriter out;
    void operator()(const LinkHello& hello) {
        put(out, Type::hello);
        out.integer(hello.lockspace).append(hello.session.own_session.bytes);
        out.append(hello.session.known_peer_session.bytes).integer(hello.session.received);
    }
    void operator()(const LinkData& data) {
        put(out, Type::data);
        out.integer(data.sequence).integer(data.acknowledged).append(data.message);
    }
    void operator()(const LinkAcknowledgement& acknowledgement) {
        put(out, Type::acknowledgement);
        out.integer(acknowledgement.acknowledged);
    }
};

}  // namespace

base::Bytes encode(const LinkFrame& frame) {
    Encoder encoder;
    std::visit(encoder, frame);
    return encoder.out.take();
}

base::Result<LinkFrame> decode_link_frame(base::ByteView bytes) {
    base::ByteReader in(bytes);
    const auto type = static_cast<Type>(in.integer<std::uint8_t>());
    LinkFrame frame;
    if (type == Type::hello) {
        LinkHello hello;
        hello.lockspace = in.integer<std::uint64_t>();
        hello.session.own_session = get_uuid(in);
        hello.session.known_peer_session = get_uuid(in);
        hello.session.received = in.integer<std::uint64_t>();
        if (in.ok() && hello.session.own_session.is_nil()) return base::failure(Errc::bad_field, "a session of nobody");
        frame = hello;
    } else if (type == Type::data) {
        LinkData data;
        data.sequence = in.integer<std::uint64_t>();
        data.acknowledged = in.integer<std::uint64_t>();
        data.message = in.take(in.remaining());
        if (in.ok() && data.sequence == 0) return base::failure(Errc::bad_field, "sequence 0");
        frame = data;
    } else if (type == Type::acknowledgement) {
        frame = LinkAcknowledgement{in.integer<std::uint64_t>()};
    } else {
        return base::failure(Errc::bad_type, "of a link frame");
    }
    if (!in.complete()) return base::failure(Errc::bad_length, "of a link frame");
    return frame;
}

}  // namespace dlm
