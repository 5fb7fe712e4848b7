// What frees blocks waits until no read is on its way to them, also where somebody reads all the time.
#include <gtest/gtest.h>

#include "clusterfs/driver/file_read.hh"
#include "clusterfs/driver/file_resize.hh"
#include "tests/unit/clusterfs_driver/rig.hh"

namespace clusterfs::test {
namespace {

using Flag = std::atomic<bool>;

struct SteadyReadsTest : testing::Test {
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
    void begin_punch(Flag& done) {
        punch_hole_in_file(rig.filesystem(), rig.open_inode(file), file, 0, 2 * block_size, [&](const auto& outcome) {
            EXPECT_TRUE(outcome);
            done = true;
        });
    }
    static bool comes(const Flag& flag) {
        return Rig::comes_true([&] { return flag.load(); });
    }
    std::string punched() const { return std::string(2 * block_size, '\0') + model.substr(2 * block_size); }
};

TEST_F(SteadyReadsTest, AHoleIsNotKeptWaitingByReadsThatComeLater) {
    std::string before, after;
    Flag first = false, second = false, hole = false;
    rig.device().freeze_reads();
    begin_read(before, first);
    ASSERT_TRUE(Rig::comes_true([&] { return rig.device().held_reads() == 1; }));
    begin_punch(hole);
    Flag nothing = false;
    ASSERT_TRUE(Rig::comes_true([&] { return rig.open_inode(file)->keep_back([&] { nothing = true; }); }));
    begin_read(after, second);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_EQ(rig.device().held_reads(), 1U);
    EXPECT_FALSE(hole);
    rig.device().thaw_reads();
    ASSERT_TRUE(comes(first) && comes(hole) && comes(second) && comes(nothing));
    EXPECT_EQ(before, model);
    EXPECT_EQ(after, punched());
}

// They may keep pages that an invalidation waits for.
TEST_F(SteadyReadsTest, ReadsThroughTheCacheAreNotKeptBack) {
    std::string before, cached;
    Flag first = false, second = false, hole = false;
    rig.device().freeze_reads();
    begin_read(before, first);
    ASSERT_TRUE(Rig::comes_true([&] { return rig.device().held_reads() == 1; }));
    begin_punch(hole);
    ASSERT_TRUE(Rig::comes_true([&] { return rig.open_inode(file)->keep_back([] {}); }));
    begin_read(cached, second, true);
    EXPECT_TRUE(Rig::comes_true([&] { return rig.device().held_reads() == 2; }));
    rig.device().thaw_reads();
    ASSERT_TRUE(comes(first) && comes(second) && comes(hole));
    EXPECT_EQ(cached, model);
}

}  // namespace
}  // namespace clusterfs::test
