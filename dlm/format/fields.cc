#include "dlm/format/fields.hh"

#include <algorithm>

namespace dlm {

void FieldWriter::put(const Value& value) {
    put(value.sequence);
    put(value.valid);
    out.append(value.bytes);
}
void FieldWriter::put(const base::NodeIncarnation& life) {
    put(life.node);
    put(life.incarnation);
}
void FieldWriter::put(const base::GroupMember& process) {
    put(process.node);
    put(process.process);
}
void FieldWriter::put(const Member& member) {
    put(member.process);
    put(member.life);
    put(member.session);
    put(member.port);
}
void FieldWriter::put(const RoundId& round) {
    put(round.starter);
    put(round.number);
}
void FieldWriter::put(const HeldLock& held) {
    put(held.lock);
    put(held.name);
    put(held.mode);
    put(held.value);
}
void FieldWriter::put(const NamedValue& named) {
    put(named.name);
    put(named.value);
}
void FieldWriter::put(const HandedResource& resource) {
    put(resource.name);
    put(resource.value);
    put(resource.withheld_for);
}

std::uint8_t FieldReader::below(std::size_t limit) {
    const auto value = in_.integer<std::uint8_t>();
    if (value < limit) return value;
    fail();
    return 0;
}
void FieldReader::get(Flags& flags) {
    flags = Flags(in_.integer<std::uint32_t>());
    if ((flags.bits & ~all_flags) != 0) fail();
}
void FieldReader::get(base::NodeId& node) {
    node.value = in_.integer<std::uint32_t>();
    if (node.value == 0) fail();
}
void FieldReader::get(base::Uuid& uuid) {
    const auto bytes = in_.take(uuid.bytes.size());
    std::copy(bytes.begin(), bytes.end(), uuid.bytes.begin());
}
void FieldReader::get(Name& name) {
    const auto length = in_.integer<std::uint8_t>();
    if (length == 0 || length > max_name_bytes) return fail();
    name = base::as_text(in_.take(length));
}
void FieldReader::get(Value& value) {
    get(value.sequence);
    get(value.valid);
    const auto bytes = in_.take(value_block_bytes);
    std::copy(bytes.begin(), bytes.end(), value.bytes.begin());
}
void FieldReader::get(base::NodeIncarnation& life) {
    get(life.node);
    get(life.incarnation);
}
void FieldReader::get(base::GroupMember& process) {
    get(process.node);
    get(process.process);
}
void FieldReader::get(Member& member) {
    get(member.process);
    get(member.life);
    get(member.session);
    get(member.port);
    if (member.process.node != member.life.node) fail();
}
void FieldReader::get(RoundId& round) {
    get(round.starter);
    get(round.number);
}
void FieldReader::get(HeldLock& held) {
    get(held.lock);
    get(held.name);
    get(held.mode);
    get(held.value);
}
void FieldReader::get(NamedValue& named) {
    get(named.name);
    get(named.value);
}
void FieldReader::get(HandedResource& resource) {
    get(resource.name);
    get(resource.value);
    get(resource.withheld_for, max_withheld);
}

}  // namespace dlm
