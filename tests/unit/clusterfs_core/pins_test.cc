// Operations that pin a lock which another node asks for, and what the kernel keeps of what they read.
#include <gtest/gtest.h>

#include <optional>

#include "clusterfs/core/operations/names.hh"
#include "tests/unit/clusterfs_core/rig.hh"

namespace clusterfs::test {
namespace {

struct PinsTest : testing::Test {
    std::unique_ptr<MemoryDevice> device = formatted_device();
    Rig rig{*device};
    LockName file;
    LockName directory;
    LockName name;
    int begun = 0;

    void SetUp() override {
        rig.start();
        const operations::InodeReference root{rig.mount().superblock().root_inode, 0};
        ASSERT_TRUE(rig.run([&](View& view) -> base::Result<void> {
            BASE_ASSIGN(const auto made, operations::create(view, root, "f", {mode_regular | 0644U, 0, {}}));
            file = inode_lock(made.inode);
            return {};
        }));
        directory = inode_lock(root.number);
        name = file;
    }
    // As reads do it: counted, and said to stay in the kernel, when nothing can be missing any more.
    Mount::Operation read() {
        return [this](View& view) -> base::Result<void> {
            BASE_TRY(view.lock(name, LockMode::shared));
            BASE_TRY(view.pin(name, LockMode::shared));
            rig.mount().note_read_served(name.number);
            ++begun;
            return {};
        };
    }
    void another_node_asks() {
        rig.pass(base::Duration::milliseconds(6));
        rig.tell(LockWanted{name, LockMode::exclusive});
    }
    bool released() const {
        for (const auto& release : rig.actions<ReleaseLock>()) {
            if (release.name == name) return true;
        }
        return false;
    }
};

// An operation that counts what it has begun ran to its end a second time: one of the two never ended.
TEST_F(PinsTest, AnOperationThatWaitsToPinHasDoneNothingYet) {
    ASSERT_TRUE(rig.run(read()));
    another_node_asks();
    std::optional<base::Result<void>> late;
    rig.begin(read(), late);
    EXPECT_FALSE(late);
    EXPECT_EQ(begun, 1);
    rig.unpin(name);
    ASSERT_TRUE(late);
    EXPECT_TRUE(*late);
    EXPECT_EQ(begun, 2);
}

// The read began before another node asked and is answered after that: the kernel forgets, and only then, and when it
// was answered, the lock is given back.
TEST_F(PinsTest, TheKernelForgetsWhatIsOnItsWayToIt) {
    ASSERT_TRUE(rig.run(read()));
    rig.answer_invalidations = false;
    another_node_asks();
    ASSERT_EQ(rig.actions<InvalidateKernel>().size(), 1U);
    EXPECT_FALSE(released());
    rig.tell(KernelInvalidated{rig.actions<InvalidateKernel>()[0].ticket});
    EXPECT_FALSE(released());
    rig.unpin(name);
    EXPECT_TRUE(released());
}

// Nothing keeps the kernel from adding what is listed to its cache after it was told to forget.
TEST_F(PinsTest, AListingUnderWayIsForgottenAfterItWasAnswered) {
    name = directory;
    ASSERT_TRUE(rig.run(read()));
    another_node_asks();
    ASSERT_EQ(rig.actions<InvalidateKernel>().size(), 1U);
    EXPECT_FALSE(released());
    rig.answer_invalidations = false;
    rig.unpin(name);
    ASSERT_EQ(rig.actions<InvalidateKernel>().size(), 2U);
    EXPECT_FALSE(released());
    rig.tell(KernelInvalidated{rig.actions<InvalidateKernel>()[1].ticket});
    EXPECT_TRUE(released());
}

}  // namespace
}  // namespace clusterfs::test
