#include "blockrep/driver/status.hh"

#include "base/io/json_text.hh"

namespace blockrep {
namespace {

namespace json = boost::json;

// Moves members of the core's description to where drbdsetup has them.
void move_members(json::object& from, json::object& to, std::initializer_list<const char*> names) {
    for (const auto* name : names) {
        const auto found = from.find(name);
        if (found == from.end()) continue;
        to[name] = std::move(found->value());
        from.erase(found);
    }
}

}  // namespace

json::object status_of(const ResourceDriver& resource, const config::ResourceConfig& config) {
    base::JsonWriter text;
    resource.describe(text);
    auto flat = base::parse_json_object(text.text()).value_or(json::object{});

    json::object device{{"volume", config.volume}, {"minor", std::int64_t{config.hosts.front().minor.value_or(0)}}};
    move_members(flat, device,
                 {"disk-state", "size", "openers", "upper-pending", "not-started", "lower-pending",
                  "activity-log-extents", "generations"});
    device["client"] = false;
    device["open"] = resource.clients() > 0;

    json::object connection;
    if (auto* found = flat.if_contains("connection"); found != nullptr && found->is_object()) {
        connection = std::move(found->as_object());
        flat.erase("connection");
    }
    json::object peer_device{{"volume", config.volume}};
    move_members(connection, peer_device,
                 {"replication-state", "peer-disk-state", "percent-in-sync", "pending", "unacked"});
    move_members(flat, peer_device, {"out-of-sync"});
    connection["peer_devices"] = json::array{std::move(peer_device)};
    if (!resource.link_problem().empty()) connection["problem"] = resource.link_problem();

    flat["devices"] = json::array{std::move(device)};
    flat["connections"] = json::array{std::move(connection)};
    return flat;
}

}  // namespace blockrep
