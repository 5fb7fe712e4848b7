#include "blockrep/driver/daemon.hh"

#include <algorithm>

#include "base/io/json_text.hh"
#include "base/io/log.hh"
#include "base/io/paths.hh"
#include "base/io/random.hh"
#include "blockrep/driver/config_files.hh"
#include "blockrep/driver/status.hh"
#include "blockrep/format/error.hh"
#include "blockrep/format/metadata.hh"

namespace blockrep {
namespace {

constexpr auto longest_silence = base::Duration::milliseconds(1500);  // of the link, whatever `timeout` says

std::string message_of(const std::string& resource, const base::Error& error) {
    return resource + ": " + error.message();
}

void answer(const base::ControlReply& reply, const std::string& resource, const base::Result<void>& outcome) {
    if (outcome) {
        reply.ok();
    } else {
        reply.error(message_of(resource, outcome.error()));
    }
}

bool never_harmless(const base::Error&) { return false; }

}  // namespace

DaemonOptions DaemonOptions::standard() {
    DaemonOptions options;
    options.config_path = standard_config_path();
    options.control_path = base::run_path("blockrep/control.sock");
    options.nbd_path = base::run_path("blockrep/nbd.sock");
    options.attach_path = attach::socket_path();
    return options;
}

base::Result<std::unique_ptr<Daemon>> Daemon::start(base::EventLoop& loop, DaemonOptions options) {
    std::unique_ptr<Daemon> daemon(new Daemon(loop, std::move(options)));
    BASE_TRY(daemon->listen());
    return daemon;
}

Daemon::Daemon(base::EventLoop& loop, DaemonOptions options)
    : loop_(loop),
      options_(std::move(options)),
      nbd_(std::make_unique<NbdServer>(loop, static_cast<const DeviceDirectory&>(*this))),
      attach_(std::make_unique<AttachServer>(loop, static_cast<const DeviceDirectory&>(*this))) {}

Daemon::~Daemon() = default;

base::Result<void> Daemon::listen() {
    auto control = base::ControlServer::listen(loop_, options_.control_path,
                                               [this](const boost::json::object& request, const base::ControlCaller&,
                                                      const base::ControlReply& reply) { on_request(request, reply); });
    if (!control) return std::unexpected(control.error());
    control_ = *std::move(control);
    BASE_TRY(nbd_->listen_on_path(options_.nbd_path));
    if (options_.nbd_tcp) BASE_TRY(nbd_->listen_on_tcp(*options_.nbd_tcp));
    return attach_->listen(options_.attach_path);
}

// ---- devices for clients
std::vector<std::string> Daemon::names() const {
    std::vector<std::string> all;
    for (const auto& [name, entry] : resources_) all.push_back(name);
    return all;
}

base::Result<std::shared_ptr<DevicePort>> Daemon::find(std::string_view name) const {
    const auto found = name.empty() && resources_.size() == 1 ? resources_.begin() : resources_.find(name);
    if (found == resources_.end()) {
        // The name is not repeated: it comes from anybody, and this goes to the log.
        return base::failure(std::errc::no_such_device, "no resource of this name is up");
    }
    const auto& driver = found->second.driver;
    if (driver->core().role() != Role::Primary) {
        return base::failure(std::errc::operation_not_permitted,
                             found->first + " is Secondary on this node (blockrepadm primary " + found->first + ")");
    }
    if (driver->size() == 0) {
        return base::failure(std::errc::no_such_device_or_address, found->first + " has no disk");
    }
    return std::static_pointer_cast<DevicePort>(driver);
}

// ---- control socket
void Daemon::on_request(const boost::json::object& request, const base::ControlReply& reply) {
    const auto command = base::text_member(request, "command").value_or("");
    if (on_query(command, request, reply)) return;
    const auto name = base::text_member(request, "resource");
    if (!name) return reply.error("a request names its resource");
    if (shutting_down_) return reply.error("blockrepd is shutting down");
    if (command == "up" || command == "attach" || command == "connect") {
        const auto loaded = load(*name);
        if (!loaded) return reply.error(loaded.error().message());
    }
    const auto found = resources_.find(*name);
    if (found == resources_.end()) {
        // Taking down what is not up is no mistake.
        return command == "down" ? reply.ok() : reply.error(*name + ": No such resource (it is not up)");
    }
    on_command(command, found->second, request, reply);
}

bool Daemon::on_query(const std::string& command, const boost::json::object& request, const base::ControlReply& reply) {
    if (command == "status") {
        status(request, reply);
    } else if (command == "clients" || command == "wait-drained") {
        on_client_query(command, request, reply);
    } else {
        return false;
    }
    return true;
}

void Daemon::on_client_query(const std::string& command, const boost::json::object& request,
                             const base::ControlReply& reply) {
    if (!attach_) return reply.error("blockrepd is shutting down");
    if (command == "clients") {
        base::JsonWriter json;
        attach_->describe(json);
        reply.ok_raw("clients", json.text());
    } else {
        wait_drained(request, reply);
    }
}

void Daemon::on_command(const std::string& command, Entry& entry, const boost::json::object& request,
                        const base::ControlReply& reply) {
    auto& driver = *entry.driver;
    const auto done = [reply, name = driver.name()](const base::Result<void>& outcome) {
        answer(reply, name, outcome);
    };
    const bool force = base::true_member(request, "force");
    if (command == "up") return up(entry, done);
    if (command == "down") return down(entry, done);
    if (command == "attach") return driver.attach(done);
    if (command == "detach") return driver.command(CommandKind::detach, done);
    if (command == "connect") {
        return driver.command(CommandKind::connect, done, base::true_member(request, "discard-my-data"));
    }
    if (command == "disconnect") return driver.command(CommandKind::disconnect, done);
    if (command == "primary") {
        return driver.command(force ? CommandKind::force_promote : CommandKind::promote, done);
    }
    if (command == "secondary") return driver.command(CommandKind::demote, done);
    if (command == "invalidate") return driver.command(CommandKind::invalidate, done);
    if (command == "new-current-uuid") return driver.command(CommandKind::clear_bitmap, done);
    if (command == "wait-connect" || command == "wait-sync") return wait(command, entry, reply);
    reply.error("command \"" + command + "\" is not known");
}

void Daemon::status(const boost::json::object& request, const base::ControlReply& reply) {
    const auto wanted = base::text_member(request, "resource");
    boost::json::array all;
    for (const auto& [name, entry] : resources_) {
        if (!wanted || *wanted == name) all.push_back(status_of(*entry.driver, entry.config));
    }
    if (wanted && all.empty()) return reply.error(*wanted + ": No such resource (it is not up)");
    reply.ok({{"resources", std::move(all)}});
}

void Daemon::wait_drained(const boost::json::object& request, const base::ControlReply& reply) {
    const auto client = base::Uuid::parse(base::text_member(request, "client").value_or(""));
    if (!client) return reply.error("wait-drained names a client by its uuid");
    attach_->when_drained(*client, [reply] { reply.ok(); });
}

void Daemon::wait(const std::string& command, Entry& entry, const base::ControlReply& reply) {
    const bool for_sync = command == "wait-sync";
    const auto check = [for_sync, name = entry.driver->name()](const Resource& core, const base::ControlReply& to) {
        if (core.connection() == ConnectionState::StandAlone) {
            to.error(name + ": StandAlone: not trying to connect");
            return true;
        }
        const bool connected = core.connection() == ConnectionState::Connected;
        const bool synced = core.replication() == ReplicationState::Established && core.disk() == DiskState::UpToDate &&
                            core.peer_disk() == DiskState::UpToDate;
        const bool over = for_sync ? connected && synced : connected && core.replication() != ReplicationState::Off;
        if (over) to.ok();
        return over;
    };
    if (check(entry.driver->core(), reply)) return;
    waiters_.push_back({entry.driver->name(), reply, check});
}

void Daemon::check_waiters() {
    if (waiters_.empty() || check_posted_) return;
    check_posted_ = true;
    loop_.post([this, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.lock()) return;
        check_posted_ = false;
        waiters_.remove_if([this](const Waiter& waiter) {
            if (!waiter.reply.is_open()) return true;
            const auto found = resources_.find(waiter.resource);
            if (found != resources_.end()) return waiter.check(found->second.driver->core(), waiter.reply);
            waiter.reply.error(waiter.resource + ": is down");
            return true;
        });
    });
}

