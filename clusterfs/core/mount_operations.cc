#include "clusterfs/core/mount_operations.hh"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/ensure.hh"
#include "base/probe.hh"
#include "clusterfs/core/allocation_hints.hh"
#include "clusterfs/format/block_seal.hh"
#include "clusterfs/format/inode.hh"

namespace clusterfs {
namespace {

base::Probe probe_journal_full("clusterfs: an operation waits for the journal");
base::Probe probe_run_anew("clusterfs: an operation loses a lock and starts anew");
constexpr std::size_t longest_read = 64;

// Why a whole block is of no use, or nothing. A number that was an inode's when the kernel learnt it may stand for
// anything now. Such a block is covered by another lock than the one it was read under: it must not be cached.
std::optional<base::Error> unfit(const BlockNeed& need, const Block& block) {
    const auto found = block.as<BlockHeader>().magic;
    const auto number = std::to_string(need.number);
    if (need.type == BlockType::inode) {
        const bool lives = found == BlockType::inode && (block.as<Inode>().flags & inode_deleted) == 0;
        if (!lives) return base::Error{make_error_code(Errc::stale_inode), "inode " + number};
    } else if (found != need.type) {
        return base::Error{make_error_code(Errc::corrupted), "block " + number + " is of type " + text_of(found)};
    }
    return std::nullopt;
}
}  // namespace

void MountOperations::run(Mount::Operation operation, Mount::Completion done) {
    const auto id = ++last_id_;
    auto& pending = pending_[id];
    pending.operation = std::move(operation);
    pending.done = std::move(done);
    pending.since = io_.now();
    ready_.push_back(id);
}

void MountOperations::run_ready() {
    if (running_) return;
    running_ = true;
    while (!ready_.empty() || !fresh_grants_.empty()) {
        if (!ready_.empty()) {
            const auto id = ready_.front();
            ready_.pop_front();
            attempt(id);
            continue;
        }
        // Who waited has used it: now another node may get it.
        const auto name = *fresh_grants_.begin();
        fresh_grants_.erase(fresh_grants_.begin());
        locks_.advance(name, io_.now(), io_.actions());
    }
    running_ = false;
}

void MountOperations::attempt(Id id) {
    const auto found = pending_.find(id);
    if (found == pending_.end() || !found->second.ready()) return;
    auto& pending = found->second;
    ++pending.runs;
    View view(source_, io_.wall(), pending.refused, current_faults(pending));
    auto outcome = pending.operation(view);
    const bool needs = !outcome && outcome.error().code == make_error_code(Errc::needed);
    if (needs) return park(id, pending, view);
    complete(id, view, std::move(outcome));
}

void MountOperations::complete(Id id, View& view, base::Result<void> outcome) {
    auto& transaction = view.transaction();
    if (outcome) {
        for (const auto& name : transaction.pinned) {
            base::ensure(!locks_.refuses_pins(name), "a lock that is being given back is pinned");
            locks_.pin(name);
        }
        if (!transaction.empty()) {
            base::ensure(!source_.read_only(), "an operation changes a read-only filesystem");
            base::ensure(transaction.blocks.size() <= max_operation_blocks, "an operation is of bounded size");
            note_changed_groups(transaction);
            for (const auto inode : transaction.made) locks_.note_made(inode);
            cache_.apply(transaction);
            journal_.note_change(transaction);
        }
    }
    const auto used = view.used_locks();
    finish(id, std::move(outcome));
    for (const auto& name : used) {
        locks_.note_used(name, io_.now());
        if (name.type == LockType::open) locks_.finish_open_lock(name, io_.now(), io_.actions());
    }
}

void MountOperations::finish(Id id, base::Result<void> outcome) {
    auto node = pending_.extract(id);
    auto& pending = node.mapped();
    protect(pending, {});
    pending.done(std::move(outcome));
}

void MountOperations::note_changed_groups(const Transaction& transaction) {
    auto* hints = source_.allocation_hints();
    for (const auto& [number, change] : transaction.blocks) {
        if (change.covered_by.type == LockType::allocation_group) hints->changed(change.covered_by.number);
    }
}

// Where a search for free blocks goes depends on what it finds: a group that it was given in an earlier run counts as
// used, or two nodes that each need what the other one has just been given would never come to an end.
std::vector<LockName> MountOperations::locks_to_keep(const Pending& pending, const View& view) const {
    const auto& needs = view.needs();
    const LockName* lowest = nullptr;
    for (const auto* missing : {&needs.locks, &needs.anew}) {
        for (const auto& [name, mode] : *missing) {
            if (lowest == nullptr || ranks_below(name, *lowest)) lowest = &name;
        }
    }
    auto used = pending.groups;
    used.insert(view.used_locks().begin(), view.used_locks().end());
    std::vector<LockName> keep;
    for (const auto& name : used) {
        const bool missing = needs.locks.contains(name) || needs.anew.contains(name);
        const bool held = source_.held(name) != LockMode::none && !missing;
        if (held && (lowest == nullptr || ranks_below(name, *lowest))) keep.push_back(name);
    }
    return keep;
}

// Notes what is missing and asks for it.
void MountOperations::park(Id id, Pending& pending, View& view) {
    const auto& needs = view.needs();
    base::ensure(!needs.empty(), "an operation that needs something names it");
    auto keep = locks_to_keep(pending, view);
    need_anew(id, pending, needs);  // before anything that may let such a lock be given back
    protect(pending, std::move(keep));
    if (needs.journal_space) {
        pending.space = true;
        waiting_for_space_.push_back(id);
        probe_journal_full.hit();
        journal_.want_space();
    }
    read_needed(id, pending, needs);
    need_locks(id, pending, needs);
    for (const auto& [name, mode] : needs.soon) {
        locks_.want_soon(name, mode, io_.now(), io_.actions());
    }
    if (pending.ready()) ready_.push_back(id);
}

// Newly protected ones first, so that a lock in both lists is never unprotected in between.
void MountOperations::protect(Pending& pending, std::vector<LockName> names) {
    for (const auto& name : names) locks_.protect(name);
    for (const auto& name : std::exchange(pending.protects, std::move(names))) {
        locks_.unprotect(name, io_.now(), io_.actions());
    }
}

void MountOperations::need_locks(Id id, Pending& pending, const Needs& needs) {
    for (const auto& [name, mode] : needs.locks) {
        if (source_.held(name) >= mode) continue;
        pending.locks.emplace(name, mode);
        if (name.type == LockType::allocation_group) pending.groups.insert(name);
        waiting_for_lock_[name].push_back(id);
        if (!locks_.want(name, mode, io_.now(), io_.actions())) {
            pending.locks.erase(name);
            pending.refused.insert(name);
        }
    }
}

// A lock that another node waits for takes no new pins: once it was given back it is requested again, and the grant
// wakes the operation.
void MountOperations::need_anew(Id id, Pending& pending, const Needs& needs) {
    probe_run_anew.hit();
    for (const auto& [name, mode] : needs.anew) {
        pending.locks.emplace(name, mode);
        waiting_for_lock_[name].push_back(id);
        locks_.want_again(name, mode);
    }
}

void MountOperations::read_needed(Id id, Pending& pending, const Needs& needs) {
    std::vector<BlockNeed> run;
    for (const auto& need : needs.blocks) {
        pending.blocks.insert(need);
        waiting_for_block_[need.number].push_back(id);
        if (reads_.contains(need.number)) continue;
        reads_[need.number] = locks_.tenure(need.covered_by);
        const bool joins = !run.empty() && run.back().number + 1 == need.number && run.size() < longest_read;
        if (!joins && !run.empty()) issue_read(std::exchange(run, {}));
        run.push_back(need);
    }
    if (!run.empty()) issue_read(run);
}

void MountOperations::issue_read(const std::vector<BlockNeed>& run) {
    io_.read(run.front().number, static_cast<std::uint32_t>(run.size()),
             [this, run](base::Result<MountIo::Blocks> read) { on_blocks(run, std::move(read)); });
}

void MountOperations::on_blocks(const std::vector<BlockNeed>& run, base::Result<MountIo::Blocks> read) {
    for (std::size_t i = 0; i < run.size(); ++i) {
        block_arrived(run[i], read ? take_block(run[i], (*read)[i]) : read.error());
    }
}

// Why the block is of no use, if it is not.
std::optional<base::Error> MountOperations::take_block(const BlockNeed& need, const std::shared_ptr<Block>& block) {
    const auto tenure = reads_.at(need.number);
    // Another tenure of the lock: the block may have been changed elsewhere since. It is simply read again.
    const bool valid = tenure != 0 && tenure == locks_.tenure(need.covered_by);
    if (!valid || cache_.contains(need.number)) return std::nullopt;
    if (const auto fault = check(block->bytes, need.number, source_.superblock().uuid()); fault != BlockFault::none) {
        return base::Error{make_error_code(Errc::corrupted),
                           "block " + std::to_string(need.number) + ": " + text_of(fault)};
    }
    if (auto error = unfit(need, *block)) return error;
    io_.saw_sequence(block->as<BlockHeader>().sequence);
    cache_.insert_clean(need.number, need.covered_by, block);
    return std::nullopt;
}

// The error is told to the operations that need the block as it was asked for: they may do without it. Those that
// need it under another lock or as something else ask anew.
void MountOperations::block_arrived(const BlockNeed& need, const std::optional<base::Error>& error) {
    const auto tenure = reads_.extract(need.number).mapped();
    auto node = waiting_for_block_.extract(need.number);
    if (node.empty()) return;
    for (const auto id : node.mapped()) {
        const auto found = pending_.find(id);
        if (found == pending_.end()) continue;
        auto& pending = found->second;
        if (error && pending.blocks.contains(need)) pending.faults.insert_or_assign(need, Fault{*error, tenure});
        const auto arrived = [&](const BlockNeed& waited) { return waited.number == need.number; };
        if (std::erase_if(pending.blocks, arrived) > 0) make_ready(id);
    }
}

// What was wrong with a block is so no longer once another node may have written it.
View::Faults MountOperations::current_faults(Pending& pending) const {
    std::erase_if(pending.faults,
                  [this](const auto& fault) { return locks_.tenure(fault.first.covered_by) != fault.second.tenure; });
    View::Faults faults;
    for (const auto& [need, fault] : pending.faults) faults.emplace(need, fault.error);
    return faults;
}

void MountOperations::make_ready(Id id) {
    if (pending_.at(id).ready()) ready_.push_back(id);
}

void MountOperations::on_lock_granted(const LockName& name, LockMode mode) {
    fresh_grants_.insert(name);
    auto node = waiting_for_lock_.extract(name);
    if (node.empty()) return;
    std::vector<Id> still;
    for (const auto id : node.mapped()) {
        const auto found = pending_.find(id);
        if (found == pending_.end()) continue;
        auto& pending = found->second;
        const auto wanted = pending.locks.find(name);
        if (wanted == pending.locks.end()) continue;
        if (wanted->second > mode) {
            still.push_back(id);
            continue;
        }
        pending.locks.erase(wanted);
        // Kept while only higher ones are waited for.
        const bool lowest = std::none_of(pending.locks.begin(), pending.locks.end(),
                                         [&](const auto& other) { return ranks_below(other.first, name); });
        if (lowest && !pending.ready()) {
            locks_.protect(name);
            pending.protects.push_back(name);
        }
        make_ready(id);
    }
    if (!still.empty()) waiting_for_lock_[name] = std::move(still);
}

void MountOperations::on_lock_refused(const LockName& name) {
    auto node = waiting_for_lock_.extract(name);
    if (node.empty()) return;
    for (const auto id : node.mapped()) {
        const auto found = pending_.find(id);
        if (found == pending_.end()) continue;
        const auto wanted = found->second.locks.find(name);
        if (wanted == found->second.locks.end()) continue;
        if (wanted->second != LockMode::exclusive) {  // it waited for less, which nobody has refused
            waiting_for_lock_[name].push_back(id);
            locks_.want(name, wanted->second, io_.now(), io_.actions());
            continue;
        }
        found->second.locks.erase(wanted);
        found->second.refused.insert(name);
        make_ready(id);
    }
}

void MountOperations::on_space() {
    for (const auto id : std::exchange(waiting_for_space_, {})) {
        const auto found = pending_.find(id);
        if (found == pending_.end()) continue;
        found->second.space = false;
        make_ready(id);
    }
}

void MountOperations::fail_all(const base::Error& error) {
    while (!pending_.empty()) finish(pending_.begin()->first, std::unexpected(error));
    ready_.clear();
    waiting_for_lock_.clear();
    waiting_for_block_.clear();
    waiting_for_space_.clear();
}

void MountOperations::describe(base::JsonWriter& json) const {
    json.begin_array();
    for (const auto& [id, pending] : pending_) {
        json.begin_object().member("runs", pending.runs);
        json.member("milliseconds", (io_.now() - pending.since).to_milliseconds());
        json.key("locks").begin_array();
        for (const auto& [name, mode] : pending.locks) json.value(name.text());
        json.end_array().key("blocks").begin_array();
        for (const auto& need : pending.blocks) json.value(need.number);
        json.end_array().member("journal_space", pending.space).end_object();
    }
    json.end_array();
}

}  // namespace clusterfs
