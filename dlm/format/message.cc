#include "dlm/format/message.hh"

#include "dlm/format/error.hh"
#include "dlm/format/fields.hh"

namespace dlm {
namespace {

constexpr std::uint32_t magic = 0x4d4c4443;  // "CDLM"
constexpr std::uint8_t version = 1;

// One list of fields per message serves both directions; `io` is a writer's put or a reader's get. List limits are the
// reader's business.
struct PutFields {
    FieldWriter& writer;
    template <typename... Fields>
    void operator()(const Fields&... fields) {
        (writer.put(fields), ...);
    }
    template <typename T>
    void list(const std::vector<T>& items, std::size_t) {
        writer.put(items);
    }
};
struct GetFields {
    FieldReader& reader;
    template <typename... Fields>
    void operator()(Fields&... fields) {
        (reader.get(fields), ...);
    }
    template <typename T>
    void list(std::vector<T>& items, std::size_t limit) {
        reader.get(items, limit);
    }
};

template <typename M, typename Wanted>
concept message = std::same_as<std::remove_const_t<M>, Wanted>;

template <typename Io>
struct Visitor {
    Io io;

    template <typename M>
    requires(message<M, Request> || message<M, Convert>) void operator()(M& m) {
        io(m.lock, m.operation, m.name, m.mode, m.flags);
    }
    void operator()(message<Lower> auto& m) { io(m.lock, m.name, m.mode, m.written); }
    void operator()(message<Unlock> auto& m) { io(m.lock, m.name, m.written); }
    void operator()(message<Cancel> auto& m) { io(m.lock, m.operation, m.name); }
    void operator()(message<StoreValue> auto& m) { io(m.lock, m.name, m.value); }
    void operator()(message<Granted> auto& m) { io(m.lock, m.operation, m.mode, m.demoted, m.value); }
    void operator()(message<Refused> auto& m) { io(m.lock, m.operation, m.outcome, m.demoted); }
    void operator()(message<Blocking> auto& m) { io(m.lock, m.wanted); }
    void operator()(message<ValueStored> auto& m) { io(m.lock, m.sequence); }
    void operator()(message<Redirect> auto& m) { io(m.lock, m.operation, m.name, m.master); }
    void operator()(message<NotMaster> auto& m) { io(m.lock, m.operation); }
    void operator()(message<DirectoryRemove> auto& m) { io(m.name); }
    void operator()(message<DirectoryEntries> auto& m) { io.list(m.names, max_batch); }
    void operator()(message<HeldLocks> auto& m) { io.list(m.locks, max_batch); }
    void operator()(message<WrittenValues> auto& m) { io.list(m.values, max_batch); }
    void operator()(message<Handover> auto& m) { io.list(m.resources, max_batch); }
    void operator()(message<RebuildDone> auto&) {}

    void operator()(message<RoundStart> auto& m) { io(m.round); }
    void operator()(message<MemberStatus> auto& m) {
        io(m.round, m.self, m.leaving, m.generation, m.completed);
        io.list(m.known, max_members);
        io.list(m.dead, max_members);
        io.list(m.fenced, max_members);
    }
    void operator()(message<Ready> auto& m) { io(m.round, m.generation); }
    void operator()(message<Resumed> auto& m) { io(m.generation); }
    void operator()(message<ReleaseDead> auto& m) { io(m.life); }
};

template <typename Variant>
void write_body(const Variant& body, FieldWriter& writer) {
    writer.put(static_cast<std::uint8_t>(body.index()));
    std::visit(Visitor<PutFields>{{writer}}, body);
}

// The alternative of that index, default made; false: there is none.
template <typename Variant, std::size_t I = 0>
bool emplace_alternative(Variant& body, std::size_t index) {
    if constexpr (I < std::variant_size_v<Variant>) {
        if (index != I) return emplace_alternative<Variant, I + 1>(body, index);
        body.template emplace<I>();
        return true;
    }
    return false;
}

template <typename Variant>
base::Result<void> read_body(Variant& body, FieldReader& reader) {
    std::uint8_t type = 0;
    reader.get(type);
    if (!reader.ok()) return base::failure(Errc::bad_length);
    if (!emplace_alternative(body, type)) return base::failure(Errc::bad_type, "type " + std::to_string(type));
    std::visit(Visitor<GetFields>{{reader}}, body);
    if (!reader.in_range()) return base::failure(Errc::bad_field, "in a message of type " + std::to_string(type));
    if (!reader.complete()) return base::failure(Errc::bad_length, "of a message of type " + std::to_string(type));
    return {};
}

void write_head(FieldWriter& writer) {
    writer.put(magic);
    writer.put(version);
}

base::Result<void> read_head(FieldReader& reader) {
    std::uint32_t found_magic = 0;
    std::uint8_t found_version = 0;
    reader.get(found_magic);
    reader.get(found_version);
    if (!reader.ok()) return base::failure(Errc::bad_length);
    if (found_magic != magic) return base::failure(Errc::bad_magic);
    if (found_version != version) return base::failure(Errc::bad_version, std::to_string(found_version));
    return {};
}

}  // namespace

base::Bytes encode(const PeerMessage& message) {
    FieldWriter writer;
    write_head(writer);
    writer.put(message.generation);
    write_body(message.body, writer);
    return writer.out.take();
}

base::Result<PeerMessage> decode_peer_message(base::ByteView bytes) {
    FieldReader reader(bytes);
    BASE_TRY(read_head(reader));
    PeerMessage message;
    reader.get(message.generation);
    BASE_TRY(read_body(message.body, reader));
    return message;
}

base::Bytes encode(const GroupMessage& message) {
    FieldWriter writer;
    write_head(writer);
    write_body(message, writer);
    return writer.out.take();
}

base::Result<GroupMessage> decode_group_message(base::ByteView bytes) {
    FieldReader reader(bytes);
    BASE_TRY(read_head(reader));
    GroupMessage message;
    BASE_TRY(read_body(message, reader));
    return message;
}

}  // namespace dlm
