// A device whose writes stay in memory: what a check may look at as if it had repaired.
#pragma once

#include <map>
#include <memory>

#include "clusterfs/core/whole_device.hh"

namespace clusterfs::checking {

class OverlayDevice : public SynchronousDevice {
  public:
    explicit OverlayDevice(SynchronousDevice& below) : below_(below) {}

    std::uint64_t block_count() const override { return below_.block_count(); }
    base::Result<void> read(BlockNumber first, std::span<Block> into) override {
        BASE_TRY(below_.read(first, into));
        const auto end = written_.lower_bound(first + into.size());
        for (auto next = written_.lower_bound(first); next != end; ++next) into[next->first - first] = *next->second;
        return {};
    }
    base::Result<void> write(BlockNumber first, std::span<const Block> from) override {
        for (std::size_t i = 0; i < from.size(); ++i) {
            written_.insert_or_assign(first + i, std::make_unique<Block>(from[i]));
        }
        return {};
    }
    base::Result<void> flush() override { return {}; }

  private:
    SynchronousDevice& below_;
    std::map<BlockNumber, std::unique_ptr<Block>> written_;
};

}  // namespace clusterfs::checking
