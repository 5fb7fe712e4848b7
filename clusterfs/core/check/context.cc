#include "clusterfs/core/check/context.hh"

namespace clusterfs::checking {

bool tell(const CheckOptions& options, CheckReport& report, Problem problem, const std::string& detail) {
    const auto& row = row_of(problem);
    const bool is_note = row.severity == Severity::note;
    ++(is_note ? report.notes : report.found);
    const bool wanted = options.decide && options.decide(row, detail);
    // What seems to be nobody's may be part of what was not to be repaired.
    const bool in_doubt = problem == Problem::free_marked_used && report.left() > 1;
    const bool repair = wanted && !options.read_only && !in_doubt && row.severity != Severity::hopeless;
    if (repair && !is_note) ++report.repaired;
    return repair;
}

Context::Context(SynchronousDevice& device, const Superblock& superblock, const CheckOptions& options)
    : options_(options), whole_(device, superblock), claimed_(superblock.block_count, false) {
    claim_systems();
}

bool Context::found(Problem problem, const std::string& detail) { return tell(options_, report_, problem, detail); }

Loaded Context::load(BlockNumber number) {
    Loaded loaded;
    if (number == 0 || number >= superblock().block_count) return loaded;
    if (auto cached = whole_.cached_block(number)) {
        loaded.block = std::make_shared<Block>(*cached);
        loaded.fault = BlockFault::none;
        return loaded;
    }
    auto block = std::make_shared<Block>();
    if (!whole_.device().read(number, {block.get(), 1})) return loaded;
    loaded.fault = clusterfs::check(block->bytes, number, superblock().uuid());
    if (loaded.fault == BlockFault::none) whole_.saw_sequence(block->as<BlockHeader>().sequence);
    loaded.block = std::move(block);
    return loaded;
}

BlockHeader Context::header_for(BlockType type, BlockNumber number, InodeNumber owner) const {
    BlockHeader header;
    header.magic = type;
    header.version = 1;
    header.filesystem = superblock().header.filesystem;
    header.number = number;
    header.owner = owner;
    return header;
}

bool Context::claim(BlockNumber number) {
    if (number == 0 || number >= claimed_.size() || claimed_[number]) return false;
    claimed_[number] = true;
    return true;
}

bool Context::is_systems(BlockNumber number) const {
    if (number >= superblock().block_count || superblock().geometry().is_fixed(number)) return true;
    for (std::uint32_t slot = 0; slot < superblock().slot_count; ++slot) {
        const auto& layout = superblock().slots[slot];
        if (number >= layout.journal_first && number - layout.journal_first < layout.journal_blocks) return true;
    }
    return false;
}

void Context::claim_systems() {
    const auto geometry = superblock().geometry();
    for (std::uint64_t group = 0; group < geometry.group_count(); ++group) {
        const auto first = geometry.first_of_group(group);
        const auto fixed = group_reserved_blocks + geometry.maps_in_group(group);
        for (auto number = first; number < first + fixed; ++number) claimed_[number] = true;
    }
    claimed_[geometry.block_count - 1] = true;
    for (std::uint32_t slot = 0; slot < superblock().slot_count; ++slot) {
        const auto& layout = superblock().slots[slot];
        for (std::uint32_t i = 0; i < layout.journal_blocks; ++i) claimed_[layout.journal_first + i] = true;
    }
}

}  // namespace clusterfs::checking
