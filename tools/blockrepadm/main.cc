// blockrepadm, for people and scripts that know drbdadm.
// Exit status: 0 done, 10 it failed, 11 the state does not allow it, 5 waited in vain, 20 wrong usage or configuration.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <cstdio>
#include <map>

#include "base/io/control_client.hh"
#include "base/io/json_text.hh"
#include "base/io/paths.hh"
#include "blockrep/driver/config_files.hh"
#include "metadata_commands.hh"
#include "print.hh"

namespace {

namespace json = boost::json;

enum ExitStatus { done = 0, waited_in_vain = 5, failed = 10, not_allowed = 11, wrong_usage = 20 };

struct Arguments {
    std::string config = blockrep::standard_config_path();
    std::string resource;
    bool force = false;
    bool discard_my_data = false;
    bool clear_bitmap = false;
    bool as_json = false;
    double timeout = 0;  // seconds; 0 waits for ever
};

int complain(const std::string& what, int status) {
    std::fprintf(stderr, "blockrepadm: %s\n", what.c_str());
    return status;
}

base::Result<json::object> call(const json::object& request, base::Duration limit) {
    return base::call_control(base::run_path("blockrep/control.sock"), request, limit);
}

bool is_state_change(std::string_view command) {
    return command == "primary" || command == "secondary" || command == "detach" || command == "disconnect" ||
           command == "down" || command == "invalidate" || command == "new-current-uuid";
}

int order(const std::string& command, const std::string& resource, const Arguments& arguments) {
    json::object request{{"command", command}, {"resource", resource}};
    if (arguments.force) request["force"] = true;
    if (arguments.discard_my_data) request["discard-my-data"] = true;
    const auto limit = base::Duration::seconds(24 * 3600);  // a promotion may wait for a fence
    const auto reply = call(request, limit);
    if (reply) return done;
    return complain(reply.error().detail, is_state_change(command) ? not_allowed : failed);
}

int wait(const std::string& command, const std::string& resource, const Arguments& arguments) {
    const auto seconds = arguments.timeout > 0 ? arguments.timeout : 20.0 * 24 * 3600;
    const auto limit = base::Duration::milliseconds(static_cast<std::int64_t>(seconds * 1000));
    const auto reply = call({{"command", command}, {"resource", resource}}, limit);
    if (reply) return done;
    const bool late = reply.error().code == std::errc::timed_out;
    return complain(reply.error().message(), late ? waited_in_vain : failed);
}

base::Result<json::array> get_status(const std::string& resource) {
    json::object request{{"command", "status"}};
    if (!resource.empty()) request["resource"] = resource;
    BASE_ASSIGN(auto reply, call(request, base::Duration::seconds(10)));
    auto* resources = reply.if_contains("resources");
    if (resources == nullptr || !resources->is_array()) {
        return base::failure(std::errc::bad_message, "blockrepd sent no status");
    }
    return std::move(resources->as_array());
}

int show(const std::string& resource, std::string (*text_of)(const json::object&), bool as_json) {
    const auto resources = get_status(resource);
    if (!resources) return complain(resources.error().detail, failed);
    if (as_json) {
        std::printf("%s\n", json::serialize(*resources).c_str());
        return done;
    }
    if (resources->empty()) std::printf("# No resource is up.\n");
    for (const auto& each : *resources) {
        auto text = text_of(each.as_object());
        if (!text.ends_with('\n')) text += '\n';
        std::fputs(text.c_str(), stdout);
    }
    return done;
}

// Does `work` for the resource that is named, or for all of the configuration.
template <typename Work>
int for_resources(const Arguments& arguments, const Work& work) {
    const auto configuration = blockrep::load_configuration(arguments.config);
    if (!configuration) return complain(configuration.error().message(), wrong_usage);
    int status = done;
    bool found = false;
    for (const auto& resource : configuration->resources) {
        if (arguments.resource != "all" && arguments.resource != resource.name) continue;
        found = true;
        status = std::max(status, work(resource));
    }
    if (!found) return complain(arguments.resource + ": not defined in " + arguments.config, failed);
    return status;
}

int offline(const Arguments& arguments,
            const std::function<base::Result<void>(const blockrep::config::ResourceConfig&)>& work) {
    return for_resources(arguments, [&](const blockrep::config::ResourceConfig& resource) -> int {
        const auto outcome = work(resource);
        return outcome ? done : complain(resource.name + ": " + outcome.error().message(), failed);
    });
}

struct Program {
    explicit Program(CLI::App& root) : app(root) {
        app.require_subcommand(1);
        app.add_option("-c,--config-file", arguments.config, "the configuration, in drbd.conf's grammar");
        add_orders();
        add_queries();
        add_offline();
    }

