// A device in memory for tests of structures on disk: sparse, can fail, can be copied.
#pragma once

#include <map>
#include <memory>

#include "clusterfs/core/whole_device.hh"

namespace clusterfs::test {

class MemoryDevice : public SynchronousDevice {
  public:
    explicit MemoryDevice(std::uint64_t blocks) : blocks_(blocks) {}

    std::uint64_t block_count() const override { return blocks_; }
    base::Result<void> read(BlockNumber first, std::span<Block> into) override {
        if (first + into.size() > blocks_) return base::failure(std::errc::io_error, "read outside");
        for (std::size_t i = 0; i < into.size(); ++i) {
            const auto found = content_.find(first + i);
            into[i] = found == content_.end() ? Block{} : found->second;
        }
        return {};
    }
    base::Result<void> write(BlockNumber first, std::span<const Block> from) override {
        if (first + from.size() > blocks_) return base::failure(std::errc::io_error, "write outside");
        for (std::size_t i = 0; i < from.size(); ++i) content_.insert_or_assign(first + i, from[i]);
        ++writes_;
        return {};
    }
    base::Result<void> flush() override { return {}; }

    bool has(BlockNumber number) const { return content_.contains(number); }
    Block& at(BlockNumber number) { return content_[number]; }
    std::uint64_t writes() const { return writes_; }

  private:
    std::uint64_t blocks_;
    std::map<BlockNumber, Block> content_;
    std::uint64_t writes_ = 0;
};

}  // namespace clusterfs::test
