#include "clusterfs/core/operations/attributes.hh"

#include "clusterfs/core/operations/access.hh"
#include "clusterfs/core/operations/acl.hh"

namespace clusterfs::operations {
namespace {

constexpr auto relative_interval = base::Duration::seconds(24 * 60 * 60);
// Two nodes, one that writes a file and one that reads it all the time, must not hand the lock over for every read.
constexpr auto access_quantum = base::Duration::seconds(60);

void set_owner(Inode& inode, const AttributeChange& change) {
    if (change.uid) inode.uid = *change.uid;
    if (change.gid) inode.gid = *change.gid;
}

void set_times(const View& view, Inode& inode, const AttributeChange& change) {
    if (change.accessed) inode.accessed = change.accessed->nanoseconds;
    if (change.modified) inode.modified = change.modified->nanoseconds;
    if (change.set_access_now) inode.accessed = view.now().nanoseconds;
    if (change.set_modification_now) inode.modified = view.now().nanoseconds;
}

// Whether an access time that is due is written: it is where that costs no lock, at the first access, and else only
// when the old one is of some age.
bool worth_a_lock(const View& view, const Inode& inode) {
    if (view.source().held(inode_lock(inode.header.number)) == LockMode::exclusive) return true;
    return inode.accessed <= inode.born || view.now().nanoseconds - inode.accessed >= access_quantum.nanoseconds;
}

}  // namespace

bool Attributes::is_directory() const { return type_of_mode(mode) == mode_directory; }
bool Attributes::is_regular() const { return type_of_mode(mode) == mode_regular; }

base::Result<Attributes> get_attributes(View& view, InodeReference reference) {
    BASE_ASSIGN(const auto* inode, lock_and_read(view, reference, LockMode::shared));
    return attributes_of(*inode);
}

base::Result<Attributes> set_attributes(View& view, InodeReference reference, const AttributeChange& change) {
    BASE_ASSIGN(auto* inode, lock_and_modify(view, reference));
    set_owner(*inode, change);
    set_times(view, *inode, change);
    if (change.uid || change.gid || change.clear_set_ids) BASE_TRY(drop_privileges(view, reference.number));
    if (change.permissions) {
        inode->mode = type_of_mode(inode->mode) | (*change.permissions & 07777U);
        BASE_TRY(change_acl_permissions(view, reference.number, *change.permissions));
    }
    touch_changed(view, *inode);
    return attributes_of(*inode);
}

bool access_time_due(const Attributes& attributes, AccessTimePolicy policy, base::WallTime now) {
    if (policy == AccessTimePolicy::never) return false;
    if (policy == AccessTimePolicy::strict) return attributes.accessed < now;
    const auto age = now.nanoseconds - attributes.accessed.nanoseconds;
    return attributes.accessed <= attributes.modified || attributes.accessed <= attributes.changed ||
           age >= relative_interval.nanoseconds;
}

base::Result<void> note_access(View& view, InodeReference reference, AccessTimePolicy policy) {
    BASE_ASSIGN(const auto* seen, lock_and_read(view, reference, LockMode::shared));
    const bool due = (seen->flags & inode_no_atime) == 0 && access_time_due(attributes_of(*seen), policy, view.now());
    if (!due || view.source().read_only() || !worth_a_lock(view, *seen)) return {};
    BASE_ASSIGN(auto* inode, lock_and_modify(view, reference));
    inode->accessed = view.now().nanoseconds;
    return {};
}

}  // namespace clusterfs::operations
