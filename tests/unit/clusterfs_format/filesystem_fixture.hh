// A freshly formatted filesystem in memory, and short ways to run operations on it.
#pragma once

#include <gtest/gtest.h>

#include "clusterfs/core/format_filesystem.hh"
#include "clusterfs/core/inode.hh"
#include "tests/unit/clusterfs_format/memory_device.hh"

namespace clusterfs::test {

class FilesystemTest : public ::testing::Test {
  protected:
    explicit FilesystemTest(std::uint64_t blocks = 40000) : device_(blocks) {}

    static FormatOptions options() {
        FormatOptions wanted;
        wanted.uuid.bytes.fill(std::byte{0x5a});
        wanted.directory_hash_seed = 17;
        wanted.label = "test";
        wanted.journal_blocks = smallest_journal_blocks;
        wanted.now = {1'000'000'000};
        return wanted;
    }
    static constexpr std::uint32_t smallest_journal_blocks = 1024;

    void SetUp() override {
        auto made = format_filesystem(device_, options());
        ASSERT_TRUE(made) << made.error().message();
        whole_ = std::make_unique<WholeDevice>(device_, *made);
    }

    base::Result<void> run(const WholeDevice::Operation& operation) { return whole_->run(operation, {++now_}); }
    void must(const WholeDevice::Operation& operation) {
        auto outcome = run(operation);
        ASSERT_TRUE(outcome) << outcome.error().message();
    }

    InodeNumber new_file(std::uint32_t mode = mode_regular | 0644) {
        InodeNumber number = 0;
        must([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(number, allocate_inode(view, whole_->superblock().root_inode));
            NewInode attributes;
            attributes.mode = mode;
            BASE_TRY(create_inode(view, number, attributes));
            return {};
        });
        return number;
    }

    MemoryDevice device_;
    std::unique_ptr<WholeDevice> whole_;
    std::int64_t now_ = 2'000'000'000;
};

}  // namespace clusterfs::test
