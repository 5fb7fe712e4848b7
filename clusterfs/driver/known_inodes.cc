#include "clusterfs/driver/known_inodes.hh"

namespace clusterfs {

void KnownInodes::remember(InodeNumber inode, std::uint64_t generation) {
    auto& part = shard(inode);
    const std::lock_guard lock(part.mutex);
    auto& known = part.inodes[inode];
    known.generation = generation;
    ++known.lookups;
}

bool KnownInodes::forget(InodeNumber inode, std::uint64_t lookups) {
    auto& part = shard(inode);
    const std::lock_guard lock(part.mutex);
    const auto found = part.inodes.find(inode);
    if (found == part.inodes.end()) return false;
    if (found->second.lookups > lookups) {
        found->second.lookups -= lookups;
        return false;
    }
    part.inodes.erase(found);
    return true;
}

std::uint64_t KnownInodes::generation(InodeNumber inode) const { return find(inode).generation; }

std::size_t KnownInodes::size() const {
    std::size_t sum = 0;
    for (const auto& part : shards_) {
        const std::lock_guard lock(part.mutex);
        sum += part.inodes.size();
    }
    return sum;
}

KnownInodes::Known KnownInodes::find(InodeNumber inode) const {
    const auto& part = shard(inode);
    const std::lock_guard lock(part.mutex);
    const auto found = part.inodes.find(inode);
    return found == part.inodes.end() ? Known{} : found->second;
}

}  // namespace clusterfs
