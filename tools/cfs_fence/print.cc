#include "tools/cfs_fence/print.hh"

#include <cstdio>
#include <string>

#include "base/io/json_text.hh"

namespace cfs_fence {
namespace {

using boost::json::array;
using boost::json::object;

std::string text(const object& from, std::string_view name) { return base::text_member(from, name).value_or(""); }
long long number(const object& from, std::string_view name) { return base::integer_member(from, name).value_or(0); }
bool flag(const object& from, std::string_view name) { return base::true_member(from, name); }

// The objects of a list; what is no object is skipped.
template <typename Use>
void for_each(const object& from, std::string_view name, Use use) {
    const auto* list = from.if_contains({name.data(), name.size()});
    if (list == nullptr || !list->is_array()) return;
    for (const auto& each : list->get_array()) {
        if (each.is_object()) use(each.get_object());
    }
}

void print_node(const object& node, long long self) {
    const bool own = number(node, "id") == self;
    std::printf("  %-12s id %-4lld %-12s %s\n", text(node, "name").c_str(), number(node, "id"),
                own                    ? "this node"
                : flag(node, "member") ? "member"
                                       : "not here",
                own || text(node, "warning").empty() ? "" : text(node, "warning").c_str());
}

void print_device(const object& device) {
    std::printf("  %-12s %-20s %s", text(device, "name").c_str(), text(device, "agent").c_str(),
                text(device, "state").c_str());
    if (device.contains("checked_ms_ago")) {
        std::printf(" (%lld s ago, took %lld ms)", number(device, "checked_ms_ago") / 1000, number(device, "took_ms"));
    }
    if (flag(device, "too_slow")) std::printf(" TOO SLOW for the delay");
    if (text(device, "state") == "failed") std::printf(": %s", text(device, "output").c_str());
    std::printf("\n");
}

void print_fence(const object& fence) {
    std::printf("  node %lld: %s since %.1f s, %lld failed attempts", number(fence, "victim"),
                text(fence, "state").c_str(), static_cast<double>(number(fence, "waited_ms")) / 1000,
                number(fence, "failed_attempts"));
    if (!text(fence, "last_failure").empty()) std::printf(" (%s)", text(fence, "last_failure").c_str());
    std::printf("\n");
    for_each(fence, "requests", [](const object& request) {
        std::printf("    %s: %s\n", text(request, "asker").c_str(), text(request, "reason").c_str());
    });
}

}  // namespace

void print_status(const object& status) {
    const auto* inner = status.if_contains("fencing");
    if (inner == nullptr || !inner->is_object()) return;
    const auto& fencing = inner->get_object();
    std::printf("node %s, %s, %s\n", text(status, "name").c_str(),
                flag(fencing, "in_group") ? "in the group" : "NOT in the group",
                flag(fencing, "quorate") ? "quorate" : "NOT quorate");
    if (!flag(status, "configured")) std::printf("warning: %s\n", text(status, "hint").c_str());
    if (flag(fencing, "own_life_is_over")) std::printf("warning: the group holds this machine for dead: restart it\n");
    std::printf("nodes\n");
    for_each(fencing, "nodes", [&](const object& node) { print_node(node, number(fencing, "node")); });
    std::printf("devices\n");
    for_each(status, "devices", print_device);
    if (const auto* fences = fencing.if_contains("fences");
        fences && fences->is_array() && !fences->get_array().empty()) {
        std::printf("pending fences\n");
        for_each(fencing, "fences", print_fence);
    }
}

void print_history(const array& history) {
    for (const auto& each : history) {
        if (!each.is_object()) continue;
        const auto& entry = each.get_object();
        const bool verified = entry.contains("verified");
        std::printf("%s  %s %s by %s in %.2f s", text(entry, verified ? "verified" : "ended").c_str(),
                    text(entry, "node").c_str(), text(entry, "outcome").c_str(), text(entry, "by").c_str(),
                    static_cast<double>(number(entry, "duration_ms")) / 1000);
        std::printf(" (%s), asked %s by %s: %s\n", text(entry, "detail").c_str(),
                    text(entry, "requested").substr(11).c_str(), text(entry, "asker").c_str(),
                    text(entry, "reason").c_str());
    }
}

}  // namespace cfs_fence
