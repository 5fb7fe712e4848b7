// cfs-fence, the operator's side of fencing. Exit status: 0 done; 1 failed; 64 wrong usage; `status NODE`: 0 on, 2 off,
// 1 not known (as fence agents do).
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "base/io/json_text.hh"
#include "fencing/driver/fence_client.hh"
#include "tools/cfs_fence/print.hh"

namespace {

constexpr auto quick = base::Duration::seconds(10);
constexpr auto as_long_as_devices_take = base::Duration::seconds(600);

struct Call {
    std::string node;
    bool json = false;
};

base::Result<boost::json::object> ask(const char* command, const std::string& node, base::Duration limit) {
    boost::json::object request{{"command", command}};
    if (!node.empty()) request["node"] = node;
    return base::call_control(fencing::fenced_socket_path(), request, limit);
}

int fail(const base::Error& error, const Call& call) {
    // A refusal is told in the daemon's own words.
    const bool refused = error.code == std::errc::operation_not_permitted;
    const auto text = refused ? error.detail : error.message();
    if (call.json) {
        std::puts(boost::json::serialize(boost::json::object{{"ok", false}, {"error", text}}).c_str());
    }
    std::fprintf(stderr, "cfs-fence: %s\n", text.c_str());
    return EXIT_FAILURE;
}

int overall_status(const Call& call) {
    const auto reply = ask("status", "", quick);
    if (!reply) return fail(reply.error(), call);
    const auto* status = reply->if_contains("status");
    if (status == nullptr || !status->is_object()) return EXIT_FAILURE;
    if (call.json) {
        std::puts(boost::json::serialize(*status).c_str());
    } else {
        cfs_fence::print_status(status->get_object());
    }
    return EXIT_SUCCESS;
}

int power_status(const Call& call) {
    const auto reply = ask("power", call.node, as_long_as_devices_take);
    if (!reply) return fail(reply.error(), call);
    const auto power = base::text_member(*reply, "power").value_or("");
    std::puts(call.json ? boost::json::serialize(*reply).c_str() : power.c_str());
    return power == "on" ? 0 : power == "off" ? 2 : 1;
}

int history(const Call& call) {
    const auto reply = ask("history", "", quick);
    if (!reply) return fail(reply.error(), call);
    const auto* list = reply->if_contains("history");
    if (list == nullptr || !list->is_array()) return EXIT_FAILURE;
    if (call.json) {
        std::puts(boost::json::serialize(boost::json::object{{"history", *list}}).c_str());
    } else {
        cfs_fence::print_history(list->get_array());
    }
    return EXIT_SUCCESS;
}

int order(const char* command, const Call& call) {
    const auto reply = ask(command, call.node, as_long_as_devices_take);
    if (!reply) return fail(reply.error(), call);
    const auto text = base::text_member(*reply, "result").value_or("done");
    std::puts(call.json ? boost::json::serialize(*reply).c_str() : text.c_str());
    return EXIT_SUCCESS;
}

int confirm(const Call& call) {
    std::fprintf(stderr,
                 "You state that node %s is powered off and stays off until it has been started anew. If it still\n"
                 "writes, the data on the shared filesystem is lost. Type the node's name to go on: ",
                 call.node.c_str());
    std::string typed;
    std::getline(std::cin, typed);
    if (typed == call.node) return order("confirm", call);
    std::fprintf(stderr, "cfs-fence: not confirmed\n");
    return EXIT_FAILURE;
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App app("Shows and orders the fencing of nodes.", "cfs-fence");
    app.require_subcommand(1);
    Call call;
    int status = EXIT_FAILURE;
    const auto add = [&](const char* name, const char* what, bool needs_node, auto action) {
        auto* command = app.add_subcommand(name, what);
        command->add_flag("--json", call.json, "print JSON");
        if (std::string_view(name) != "history") {
            command->add_option("NODE", call.node, "a node's name or id")->required(needs_node);
        }
        command->callback([&status, &call, action] { status = action(call); });
    };
    add("status", "show everything; with NODE: its power (exit 0 on, 2 off, 1 not known)", false,
        [](const Call& c) { return c.node.empty() ? overall_status(c) : power_status(c); });
    add("history", "show the fences of the past, the last one last", false, history);
    add("off", "switch a node's power off and verify it", true, [](const Call& c) { return order("off", c); });
    add("on", "switch a node's power on", true, [](const Call& c) { return order("on", c); });
    add("confirm", "state that a node is powered off, when no device can tell", true, confirm);
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? EX_OK : EX_USAGE;
    }
    return status;
}
