#include "tests/sim/dlm/truth.hh"

#include <algorithm>

#include "tests/sim/common/run_seeds.hh"

namespace sim_dlm {
namespace {

std::string text(dlm::Mode mode) { return std::string(dlm::text_of(mode)); }

}  // namespace

void Truth::granted(const std::string& name, const Holder& holder, dlm::Mode mode, bool recovery) {
    auto& entry = names_[name];
    ++grants_;
    for (const auto& [other, held] : entry.holders) {
        if (other == holder || dlm::compatible(held, mode)) continue;
        throw sim::Violation(name + ": " + text(mode) + " was granted beside " + text(held));
    }
    // Beside what a dead node still seems to hold, something that fits may be granted until the death is noticed.
    const auto before = entry.holders.find(holder);
    const bool held_already = before != entry.holders.end() && dlm::is_lower_or_equal(before->second, mode);
    for (const auto& [life, held] : entry.withheld_for) {
        if (recovery || held_already || mode == dlm::Mode::NL ||
            (!noticed_.contains({holder.session, life}) && dlm::compatible(held, mode)))
            continue;
        throw sim::Violation(name + ": " + text(mode) + " was granted before a dead writer was released");
    }
    entry.holders[holder] = mode;
}

void Truth::lowered(const std::string& name, const Holder& holder, dlm::Mode mode) {
    names_[name].holders.at(holder) = mode;
}

void Truth::unlocked(const std::string& name, const Holder& holder) {
    auto& entry = names_[name];
    entry.holders.erase(holder);
    note_unused(entry);
}

void Truth::written(const std::string& name, std::uint64_t token) {  // What is on its way to a dead master may be lost.
    names_[name].value = {token, !unreleased_.empty(), false, false};
}

void Truth::invalidated(const std::string& name) { names_[name].value.invalidated = true; }

void Truth::read(const std::string& name, dlm::Mode mode, std::uint64_t token, bool valid) {
    const auto& value = names_[name].value;
    ++reads_;
    if (!dlm::excludes_writers(mode)) return;  // a write may be under way
    if (!valid) {
        if (!value.may_be_lost && !value.invalidated) throw sim::Violation(name + ": a value was lost");
        return;
    }
    if (token == value.token && !value.invalidated) return;
    if (token == 0 && value.may_be_reset) return;
    std::string holders;
    for (const auto& [holder, held] : names_[name].holders) {
        holders += " " + holder.session.text().substr(0, 4) + "/" + std::to_string(holder.lock) + "=" + text(held);
    }
    throw sim::Violation(name + " held by" + holders + (value.invalidated ? " (invalidated)" : "") + ": read value " +
                         std::to_string(token) + ", last written " + std::to_string(value.token));
}

void Truth::died(const base::Uuid& session, const base::NodeIncarnation& life) {
    dead_.insert(life);
    unreleased_.insert(life);
    for (auto& [name, entry] : names_) {
        entry.value.may_be_lost = true;
        for (auto it = entry.holders.begin(); it != entry.holders.end();) {
            if (it->first.session != session) {
                ++it;
                continue;
            }
            if (dlm::may_write(it->second)) {
                auto& held = entry.withheld_for[life];
                held = std::max(held, it->second);
            }
            it = entry.holders.erase(it);
        }
        note_unused(entry);
    }
}

void Truth::released(const base::NodeIncarnation& life) {
    unreleased_.erase(life);
    for (auto& [name, entry] : names_) entry.withheld_for.erase(life);
}

void Truth::nobody_knows() {
    unreleased_.clear();
    for (auto& [name, entry] : names_) entry.withheld_for.clear();
}

void Truth::left(const base::Uuid& session) {
    for (const auto& [name, entry] : names_) {
        for (const auto& [holder, mode] : entry.holders) {
            if (holder.session == session) throw sim::Violation(name + ": left with a lock");
        }
    }
}

}  // namespace sim_dlm
