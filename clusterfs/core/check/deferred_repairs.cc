// Repairs that allocate blocks, with the operations of a mounted filesystem.
#include "clusterfs/core/check/context.hh"
#include "clusterfs/core/directory.hh"
#include "clusterfs/core/extent_map.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/core/operations/orphans.hh"
#include "clusterfs/core/tree.hh"
#include "clusterfs/format/inode.hh"

namespace clusterfs::checking {
namespace {

constexpr const char* lost_and_found = "lost+found";

class DeferredRepairs {
  public:
    explicit DeferredRepairs(Context& context) : context_(context) {}

    void run() {
        const auto& work = context_.deferred();
        for (const auto& tree : work.trees) note(tree.inode, build_tree(tree));
        for (const auto& directory : work.directories) build_directory(directory);
        for (const auto& clone : work.clones) note(clone.inode, copy_data(clone));
        for (const auto number : work.lost) note(number, give_name(number));
        for (const auto number : work.deletions) note(number, finish_deletion(number));
    }

  private:
    void note(InodeNumber inode, const base::Result<void>& outcome) {
        if (outcome) return;
        context_.report().failed_repairs.push_back("inode " + std::to_string(inode) + ": " + outcome.error().message());
    }

    base::Result<void> run(const WholeDevice::Operation& operation) {
        return context_.whole().run(operation, context_.options().now);
    }

    base::Result<void> build_tree(const Deferred::Tree& tree) {
        for (const auto& extent : tree.extents) {
            BASE_TRY(run([&](View& view) { return tree_insert(view, tree.inode, extent, Purpose::metadata_to_free); }));
        }
        return {};
    }

    void build_directory(const Deferred::Directory& directory) {
        for (const auto& entry : directory.entries) {
            note(directory.inode, run([&](View& view) {
                     return insert_entry(view, directory.inode, entry.name, {entry.inode, entry.type, 0},
                                         Purpose::metadata_to_free);
                 }));
        }
    }

    // The file gets blocks of its own with what is in the shared ones. A hole, should there be no room.
    base::Result<void> copy_data(const Deferred::Clone& clone) {
        for (std::uint64_t done = 0; done < clone.extent.count;) {
            Mapping mapping;
            const auto allocated = run([&](View& view) -> base::Result<void> {
                const auto first = clone.extent.key + done;
                BASE_ASSIGN(const auto count, allocate_range(view, clone.inode, first, clone.extent.count - done));
                BASE_ASSIGN(mapping, map_block(view, clone.inode, first, count));
                return mark_written(view, clone.inode, first, mapping.count);
            });
            if (!allocated && allocated.error().code == std::errc::no_space_on_device) return {};
            BASE_TRY(allocated);
            BASE_TRY(copy_blocks(clone.extent.value + done, mapping.disk_block, mapping.count));
            done += mapping.count;
        }
        return {};
    }

    base::Result<void> copy_blocks(BlockNumber from, BlockNumber to, std::uint64_t count) {
        auto& device = context_.whole().device();
        const auto block = std::make_unique<Block>();
        for (std::uint64_t i = 0; i < count; ++i) {
            BASE_TRY(device.read(from + i, {block.get(), 1}));
            BASE_TRY(device.write(to + i, {block.get(), 1}));
        }
        return {};
    }

    base::Result<InodeNumber> lost_and_found_directory(View& view) {
        const auto root = context_.superblock().root_inode;
        BASE_ASSIGN(const auto found, find_entry(view, root, lost_and_found));
        if (found) {
            BASE_ASSIGN(const auto* inode, read_inode(view, found->inode));
            if (is_directory(*inode)) return found->inode;
            return base::failure(std::errc::not_a_directory, lost_and_found);
        }
        BASE_ASSIGN(const auto number, allocate_inode(view, root));
        NewInode attributes;
        attributes.mode = mode_directory | 0700;
        attributes.parent = root;
        BASE_TRY(create_inode(view, number, attributes));
        BASE_TRY(insert_entry(view, root, lost_and_found, {number, mode_directory >> 12, 0}));
        BASE_ASSIGN(auto* parent, modify_inode(view, root));
        ++parent->links;
        return number;
    }

    base::Result<void> give_name(InodeNumber number) {
        return run([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(const auto directory, lost_and_found_directory(view));
            BASE_ASSIGN(auto* inode, modify_inode(view, number));
            const auto name = "#" + std::to_string(number);
            const auto type = static_cast<std::uint8_t>(inode->mode >> 12);
            BASE_TRY(insert_entry(view, directory, name, {number, type, 0}));
            if (!is_directory(*inode)) return {};
            inode->parent = directory;
            BASE_ASSIGN(auto* parent, modify_inode(view, directory));
            ++parent->links;
            return {};
        });
    }

    base::Result<void> finish_deletion(InodeNumber number) {
        for (bool empty = false; !empty;) {
            BASE_TRY(run([&](View& view) -> base::Result<void> {
                BASE_ASSIGN(empty, free_content(view, number));
                return {};
            }));
        }
        return run([&](View& view) -> base::Result<void> {
            BASE_TRY(operations::remove_orphan(view, number));
            return free_inode(view, number);
        });
    }

    Context& context_;
};

}  // namespace

void repair_deferred(Context& context) {
    context.enter("repairs");
    DeferredRepairs(context).run();
}

}  // namespace clusterfs::checking
