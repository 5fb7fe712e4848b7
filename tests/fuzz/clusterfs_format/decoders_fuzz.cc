// Random and half-valid blocks through every decoder of the format. What a decoder accepts is then walked as the code
// does, so that a sanitizer sees any step outside.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>

#include "base/ensure.hh"
#include "clusterfs/core/block.hh"
#include "clusterfs/format/allocation_group.hh"
#include "clusterfs/format/block_seal.hh"
#include "clusterfs/format/directory_entry.hh"
#include "clusterfs/format/inode.hh"
#include "clusterfs/format/journal.hh"
#include "clusterfs/format/slot_map.hh"
#include "clusterfs/format/superblock.hh"
#include "clusterfs/format/xattr.hh"

namespace {

using namespace clusterfs;

constexpr std::uint64_t device_blocks = 100000;
std::uint64_t eaten = 0;  // keeps the walks from being optimized away
std::uint64_t accepted = 0;

void eat(base::ByteView bytes) {
    for (const auto byte : bytes) eaten += std::to_integer<unsigned>(byte);
}

void walk_entries(base::ByteView used) {
    EntryReader reader(used);
    for (EntryView entry; reader.next(entry);) {
        base::ensure(is_valid_name(entry.name), "an accepted name is valid");
        eat(base::as_bytes(entry.name));
    }
}

void walk_xattrs(base::ByteView used) {
    XattrReader reader(used);
    for (XattrView entry; reader.next(entry);) {
        eat(base::as_bytes(entry.name));
        eat(entry.value);
    }
}

void walk_inode(const Inode& inode) {
    if (fault_in(inode, device_blocks) != nullptr) return;
    ++accepted;
    base::ensure(content_used(inode) <= inode.content_capacity(), "accepted content is within the payload");
    eat(content_of(inode).first(content_used(inode)));
    walk_xattrs(inline_xattrs_of(inode));
    if (inode.content == Content::directory) walk_entries(content_of(inode).first(inode.content_bytes));
    if (!is_tree(inode.content)) return;
    for (std::uint16_t i = 0; i < root_of(inode).count; ++i) eaten += root_records_of(inode)[i].value;
}

void walk_tree_node(const TreeNode& node) {
    for (const auto kind : {TreeKind::extents, TreeKind::directory}) {
        if (fault_in(node, kind, device_blocks) != nullptr) continue;
        ++accepted;
        for (std::uint16_t i = 0; i < node.node.count; ++i) {
            const auto& record = node.records[i];
            base::ensure(record.value + record.count <= device_blocks, "accepted records are within the device");
        }
    }
}

void walk_superblock(const Superblock& superblock) {
    if (fault_in(superblock, device_blocks) != nullptr) return;
    ++accepted;
    const auto geometry = superblock.geometry();
    for (std::uint64_t group = 0; group < geometry.group_count(); ++group) {
        const auto last = geometry.maps_in_group(group) - 1;
        const auto end = geometry.first_of_map(group, last) + geometry.blocks_in_map(group, last);
        base::ensure(end <= superblock.block_count, "maps are within the filesystem");
    }
}

void decode(const Block& block) {
    eaten += static_cast<unsigned>(check(block.bytes, 7));
    walk_superblock(block.as<Superblock>());
    walk_inode(block.as<Inode>());
    walk_tree_node(block.as<TreeNode>());
    eaten += fault_in(block.as<SlotMap>(), 2) == nullptr ? 1 : 0;
    eaten += fault_in(block.as<AllocationMap>(), Geometry{device_blocks, 2}) == nullptr ? 1 : 0;
    eaten += fault_in(block.as<JournalHeader>(), 1, 1024) == nullptr ? 1 : 0;
    eaten += fault_in(block.as<JournalDescriptor>(), 1023, device_blocks) == nullptr ? 1 : 0;
    const auto& leaf = block.as<DirectoryLeaf>();
    if (fault_in(leaf) == nullptr) walk_entries(base::ByteView(leaf.entries).first(leaf.used));
    const auto& xattrs = block.as<XattrBlock>();
    if (fault_in(xattrs) == nullptr) walk_xattrs(base::ByteView(xattrs.entries).first(xattrs.used));
    walk_entries(block.bytes);
    walk_xattrs(block.bytes);
}

constexpr BlockType types[] = {
    BlockType::superblock,     BlockType::slot_map,          BlockType::allocation_map, BlockType::inode,
    BlockType::tree_node,      BlockType::extent_leaf,       BlockType::directory_leaf, BlockType::xattr,
    BlockType::journal_header, BlockType::journal_descriptor};

// Small numbers are more often taken for valid than large ones.
std::byte random_byte(std::mt19937_64& random) {
    const auto kind = random() % 4;
    if (kind < 2) return std::byte{0};
    return static_cast<std::byte>(kind == 2 ? random() % 8 : random());
}

void make_inode(Inode& inode, std::mt19937_64& random) {
    constexpr std::uint32_t modes[] = {mode_regular, mode_directory, mode_symlink, mode_fifo};
    inode.header.owner = inode.header.number;
    inode.mode = modes[random() % 4] | 0644;
    inode.flags = 0;
    inode.content = static_cast<Content>(random() % 6);
    inode.content_bytes = inode.content == Content::directory ? static_cast<std::uint16_t>(random() % 500 * 8) : 0;
    inode.size = random() % 5000;
    inode.xattr_block = 0;
    inode.xattr_bytes = static_cast<std::uint32_t>(random() % 300 * 8);
    if (!is_tree(inode.content)) return;
    root_of(inode) = {static_cast<std::uint16_t>(random() % 3), static_cast<std::uint16_t>(random() % 200), 0, 0};
    for (std::size_t i = 0; i < 100; ++i) {
        root_records_of(inode)[i] = {i * 10, 1 + random() % device_blocks, static_cast<std::uint32_t>(random() % 12),
                                     0};
    }
}

void make_entries(base::MutableByteView to, std::mt19937_64& random) {
    std::uint64_t cookie = 8;
    for (std::size_t at = 0; at + entry_length(20) <= to.size(); at += entry_length(20)) {
        write_entry(to.subspan(at), random() % device_blocks, cookie += random() % 100, 8, "twenty bytes of name");
    }
    for (int i = 0; i < 3; ++i) to[random() % to.size()] = random_byte(random);
}

void one_round(Block& block, std::mt19937_64& random) {
    for (auto& byte : block.bytes) byte = random_byte(random);
    auto& header = block.as<BlockHeader>();
    header.magic = types[random() % std::size(types)];
    header.version = 1;
    header.number = 7;
    if (header.magic == BlockType::inode) make_inode(block.as<Inode>(), random);
    if (header.magic == BlockType::directory_leaf) {
        make_entries(block.as<DirectoryLeaf>().entries, random);
        block.as<DirectoryLeaf>().used = static_cast<std::uint16_t>(random() % 520 * 8);
    }
    if (random() % 2 == 0) seal(block.bytes, 1);
    decode(block);
}

}  // namespace

int main(int argc, char** argv) {
    const auto rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 50000;
    std::mt19937_64 random(1);
    const auto block = std::make_unique<Block>();
    for (std::uint64_t round = 0; round < rounds; ++round) one_round(*block, random);
    std::printf("%llu rounds, %llu structures accepted\n", static_cast<unsigned long long>(rounds),
                static_cast<unsigned long long>(accepted));
    return accepted > 0 && eaten > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
