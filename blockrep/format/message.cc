#include "blockrep/format/message.hh"

#include <string>
#include <utility>

#include "blockrep/format/error.hh"

namespace blockrep {
namespace {

// Frame kinds on the wire; a numbered message's kind is its index in Message plus this base.
constexpr std::uint8_t hello_kind = 1;
constexpr std::uint8_t acknowledge_kind = 2;
constexpr std::uint8_t first_message_kind = 16;
static_assert(std::variant_size_v<Message> == 19, "a new message goes to the end: the index is on the wire");

void put(base::ByteWriter& out, bool flag) { out.integer(static_cast<std::uint8_t>(flag ? 1 : 0)); }
void put(base::ByteWriter& out, const base::Uuid& uuid) { out.append(uuid.bytes); }
void put(base::ByteWriter& out, const Range& range) { out.integer(range.offset).integer(range.length); }
void put(base::ByteWriter& out, const Generations& generations) {
    out.integer(generations.current).integer(generations.bitmap);
    for (const auto id : generations.history) out.integer(id);
}

void put(base::ByteWriter& out, const StateReport& message) {
    out.integer(static_cast<std::uint8_t>(message.disk)).integer(static_cast<std::uint8_t>(message.role));
    put(out, message.generations);
    put(out, message.crashed_primary);
    put(out, message.allow_two_primaries);
    put(out, message.discard_my_data);
    put(out, message.missed_writes);
    put(out, message.cache_lost);
    out.integer(message.data_size).integer(message.dirty_bits);
}
void put(base::ByteWriter& out, const BitmapPart& message) {
    out.integer(static_cast<std::uint32_t>(message.runs.size()));
    for (const auto& run : message.runs) out.integer(run.first).integer(run.count);
    put(out, message.last);
}
void put(base::ByteWriter& out, const SyncStart& message) { out.integer(message.sync_generation); }
void put(base::ByteWriter& out, const SyncFinish& message) { put(out, message.generations); }
void put(base::ByteWriter& out, const Write& message) {
    out.integer(message.id);
    put(out, message.range);
    put(out, message.zeroes);
    put(out, message.stable);
}
void put_answer(base::ByteWriter& out, RequestId id, bool good) {
    out.integer(id);
    put(out, good);
}
void put(base::ByteWriter& out, const WriteDone& message) {
    put_answer(out, message.id, message.stored);
    put(out, message.before);
}
void put(base::ByteWriter& out, const FlushDone& message) { put_answer(out, message.id, message.stored); }
void put(base::ByteWriter& out, const ResyncDone& message) { put_answer(out, message.id, message.stored); }
void put(base::ByteWriter& out, const PromoteReply& message) { put_answer(out, message.id, message.allowed); }
void put(base::ByteWriter& out, const Flush& message) { out.integer(message.id); }
void put(base::ByteWriter& out, const PromoteRequest& message) { out.integer(message.id); }
void put(base::ByteWriter& out, const Read& message) {
    out.integer(message.id);
    put(out, message.range);
}
void put(base::ByteWriter& out, const ReadDone& message) {
    put_answer(out, message.id, message.readable);
    put(out, message.zeroes);
}
void put(base::ByteWriter& out, const ResyncBlocks& message) {
    out.integer(message.id);
    put(out, message.range);
    put(out, message.zeroes);
}
void put(base::ByteWriter&, const Agreed&) {}
void put(base::ByteWriter&, const SyncStarted&) {}
void put(base::ByteWriter&, const SyncFinished&) {}
void put(base::ByteWriter&, const Leave&) {}
void put(base::ByteWriter&, const LeaveAccepted&) {}

// Reads fields, and remembers whether one was out of its range.
class Fields {
  public:
    explicit Fields(base::ByteView bytes) : in_(bytes) {}

    void get(std::uint64_t& value) { value = in_.integer<std::uint64_t>(); }
    void get(bool& flag) {
        const auto value = in_.integer<std::uint8_t>();
        require(value <= 1);
        flag = value == 1;
    }
    void get(base::Uuid& uuid) {
        const auto bytes = in_.take(uuid.bytes.size());
        if (bytes.size() == uuid.bytes.size()) std::copy(bytes.begin(), bytes.end(), uuid.bytes.begin());
    }
    void get(Range& range) {
        get(range.offset);
        get(range.length);
        require(is_valid_on(range, ~std::uint64_t{0}));
    }
    void get(Generations& generations) {
        get(generations.current);
        get(generations.bitmap);
        for (auto& id : generations.history) get(id);
    }
    template <typename Enum>
    void get(Enum& value, Enum largest) {
        const auto raw = in_.integer<std::uint8_t>();
        require(raw <= static_cast<std::uint8_t>(largest));
        value = static_cast<Enum>(raw);
    }
    void require(bool holds) { good_ = good_ && holds; }
    bool complete() const { return good_ && in_.complete(); }
    base::ByteReader& reader() { return in_; }

