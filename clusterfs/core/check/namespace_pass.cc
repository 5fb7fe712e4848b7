// Walks every directory from the root, then the orphan directories, then what neither leads to.
#include <algorithm>
#include <set>

#include "clusterfs/core/check/context.hh"
#include "clusterfs/core/check/inode_check.hh"
#include "clusterfs/core/check/tree_check.hh"
#include "clusterfs/core/operations/orphans.hh"
#include "clusterfs/format/allocation_group.hh"
#include "clusterfs/format/directory_entry.hh"

namespace clusterfs::checking {
namespace {

std::string entry_text(InodeNumber directory, const CheckedEntry& entry) {
    return "directory " + std::to_string(directory) + ", \"" + entry.name + "\" to inode " +
           std::to_string(entry.inode);
}

class NamespaceWalk {
  public:
    explicit NamespaceWalk(Context& context) : context_(context) {
        for (std::uint32_t slot = 0; slot < context.superblock().slot_count; ++slot) {
            orphan_directories_.insert(context.superblock().slots[slot].orphan_directory);
        }
    }

    void run() {
        context_.enter("directories");
        admit_systems();
        walk_from(context_.superblock().root_inode);
        for (std::uint32_t slot = 0; slot < context_.superblock().slot_count; ++slot) check_orphans(slot);
        walk();
        context_.enter("file data");
        claim_data();
        context_.enter("unreachable inodes");
        find_lost();
        claim_data();
    }

  private:
    // The inodes that the superblock names have their blocks before anybody else asks for them.
    void admit_systems() {
        admit_directory(context_.superblock().root_inode, Problem::root_damaged, 0755, 0);
        for (const auto number : orphan_directories_) {
            admit_directory(number, Problem::orphan_directory_damaged, 0700, inode_system);
        }
        auto& root = context_.inodes().at(context_.superblock().root_inode);
        root.names_found = 1;
        root.parent_found = context_.superblock().root_inode;
    }

    void admit_directory(InodeNumber number, Problem problem, std::uint32_t permissions, std::uint32_t flags) {
        const auto loaded = context_.load(number);
        const bool usable =
            loaded.sound() && fault_in(loaded.block->as<Inode>(), context_.superblock().block_count) == nullptr &&
            is_directory(loaded.block->as<Inode>()) && (loaded.block->as<Inode>().flags & inode_system) == flags;
        if (usable && admit_inode(context_, number)) return;
        const bool checksum_only = loaded.block != nullptr && loaded.fault == BlockFault::bad_checksum &&
                                   is_directory(loaded.block->as<Inode>()) && admit_inode(context_, number);
        if (checksum_only) return;
        const bool repair = context_.found(problem, "inode " + std::to_string(number));
        auto block = std::make_shared<Block>();
        auto& inode = block->as<Inode>();
        const auto now = context_.options().now.nanoseconds;
        inode.header = context_.header_for(BlockType::inode, number, number);
        inode.generation = static_cast<std::uint64_t>(now) | 1;
        inode.mode = mode_directory | permissions;
        inode.flags = flags;
        inode.links = 2;
        inode.content = Content::directory;
        inode.parent = number;
        inode.accessed = inode.modified = inode.changed = inode.born = now;
        (void)context_.claim(number);
        KnownInode known;
        known.mode = inode.mode;
        known.links_stored = 2;
        known.flags = flags;
        known.parent_stored = number;
        known.is_stand_in = !repair;
        context_.inodes().insert_or_assign(number, known);
        ++context_.report().directories;
        if (repair) context_.put(std::move(block));
    }

    void walk_from(InodeNumber directory) {
        to_visit_.push_back(directory);
        walk();
    }

    void walk() {
        while (!to_visit_.empty()) {
            const auto directory = to_visit_.back();
            to_visit_.pop_back();
            if (context_.inodes().at(directory).is_stand_in) continue;
            check_directory(context_, directory, [&](CheckedEntry& entry) { return judge_entry(directory, entry); });
            context_.whole().trim(cached_blocks);
        }
    }

