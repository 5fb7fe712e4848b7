#include "clusterfs/core/operations/rename.hh"

#include <optional>

#include "clusterfs/core/directory.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/core/operations/access.hh"
#include "clusterfs/core/operations/orphans.hh"
#include "clusterfs/format/superblock.hh"

namespace clusterfs::operations {
namespace {

constexpr LockName rename_lock{LockType::rename, 0};
// Deeper paths than this do not exist: a loop on disk is met.
constexpr int max_depth = 1 << 20;

// A rename as far as it is known: both directories locked, both names looked up.
struct Plan {
    InodeNumber old_directory = 0;
    InodeNumber new_directory = 0;
    std::string_view old_name;
    std::string_view new_name;
    FoundEntry source;
    std::optional<FoundEntry> target;
    bool exchange = false;
    bool source_is_directory = false;
    bool target_is_directory = false;

    bool across() const { return old_directory != new_directory; }
    bool moves_directory() const { return across() && (source_is_directory || (exchange && target_is_directory)); }
};

base::Result<void> check_existence(const Plan& plan, RenameMode mode) {
    if (mode == RenameMode::no_replace && plan.target) return base::failure(std::errc::file_exists);
    if (mode == RenameMode::exchange && !plan.target) return base::failure(std::errc::no_such_file_or_directory);
    return {};
}

base::Result<Plan> look_up(View& view, InodeReference old_directory, std::string_view old_name,
                           InodeReference new_directory, std::string_view new_name, RenameMode mode) {
    BASE_TRY(view.lock({{inode_lock(old_directory.number), LockMode::exclusive},
                        {inode_lock(new_directory.number), LockMode::exclusive}}));
    BASE_TRY(lock_directory(view, old_directory, LockMode::exclusive));
    BASE_TRY(lock_directory(view, new_directory, LockMode::exclusive));
    Plan plan{old_directory.number, new_directory.number, old_name, new_name, {}, {}};
    BASE_ASSIGN(const auto source, find_entry(view, plan.old_directory, old_name));
    if (!source) return base::failure(std::errc::no_such_file_or_directory);
    plan.source = *source;
    BASE_ASSIGN(plan.target, find_entry(view, plan.new_directory, new_name));
    plan.exchange = mode == RenameMode::exchange;
    plan.source_is_directory = plan.source.type == entry_type_of(mode_directory);
    plan.target_is_directory = plan.target && plan.target->type == entry_type_of(mode_directory);
    BASE_TRY(check_existence(plan, mode));
    return plan;
}

base::Result<void> lock_inodes(View& view, const Plan& plan) {
    const LockNeed source{inode_lock(plan.source.inode), LockMode::exclusive};
    if (!plan.target) return view.lock({source});
    return view.lock({source, {inode_lock(plan.target->inode), LockMode::exclusive}});
}

base::Result<void> check_replaced(View& view, const Plan& plan) {
    if (!plan.target || plan.exchange) return {};
    if (plan.source_is_directory && !plan.target_is_directory) return base::failure(std::errc::not_a_directory);
    if (!plan.source_is_directory && plan.target_is_directory) return base::failure(std::errc::is_a_directory);
    BASE_ASSIGN(const auto* target, read_inode(view, plan.target->inode));
    if (plan.target_is_directory && target->entries != 0) return base::failure(std::errc::directory_not_empty);
    return {};
}

// EINVAL when `moved` is `place` or lies above it. The rename lock is held, so no directory is moved meanwhile.
base::Result<void> check_not_below(View& view, InodeNumber moved, InodeNumber place) {
    const auto root = view.superblock().root_inode;
    for (int depth = 0; depth < max_depth; ++depth) {
        if (place == moved) return base::failure(std::errc::invalid_argument);
        if (place == root) return {};
        BASE_ASSIGN(const auto* inode, lock_and_read(view, {place, 0}, LockMode::shared));
        if (!is_directory(*inode)) break;
        place = inode->parent;
    }
    return base::failure(Errc::corrupted, "the way up from directory " + std::to_string(place) + " does not end");
}

base::Result<void> check_cycles(View& view, const Plan& plan) {
    // Within one directory only the names change; but one cannot replace what it lies in.
    if (!plan.across()) return {};
    if (plan.source_is_directory) BASE_TRY(check_not_below(view, plan.source.inode, plan.new_directory));
    if (plan.exchange && plan.target_is_directory) {
        BASE_TRY(check_not_below(view, plan.target->inode, plan.old_directory));
    }
    return {};
}

// A directory that came into another one.
base::Result<void> move_up_link(View& view, InodeNumber moved, InodeNumber from, InodeNumber to) {
    BASE_ASSIGN(auto* inode, modify_inode(view, moved));
    BASE_ASSIGN(auto* left, modify_inode(view, from));
    BASE_ASSIGN(auto* entered, modify_inode(view, to));
    inode->parent = to;
    --left->links;
    ++entered->links;
    return {};
}

base::Result<void> move_up_links(View& view, const Plan& plan) {
    if (!plan.across()) return {};
    if (plan.source_is_directory) {
        BASE_TRY(move_up_link(view, plan.source.inode, plan.old_directory, plan.new_directory));
    }
    if (plan.exchange && plan.target_is_directory) {
        BASE_TRY(move_up_link(view, plan.target->inode, plan.new_directory, plan.old_directory));
    }
    return {};
}

base::Result<void> touch_all(View& view, const Plan& plan) {
    for (const auto number : {plan.old_directory, plan.new_directory}) {
        BASE_ASSIGN(auto* directory, modify_inode(view, number));
        touch_modified(view, *directory);
    }
    BASE_ASSIGN(auto* source, modify_inode(view, plan.source.inode));
    touch_changed(view, *source);
    if (!plan.target) return {};
    BASE_ASSIGN(auto* target, modify_inode(view, plan.target->inode));
    touch_changed(view, *target);
    return {};
}

base::Result<void> exchange_names(View& view, const Plan& plan) {
    BASE_TRY(replace_entry(view, plan.old_directory, plan.old_name, *plan.target));
    return replace_entry(view, plan.new_directory, plan.new_name, plan.source);
}

base::Result<void> move_name(View& view, const Plan& plan) {
    // Removed first: a full filesystem then still finds room within the directory.
    BASE_TRY(remove_entry(view, plan.old_directory, plan.old_name));
    if (plan.target) return replace_entry(view, plan.new_directory, plan.new_name, plan.source);
    return insert_entry(view, plan.new_directory, plan.new_name, plan.source);
}

base::Result<Removed> remove_replaced(View& view, const Plan& plan) {
    if (!plan.target || plan.exchange) return Removed{};
    BASE_ASSIGN(auto* target, modify_inode(view, plan.target->inode));
    Removed removed{reference_of(*target), false};
    if (target->links == 0) return base::failure(Errc::corrupted, "an inode with a name counts no links");
    if (plan.target_is_directory) {
        BASE_ASSIGN(auto* parent, modify_inode(view, plan.new_directory));
        --parent->links;
        target->links = 0;
    } else {
        --target->links;
    }
    if (target->links == 0) {
        BASE_ASSIGN(removed.orphaned, lose_last_name(view, removed.inode.number));
    }
    return removed;
}

}  // namespace

base::Result<Removed> rename(View& view, InodeReference old_directory, std::string_view old_name,
                             InodeReference new_directory, std::string_view new_name, RenameMode mode) {
    BASE_TRY(check_name(old_name, std::errc::device_or_resource_busy));
    BASE_TRY(check_name(new_name, std::errc::device_or_resource_busy));
    BASE_ASSIGN(const auto plan, look_up(view, old_directory, old_name, new_directory, new_name, mode));
    if (plan.target && plan.target->inode == plan.source.inode) return Removed{};
    if (plan.moves_directory()) BASE_TRY(view.lock(rename_lock, LockMode::exclusive));
    BASE_TRY(lock_inodes(view, plan));
    BASE_TRY(check_cycles(view, plan));
    BASE_TRY(check_replaced(view, plan));
    BASE_TRY(view.will_change());
    BASE_TRY(plan.exchange ? exchange_names(view, plan) : move_name(view, plan));
    BASE_TRY(move_up_links(view, plan));
    BASE_TRY(touch_all(view, plan));
    return remove_replaced(view, plan);
}

}  // namespace clusterfs::operations