  private:
    base::ByteReader in_;
    bool good_ = true;
};

void get(Fields& in, StateReport& message) {
    in.get(message.disk, DiskState::UpToDate);
    in.get(message.role, Role::Secondary);
    in.get(message.generations);
    in.get(message.crashed_primary);
    in.get(message.allow_two_primaries);
    in.get(message.discard_my_data);
    in.get(message.missed_writes);
    in.get(message.cache_lost);
    in.get(message.data_size);
    in.get(message.dirty_bits);
}
void get(Fields& in, BitmapPart& message) {
    const auto count = in.reader().integer<std::uint32_t>();
    in.require(count <= BitmapPart::max_runs && in.reader().remaining() == std::uint64_t{count} * 16 + 1);
    if (in.reader().remaining() != std::uint64_t{count} * 16 + 1) return;
    message.runs.resize(count);
    for (auto& run : message.runs) {
        in.get(run.first);
        in.get(run.count);
        in.require(run.count != 0 && run.first + run.count > run.first);
    }
    in.get(message.last);
}
void get(Fields& in, SyncStart& message) { in.get(message.sync_generation); }
void get(Fields& in, SyncFinish& message) { in.get(message.generations); }
void get(Fields& in, Write& message) {
    in.get(message.id);
    in.get(message.range);
    in.get(message.zeroes);
    in.get(message.stable);
}
void get_answer(Fields& in, RequestId& id, bool& good) {
    in.get(id);
    in.get(good);
}
void get(Fields& in, WriteDone& message) {
    get_answer(in, message.id, message.stored);
    in.get(message.before);
}
void get(Fields& in, FlushDone& message) { get_answer(in, message.id, message.stored); }
void get(Fields& in, ResyncDone& message) { get_answer(in, message.id, message.stored); }
void get(Fields& in, PromoteReply& message) { get_answer(in, message.id, message.allowed); }
void get(Fields& in, Flush& message) { in.get(message.id); }
void get(Fields& in, PromoteRequest& message) { in.get(message.id); }
void get(Fields& in, Read& message) {
    in.get(message.id);
    in.get(message.range);
}
void get(Fields& in, ReadDone& message) {
    get_answer(in, message.id, message.readable);
    in.get(message.zeroes);
}
void get(Fields& in, ResyncBlocks& message) {
    in.get(message.id);
    in.get(message.range);
    in.get(message.zeroes);
}
void get(Fields&, Agreed&) {}
void get(Fields&, SyncStarted&) {}
void get(Fields&, SyncFinished&) {}
void get(Fields&, Leave&) {}
void get(Fields&, LeaveAccepted&) {}

// How many bytes of payload must come with a message; a read's answer may have any length.
bool payload_fits(const Write& message, std::uint64_t length) {
    return length == (message.zeroes ? 0 : message.range.length);
}
bool payload_fits(const ResyncBlocks& message, std::uint64_t length) {
    return length == (message.zeroes ? 0 : message.range.length);
}
bool payload_fits(const ReadDone& message, std::uint64_t length) {
    return (length != 0) == (message.readable && !message.zeroes);
}
template <typename Other>
bool payload_fits(const Other&, std::uint64_t length) {
    return length == 0;
}

template <std::size_t index = 0>
bool read_message(std::size_t kind, Fields& in, std::uint64_t payload_length, Message& message) {
    if constexpr (index == std::variant_size_v<Message>) {
        return false;
    } else {
        if (kind != index) return read_message<index + 1>(kind, in, payload_length, message);
        auto& alternative = message.emplace<index>();
        get(in, alternative);
        return in.complete() && payload_fits(alternative, payload_length);
    }
}

void put_frame(base::ByteWriter& out, const Hello& hello) {
    out.integer(hello_kind).integer(hello.version);
    put(out, hello.incarnation);
    put(out, hello.process);
    put(out, hello.session.own_session);
    put(out, hello.session.known_peer_session);
    out.integer(hello.session.received);
}
void put_frame(base::ByteWriter& out, const Acknowledge& acknowledge) {
    out.integer(acknowledge_kind).integer(acknowledge.received);
}
void put_frame(base::ByteWriter& out, const Numbered& numbered) {
    out.integer(static_cast<std::uint8_t>(first_message_kind + numbered.message.index()));
    out.integer(numbered.sequence).integer(numbered.received);
    std::visit([&](const auto& message) { put(out, message); }, numbered.message);
}

std::unexpected<base::Error> bad_message(std::uint8_t kind) {
    return base::failure(Errc::bad_message, "kind " + std::to_string(kind));
}

base::Result<Frame> decode_hello(Fields& in) {
    Hello hello;
    hello.version = in.reader().integer<std::uint32_t>();
    if (hello.version != wire_version) {
        return base::failure(Errc::bad_message, "the peer speaks version " + std::to_string(hello.version) +
                                                    " of the protocol, this node version " +
                                                    std::to_string(wire_version));
    }
    in.get(hello.incarnation);
    in.get(hello.process);
    in.get(hello.session.own_session);
    in.get(hello.session.known_peer_session);
    in.get(hello.session.received);
    in.require(!hello.session.own_session.is_nil());
    if (!in.complete()) return bad_message(hello_kind);
    return hello;
}

}  // namespace

base::Bytes encode(const Frame& frame) {
    base::ByteWriter out;
    std::visit([&](const auto& content) { put_frame(out, content); }, frame);
    return out.take();
}

base::Result<Frame> decode(base::ByteView bytes, std::uint64_t payload_length) {
    Fields in(bytes);
    const auto kind = in.reader().integer<std::uint8_t>();
    if (kind == hello_kind && payload_length == 0) return decode_hello(in);
    if (kind == acknowledge_kind && payload_length == 0) {
        Acknowledge acknowledge;
        in.get(acknowledge.received);
        if (!in.complete()) return bad_message(kind);
        return acknowledge;
    }
    if (kind < first_message_kind) return bad_message(kind);
    Numbered numbered;
    in.get(numbered.sequence);
    in.get(numbered.received);
    if (!read_message(std::size_t{kind} - first_message_kind, in, payload_length, numbered.message)) {
        return bad_message(kind);
    }
    return numbered;
}

}  // namespace blockrep
