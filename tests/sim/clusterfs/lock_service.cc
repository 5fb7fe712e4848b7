#include "tests/sim/clusterfs/lock_service.hh"

#include <algorithm>

namespace sim {

using clusterfs::LockMode;

namespace {
bool compatible(LockMode a, LockMode b) {
    return a == LockMode::none || b == LockMode::none || (a == LockMode::shared && b == LockMode::shared);
}
}  // namespace

// Whoever joins is told of those whose journals are still to be replayed: the survivors may die before they did.
void LockServer::join(const Life& life, Deliver deliver) {
    members_[life] = {std::move(deliver), true, {}, {}};
    for (const auto& dead : withheld_) to_node(life, clusterfs::NodeDied{dead});
}

void LockServer::leave(const Life& life) {
    members_.erase(life);
    for (auto& [name, lock] : locks_) {
        if (lock.holders.contains(life)) throw Violation("a node left and held " + name.text());
    }
}

void LockServer::forget_everything() {
    members_.clear();
    locks_.clear();
    withheld_.clear();
}

void LockServer::crashed(const Life& life) { members_.at(life).alive = false; }

void LockServer::fenced(const Life& life) {
    if (members_.erase(life) == 0) return;
    withheld_.insert(life);
    for (auto& [name, lock] : locks_) {
        if (const auto held = lock.holders.find(life); held != lock.holders.end()) {
            if (held->second == LockMode::exclusive) lock.dead[life] = held->second;
            lock.holders.erase(held);
        }
        std::erase_if(lock.queue, [&](const Waiting& waiting) { return waiting.life == life; });
    }
    for (auto& [member, state] : members_) to_node(member, clusterfs::NodeDied{life});
    // Nobody is left who could replay: the next mount does, before it uses anything.
    if (members_.empty()) {
        for (const auto& dead : std::set<Life>(withheld_)) release_dead(dead);
    }
    for (auto& [name, lock] : locks_) serve(name, lock);
}

void LockServer::release_dead(const Life& life) {
    if (withheld_.erase(life) == 0) return;
    for (auto& [name, lock] : locks_) {
        if (lock.dead.erase(life) != 0) serve(name, lock);
    }
}

base::Instant LockServer::next_at(base::Instant& last) {
    const auto delay = random_.between(base::Duration::microseconds(20), base::Duration::microseconds(400));
    last = std::max(last, scheduler_.now() + delay);
    return last;
}

void LockServer::to_server(const Life& life, std::function<void()> work) {
    const auto found = members_.find(life);
    if (found == members_.end()) return;
    scheduler_.at(next_at(found->second.last_from), [this, life, work = std::move(work)] {
        if (members_.contains(life)) work();
    });
}

void LockServer::to_node(const Life& life, clusterfs::Event event) {
    const auto found = members_.find(life);
    if (found == members_.end() || !found->second.alive) return;
    scheduler_.at(next_at(found->second.last_to), [this, life, event = std::move(event)] {
        const auto member = members_.find(life);
        if (member != members_.end() && member->second.alive) member->second.deliver(event);
    });
}

void LockServer::request(const Life& life, const clusterfs::RequestLock& request) {
    to_server(life, [this, life, request] { handle_request(life, request); });
}

void LockServer::release(const Life& life, const clusterfs::ReleaseLock& release) {
    to_server(life, [this, life, release] {
        auto& lock = locks_[release.name];
        if (!lock.holders.contains(life)) throw Violation("a node released " + release.name.text() + " and had it not");
        if (release.keep == LockMode::none) {
            lock.holders.erase(life);
        } else {
            lock.holders[life] = release.keep;
        }
        serve(release.name, lock);
    });
}

bool LockServer::grantable(const Lock& lock, const Waiting& waiting) const {
    for (const auto& [life, mode] : lock.holders) {
        if (life != waiting.life && !compatible(mode, waiting.mode)) return false;
    }
    return waiting.recovery || lock.dead.empty();
}

void LockServer::handle_request(const Life& life, const clusterfs::RequestLock& request) {
    auto& lock = locks_[request.name];
    const Waiting waiting{life, request.mode, request.recovery};
    const bool converts = lock.holders.contains(life);
    if (request.no_queue) {
        if (!grantable(lock, waiting)) return to_node(life, clusterfs::LockRefused{request.name});
        lock.holders[life] = request.mode;
        return to_node(life, clusterfs::LockGranted{request.name, request.mode});
    }
    if (converts) {
        // Two holders that both want more would wait for each other.
        const bool deadlock = std::any_of(lock.queue.begin(), lock.queue.end(), [&](const Waiting& other) {
            return lock.holders.contains(other.life) && other.life != life;
        });
        if (deadlock) return to_node(life, clusterfs::LockRefused{request.name});
        const auto place = std::find_if(lock.queue.begin(), lock.queue.end(),
                                        [&](const Waiting& other) { return !lock.holders.contains(other.life); });
        lock.queue.insert(place, waiting);
    } else {
        lock.queue.push_back(waiting);
    }
    serve(request.name, lock);
}

void LockServer::serve(const clusterfs::LockName& name, Lock& lock) {
    while (!lock.queue.empty() && grantable(lock, lock.queue.front())) {
        const auto next = lock.queue.front();
        lock.queue.pop_front();
        lock.holders[next.life] = next.mode;
        to_node(next.life, clusterfs::LockGranted{name, next.mode});
    }
    if (lock.queue.empty()) return;
    // Requests in recovery do not wait behind those that are withheld.
    for (auto place = lock.queue.begin(); place != lock.queue.end(); ++place) {
        if (!place->recovery || !grantable(lock, *place)) continue;
        const auto next = *place;
        lock.queue.erase(place);
        lock.holders[next.life] = next.mode;
        to_node(next.life, clusterfs::LockGranted{name, next.mode});
        return serve(name, lock);
    }
    notify_blockers(name, lock);
}

void LockServer::notify_blockers(const clusterfs::LockName& name, const Lock& lock) {
    const auto& first = lock.queue.front();
    for (const auto& [life, mode] : lock.holders) {
        if (life != first.life && !compatible(mode, first.mode)) {
            to_node(life, clusterfs::LockWanted{name, first.mode});
        }
    }
}

std::string LockServer::describe() const {
    std::string text;
    for (const auto& [name, lock] : locks_) {
        if (lock.queue.empty()) continue;
        text += name.text() + ": held by";
        for (const auto& [life, mode] : lock.holders) {
            text += " " + std::to_string(life.node.value) + (mode == LockMode::exclusive ? "X" : "S");
        }
        for (const auto& [life, mode] : lock.dead) text += " dead " + std::to_string(life.node.value);
        text += "; waiting";
        for (const auto& waiting : lock.queue) {
            text += " " + std::to_string(waiting.life.node.value) + (waiting.mode == LockMode::exclusive ? "X" : "S");
        }
        text += "\n";
    }
    return text;
}

}  // namespace sim
