// What frees blocks waits until no read is on its way to them, also where somebody reads all the time.
#include <gtest/gtest.h>

#include "clusterfs/driver/file_read.hh"
#include "clusterfs/driver/file_resize.hh"
#include "tests/unit/clusterfs_driver/rig.hh"

namespace clusterfs::test {
namespace {

using Flag = std::atomic<bool>;

struct SteadyReadsTest : testing::Test {
    // Before the rig: what is under way tells of its end here.
    std::string before, after;
    Flag first = false, second = false, hole = false;
    Rig rig;
    const std::string model = std::string(4 * block_size, 'a');
    operations::InodeReference file = rig.make_file("f", model);

    ~SteadyReadsTest() override { rig.device().thaw_reads(); }

    void begin_read(std::string& content, Flag& done, bool cached = false) {
        read_file(rig.filesystem(), rig.open_inode(file), file, 0, model.size(), cached,
                  [&](const base::Result<base::ByteView>& bytes) {
                      if (bytes) content = base::as_text(*bytes);
                      done = true;
                  });
    }
    // The device has the first read, and a hole in what it reads waits for its end.
    void begin_hole_behind_a_read() {
        rig.device().freeze_reads();
        begin_read(before, first);
        ASSERT_TRUE(Rig::comes_true([&] { return rig.device().held_reads() == 1; }));
        punch_hole_in_file(rig.filesystem(), rig.open_inode(file), file, 0, 2 * block_size, [&](const auto& outcome) {
            EXPECT_TRUE(outcome);
            hole = true;
        });
        ASSERT_TRUE(Rig::comes_true([&] { return rig.open_inode(file)->keep_back([] {}); }));
    }
    void expect_all_end() {
        rig.device().thaw_reads();
        EXPECT_TRUE(Rig::comes_true([&] { return first && second && hole; }));
        EXPECT_EQ(before, model);
    }
};

TEST_F(SteadyReadsTest, AHoleIsNotKeptWaitingByReadsThatComeLater) {
    begin_hole_behind_a_read();
    begin_read(after, second);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_EQ(rig.device().held_reads(), 1U);
    EXPECT_FALSE(hole);
    expect_all_end();
    EXPECT_EQ(after, std::string(2 * block_size, '\0') + model.substr(2 * block_size));
}

// They may keep pages that an invalidation waits for.
TEST_F(SteadyReadsTest, ReadsThroughTheCacheAreNotKeptBack) {
    begin_hole_behind_a_read();
    begin_read(after, second, true);
    EXPECT_TRUE(Rig::comes_true([&] { return rig.device().held_reads() == 2; }));
    expect_all_end();
    EXPECT_EQ(after, model);
}

}  // namespace
}  // namespace clusterfs::test
