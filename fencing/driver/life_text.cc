#include "fencing/driver/life_text.hh"

#include <limits>

#include "base/io/json_text.hh"

namespace fencing {

std::optional<base::NodeId> node_member(const boost::json::object& object) {
    const auto number = base::integer_member(object, "node");
    if (!number || *number <= 0 || *number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
    return base::NodeId{static_cast<std::uint32_t>(*number)};
}

std::optional<base::NodeIncarnation> life_members(const boost::json::object& object) {
    const auto node = node_member(object);
    const auto text = base::text_member(object, "incarnation");
    if (!node || !text) return std::nullopt;
    if (text->empty()) return base::NodeIncarnation{*node, {}};
    const auto incarnation = base::Uuid::parse(*text);
    if (!incarnation) return std::nullopt;
    return base::NodeIncarnation{*node, *incarnation};
}

void add_life(boost::json::object& object, const base::NodeIncarnation& life) {
    object["node"] = life.node.value;
    object["incarnation"] = life.incarnation.is_nil() ? std::string() : life.incarnation.text();
}

}  // namespace fencing
