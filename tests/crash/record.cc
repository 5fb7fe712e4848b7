#include "tests/crash/record.hh"

#include <algorithm>
#include <cstring>

#include "tests/sim/common/random.hh"

namespace crash {

using clusterfs::Block;
using clusterfs::BlockHandle;
using clusterfs::BlockNumber;

namespace {

constexpr std::size_t sector_size = 512;
constexpr std::size_t most_for_all_choices = 8;
constexpr std::size_t sampled_choices = 12;
constexpr std::size_t most_missing_blocks = 8;

}  // namespace

void Record::write_begun(std::uint64_t request, BlockNumber first, const std::vector<BlockHandle>& blocks,
                         bool stable) {
    std::vector<BlockHandle> copies;
    for (const auto& block : blocks) copies.push_back(std::make_shared<Block>(*block));
    events_.push_back({Kind::write_begun, request, first, std::move(copies), stable, {}});
    ++writes_;
}

void Record::write_ended(std::uint64_t request) { events_.push_back({Kind::write_ended, request, 0, {}, false, {}}); }

void Record::flush_ended(std::uint64_t finished) {
    events_.push_back({Kind::flush_ended, finished, 0, {}, false, {}});
    ++flushes_;
}

void Record::note(Known known) { events_.push_back({Kind::note, 0, 0, {}, false, known}); }

// Goes through the record once: what is stable, what is of the epoch, and the states at each boundary.
class Record::States {
  public:
    States(const sim::Device& base, std::uint64_t part, std::uint64_t parts, const Check& check)
        : stable_(&base), part_(part), parts_(parts), check_(check) {}

    void take(const Event& event) {
        switch (event.kind) {
            case Kind::write_begun:
                epoch_.push_back({&event, 0, std::vector<bool>(event.blocks.size())});
                return boundary();
            case Kind::write_ended:
                return end_write(event.number);
            case Kind::flush_ended:
                return end_flush(event.number);
            case Kind::note:
                const bool promise = event.known.promised != known_.promised;
                known_ = event.known;
                if (promise) after_promise();
                return;
        }
    }
    std::uint64_t count() const { return count_; }

  private:
    using Choice = std::vector<bool>;  // of the epoch's writes, in order

    // A write that was promised to be stable, or covered by a flush: what it replaces can no more show.
    void make_stable(const Event& write) {
        for (std::size_t i = 0; i < write.blocks.size(); ++i) write_block(stable_, write.first + i, *write.blocks[i]);
    }

    static void write_block(sim::Device& image, BlockNumber number, const Block& block) {
        if (!image.write(number, {&block, 1})) throw std::logic_error("a write outside the device");
    }

    void end_write(std::uint64_t request) {
        const auto found = std::find_if(epoch_.begin(), epoch_.end(),
                                        [&](const Pending& one) { return one.write->number == request; });
        found->ended = ++ended_;
        if (!found->write->stable) return;
        const auto* write = found->write;
        epoch_.erase(found);
        make_stable(*write);
        for (auto& older : epoch_) {
            if (older.ended != 0) replace(older, *write);
        }
    }

    static void replace(Pending& older, const Event& newer) {
        for (std::size_t i = 0; i < older.replaced.size(); ++i) {
            const auto number = older.write->first + i;
            if (number >= newer.first && number < newer.first + newer.blocks.size()) older.replaced[i] = true;
        }
    }

    void end_flush(std::uint64_t finished) {
        std::vector<Pending> covered;
        for (const auto& one : epoch_) {
            if (one.ended != 0 && one.ended <= finished) covered.push_back(one);
        }
        std::sort(covered.begin(), covered.end(), [](const auto& a, const auto& b) { return a.ended < b.ended; });
        for (const auto& one : covered) make_stable(*one.write);
        std::erase_if(epoch_, [&](const Pending& one) { return one.ended != 0 && one.ended <= finished; });
    }

