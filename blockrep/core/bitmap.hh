// What the peer lacks: one bit for 4 KiB of data, and what it may yet lose ("unproven": acknowledged, not flushed
// there).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <vector>

#include "base/bytes.hh"
#include "base/uuid.hh"
#include "blockrep/format/metadata.hh"
#include "blockrep/format/range.hh"

namespace blockrep {

class Bitmap {
  public:
    Bitmap() = default;
    // `words` as read_metadata gives them; bits behind the last one of the geometry are dropped.
    Bitmap(const Geometry& geometry, std::vector<std::uint64_t> words, const base::Uuid& device);

    std::uint64_t bits() const { return bits_; }
    std::uint64_t count() const { return count_; }  // bits that are set
    void set(const Range& range);  // every block that the range touches; whatever lies behind the end is ignored
    void set_all();
    void clear_all();
    // Blocks that lie wholly inside. The image on disk keeps them until prove().
    void clear(const Range& range);
    // The next run of set bits at or after `from` (bytes), at most `limit` bytes long; nothing at the end.
    std::optional<Range> next_dirty(std::uint64_t from, std::uint64_t limit) const;

    // The peer has acknowledged this range but not flushed it; `epoch` counts the flushes sent so far.
    void note_unproven(const Range& range, std::uint64_t epoch);
    // A flush sent at the end of `epoch` was answered: what was noted up to it is safe on the peer.
    void prove(std::uint64_t epoch);
    std::size_t unproven() const { return unproven_.size(); }
    // The peer is lost: all that is unproven is dirty.
    void mark_unproven();

    // Pages whose image on disk is not what page_image() gives.
    std::set<std::uint64_t> pages_to_write() const;
    // Those of them that hold bits of this range; noted as written by page_image().
    std::vector<std::uint64_t> pages_to_write(const Range& range) const;
    // Sealed, unproven ranges included. The page counts as written (again stale if it was more than the truth).
    base::Bytes page_image(std::uint64_t page);

  private:
    struct Unproven {
        std::uint64_t epoch;
        Range range;
    };
    struct Blocks {  // [first, last)
        std::uint64_t first, last;
    };
    Blocks touched(const Range& range) const;
    void assign(Blocks blocks, bool value);
    void make_stale(Blocks blocks);

    std::vector<std::uint64_t> words_;
    std::uint64_t bits_ = 0;
    std::uint64_t count_ = 0;
    std::uint64_t pages_ = 0;
    base::Uuid device_;
    std::set<std::uint64_t> stale_;
    std::deque<Unproven> unproven_;
};

}  // namespace blockrep
