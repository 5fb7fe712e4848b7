#include "blockrep/core/bitmap.hh"

#include <algorithm>
#include <bit>

namespace blockrep {
namespace {

constexpr std::uint64_t words_per_page = bits_per_page / 64;

// Bits [from, to) of a word, 0 <= from < to <= 64.
std::uint64_t mask(std::uint64_t from, std::uint64_t to) {
    const auto upper = to == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << to) - 1;
    return upper & ~((std::uint64_t{1} << from) - 1);
}

}  // namespace

Bitmap::Bitmap(const Geometry& geometry, std::vector<std::uint64_t> words, const base::Uuid& device)
    : words_(std::move(words)), bits_(geometry.bitmap_bits), pages_(geometry.bitmap_pages), device_(device) {
    words_.resize(pages_ * words_per_page);
    const auto full = bits_ / 64;
    if (bits_ % 64 != 0) words_[full] &= mask(0, bits_ % 64);
    for (auto i = full + (bits_ % 64 != 0 ? 1 : 0); i < words_.size(); ++i) words_[i] = 0;
    for (const auto word : words_) count_ += static_cast<std::uint64_t>(std::popcount(word));
}

Bitmap::Blocks Bitmap::touched(const Range& range) const {
    return {std::min(range.offset / bitmap_block, bits_),
            std::min((range.end() + bitmap_block - 1) / bitmap_block, bits_)};
}

void Bitmap::assign(Blocks blocks, bool value) {
    for (auto bit = blocks.first; bit < blocks.last;) {
        const auto word = bit / 64;
        const auto end = std::min(blocks.last, (word + 1) * 64);
        const auto part = mask(bit % 64, end - word * 64);
        const auto before = words_[word];
        words_[word] = value ? before | part : before & ~part;
        count_ += static_cast<std::uint64_t>(std::popcount(words_[word]));
        count_ -= static_cast<std::uint64_t>(std::popcount(before));
        if (words_[word] != before) stale_.insert(bit / bits_per_page);
        bit = end;
    }
}

void Bitmap::make_stale(Blocks blocks) {
    if (blocks.first >= blocks.last) return;
    for (auto page = blocks.first / bits_per_page; page <= (blocks.last - 1) / bits_per_page; ++page) {
        stale_.insert(page);
    }
}

void Bitmap::set(const Range& range) { assign(touched(range), true); }
void Bitmap::set_all() { assign({0, bits_}, true); }
void Bitmap::clear_all() { assign({0, bits_}, false); }

void Bitmap::clear(const Range& range) {
    const Blocks inside{(range.offset + bitmap_block - 1) / bitmap_block, std::min(range.end() / bitmap_block, bits_)};
    if (inside.first < inside.last) assign(inside, false);
}

std::optional<Range> Bitmap::next_dirty(std::uint64_t from, std::uint64_t limit) const {
    auto bit = (from + bitmap_block - 1) / bitmap_block;
    for (; bit < bits_; ++bit) {
        const auto rest = words_[bit / 64] >> (bit % 64);
        if (rest == 0) {
            bit = bit / 64 * 64 + 63;
            continue;
        }
        bit += static_cast<std::uint64_t>(std::countr_zero(rest));
        break;
    }
    if (bit >= bits_) return std::nullopt;
    auto end = bit;
    const auto most = std::min(bits_, bit + std::max<std::uint64_t>(1, limit / bitmap_block));
    while (end < most && ((words_[end / 64] >> (end % 64)) & 1) != 0) ++end;
    return Range{bit * bitmap_block, (end - bit) * bitmap_block};
}

void Bitmap::note_unproven(const Range& range, std::uint64_t epoch) { unproven_.push_back({epoch, range}); }

void Bitmap::prove(std::uint64_t epoch) {
    while (!unproven_.empty() && unproven_.front().epoch <= epoch) {
        // An image on disk may have held these bits as a precaution.
        make_stale(touched(unproven_.front().range));
        unproven_.pop_front();
    }
}

void Bitmap::mark_unproven() {
    for (const auto& entry : unproven_) set(entry.range);
    unproven_.clear();
}

std::set<std::uint64_t> Bitmap::pages_to_write() const {
    auto pages = stale_;
    for (const auto& entry : unproven_) {
        const auto blocks = touched(entry.range);
        if (blocks.first >= blocks.last) continue;
        for (auto page = blocks.first / bits_per_page; page <= (blocks.last - 1) / bits_per_page; ++page) {
            pages.insert(page);
        }
    }
    return pages;
}

std::vector<std::uint64_t> Bitmap::pages_to_write(const Range& range) const {
    const auto blocks = touched(range);
    std::vector<std::uint64_t> pages;
    if (blocks.first >= blocks.last) return pages;
    for (auto page = blocks.first / bits_per_page; page <= (blocks.last - 1) / bits_per_page; ++page) {
        const auto covers = [&](const Unproven& entry) {
            const auto theirs = touched(entry.range);
            return theirs.first < (page + 1) * bits_per_page && page * bits_per_page < theirs.last;
        };
        if (stale_.contains(page) || std::any_of(unproven_.begin(), unproven_.end(), covers)) pages.push_back(page);
    }
    return pages;
}

base::Bytes Bitmap::page_image(std::uint64_t page) {
    std::vector<std::uint64_t> words(words_.begin() + static_cast<std::ptrdiff_t>(page * words_per_page),
                                     words_.begin() + static_cast<std::ptrdiff_t>((page + 1) * words_per_page));
    stale_.erase(page);
    for (const auto& entry : unproven_) {
        const auto blocks = touched(entry.range);
        const auto first = std::max(blocks.first, page * bits_per_page);
        const auto last = std::min(blocks.last, (page + 1) * bits_per_page);
        for (auto bit = first; bit < last; ++bit) {
            const auto local = bit - page * bits_per_page;
            words[local / 64] |= std::uint64_t{1} << (local % 64);
        }
    }
    base::Bytes image(metadata_block);
    std::memcpy(image.data(), words.data(), words.size() * 8);
    seal_bitmap_page(image, page, device_);
    return image;
}

}  // namespace blockrep
