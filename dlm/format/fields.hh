// Fields that several messages share: how they are written and how they are read and checked.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.hh"
#include "dlm/format/message.hh"

namespace dlm {

class FieldWriter {
  public:
    base::ByteWriter out;

    template <std::integral T>
    void put(T value) {
        out.integer(value);
    }
    void put(bool flag) { out.integer(static_cast<std::uint8_t>(flag)); }
    void put(Mode mode) { out.integer(static_cast<std::uint8_t>(mode)); }
    void put(Outcome outcome) { out.integer(static_cast<std::uint8_t>(outcome)); }
    void put(Flags flags) { out.integer(flags.bits); }
    void put(base::NodeId node) { out.integer(node.value); }
    void put(const base::Uuid& uuid) { out.append(uuid.bytes); }
    void put(const Name& name) {
        out.integer(static_cast<std::uint8_t>(name.size()));
        out.append(base::as_bytes(name));
    }
    void put(const Value& value);
    void put(const base::NodeIncarnation& life);
    void put(const base::GroupMember& process);
    void put(const Member& member);
    void put(const RoundId& round);
    void put(const HeldLock& held);
    void put(const NamedValue& named);
    void put(const HandedResource& resource);
    template <typename T>
    void put(const std::optional<T>& field) {
        put(field.has_value());
        if (field) put(*field);
    }
    template <typename T>
    void put(const std::vector<T>& list) {
        out.integer(static_cast<std::uint32_t>(list.size()));
        for (const auto& each : list) put(each);
    }
};

// After a failed field everything reads as zero: look at ok() once at the end.
class FieldReader {
  public:
    explicit FieldReader(base::ByteView bytes) : in_(bytes) {}

    template <std::integral T>
    void get(T& value) {
        value = in_.integer<T>();
    }
    void get(bool& flag) { flag = below(2) != 0; }
    void get(Mode& mode) { mode = static_cast<Mode>(below(mode_count)); }
    void get(Outcome& outcome) { outcome = static_cast<Outcome>(below(outcome_count)); }
    void get(Flags& flags);
    void get(base::NodeId& node);
    void get(base::Uuid& uuid);
    void get(Name& name);
    void get(Value& value);
    void get(base::NodeIncarnation& life);
    void get(base::GroupMember& process);
    void get(Member& member);
    void get(RoundId& round);
    void get(HeldLock& held);
    void get(NamedValue& named);
    void get(HandedResource& resource);
    template <typename T>
    void get(std::optional<T>& field) {
        bool present = false;
        get(present);
        if (present) get(field.emplace());
    }
    template <typename T>
    void get(std::vector<T>& list, std::size_t limit) {
        const auto count = in_.integer<std::uint32_t>();
        if (count > limit) return fail();
        for (std::uint32_t i = 0; i < count && ok(); ++i) get(list.emplace_back());
    }
    // A number that must be smaller than `limit`.
    std::uint8_t below(std::size_t limit);
    void fail() { in_range_ = false; }

    bool ok() const { return in_range_ && in_.ok(); }
    bool in_range() const { return in_range_; }
    bool complete() const { return in_.complete(); }

  private:
    base::ByteReader in_;
    bool in_range_ = true;
};

}  // namespace dlm
