#include "clusterfs/driver/mount_lives.hh"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/io/log.hh"

namespace clusterfs {
namespace {

// How long a mount that is asked for may still be seen as a member before its machine is suspected.
constexpr auto patience_with_members = base::Duration::seconds(5);

base::Uuid take_uuid(base::ByteReader& reader) {
    base::Uuid uuid;
    const auto bytes = reader.take(uuid.bytes.size());
    if (bytes.size() == uuid.bytes.size()) std::memcpy(uuid.bytes.data(), bytes.data(), bytes.size());
    return uuid;
}

}  // namespace

base::Bytes encode(const LifeMessage& message) {
    base::ByteWriter writer;
    writer.integer(static_cast<std::uint8_t>(message.type));
    writer.append(std::as_bytes(std::span(message.mount.bytes)));
    writer.append(std::as_bytes(std::span(message.machine.bytes)));
    writer.integer(message.node.value);
    return writer.take();
}

std::optional<LifeMessage> decode_life_message(base::ByteView bytes) {
    base::ByteReader reader(bytes);
    LifeMessage message;
    const auto type = reader.integer<std::uint8_t>();
    message.type = static_cast<LifeMessage::Type>(type);
    message.mount = take_uuid(reader);
    message.machine = take_uuid(reader);
    message.node.value = reader.integer<std::uint32_t>();
    if (!reader.complete() || type < 1 || type > 5) return std::nullopt;
    return message;
}

std::string lives_group(const std::string& resource) { return "cfs-lives-" + resource; }

MountLives::MountLives(base::EventLoop& loop, std::unique_ptr<base::GroupMessenger> group, base::FenceGate& machines,
                       base::NodeIncarnation self, base::Uuid machine)
    : loop_(loop), group_(std::move(group)), machines_(machines), self_(self), machine_(machine) {}

MountLives::~MountLives() { *alive_ = false; }

base::Result<void> MountLives::start(const std::string& resource, std::function<void(const base::Error&)> lost) {
    machines_.on_fenced([this, alive = alive_](const base::NodeIncarnation& machine) {
        if (*alive) on_machine_dead(machine);
    });
    base::GroupMessenger::Callbacks events;
    events.view_changed = [this](const base::GroupView& view) { on_view(view); };
    events.message_received = [this](const base::GroupMember& sender, base::ByteView bytes) {
        on_message(sender, bytes);
    };
    events.lost = std::move(lost);
    return group_->join(lives_group(resource), std::move(events));
}

MountLives::Life& MountLives::life(const base::Uuid& mount, base::NodeId node) {
    auto& known = lives_[mount];
    known.node = node;
    return known;
}

// Also those that are gone: who comes may be asked to wait for the end of a mount that it has never met.
void MountLives::announce() {
    ++announced_;
    send({LifeMessage::Type::mount, self_.incarnation, machine_, self_.node});
    for (const auto& [mount, known] : lives_) {
        if (mount == self_.incarnation || !known.machine) continue;
        const auto type = known.dead ? LifeMessage::Type::known_dead : LifeMessage::Type::heard_of;
        send({type, mount, *known.machine, known.node});
    }
}

void MountLives::send(const LifeMessage& message) {
    const auto sent = group_->multicast(encode(message));
    if (!sent) base::log_error("lives of mounts: {}", sent.error().message());
}

void MountLives::on_view(const base::GroupView& view) {
    if (!view.joined.empty()) announce();
    for (const auto& left : view.left) on_left(left);
}

void MountLives::on_left(const base::GroupLeft& left) {
    for (auto& [mount, known] : lives_) {
        const bool was_process = known.process == left.member;
        const bool was_witness = known.witness == left.member;
        if (!was_process && !was_witness) continue;
        if (was_process) known.process.reset();
        if (was_witness) known.witness.reset();
        if (left.reason == base::LeaveReason::node_down) known.machine_lost = true;
        pursue(mount, known);
    }
    let_go_on();
}

void MountLives::on_message(const base::GroupMember& sender, base::ByteView bytes) {
    const auto message = decode_life_message(bytes);
    if (!message) return base::log_warning("lives of mounts: node {} sent nonsense", sender.node.value);
    const bool of_another = message->type >= LifeMessage::Type::heard_of;
    auto& known = life(message->mount, of_another ? message->node : sender.node);
    known.machine = message->machine;
    const bool dead = message->type == LifeMessage::Type::drained || message->type == LifeMessage::Type::known_dead;
    if (dead) return certify(message->mount, known);
    if (of_another) return pursue(message->mount, known);
    known.machine_lost = false;  // it spoke: it is back
    (message->type == LifeMessage::Type::mount ? known.process : known.witness) = sender;
    if (dead_machines_.contains({sender.node, message->machine})) return certify(message->mount, known);
    pursue(message->mount, known);
    if (message->mount != self_.incarnation || message->type != LifeMessage::Type::mount) return;
    ++returned_;
    let_go_on();
}

void MountLives::request_fence(const base::NodeIncarnation& mount, const std::string& reason) {
    auto& known = life(mount.incarnation, mount.node);
    if (known.dead || known.wanted) return;
    known.wanted = reason;
    known.patience = loop_.after(patience_with_members, [this, uuid = mount.incarnation] { lose_patience(uuid); });
    pursue(mount.incarnation, known);
}

void MountLives::withdraw_fence(const base::NodeIncarnation& mount) {
    const auto found = lives_.find(mount.incarnation);
    if (found == lives_.end() || found->second.dead) return;
    auto& known = found->second;
    known.wanted.reset();
    known.patience.reset();
    spare_machine(known);
}

// Of several mounts of one machine each may need it dead.
void MountLives::spare_machine(Life& known) {
    if (!std::exchange(known.machine_asked, false)) return;
    const auto still_needs_it = [&](const auto& each) {
        return each.second.machine_asked && each.second.node == known.node && each.second.machine == known.machine;
    };
    if (std::none_of(lives_.begin(), lives_.end(), still_needs_it)) {
        machines_.withdraw_fence({known.node, *known.machine});
    }
}

void MountLives::when_nobody_is_missing(std::function<void()> go_on) {
    machines_.when_nobody_is_missing([this, alive = alive_, go_on = std::move(go_on)]() mutable {
        if (!*alive) return;
        announce();
        want_to_go_on_.emplace_back(announced_, std::move(go_on));
    });
}

bool MountLives::somebody_is_dying() const {
    return std::any_of(lives_.begin(), lives_.end(), [](const auto& each) {
        return each.second.witness && !each.second.process && !each.second.dead;
    });
}

void MountLives::let_go_on() {
    if (somebody_is_dying()) return;
    std::vector<std::function<void()>> free;
    std::erase_if(want_to_go_on_, [&](auto& each) {
        if (each.first > returned_) return false;
        free.push_back(std::move(each.second));
        return true;
    });
    for (const auto& go_on : free) go_on();
}

void MountLives::on_fenced(FencedCallback callback) {
    callbacks_.push_back(std::move(callback));
    for (const auto& [mount, known] : lives_) {
        if (!known.dead) continue;
        loop_.post(
            [this, alive = alive_, index = callbacks_.size() - 1, dead = base::NodeIncarnation{known.node, mount}] {
                if (*alive) callbacks_[index](dead);
            });
    }
}

// The witness alone can spare the machine: while it is there, its word is waited for, however long the device takes.
void MountLives::pursue(const base::Uuid& mount, Life& known) {
    if (known.dead || !known.wanted) return;
    if (known.machine && dead_machines_.contains({known.node, *known.machine})) return certify(mount, known);
    const bool hopeless = known.machine_lost || (!known.process && !known.witness && known.machine);
    if (hopeless) ask_for_machine(known);
}

void MountLives::ask_for_machine(Life& known) {
    if (!known.machine || std::exchange(known.machine_asked, true)) return;
    machines_.request_fence({known.node, *known.machine}, *known.wanted);
}

void MountLives::lose_patience(const base::Uuid& mount) {
    const auto found = lives_.find(mount);
    if (found == lives_.end()) return;
    auto& known = found->second;
    if (known.dead || !known.wanted) return;
    if (known.witness && !known.process) return;  // it is on it
    if (!known.machine) {
        base::log_error(
            "a mount of node {} is to be fenced, and on which life of that machine it ran is not known: "
            "fence the node by hand (cfs-fence)",
            known.node.value);
    }
    ask_for_machine(known);
}

void MountLives::certify(const base::Uuid& mount, Life& known) {
    if (std::exchange(known.dead, true)) return;
    known.patience.reset();
    if (known.machine && dead_machines_.contains({known.node, *known.machine})) known.machine_asked = false;
    spare_machine(known);
    for (const auto& callback : callbacks_) {
        loop_.post([alive = alive_, callback, dead = base::NodeIncarnation{known.node, mount}] {
            if (*alive) callback(dead);
        });
    }
    let_go_on();
}

void MountLives::on_machine_dead(const base::NodeIncarnation& machine) {
    if (!dead_machines_.insert(machine).second) return;
    for (auto& [mount, known] : lives_) {
        if (known.node == machine.node && known.machine == machine.incarnation) certify(mount, known);
    }
}

void MountLives::describe(base::JsonWriter& json) const {
    json.begin_array();
    for (const auto& [mount, known] : lives_) {
        json.begin_object().member("mount", mount.text()).member("node", known.node.value);
        json.member("present", known.process.has_value()).member("witnessed", known.witness.has_value());
        json.member("dead", known.dead);
        if (known.wanted)
            json.member("to_be_fenced_because", *known.wanted).member("machine_asked", known.machine_asked);
        json.end_object();
    }
    json.end_array();
}

}  // namespace clusterfs
