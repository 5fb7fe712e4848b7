#include <algorithm>
#include <set>

#include "clusterfs/core/check/inode_check.hh"
#include "clusterfs/core/check/tree_check.hh"
#include "clusterfs/format/directory_entry.hh"

namespace clusterfs::checking {
namespace {

class DirectoryCheck {
  public:
    DirectoryCheck(Context& context, InodeNumber number, const JudgeEntry& judge)
        : context_(context), number_(number), judge_(judge), loaded_(context.load(number)) {}

    void run() {
        if (loaded_.block == nullptr) return;
        collect();
        judge_entries();
        if (rebuild_) return empty_for_rebuild();
        correct_counts();
    }

  private:
    std::string text() const { return "directory " + std::to_string(number_); }
    const Inode& inode() const { return loaded_.block->as<Inode>(); }

    void damage(const std::string& how) {
        if (std::exchange(told_damage_, true)) return;
        rebuild_ |= context_.found(Problem::directory_damaged, text() + ": " + how);
    }

    void read_entries(base::ByteView used, std::uint64_t low, std::uint64_t high) {
        EntryReader reader(used);
        for (EntryView entry; reader.next(entry);) {
            if (entry.cookie < low || entry.cookie >= high) damage("an entry lies in the wrong leaf");
            entries_.push_back({std::string(entry.name), entry.inode, entry.cookie, entry.type});
        }
        if (!reader.ok()) damage("entries are damaged");
    }

    void collect() {
        if (inode().content == Content::directory) {
            return read_entries(content_of(inode()).first(inode().content_bytes), 0, max_cookie + 1);
        }
        const auto tree = collect_tree(context_, inode());
        if (tree.damaged) damage(tree.how);
        owned_ = tree.nodes;
        for (std::size_t i = 0; i < tree.records.size(); ++i) {
            const auto high = i + 1 < tree.records.size() ? tree.records[i + 1].key : max_cookie + 1;
            read_leaf(tree.records[i], high);
        }
        if (tree.records.empty()) damage("it has no leaf");
        if (!tree.records.empty() && tree.records[0].key != 0) damage("its first leaf does not begin at 0");
    }

    void read_leaf(const TreeRecord& record, std::uint64_t high) {
        const auto at = "leaf in block " + std::to_string(record.value) + ": ";
        const auto loaded = context_.load(record.value);
        if (loaded.block == nullptr) return damage(at + "it cannot be read");
        if (!loaded.sound()) return damage(at + text_of(loaded.fault));
        const auto& leaf = loaded.block->as<DirectoryLeaf>();
        const auto* fault = fault_in(leaf);
        if (fault == nullptr && leaf.header.owner != number_) fault = "it belongs to another inode";
        if (fault != nullptr) return damage(at + fault);
        if (!context_.claim(record.value)) return damage(at + "it belongs to something else too");
        owned_.push_back(record.value);
        if (leaf.first_cookie != record.key) damage(at + "its first cookie is wrong");
        const auto before = entries_.size();
        read_entries(base::ByteView(leaf.entries).first(leaf.used), record.key, high);
        if (leaf.count != entries_.size() - before) damage(at + "it counts its entries wrongly");
    }

    bool is_misplaced(const CheckedEntry& entry) const {
        return entry.cookie - cookie_base(entry.name, context_.superblock().directory_hash_seed) >= max_collisions;
    }

    void judge_entries() {
        // Equal names have equal hashes and lie together, unless they lie where they do not belong.
        const bool in_order = std::ranges::none_of(entries_, [&](const auto& entry) { return is_misplaced(entry); });
        const auto seed = context_.superblock().directory_hash_seed;
        std::set<std::string_view> names;
        std::uint64_t last_base = 0;
        std::vector<CheckedEntry> kept;
        kept.reserve(entries_.size());
        for (auto& entry : entries_) {
            const auto detail = text() + ", \"" + entry.name + "\"";
            if (is_misplaced(entry)) rebuild_ |= context_.found(Problem::entry_cookie, detail);
            const auto base = cookie_base(entry.name, seed);
            const bool other_hash = std::exchange(last_base, base) != base;
            if (in_order && other_hash) names.clear();
            if (!names.insert(entry.name).second && context_.found(Problem::entry_twice, detail)) {
                rebuild_ = true;
                continue;
            }
            const auto verdict = judge_(entry);
            rebuild_ |= verdict.changed || !verdict.keep;
            if (verdict.keep) kept.push_back(entry);
        }
        entries_ = std::move(kept);
    }

    void empty_for_rebuild() {
        for (const auto block : owned_) context_.unclaim(block);
        auto changed = Context::copy(loaded_);
        auto& emptied = changed->as<Inode>();
        emptied.content = Content::directory;
        emptied.content_bytes = 0;
        emptied.entries = 0;
        emptied.blocks = emptied.xattr_block != 0 ? 1 : 0;
        std::ranges::fill(content_of(emptied), std::byte{0});
        context_.put(std::move(changed));
        context_.deferred().directories.push_back({number_, std::move(entries_)});
    }

    void correct_counts() {
        if (told_damage_) return;
        auto changed = Context::copy(loaded_);
        auto& corrected = changed->as<Inode>();
        bool is_changed = false;
        if (corrected.entries != entries_.size() && context_.found(Problem::entry_count, text())) {
            corrected.entries = static_cast<std::uint32_t>(entries_.size());
            is_changed = true;
        }
        const auto blocks = owned_.size() + (corrected.xattr_block != 0 ? 1 : 0);
        if (corrected.blocks != blocks && context_.found(Problem::inode_block_count, text())) {
            corrected.blocks = blocks;
            is_changed = true;
        }
        if (is_changed) context_.put(std::move(changed));
    }

    Context& context_;
    InodeNumber number_;
    const JudgeEntry& judge_;
    Loaded loaded_;
    std::vector<CheckedEntry> entries_;
    std::vector<BlockNumber> owned_;  // tree nodes and leaves
    bool rebuild_ = false;
    bool told_damage_ = false;
};

}  // namespace

void check_directory(Context& context, InodeNumber number, const JudgeEntry& judge) {
    DirectoryCheck(context, number, judge).run();
}

}  // namespace clusterfs::checking
