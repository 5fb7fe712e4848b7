// What is known about inodes that are open, without asking anybody.
#include <gtest/gtest.h>

#include <optional>

#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/core/operations/remove.hh"
#include "tests/unit/clusterfs_core/rig.hh"

namespace clusterfs::test {
namespace {

struct OpenLocks : testing::Test {
    std::unique_ptr<MemoryDevice> device = formatted_device();
    Rig rig{*device};
    operations::InodeReference root;
    InodeNumber inode = 0;

    void SetUp() override {
        rig.start();
        root = {rig.mount().superblock().root_inode, 0};
    }
    void make_open() {
        ASSERT_TRUE(rig.run([this](View& view) -> base::Result<void> {
            BASE_ASSIGN(const auto made, operations::create_and_open(view, root, "f", {0644, 0, {}}, true));
            inode = made.attributes.inode;
            return {};
        }));
    }
    void unlink() {
        ASSERT_TRUE(rig.run([this](View& view) -> base::Result<void> {
            BASE_TRY(operations::unlink(view, root, "f"));
            return {};
        }));
    }
    bool close() {
        Actions actions;
        return rig.mount().close(inode, base::Instant{} + base::Duration::seconds(1), {}, actions);
    }
    void another_node_takes(const LockName& name) {
        rig.pass(base::Duration::milliseconds(6));
        rig.tell(LockWanted{name, LockMode::exclusive});
    }
    bool asked_for(const LockName& name, LockMode mode) const {
        for (const auto& request : rig.actions<RequestLock>()) {
            if (request.name == name && request.mode == mode) return true;
        }
        return false;
    }
};

TEST_F(OpenLocks, ClosingWhatHasANameLeavesNothingToDo) {
    make_open();
    EXPECT_FALSE(close());
}

TEST_F(OpenLocks, WhoUnlinksHereIsFoundByTheLastOneThatCloses) {
    make_open();
    ASSERT_TRUE(rig.run([this](View& view) -> base::Result<void> {
        BASE_TRY(operations::open(view, {inode, 0}));
        return {};
    }));
    unlink();
    EXPECT_FALSE(close());
    EXPECT_TRUE(close());
}

// It was asked for the inode's lock at every last close, which another node may be writing under.
TEST_F(OpenLocks, ClosingLeavesTheInodeToTheNodeThatHasIt) {
    make_open();
    another_node_takes(inode_lock(inode));
    rig.log.clear();
    EXPECT_FALSE(close());
    EXPECT_TRUE(rig.actions<RequestLock>().empty());
}

TEST_F(OpenLocks, WhoUnlinksElsewhereSaysSo) {
    make_open();
    another_node_takes(inode_lock(inode));
    rig.tell(LockWanted{operations::open_lock(inode), LockMode::exclusive});
    EXPECT_TRUE(close());
}

// Whether somebody has it open was asked of the lock manager, though nobody else has ever had its lock.
TEST_F(OpenLocks, WhatWasMadeHereIsDeletedWithoutAsking) {
    make_open();
    EXPECT_FALSE(close());
    unlink();
    EXPECT_FALSE(asked_for(operations::open_lock(inode), LockMode::exclusive));
}

TEST_F(OpenLocks, WhatAnotherNodeHadMayBeOpenThere) {
    make_open();
    EXPECT_FALSE(close());
    another_node_takes(inode_lock(inode));
    unlink();
    EXPECT_TRUE(asked_for(operations::open_lock(inode), LockMode::exclusive));
}

}  // namespace
}  // namespace clusterfs::test