// ---- up and down
base::Result<Daemon::Entry*> Daemon::load(const std::string& name) {
    if (const auto found = resources_.find(name); found != resources_.end()) return &found->second;
    BASE_ASSIGN(const auto configuration, load_configuration(options_.config_path));
    const auto* resource = configuration.resource(name);
    if (resource == nullptr) {
        return base::failure(std::errc::no_such_device, name + ": not defined in " + options_.config_path);
    }
    for (const auto& warning : configuration.warnings) base::log_warning("{}", warning.text());
    BASE_ASSIGN(auto options, options_for(*resource));
    auto& entry = resources_[name];
    entry.config = *resource;
    entry.driver = std::make_shared<ResourceDriver>(loop_, std::move(options));
    entry.driver->on_change([this] { check_waiters(); });
    return &entry;
}

base::Result<ResourceDriver::Options> Daemon::options_for(const config::ResourceConfig& resource) {
    BASE_ASSIGN(const auto* self, own_host(resource));
    const auto& peer = resource.peer_of(*self);
    if (!self->meta_disk.internal()) {
        return base::failure(std::errc::not_supported,
                             self->at.text() + ": only `meta-disk internal` is supported by this release");
    }
    BASE_ASSIGN(const auto pair, options_.names->resolve(resource, *self, peer));

    ResourceDriver::Options options;
    options.disk_path = self->disk;
    options.gate = options_.gate;
    auto& settings = options.settings;
    settings.name = resource.name;
    settings.self = pair.self;
    settings.peer = pair.peer;
    settings.peer_name = peer.name;
    settings.allow_two_primaries = resource.net.allow_two_primaries;
    settings.fencing = options_.fencing && resource.net.fencing == config::FencingPolicy::resource_and_stonith;
    settings.al_extents = std::min(resource.disk.al_extents, max_al_extents);
    base::fill_random(std::as_writable_bytes(std::span(&settings.seed, 1)));

    auto& link = options.link;
    link.local = {self->address.host, self->address.port};
    link.remote = {peer.address.host, peer.address.port};
    link.expected = pair.peer;
    link.peer.service = "blockrep " + resource.name;
    link.peer.secret = resource.net.shared_secret;
    link.secret_place = "shared-secret of resource " + resource.name + ", " + resource.at.text();
    link.peer.self = pair.self.node;
    link.peer.handshake_limit = base::Duration::seconds(2);
    link.peer.heartbeat = base::Duration::milliseconds(250);
    link.peer.silence_limit = std::min(resource.net.timeout, longest_silence);
    // What waits to be sent is memory of clients, whose own limits bound it: no reason to break the connection.
    link.peer.queue_limit = std::size_t{8} << 30;
    return options;
}