    CLI::App* add(const std::string& name, const std::string& help, std::function<int()> run) {
        auto* command = app.add_subcommand(name, help);
        command->callback([this, run = std::move(run)] { status = run(); });
        return command;
    }
    CLI::App* with_resource(CLI::App* command) {
        command->add_option("resource", arguments.resource, "a resource, or all")->required();
        return command;
    }
    CLI::App* add_order(const std::string& name, const std::string& help) {
        return with_resource(add(name, help, [this, name] {
            if (arguments.resource != "all") return order(name, arguments.resource, arguments);
            return for_resources(arguments,
                                 [&](const auto& resource) { return order(name, resource.name, arguments); });
        }));
    }

    void add_orders() {
        add_order("up", "attach the disk and connect");
        add_order("down", "become Secondary, disconnect, detach");
        add_order("attach", "attach the disk");
        add_order("detach", "give the disk up");
        add_order("connect", "connect to the peer")
            ->add_flag("--discard-my-data", arguments.discard_my_data, "after a split brain: this side's changes lose");
        add_order("disconnect", "leave the peer in good order");
        add_order("primary", "become Primary: clients may use the device")
            ->add_flag("--force", arguments.force, "although the data may not be the newest");
        add_order("secondary", "become Secondary");
        add_order("invalidate", "distrust this disk: copy everything from the peer");
        auto* skip = add_order("new-current-uuid", "two new disks count as equal: no first resync");
        skip->add_flag("--clear-bitmap", arguments.clear_bitmap, "must be given")->required();
        for (const auto* name : {"wait-connect", "wait-sync"}) {
            with_resource(add(name, "wait until it is so", [this, name] {
                if (arguments.resource != "all") return wait(name, arguments.resource, arguments);
                return for_resources(arguments,
                                     [&](const auto& resource) { return wait(name, resource.name, arguments); });
            }))->add_option("--timeout,-t", arguments.timeout, "seconds; 0 waits for ever");
        }
    }

    void add_queries() {
        auto* show_status = add("status", "what is up, and how it is", [this] {
            return show(arguments.resource == "all" ? "" : arguments.resource, status_text, arguments.as_json);
        });
        show_status->add_option("resource", arguments.resource, "only this one");
        show_status->add_flag("--json", arguments.as_json, "for programs, as drbdsetup's");
        const auto add_state = [this](const std::string& name, std::string (*text)(const json::object&)) {
            with_resource(add(name, "this side's and the peer's, for scripts",
                              [this, text] { return show(arguments.resource, text, false); }));
        };
        add_state("role", role_text);
        add_state("cstate", connection_state_text);
        add_state("dstate", disk_state_text);
    }

    void add_offline() {
        auto* create = add("create-md", "write the metadata of a new replica", [this] {
            return offline(arguments, [&](const auto& resource) { return create_metadata(resource, arguments.force); });
        });
        with_resource(create)->add_flag("--force", arguments.force, "overwrite what is there");
        with_resource(add("dump-md", "print the metadata of a replica that is not attached",
                          [this] { return offline(arguments, dump_metadata); }));
    }

    CLI::App& app;
    Arguments arguments;
    int status = done;
};

}  // namespace

int main(int count, char** values) {
    CLI::App app("Administers replicated block devices (blockrepd).", "blockrepadm");
    Program program(app);
    try {
        app.parse(count, values);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? static_cast<int>(done) : static_cast<int>(wrong_usage);
    }
    return program.status;
}
