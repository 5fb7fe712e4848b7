// Operations that pin a lock which another node asks for, and what the kernel keeps of what they read.
#include <gtest/gtest.h>

#include <optional>

#include "tests/unit/clusterfs_core/rig.hh"

namespace clusterfs::test {
namespace {

struct PinsTest : testing::Test {
    std::unique_ptr<MemoryDevice> device = formatted_device();
    Rig rig{*device};
    LockName name;
    int begun = 0;

    void SetUp() override {
        rig.start();
        name = inode_lock(rig.mount().superblock().root_inode);
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
    // What it leads to is carried out: a lock that is asked for again is granted.
    void unpin() {
        Actions actions;
        rig.mount().unpin(name, base::Instant{} + base::Duration::milliseconds(6), {}, actions);
        for (const auto& action : actions) {
            rig.log.push_back(action);
            if (std::holds_alternative<RequestLock>(action)) rig.tell(LockGranted{name, LockMode::shared});
        }
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
    unpin();
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
    unpin();
    EXPECT_TRUE(released());
}

}  // namespace
}  // namespace clusterfs::test
