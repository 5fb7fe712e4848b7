// What an operator orders on a node: every command must be answered, whatever happens meanwhile.
#include "tests/sim/blockrep/world.hh"

namespace sim {
namespace {

using namespace blockrep;

std::string name_of(CommandKind kind) {
    static const std::vector<std::string> names{"connect", "disconnect", "promote",    "force_promote",
                                                "demote",  "detach",     "invalidate", "clear_bitmap"};
    return names.at(static_cast<std::size_t>(kind));
}

}  // namespace

void Node::order(CommandKind kind, Answered answered) {
    const auto ticket = next_command_++;
    commands_[ticket] = {name_of(kind), std::move(answered)};
    world_.log(std::string("command on ") + (index_ == 0 ? "a: " : "b: ") + name_of(kind));
    step(CommandGiven{ticket, kind});
}

// As the driver: a disk with requests in flight is still in use.
void Node::attach(Answered answered) {
    if (disk_open_ || attach_open_) return;
    if (disk_requests_ != 0) {
        return later(base::Duration::milliseconds(1), [this, answered = std::move(answered)] { attach(answered); });
    }
    const auto ticket = next_command_++;
    commands_[ticket] = {"attach", [this, answered = std::move(answered)](bool done) {
                             attach_open_ = false;
                             if (answered) answered(done);
                         }};
    world_.log(std::string("command on ") + (index_ == 0 ? "a: " : "b: ") + "attach");
    attach_open_ = true;
    disk_open_ = true;
    disk_failed_ = false;
    step(DiskOpened{disk_.size(), disk_.metadata(), ticket});
}

void Node::on(CompleteCommand& action) {
    const auto found = commands_.find(action.command);
    if (found == commands_.end()) throw Violation("an answer to a command that was not given, or answered before");
    const auto command = std::move(found->second);
    commands_.erase(found);
    if (action.outcome && command.name == "force_promote") world_.formed = true;
    if (!action.outcome) world_.log(command.name + " refused: " + action.outcome.error().message());
    // From the loop, as the driver does it.
    if (command.answered) later({}, [answered = command.answered, ok = action.outcome.has_value()] { answered(ok); });
}

std::string Node::open_commands_text() const {
    std::string text;
    for (const auto& [ticket, command] : commands_) text += " " + command.name;
    return text;
}

void Node::promote() {
    if (!wants_primary_ || promote_open_) return;
    promote_open_ = true;
    order(CommandKind::promote, [this](bool done) {
        promote_open_ = false;
        if (!done) later(base::Duration::milliseconds(300), [this] { promote(); });
    });
}

// Only for two new replicas: power may have been lost before the answer.
void Node::force_promote() {
    const auto& other = world_.node(1 - index_);
    if (!running() || !other.running()) return;
    const auto is_new = [](const Node& node) { return node.resource().disk() == DiskState::Inconsistent; };
    if (is_new(*this) && is_new(other)) order(CommandKind::force_promote);
}

void Node::demote(int tries, std::function<void()> then) {
    order(CommandKind::demote, [this, tries, then = std::move(then)](bool done) {
        if (done || tries == 0) return then();
        later(base::Duration::milliseconds(20), [this, tries, then] { demote(tries - 1, then); });
    });
}

void Node::give_role_up(base::Duration pause, bool leave) {
    if (!running() || !wants_primary_) return;
    wants_primary_ = false;
    clients_paused_ = true;
    ++plans_;
    demote(20, [this, pause, leave] {
        const auto back = [this] {
            --plans_;
            wants_primary_ = true;
            clients_paused_ = false;
            promote();
        };
        if (leave) disconnect(pause);
        later(pause, back);
    });
}

void Node::disconnect(base::Duration pause) {
    if (!running()) return;
    ++plans_;
    order(CommandKind::disconnect, [this, pause](bool) {
        later(pause, [this] {
            --plans_;
            if (resource_->connection() == ConnectionState::StandAlone) order(CommandKind::connect);
        });
    });
}

void Node::take_disk_away(base::Duration pause) {
    if (!running()) return;
    ++plans_;
    order(CommandKind::detach, [this, pause](bool) {
        later(pause, [this] {
            --plans_;
            attach();
        });
    });
}

void Node::put_right() {
    if (!running()) return;
    attach();
    if (resource_->connection() == ConnectionState::StandAlone) order(CommandKind::connect);
}

}  // namespace sim
