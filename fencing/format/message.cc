#include "fencing/format/message.hh"

#include <algorithm>

#include "fencing/format/error.hh"

namespace fencing {
namespace {

constexpr std::uint32_t magic = 0x4e464643;  // "CFFN"
constexpr std::uint16_t version = 1;

enum class Type : std::uint16_t {
    hello = 1,
    request,
    withdraw,
    claim,
    finished,
    facts,
    history_batch,
    decline,
    overlook,
    marker
};

class Encoder {
  public:
    base::ByteWriter out;

    void put(std::uint32_t value) { out.integer(value); }
    void put(base::NodeId node) { out.integer(node.value); }
    void put(const base::Uuid& uuid) { out.append(uuid.bytes); }
    void put(const base::NodeIncarnation& life) {
        put(life.node);
        put(life.incarnation);
    }
    void put(const std::string& text) { out.text(std::string_view(text).substr(0, max_text_bytes)); }
    void put(const OpenRequest& request) {
        put(request.victim);
        put(request.reason);
        put(request.asker);
    }
    void put(const ExecutedAttempt& executed) {
        put(executed.victim);
        put(executed.attempt);
    }
    void put(const HistoryEntry& entry) {
        put(entry.victim);
        put(entry.executor);
        out.integer(entry.finished.nanoseconds).integer(entry.seen.nanoseconds);
        out.integer(entry.requested.nanoseconds).integer(entry.started.nanoseconds);
        out.integer(static_cast<std::uint8_t>(entry.outcome));
        put(entry.attempt);
        put(entry.dead);
        put(entry.asker);
        put(entry.reason);
        put(entry.detail);
    }
    template <typename T>
    void put(const std::vector<T>& list) {
        put(static_cast<std::uint32_t>(list.size()));
        for (const auto& each : list) put(each);
    }

    void operator()(const Hello& hello) {
        head(Type::hello);
        put(hello.incarnation);
        put(hello.superseded);
        put(hello.requests);
        put(hello.executing);
    }
    void operator()(const Request& request) {
        head(Type::request);
        put(request.request);
    }
    void operator()(const Withdraw& withdraw) {
        head(Type::withdraw);
        put(withdraw.victim);
    }
    void operator()(const Claim& claim) {
        head(Type::claim);
        put(claim.victim);
        put(claim.attempt);
    }
    void operator()(const Decline& decline) {
        head(Type::decline);
        put(decline.victim);
        put(decline.attempt);
    }
    void operator()(const Overlook& overlook) {
        head(Type::overlook);
        put(overlook.silent);
    }
    void operator()(const Marker& marker) {
        head(Type::marker);
        out.integer(marker.number);
    }
    void operator()(const Finished& finished) {
        head(Type::finished);
        put(finished.entry);
    }
    void operator()(const Facts& facts) {
        head(Type::facts);
        put(facts.dead);
        put(facts.known);
    }
    void operator()(const HistoryBatch& batch) {
        head(Type::history_batch);
        put(batch.entries);
    }

  private:
    void head(Type type) { out.integer(magic).integer(version).integer(static_cast<std::uint16_t>(type)); }
};

// Every get() leaves the decoder failed when a field is out of its range; the caller looks once, at the end.
class Decoder {
  public:
    explicit Decoder(base::ByteView bytes) : in_(bytes) {}

