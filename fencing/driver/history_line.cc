// One entry as a line of text.
#include <fmt/core.h>

#include <boost/json.hpp>
#include <charconv>

#include "base/hash.hh"
#include "base/io/json_text.hh"
#include "fencing/core/history.hh"
#include "fencing/driver/history_file.hh"

namespace fencing {
namespace {

constexpr std::size_t checksum_digits = 16;

std::uint64_t checksum_of(std::string_view json) { return base::checksum(base::as_bytes(json)); }

// Members in the order in which they are asked for; the first that is missing or wrong spoils the whole.
class EntryReader {
  public:
    explicit EntryReader(const boost::json::object& object) : object_(object) {}

    base::NodeId node(std::string_view name) {
        const auto value = integer(name);
        good_ = good_ && value > 0 && value <= 0xffff'ffff;
        return {static_cast<std::uint32_t>(value)};
    }
    base::WallTime time(std::string_view name) { return {integer(name)}; }
    std::int64_t integer(std::string_view name) {
        const auto value = base::integer_member(object_, name);
        good_ = good_ && value.has_value();
        return value.value_or(0);
    }
    std::string text(std::string_view name) {
        auto value = base::text_member(object_, name);
        good_ = good_ && value.has_value();
        return std::move(value).value_or("");
    }
    Outcome outcome() {
        const auto name = text("outcome");
        for (const auto each : {Outcome::fenced, Outcome::failed, Outcome::confirmed}) {
            if (name == text_of(each)) return each;
        }
        good_ = false;
        return Outcome::failed;
    }
    std::vector<base::Uuid> lives(std::string_view name) {
        std::vector<base::Uuid> out;
        const auto* list = object_.if_contains({name.data(), name.size()});
        good_ = good_ && list != nullptr && list->is_array();
        if (!good_) return out;
        for (const auto& each : list->get_array()) {
            const auto life = each.is_string() ? base::Uuid::parse(std::string_view(each.get_string())) : std::nullopt;
            good_ = good_ && life && !life->is_nil();
            if (good_) out.push_back(*life);
        }
        return out;
    }
    bool good() const { return good_; }

  private:
    const boost::json::object& object_;
    bool good_ = true;
};

}  // namespace

std::string history_line(const HistoryEntry& entry) {
    base::JsonWriter json;
    describe(entry, json);
    return fmt::format("{:016x} {}", checksum_of(json.text()), json.text());
}

std::optional<HistoryEntry> parse_history_line(std::string_view line) {
    if (line.size() < checksum_digits + 1 || line[checksum_digits] != ' ') return std::nullopt;
    std::uint64_t sum = 0;
    const auto parsed = std::from_chars(line.data(), line.data() + checksum_digits, sum, 16);
    const auto json = line.substr(checksum_digits + 1);
    if (parsed.ec != std::errc{} || parsed.ptr != line.data() + checksum_digits || sum != checksum_of(json)) {
        return std::nullopt;
    }
    const auto object = base::parse_json_object(json);
    if (!object) return std::nullopt;
    EntryReader in(*object);
    HistoryEntry entry;
    entry.victim = in.node("victim");
    entry.executor = in.node("executor");
    entry.finished = in.time("finished_ns");
    entry.seen = in.time("seen_ns");
    entry.requested = in.time("requested_ns");
    entry.started = in.time("started_ns");
    entry.outcome = in.outcome();
    entry.attempt = static_cast<std::uint32_t>(in.integer("attempt"));
    entry.dead = in.lives("dead");
    entry.asker = in.text("asker");
    entry.reason = in.text("reason");
    entry.detail = in.text("detail");
    const bool proves_nothing = entry.outcome == Outcome::failed && !entry.dead.empty();
    return in.good() && !proves_nothing ? std::optional(std::move(entry)) : std::nullopt;
}

}  // namespace fencing
