#include "clusterfs/core/check/inode_check.hh"

#include <algorithm>
#include <cstring>

#include "clusterfs/core/check/tree_check.hh"
#include "clusterfs/format/xattr.hh"

namespace clusterfs::checking {
namespace {

std::string inode_text(InodeNumber number) { return "inode " + std::to_string(number); }

struct Candidate {
    std::shared_ptr<Block> block;
    bool changed = false;
    Inode& inode() { return block->as<Inode>(); }
};

// A wrong checksum over fields that all make sense is taken for a small rot somewhere in the block.
bool is_plausible(const Context& context, const Loaded& loaded, InodeNumber number) {
    if (loaded.block == nullptr || loaded.fault != BlockFault::bad_checksum) return false;
    const auto& inode = loaded.block->as<Inode>();
    return inode.header.version == 1 && inode.header.number == number &&
           inode.header.filesystem == context.superblock().header.filesystem &&
           fault_in(inode, context.superblock().block_count) == nullptr;
}

std::optional<Candidate> load_inode(Context& context, InodeNumber number, bool lost) {
    const auto loaded = context.load(number);
    const auto fault_of = [&]() -> const char* {
        if (loaded.block == nullptr) return "its block cannot be read";
        if (!loaded.sound()) return text_of(loaded.fault);
        return fault_in(loaded.block->as<Inode>(), context.superblock().block_count);
    };
    if (!lost && is_plausible(context, loaded, number)) {
        const bool accepted = context.found(Problem::inode_checksum, inode_text(number));
        return Candidate{Context::copy(loaded), accepted};
    }
    const auto* fault = fault_of();
    if (fault == nullptr) return Candidate{Context::copy(loaded), false};
    const bool is_deleted = std::strcmp(fault, "deleted") == 0;
    if (!lost && !is_deleted) (void)context.found(Problem::inode_damaged, inode_text(number) + ": " + fault);
    return std::nullopt;
}

// The attributes that can be read, packed anew.
base::Bytes whole_xattrs(base::ByteView entries) {
    base::Bytes kept;
    XattrReader reader(entries);
    for (XattrView entry; reader.next(entry);) {
        const auto raw = entries.subspan(entry.offset, entry.length);
        kept.insert(kept.end(), raw.begin(), raw.end());
    }
    return kept;
}

void check_inline_xattrs(Context& context, Candidate& candidate) {
    auto& inode = candidate.inode();
    if (content_used(inode) > inode.content_capacity()) return;
    const auto kept = whole_xattrs(inline_xattrs_of(std::as_const(inode)));
    if (kept.size() == inode.xattr_bytes) return;
    if (!context.found(Problem::inline_xattrs_damaged, inode_text(inode.header.number))) return;
    std::ranges::fill(inline_xattrs_of(inode), std::byte{0});
    inode.xattr_bytes = static_cast<std::uint32_t>(kept.size());
    base::copy_bytes(kept, inline_xattrs_of(inode));
    candidate.changed = true;
}

const char* xattr_block_fault(const Loaded& loaded, InodeNumber owner) {
    if (loaded.block == nullptr) return "it cannot be read";
    if (!loaded.sound()) return text_of(loaded.fault);
    const auto& block = loaded.block->as<XattrBlock>();
    if (const auto* fault = fault_in(block)) return fault;
    if (block.header.owner != owner) return "it belongs to another inode";
    std::uint32_t count = 0;
    XattrReader reader(base::ByteView(block.entries).first(block.used));
    for (XattrView entry; reader.next(entry);) ++count;
    return reader.ok() && count == block.count ? nullptr : "its attributes are damaged";
}

void check_xattr_block(Context& context, Candidate& candidate) {
    auto& inode = candidate.inode();
    if (inode.xattr_block == 0) return;
    const auto* fault = xattr_block_fault(context.load(inode.xattr_block), inode.header.number);
    const auto detail = inode_text(inode.header.number) + ", block " + std::to_string(inode.xattr_block);
    if (fault == nullptr && context.claim(inode.xattr_block)) return;
    const bool drop = fault == nullptr ? context.found(Problem::metadata_shared, detail)
                                       : context.found(Problem::xattr_block_damaged, detail + ": " + fault);
    if (!drop) return;
    inode.xattr_block = 0;
    candidate.changed = true;
}

bool has_valid_target(const Inode& inode) {
    if (inode.content != Content::data || inode.size == 0) return false;
    const auto target = content_of(inode).first(static_cast<std::size_t>(inode.size));
    return std::ranges::find(target, std::byte{0}) == target.end();
}

void check_generation(Context& context, Candidate& candidate) {
    auto& inode = candidate.inode();
    if (inode.generation != 0) return;
    if (!context.found(Problem::generation_missing, inode_text(inode.header.number))) return;
    inode.generation = static_cast<std::uint64_t>(context.options().now.nanoseconds) | 1;
    candidate.changed = true;
}

}  // namespace

bool admit_inode(Context& context, InodeNumber number, bool lost) {
    auto candidate = load_inode(context, number, lost);
    if (!candidate) return false;
    if (context.is_claimed(number)) {
        if (!lost) (void)context.found(Problem::metadata_shared, inode_text(number));
        return false;
    }
    auto& inode = candidate->inode();
    if (is_symlink(inode) && !has_valid_target(inode)) {
        (void)context.found(Problem::bad_symlink, inode_text(number));
        return false;
    }
    (void)context.claim(number);
    check_generation(context, *candidate);
    check_inline_xattrs(context, *candidate);
    check_xattr_block(context, *candidate);
    KnownInode known;
    known.mode = inode.mode;
    known.links_stored = inode.links;
    known.flags = inode.flags;
    known.parent_stored = inode.parent;
    context.inodes().insert_or_assign(number, known);
    ++(known.is_directory() ? context.report().directories : context.report().files);
    if (candidate->changed) context.put(std::move(candidate->block));
    return true;
}

namespace {

// What a file has in blocks beside data: the tree's nodes and the attributes.
std::uint64_t xattr_blocks(const Inode& inode) { return inode.xattr_block != 0 ? 1 : 0; }

void correct_block_count(Context& context, const Loaded& loaded, std::uint64_t counted) {
    const auto& inode = loaded.block->as<Inode>();
    if (inode.blocks == counted) return;
    const auto detail = inode_text(inode.header.number) + " counts " + std::to_string(inode.blocks) + ", has " +
                        std::to_string(counted);
    if (!context.found(Problem::inode_block_count, detail)) return;
    auto changed = Context::copy(loaded);
    changed->as<Inode>().blocks = counted;
    context.put(std::move(changed));
}

// Splits extents into what the file may have and what belongs to others. Returns whether the tree must be changed.
class DataClaims {
  public:
    DataClaims(Context& context, InodeNumber number) : context_(context), number_(number) {}