    // The newest write is new here; without it, it is a state of the boundary before.
    void boundary() {
        const auto others = epoch_.size() - 1;
        for (auto choice : choices(others)) {
            choice.push_back(true);
            state(choice, {});
        }
        Choice all(epoch_.size(), true);
        Choice alone(epoch_.size(), false);
        alone.back() = true;
        for (const auto& mask : tears(epoch_.back().write->blocks.size())) {
            state(all, mask);
            if (others != 0) state(alone, mask);
        }
    }

    void after_promise() {
        for (const auto& choice : choices(epoch_.size())) state(choice, {});
    }

    std::vector<Choice> choices(std::size_t count) {
        std::vector<Choice> all;
        if (count <= most_for_all_choices) {
            for (std::size_t bits = 0; bits < std::size_t{1} << count; ++bits) {
                Choice choice(count);
                for (std::size_t i = 0; i < count; ++i) choice[i] = (bits >> i & 1) != 0;
                all.push_back(std::move(choice));
            }
            return all;
        }
        all.emplace_back(count, false);
        all.emplace_back(count, true);
        for (std::size_t i = 0; i < most_for_all_choices; ++i) {
            all.emplace_back(count, true).at(count - 1 - i) = false;
        }
        for (std::size_t i = 0; i < sampled_choices; ++i) {
            auto& choice = all.emplace_back(count);
            for (std::size_t bit = 0; bit < count; ++bit) choice[bit] = random_.one_in(2);
        }
        return all;
    }

    // Which sectors of the newest write arrived.
    std::vector<std::vector<bool>> tears(std::size_t blocks) {
        const auto sectors = blocks * (clusterfs::block_size / sector_size);
        std::vector<std::vector<bool>> all;
        for (const auto arrived : {std::size_t{1}, sectors / 2, sectors - 1}) {
            all.emplace_back(sectors, false);
            std::fill_n(all.back().begin(), arrived, true);
        }
        auto& mask = all.emplace_back(sectors);
        for (std::size_t i = 0; i < sectors; ++i) mask[i] = random_.one_in(2);
        const auto per_block = sectors / blocks;
        for (std::size_t block = 0; blocks > 1 && block < std::min(blocks, most_missing_blocks); ++block) {
            auto& missing = all.emplace_back(sectors, true);
            std::fill_n(missing.begin() + static_cast<std::ptrdiff_t>(block * per_block), per_block, false);
        }
        return all;
    }

    void state(const Choice& choice, const std::vector<bool>& tear) {
        const auto number = count_++;
        if (number % parts_ != part_) return;
        sim::Device image(&stable_);
        for (std::size_t i = 0; i < choice.size(); ++i) {
            if (!choice[i]) continue;
            const bool newest = i + 1 == choice.size();
            apply(image, epoch_[i], newest ? tear : std::vector<bool>{});
        }
        check_(number, image, known_);
    }

    static void apply(sim::Device& image, const Pending& pending, const std::vector<bool>& arrived) {
        const auto& write = *pending.write;
        constexpr auto per_block = clusterfs::block_size / sector_size;
        for (std::size_t i = 0; i < write.blocks.size(); ++i) {
            if (pending.replaced[i]) continue;
            auto block = arrived.empty() ? *write.blocks[i] : image.current(write.first + i);
            for (std::size_t sector = 0; sector < per_block && !arrived.empty(); ++sector) {
                if (!arrived[i * per_block + sector]) continue;
                std::memcpy(block.bytes.data() + sector * sector_size,
                            write.blocks[i]->bytes.data() + sector * sector_size, sector_size);
            }
            write_block(image, write.first + i, block);
        }
    }

    sim::Device stable_;
    std::uint64_t part_;
    std::uint64_t parts_;
    const Check& check_;
    sim::Random random_{1};
    std::vector<Pending> epoch_;
    std::uint64_t ended_ = 0;
    std::uint64_t count_ = 0;
    Known known_;
};

std::uint64_t Record::for_each_state(const sim::Device& base, std::uint64_t part, std::uint64_t parts,
                                     const Check& check) const {
    States states(base, part, parts, check);
    for (const auto& event : events_) states.take(event);
    return states.count();
}

}  // namespace crash
