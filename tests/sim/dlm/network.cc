#include "tests/sim/dlm/network.hh"

#include <algorithm>
#include <vector>

namespace sim_dlm {

using base::Duration;

Network::Network(sim::Scheduler& scheduler, sim::Random random, Reach reach)
    : scheduler_(scheduler), random_(random), reach_(std::move(reach)) {
    scheduler_.after({}, [this] { connect_all(); });
}

void Network::remove(const Session& session) {
    endpoints_.erase(session);
    std::erase_if(connections_,
                  [&](const auto& entry) { return entry.first.first == session || entry.first.second == session; });
}

void Network::connect_all() {
    scheduler_.after(Duration::milliseconds(20), [this] { connect_all(); });
    std::vector<Key> wanted;
    for (const auto& [one, a] : endpoints_) {
        for (const auto& [other, b] : endpoints_) {
            if (!(one < other) || connections_.contains(key(one, other))) continue;
            if (!reach_(a.node, b.node) || !reach_(b.node, a.node)) continue;
            if (a.wants(other) && b.wants(one)) wanted.push_back(key(one, other));
        }
    }
    for (const auto& [one, other] : wanted) {
        connections_[key(one, other)] = std::make_shared<Connection>();
        endpoints_.at(one).connected(other);
        endpoints_.at(other).connected(one);
    }
}

void Network::send(const Session& from, const Session& to, base::Bytes frame) {
    const auto found = connections_.find(key(from, to));
    if (found == connections_.end()) return;
    const auto connection = found->second;
    auto& last = connection->last_arrival[to];
    const auto delay = random_.percent(2) ? random_.between(Duration::milliseconds(1), Duration::milliseconds(60))
                                          : random_.between(Duration::microseconds(20), Duration::microseconds(400));
    last = std::max(last, scheduler_.now() + delay);
    scheduler_.at(last, [this, from, to, connection, frame = std::move(frame)] {
        const auto now_there = connections_.find(key(from, to));
        if (now_there == connections_.end() || now_there->second != connection) return;
        const auto sender = endpoints_.find(from);
        const auto receiver = endpoints_.find(to);
        if (sender == endpoints_.end() || receiver == endpoints_.end()) return;
        if (!reach_(sender->second.node, receiver->second.node)) {
            connections_.erase(now_there);
            return;
        }
        receiver->second.received(from, frame);
    });
}

void Network::reset_some(std::uint64_t percent) {
    std::erase_if(connections_, [&](const auto&) { return random_.percent(percent); });
}

}  // namespace sim_dlm