    EntryVerdict removed_if(bool removed) { return {!removed, removed}; }

    EntryVerdict judge_entry(InodeNumber directory, CheckedEntry& entry) {
        const auto detail = entry_text(directory, entry);
        if (orphan_directories_.contains(entry.inode) || entry.inode == context_.superblock().root_inode) {
            return removed_if(context_.found(Problem::entry_of_system_inode, detail));
        }
        if (entry.inode >= context_.superblock().block_count || context_.is_systems(entry.inode)) {
            return removed_if(context_.found(Problem::entry_number, detail));
        }
        auto known = context_.inodes().find(entry.inode);
        if (known == context_.inodes().end()) {
            if (!admit_inode(context_, entry.inode)) {
                return removed_if(context_.found(Problem::entry_without_inode, detail));
            }
            known = context_.inodes().find(entry.inode);
            if (known->second.is_directory()) to_visit_.push_back(entry.inode);
        } else if (known->second.is_directory() && known->second.names_found > 0 &&
                   context_.found(Problem::directory_linked_twice, detail)) {
            return {false, true};
        }
        return count_entry(directory, entry, known->second, detail);
    }

    EntryVerdict count_entry(InodeNumber directory, CheckedEntry& entry, KnownInode& known, const std::string& detail) {
        ++known.names_found;
        if (known.is_directory()) {
            known.parent_found = directory;
            ++context_.inodes().at(directory).directories_in;
        }
        const auto type = static_cast<std::uint8_t>(known.mode >> 12);
        if (entry.type == type || !context_.found(Problem::entry_type, detail)) return {};
        entry.type = type;
        return {true, true};
    }

    void check_orphans(std::uint32_t slot) {
        const auto directory = context_.superblock().slots[slot].orphan_directory;
        auto& known = context_.inodes().at(directory);
        if (known.is_stand_in) return;
        known.names_found = 1;
        known.parent_found = directory;
        check_directory(context_, directory, [&](CheckedEntry& entry) { return judge_orphan(directory, slot, entry); });
    }

    EntryVerdict judge_orphan(InodeNumber directory, std::uint32_t slot, CheckedEntry& entry) {
        const auto detail = entry_text(directory, entry);
        const bool possible = entry.inode < context_.superblock().block_count && !context_.is_systems(entry.inode) &&
                              entry.name == operations::orphan_name(entry.inode);
        if (!possible) return removed_if(context_.found(Problem::entry_number, detail));
        auto known = context_.inodes().find(entry.inode);
        if (known != context_.inodes().end()) {
            return removed_if(context_.found(Problem::orphan_has_names, detail));
        }
        if (!admit_inode(context_, entry.inode)) {
            return removed_if(context_.found(Problem::entry_without_inode, detail));
        }
        auto& orphan = context_.inodes().at(entry.inode);
        orphan.orphan_slot = static_cast<std::int32_t>(slot);
        if (orphan.is_directory()) check_orphaned_directory(entry.inode);
        if (context_.found(Problem::deleted_file_left, detail)) context_.deferred().deletions.push_back(entry.inode);
        return {};
    }

    // Nothing can be in a deleted directory; what is, has lost its name thereby.
    void check_orphaned_directory(InodeNumber number) {
        bool told = false;
        bool repair = false;
        check_directory(context_, number, [&](CheckedEntry&) {
            if (!std::exchange(told, true)) {
                repair = context_.found(Problem::orphan_directory_not_empty, "inode " + std::to_string(number));
            }
            return removed_if(repair);
        });
    }

    void claim_data() {
        for (auto& [number, known] : context_.inodes()) {
            if (known.data_claimed) continue;
            check_data(context_, number);
            context_.whole().trim(cached_blocks);
        }
    }

