#include "tests/sim/posix_locks/truth.hh"

#include <algorithm>
#include <string>

#include "tests/sim/common/run_seeds.hh"

namespace sim_posix_locks {

using clusterfs::AdvisoryKind;
using clusterfs::AdvisoryMode;
using clusterfs::AdvisoryRequest;

namespace {

// A flock covers the whole file: one byte stands for it.
std::uint64_t last_of(const AdvisoryRequest& request) {
    return request.kind == AdvisoryKind::flock ? 0 : std::min(request.last, file_size - 1);
}

}  // namespace

Truth::Modes& Truth::modes(const Owner& owner, const AdvisoryRequest& request) {
    return held_.try_emplace({request.inode, request.kind, owner}, Modes{}).first->second;
}

void Truth::forget_empty() {
    std::erase_if(held_, [](const auto& each) {
        return std::all_of(each.second.begin(), each.second.end(),
                           [](auto mode) { return mode == AdvisoryMode::unlock; });
    });
}

void Truth::asked(const Owner& owner, const AdvisoryRequest& request) {
    auto& held = modes(owner, request);
    for (auto at = request.first; at <= last_of(request); ++at) {
        // flock(2): a conversion gives up the old lock first.
        const bool gives_up = request.kind == AdvisoryKind::flock && held[at] != request.mode;
        held[at] = gives_up ? AdvisoryMode::unlock : std::min(held[at], request.mode);
    }
    forget_empty();
}

void Truth::granted(const Owner& owner, const AdvisoryRequest& request) {
    if (request.mode == AdvisoryMode::unlock) return;
    for (const auto& [key, modes] : held_) {
        if (key.inode != request.inode || key.kind != request.kind || key.owner == owner) continue;
        for (auto at = request.first; at <= last_of(request); ++at) {
            const bool excludes = modes[at] == AdvisoryMode::exclusive || request.mode == AdvisoryMode::exclusive;
            if (modes[at] == AdvisoryMode::unlock || !excludes) continue;
            throw sim::Violation("node " + std::to_string(owner.life.node.value) + " was granted what node " +
                                 std::to_string(key.owner.life.node.value) + " holds");
        }
    }
    auto& held = modes(owner, request);
    for (auto at = request.first; at <= last_of(request); ++at) held[at] = request.mode;
}

void Truth::over(const base::NodeIncarnation& life) {
    std::erase_if(held_, [&](const auto& each) { return each.first.owner.life == life; });
}

void Truth::check(const base::NodeIncarnation& life, base::GroupMember member,
                  const clusterfs::PosixLockTable& table) const {
    for (const auto& [key, modes] : held_) {
        if (key.owner.life != life) continue;
        for (std::uint64_t at = 0; at < file_size; ++at) {
            if (modes[at] == AdvisoryMode::unlock) continue;
            AdvisoryRequest asked;
            asked.kind = key.kind;
            asked.inode = key.inode;
            asked.owner = {member, key.owner.id};
            asked.first = asked.last = at;
            bool has = false;
            for (const auto mode : {AdvisoryMode::shared, AdvisoryMode::exclusive}) {
                asked.mode = mode;
                has |= mode >= modes[at] && table.holds(asked);
            }
            if (!has)
                throw sim::Violation("node " + std::to_string(life.node.value) + " has lost a lock that was granted");
        }
    }
}

}  // namespace sim_posix_locks