    std::uint16_t get16() { return in_.integer<std::uint16_t>(); }
    void get(std::uint32_t& value) { value = in_.integer<std::uint32_t>(); }
    void get(base::NodeId& node) {
        node.value = in_.integer<std::uint32_t>();
        require(node.value != 0);
    }
    void get(base::Uuid& uuid) {
        const auto raw = in_.take(uuid.bytes.size());
        if (raw.size() == uuid.bytes.size()) base::copy_bytes(raw, uuid.bytes);
    }
    void get(base::NodeIncarnation& life) {
        get(life.node);
        get(life.incarnation);
    }
    void get(std::string& text) { text = in_.text(max_text_bytes); }
    void get(OpenRequest& request) {
        get(request.victim);
        get(request.reason);
        get(request.asker);
    }
    void get(ExecutedAttempt& executed) {
        get(executed.victim);
        get(executed.attempt);
    }
    void get(HistoryEntry& entry) {
        get(entry.victim);
        get(entry.executor);
        entry.finished.nanoseconds = in_.integer<std::int64_t>();
        entry.seen.nanoseconds = in_.integer<std::int64_t>();
        entry.requested.nanoseconds = in_.integer<std::int64_t>();
        entry.started.nanoseconds = in_.integer<std::int64_t>();
        const auto outcome = in_.integer<std::uint8_t>();
        require(outcome >= 1 && outcome <= 3);
        entry.outcome = static_cast<Outcome>(outcome);
        get(entry.attempt);
        get_lives(entry.dead);
        require(entry.outcome != Outcome::failed || entry.dead.empty());
        get(entry.asker);
        get(entry.reason);
        get(entry.detail);
    }
    template <typename T>
    void get(std::vector<T>& list) {
        const auto count = in_.integer<std::uint32_t>();
        require(count <= max_list_entries);
        for (std::uint32_t i = 0; i < count && good(); ++i) get(list.emplace_back());
    }
    // Lives that exist: none of them nil.
    void get_lives(std::vector<base::Uuid>& list) {
        get(list);
        require(std::ranges::none_of(list, &base::Uuid::is_nil));
    }
    void get_lives(std::vector<base::NodeIncarnation>& list) {
        get(list);
        require(std::ranges::none_of(list, [](const auto& life) { return life.incarnation.is_nil(); }));
    }

    void get(Hello& hello) {
        get(hello.incarnation);
        require(!hello.incarnation.is_nil());
        get_lives(hello.superseded);
        require(std::ranges::find(hello.superseded, hello.incarnation) == hello.superseded.end());
        get(hello.requests);
        get(hello.executing);
    }
    void get(Request& request) { get(request.request); }
    void get(Withdraw& withdraw) { get(withdraw.victim); }
    void get(Claim& claim) {
        get(claim.victim);
        get(claim.attempt);
    }
    void get(Decline& decline) {
        get(decline.victim);
        get(decline.attempt);
    }
    void get(Overlook& overlook) { get(overlook.silent); }
    void get(Marker& marker) { marker.number = in_.integer<std::uint64_t>(); }
    void get(Finished& finished) { get(finished.entry); }
    void get(Facts& facts) {
        get_lives(facts.dead);
        get_lives(facts.known);
    }
    void get(HistoryBatch& batch) { get(batch.entries); }

    void require(bool holds) { valid_ = valid_ && holds; }
    bool good() const { return valid_ && in_.ok(); }
    bool complete() const { return valid_ && in_.complete(); }

  private:
    base::ByteReader in_;
    bool valid_ = true;
};

template <typename T>
base::Result<Message> body(Decoder& in) {
    T message;
    in.get(message);
    if (!in.complete()) return base::failure(Errc::bad_message, "a field is out of its range or the length is wrong");
    return Message(std::move(message));
}

}  // namespace

base::Result<base::Bytes> encode(const Message& message) {
    Encoder encoder;
    std::visit(encoder, message);
    if (encoder.out.bytes().size() > max_message_bytes) {
        return base::failure(Errc::message_too_long, std::to_string(encoder.out.bytes().size()) + " bytes");
    }
    return encoder.out.take();
}

base::Result<Message> decode(base::ByteView bytes) {
    Decoder in(bytes);
    std::uint32_t found_magic = 0;
    in.get(found_magic);
    const auto found_version = in.get16();
    const auto type = in.get16();
    if (!in.good() || found_magic != magic) return base::failure(Errc::bad_message, "not a fencing message");
    if (found_version != version) return base::failure(Errc::message_version, std::to_string(found_version));
    switch (static_cast<Type>(type)) {
        case Type::hello:
            return body<Hello>(in);
        case Type::request:
            return body<Request>(in);
        case Type::withdraw:
            return body<Withdraw>(in);
        case Type::claim:
            return body<Claim>(in);
        case Type::finished:
            return body<Finished>(in);
        case Type::facts:
            return body<Facts>(in);
        case Type::history_batch:
            return body<HistoryBatch>(in);
        case Type::decline:
            return body<Decline>(in);
        case Type::overlook:
            return body<Overlook>(in);
        case Type::marker:
            return body<Marker>(in);
    }
    return base::failure(Errc::bad_message, "unknown type " + std::to_string(type));
}

std::size_t encoded_size(const HistoryEntry& entry) {
    Encoder encoder;
    encoder.put(entry);
    return encoder.out.bytes().size();
}

}  // namespace fencing
