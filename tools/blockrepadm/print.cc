#include "print.hh"

#include <fmt/core.h>

#include "base/io/json_text.hh"

namespace {

namespace json = boost::json;

std::string text_of(const json::object& object, const char* name) {
    return base::text_member(object, name).value_or("?");
}

// The first object of an array member; empty when there is none.
json::object first_of(const json::object& object, const char* name) {
    const auto* member = object.if_contains(name);
    if (member == nullptr || !member->is_array() || member->as_array().empty()) return {};
    const auto& first = member->as_array().front();
    return first.is_object() ? first.as_object() : json::object{};
}

// Since when the peer is away, where that is why a resource is suspended.
std::string since_text(const json::object& connection) {
    const auto lost = base::integer_member(connection, "link-lost-for-ms");
    return lost ? fmt::format(", for {:.1f} s", static_cast<double>(*lost) / 1000) : "";
}

std::string done_text(const json::object& peer_device) {
    const auto* done = peer_device.if_contains("percent-in-sync");
    return done != nullptr && done->is_double() ? fmt::format(" done:{:.2f}", done->as_double()) : "";
}

}  // namespace

std::string status_text(const json::object& resource) {
    const auto device = first_of(resource, "devices");
    const auto connection = first_of(resource, "connections");
    const auto peer_device = first_of(connection, "peer_devices");
    auto text = fmt::format("{} role:{}\n", text_of(resource, "name"), text_of(resource, "role"));
    if (base::true_member(resource, "suspended")) {
        text += fmt::format("  suspended: {}{}\n", text_of(resource, "suspended-because"), since_text(connection));
    }
    text += fmt::format("  disk:{}{}\n", text_of(device, "disk-state"),
                        base::true_member(device, "open") ? " open:yes" : "");
    const auto state = text_of(connection, "connection-state");
    if (state != "Connected") {
        text += fmt::format("  {} connection:{}", text_of(connection, "name"), state);
        if (const auto problem = base::text_member(connection, "problem")) text += " (" + *problem + ")";
        if (base::true_member(connection, "fence-requested")) text += " fence-requested";
        return text + "\n";
    }
    text += fmt::format("  {} role:{}\n", text_of(connection, "name"), text_of(connection, "peer-role"));
    const auto replication = text_of(peer_device, "replication-state");
    const auto shown = replication == "Established" ? "" : "replication:" + replication + " ";
    text +=
        fmt::format("    {}peer-disk:{}{}\n", shown, text_of(peer_device, "peer-disk-state"), done_text(peer_device));
    return text;
}

std::string role_text(const json::object& resource) {
    return text_of(resource, "role") + "/" + text_of(first_of(resource, "connections"), "peer-role");
}

std::string connection_state_text(const json::object& resource) {
    const auto connection = first_of(resource, "connections");
    const auto replication = text_of(first_of(connection, "peer_devices"), "replication-state");
    const bool plain = replication == "Off" || replication == "Established";
    return plain ? text_of(connection, "connection-state") : replication;
}

std::string disk_state_text(const json::object& resource) {
    return text_of(first_of(resource, "devices"), "disk-state") + "/" +
           text_of(first_of(first_of(resource, "connections"), "peer_devices"), "peer-disk-state");
}