    // Inodes that the allocation maps know but no directory does. Where a map is damaged every block is looked at.
    std::vector<InodeNumber> unclaimed_inodes() {
        std::vector<InodeNumber> found;
        const auto geometry = context_.superblock().geometry();
        for (std::uint64_t group = 0; group < geometry.group_count(); ++group) {
            for (std::uint32_t index = 0; index < geometry.maps_in_group(group); ++index) {
                look_through(geometry.map_block(group, index), geometry.first_of_map(group, index),
                             geometry.blocks_in_map(group, index), found);
            }
        }
        return found;
    }

    void look_through(BlockNumber map_number, BlockNumber first, std::uint32_t count, std::vector<InodeNumber>& found) {
        const auto loaded = context_.load(map_number);
        const bool usable =
            loaded.sound() && fault_in(loaded.block->as<AllocationMap>(), context_.superblock().geometry()) == nullptr;
        for (std::uint32_t i = 0; i < count; ++i) {
            const auto number = first + i;
            if (context_.is_claimed(number)) continue;
            if (usable && loaded.block->as<AllocationMap>().state(i) != BlockState::used) continue;
            const auto candidate = context_.load(number);
            if (!candidate.sound() || candidate.block->as<BlockHeader>().magic != BlockType::inode) continue;
            const auto& inode = candidate.block->as<Inode>();
            if (fault_in(inode, context_.superblock().block_count) == nullptr) found.push_back(number);
        }
        context_.whole().trim(cached_blocks);
    }

    // Only those that no other lost directory leads to get a place in /lost+found; of a ring, one.
    void find_lost() {
        auto candidates = unclaimed_inodes();
        std::set<InodeNumber> inside;
        for (const auto number : candidates) list_children(number, inside);
        const auto adopt = [&](InodeNumber number) {
            if (context_.inodes().contains(number) || !admit_inode(context_, number, true)) return;
            auto& known = context_.inodes().at(number);
            const auto detail = "inode " + std::to_string(number);
            known.names_found = 1;
            known.parent_found = known.parent_stored;
            if (context_.found(Problem::unreachable_inode, detail)) context_.deferred().lost.push_back(number);
            if (known.is_directory()) walk_from(number);
        };
        for (const auto number : candidates) {
            if (!inside.contains(number)) adopt(number);
        }
        for (const auto number : candidates) adopt(number);
    }

    void list_children(InodeNumber number, std::set<InodeNumber>& children) {
        const auto loaded = context_.load(number);
        if (!is_directory(loaded.block->as<Inode>())) return;
        for (const auto child : children_of(loaded.block->as<Inode>())) {
            if (child != number) children.insert(child);
        }
    }

    std::vector<InodeNumber> children_of(const Inode& inode);

    static constexpr std::size_t cached_blocks = 4096;

    Context& context_;
    std::set<InodeNumber> orphan_directories_;
    std::vector<InodeNumber> to_visit_;
};

void read_children(base::ByteView used, std::vector<InodeNumber>& children) {
    EntryReader reader(used);
    for (EntryView entry; reader.next(entry);) children.push_back(entry.inode);
}

// Without a word about problems: they are told when the directory is walked.
std::vector<InodeNumber> NamespaceWalk::children_of(const Inode& inode) {
    std::vector<InodeNumber> children;
    if (inode.content == Content::directory) {
        read_children(content_of(inode).first(inode.content_bytes), children);
        return children;
    }
    const auto tree = collect_tree(context_, inode);
    for (const auto node : tree.nodes) context_.unclaim(node);
    for (const auto& record : tree.records) {
        const auto loaded = context_.load(record.value);
        if (!loaded.sound() || fault_in(loaded.block->as<DirectoryLeaf>()) != nullptr) continue;
        const auto& leaf = loaded.block->as<DirectoryLeaf>();
        read_children(base::ByteView(leaf.entries).first(leaf.used), children);
    }
    return children;
}

}  // namespace

base::Result<void> check_namespace(Context& context) {
    NamespaceWalk(context).run();
    return {};
}

}  // namespace clusterfs::checking