    bool take(const TreeRecord& extent) {
        bool all_ours = true;
        for (std::uint32_t from = 0; from < extent.count;) {
            const auto kind = kind_of(extent.value + from);
            auto until = from + 1;
            if (kind == Kind::ours) (void)context_.claim(extent.value + from);
            while (until < extent.count && kind_of(extent.value + until) == kind) {
                if (kind == Kind::ours) (void)context_.claim(extent.value + until);
                ++until;
            }
            all_ours &= give({extent.key + from, extent.value + from, until - from, extent.flags}, kind);
            from = until;
        }
        return all_ours;
    }
    std::vector<TreeRecord> kept;
    std::uint64_t kept_blocks = 0;

  private:
    enum class Kind { ours, others, systems };
    Kind kind_of(BlockNumber number) const {
        if (!context_.is_claimed(number)) return Kind::ours;
        return context_.is_systems(number) ? Kind::systems : Kind::others;
    }
    void keep(const TreeRecord& extent) {
        kept.push_back(extent);
        kept_blocks += extent.count;
    }
    bool give(const TreeRecord& extent, Kind kind) {
        if (kind == Kind::ours) {
            keep(extent);
            return true;
        }
        const auto detail = inode_text(number_) + ", file block " + std::to_string(extent.key) + ", blocks " +
                            std::to_string(extent.value) + " to " + std::to_string(extent.value + extent.count - 1);
        const auto problem = kind == Kind::systems ? Problem::extent_over_fixed : Problem::block_shared;
        if (!context_.found(problem, detail)) {
            keep(extent);
            return true;
        }
        if (kind == Kind::others && !extent.unwritten()) context_.deferred().clones.push_back({number_, extent});
        return false;
    }

    Context& context_;
    InodeNumber number_;
};

// The inode with an empty tree; its extents are put back when blocks can be allocated.
void rebuild_extents(Context& context, const Loaded& loaded, const CollectedTree& tree, const DataClaims& claims) {
    for (const auto node : tree.nodes) context.unclaim(node);
    auto changed = Context::copy(loaded);
    auto& inode = changed->as<Inode>();
    std::ranges::fill(content_of(inode), std::byte{0});
    inode.blocks = claims.kept_blocks + xattr_blocks(inode);
    context.deferred().trees.push_back({inode.header.number, claims.kept});
    context.put(std::move(changed));
}

}  // namespace

void check_data(Context& context, InodeNumber number) {
    auto& known = context.inodes().at(number);
    if (std::exchange(known.data_claimed, true)) return;
    const auto loaded = context.load(number);
    if (loaded.block == nullptr) return;
    const auto& inode = loaded.block->as<Inode>();
    if (known.is_directory()) return;
    if (inode.content != Content::extents) return correct_block_count(context, loaded, xattr_blocks(inode));
    const auto tree = collect_tree(context, inode);
    bool rebuild = tree.damaged && context.found(Problem::extent_tree_damaged, inode_text(number) + ": " + tree.how);
    DataClaims claims(context, number);
    for (const auto& extent : tree.records) rebuild |= !claims.take(extent);
    if (rebuild) return rebuild_extents(context, loaded, tree, claims);
    if (!tree.damaged) {
        correct_block_count(context, loaded, claims.kept_blocks + tree.nodes.size() + xattr_blocks(inode));
    }
}

}  // namespace clusterfs::checking
