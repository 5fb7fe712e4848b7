// Link counts, parents and orphan marks, from what the walk found.
#include "clusterfs/core/check/context.hh"

namespace clusterfs::checking {
namespace {

std::string inode_text(InodeNumber number) { return "inode " + std::to_string(number); }

std::uint32_t links_expected(const KnownInode& known) {
    if (known.orphan_slot >= 0) return 0;
    return known.is_directory() ? 2 + known.directories_in : known.names_found;
}

bool correct_links(Context& context, InodeNumber number, const KnownInode& known, Inode& inode) {
    const auto expected = links_expected(known);
    if (inode.links == expected) return false;
    const auto detail =
        inode_text(number) + " counts " + std::to_string(inode.links) + ", has " + std::to_string(expected);
    if (!context.found(Problem::link_count, detail)) return false;
    inode.links = expected;
    return true;
}

bool correct_parent(Context& context, InodeNumber number, const KnownInode& known, Inode& inode) {
    if (!known.is_directory() || known.orphan_slot >= 0 || known.parent_found == inode.parent) return false;
    if (!context.found(Problem::parent_wrong, inode_text(number))) return false;
    inode.parent = known.parent_found;
    return true;
}

bool correct_orphan_mark(Context& context, InodeNumber number, const KnownInode& known, Inode& inode) {
    const bool listed = known.orphan_slot >= 0;
    const bool marked = (inode.flags & inode_orphan) != 0;
    const auto slot = listed ? static_cast<std::uint32_t>(known.orphan_slot) : 0;
    if (listed == marked && inode.orphan_slot == slot) return false;
    if (!context.found(Problem::orphan_flag, inode_text(number))) return false;
    inode.flags = listed ? inode.flags | inode_orphan : inode.flags & ~std::uint32_t{inode_orphan};
    inode.orphan_slot = slot;
    return true;
}

}  // namespace

base::Result<void> check_links(Context& context) {
    context.enter("link counts");
    for (const auto& [number, known] : context.inodes()) {
        if (known.is_stand_in) continue;
        const auto loaded = context.load(number);
        if (loaded.block == nullptr) continue;
        auto changed = Context::copy(loaded);
        auto& inode = changed->as<Inode>();
        // Each is to be asked about.
        const bool links = correct_links(context, number, known, inode);
        const bool parent = correct_parent(context, number, known, inode);
        const bool mark = correct_orphan_mark(context, number, known, inode);
        if (links || parent || mark) context.put(std::move(changed));
        context.whole().trim(4096);
    }
    return {};
}

}  // namespace clusterfs::checking