// Steps one after the other; the first Error that is not harmless ends them.
void Daemon::run_steps(std::shared_ptr<ResourceDriver> driver, std::vector<Step> steps, Answer done) {
    if (steps.empty()) return done({});
    auto step = std::move(steps.front());
    steps.erase(steps.begin());
    auto& now = *driver;
    step.run(now, [this, driver = std::move(driver), steps = std::move(steps), harmless = step.harmless,
                   done = std::move(done)](base::Result<void> outcome) mutable {
        if (!outcome && !harmless(outcome.error())) return done(std::move(outcome));
        run_steps(std::move(driver), std::move(steps), std::move(done));
    });
}

void Daemon::up(Entry& entry, Answer done) {
    const auto already_attached = [](const base::Error& error) { return error.code == Errc::already_attached; };
    const auto already_connected = [](const base::Error& error) { return error.code == Errc::already_connected; };
    run_steps(entry.driver,
              {{[](ResourceDriver& driver, Answer next) { driver.attach(std::move(next)); }, already_attached},
               {[](ResourceDriver& driver, Answer next) { driver.command(CommandKind::connect, std::move(next)); },
                already_connected}},
              [this, name = entry.driver->name(), done = std::move(done)](const base::Result<void>& outcome) {
                  const auto found = resources_.find(name);
                  const bool useless = !outcome && found != resources_.end() && !found->second.driver->has_disk() &&
                                       found->second.driver->core().connection() == ConnectionState::StandAlone;
                  if (useless) remove(name);
                  done(outcome);
              });
}

void Daemon::down(Entry& entry, Answer done) {
    if (entry.driver->clients() > 0) {
        return done(base::failure(make_error_code(Errc::device_in_use), "clients have it open"));
    }
    const auto not_attached = [](const base::Error& error) { return error.code == Errc::not_attached; };
    const auto command = [](CommandKind kind) {
        return [kind](ResourceDriver& driver, Answer next) { driver.command(kind, std::move(next)); };
    };
    run_steps(entry.driver,
              {{command(CommandKind::demote), never_harmless},
               {command(CommandKind::disconnect), never_harmless},
               {command(CommandKind::detach), not_attached}},
              [this, name = entry.driver->name(), done = std::move(done)](const base::Result<void>& outcome) {
                  if (outcome) remove(name);
                  done(outcome);
              });
}

void Daemon::remove(const std::string& name) {
    const auto found = resources_.find(name);
    if (found == resources_.end()) return;
    found->second.driver->on_change(nullptr);
    loop_.post([kept = std::move(found->second.driver)] {});
    resources_.erase(found);
    check_waiters();
}

// ---- the end
void Daemon::shut_down(base::Duration limit, std::function<void()> finished) {
    if (shutting_down_) return;
    shutting_down_ = true;
    finished_ = std::move(finished);
    limit_ = loop_.after(limit, [this] {
        if (!resources_.empty()) base::log_warning("not all resources could be left in good order");
        finished_();
    });
    nbd_.reset();
    attach_.reset();
    leave_all();
}

void Daemon::leave_all() {
    if (resources_.empty()) {
        limit_ = loop_.after({}, finished_);
        return;
    }
    for (auto& [name, entry] : resources_) {
        if (entry.leaving) continue;
        if (entry.driver->clients() > 0) {
            // The requests of clients that were hung up on end first.
            entry.driver->on_change([this] { leave_later(); });
            continue;
        }
        entry.leaving = true;
        down(entry, [this, resource = name](const base::Result<void>& outcome) {
            if (!outcome) base::log_warning("{}", message_of(resource, outcome.error()));
            if (resources_.empty()) limit_ = loop_.after({}, finished_);
        });
    }
}

void Daemon::leave_later() {
    if (leave_posted_) return;
    leave_posted_ = true;
    loop_.post([this, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.lock()) return;
        leave_posted_ = false;
        leave_all();
    });
}

}  // namespace blockrep
