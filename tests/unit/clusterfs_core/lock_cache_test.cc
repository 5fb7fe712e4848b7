// The lock cache against an owner that is as clean as the test says.
#include "clusterfs/core/lock_cache.hh"

#include <gtest/gtest.h>

#include <vector>

namespace clusterfs {
namespace {

const LockName name = inode_lock(7);

struct Owner : LockOwner {
    bool make_clean(const LockName&) override { return clean; }
    void forget(const LockName&) override {}
    void kept(const LockName&, LockMode mode) override { kept_modes.push_back(mode); }
    Ticket new_ticket() override { return ++ticket; }
    bool may_be_directory(InodeNumber) override { return false; }

    bool clean = true;
    Ticket ticket = 0;
    std::vector<LockMode> kept_modes;
};

struct LockCacheTest : testing::Test {
    Owner owner;
    LockCache locks{owner, base::Duration::milliseconds(0)};
    Actions actions;
    base::Instant now;

    void hold_exclusively() {
        ASSERT_TRUE(locks.want(name, LockMode::exclusive, now, actions));
        locks.on_granted(name, LockMode::exclusive, now, actions);
        actions.clear();
    }
    // Another node asks while there is something to write down; meanwhile an operation here comes to wait.
    void give_back_while_waited_for(LockMode wanted, LockMode waited_for) {
        hold_exclusively();
        owner.clean = false;
        locks.on_wanted(name, wanted, now, actions);
        ASSERT_TRUE(locks.refuses_pins(name));
        locks.want_again(name, waited_for);
        owner.clean = true;
        locks.advance(name, now, actions);
    }
    bool asks_for(LockMode mode) const {
        for (const auto& action : actions) {
            const auto* request = std::get_if<RequestLock>(&action);
            if (request != nullptr && request->name == name && request->mode == mode) return true;
        }
        return false;
    }
};

// A reader that came while the lock was parked waited for ever: what is left is enough for it, so no grant ever comes.
TEST_F(LockCacheTest, WhoWaitsForWhatIsLeftIsWokenWhenItIsGivenBack) {
    give_back_while_waited_for(LockMode::shared, LockMode::shared);
    EXPECT_EQ(locks.usable(name), LockMode::shared);
    EXPECT_FALSE(asks_for(LockMode::shared));
    EXPECT_EQ(owner.kept_modes, std::vector{LockMode::shared});
}

TEST_F(LockCacheTest, WhoWaitsForMoreThanIsLeftHasItRequested) {
    give_back_while_waited_for(LockMode::shared, LockMode::exclusive);
    EXPECT_TRUE(asks_for(LockMode::exclusive));
    EXPECT_TRUE(owner.kept_modes.empty());
}

TEST_F(LockCacheTest, WhoWaitsForALockOfWhichNothingIsLeftHasItRequested) {
    give_back_while_waited_for(LockMode::exclusive, LockMode::shared);
    EXPECT_TRUE(asks_for(LockMode::shared));
    EXPECT_TRUE(owner.kept_modes.empty());
}

// Asked for ahead, granted when its inode's lock was gone already: nothing would ever have given it up.
TEST_F(LockCacheTest, AnOpenLockThatComesAfterItsInodesLockWentIsGivenUp) {
    const LockName open{LockType::open, 7};
    locks.want_soon(name, LockMode::exclusive, now, actions);
    locks.want_soon(open, LockMode::shared, now, actions);
    locks.on_granted(name, LockMode::exclusive, now, actions);
    locks.on_wanted(name, LockMode::exclusive, now, actions);
    ASSERT_EQ(locks.granted_mode(name), LockMode::none);
    locks.on_granted(open, LockMode::shared, now, actions);
    locks.advance(open, now, actions);
    EXPECT_EQ(locks.granted_mode(open), LockMode::none);
}

TEST_F(LockCacheTest, AnOpenLockThatComesBeforeItsInodesLockStays) {
    const LockName open{LockType::open, 7};
    locks.want_soon(name, LockMode::exclusive, now, actions);
    locks.want_soon(open, LockMode::shared, now, actions);
    locks.on_granted(open, LockMode::shared, now, actions);
    locks.advance(open, now, actions);
    EXPECT_EQ(locks.granted_mode(open), LockMode::shared);
}

// A node that was about to delete an inode and opened it meanwhile kept others from opening it, until both waited.
TEST_F(LockCacheTest, AnInodeThatIsOpenHereCanBeOpenedElsewhereThoughItWasToBeDeleted) {
    const LockName open{LockType::open, 7};
    const auto is_left_shared = [&] {
        const auto* release = actions.empty() ? nullptr : std::get_if<ReleaseLock>(&actions.back());
        return release != nullptr && release->name == open && release->keep == LockMode::shared;
    };
    locks.want(open, LockMode::shared, now, actions);
    locks.on_granted(open, LockMode::shared, now, actions);
    locks.want(open, LockMode::exclusive, now, actions);
    locks.pin(open);
    locks.on_granted(open, LockMode::exclusive, now, actions);
    EXPECT_TRUE(is_left_shared());
    EXPECT_EQ(locks.granted_mode(open), LockMode::shared);

    locks.unpin(open, now, actions);
    locks.want(open, LockMode::exclusive, now, actions);
    locks.on_granted(open, LockMode::exclusive, now, actions);
    locks.pin(open);
    actions.clear();
    locks.finish_open_lock(open, now, actions);
    EXPECT_TRUE(is_left_shared());
}

// How long after its last use another node gets the lock: the minimum hold is 64 ms here.
struct HoldTest : testing::Test {
    static constexpr auto ms = [](std::int64_t n) { return base::Duration::milliseconds(n); };
    Owner owner;
    LockCache locks{owner, ms(64)};
    Actions actions;
    base::Instant now{ms(1000).nanoseconds};

    base::Duration kept_after(int uses, base::Duration apart, LockMode wanted) {
        locks.want(name, LockMode::exclusive, now, actions);
        locks.on_granted(name, LockMode::exclusive, now, actions);
        for (int i = 0; i < uses; ++i) {
            if (i > 0) now = now + apart;
            locks.note_used(name, now);
        }
        locks.on_wanted(name, wanted, now, actions);
        return locks.next_deadline().value_or(now) - now;
    }
};

TEST_F(HoldTest, OfOneWriteIsShortForAReader) { EXPECT_EQ(kept_after(1, ms(0), LockMode::shared), ms(1)); }
TEST_F(HoldTest, OfOneWriteIsLongerForAWriter) { EXPECT_EQ(kept_after(1, ms(0), LockMode::exclusive), ms(4)); }
TEST_F(HoldTest, OfWhoWritesAgainAfterARestIsShortForAReader) {
    kept_after(20, ms(2), LockMode::exclusive);
    now = now + ms(70);
    locks.on_time_passed(now, actions);
    ASSERT_EQ(locks.granted_mode(name), LockMode::none);
    now = now + ms(500);
    EXPECT_EQ(kept_after(1, ms(0), LockMode::shared), ms(1));
}
TEST_F(HoldTest, OfWhoKeepsWritingIsLongerThoughEachHandOverTakesItsTime) {
    base::Duration kept;
    for (int i = 0; i < 15; ++i) {
        locks.want(name, LockMode::exclusive, now, actions);
        now = now + ms(90);
        locks.on_granted(name, LockMode::exclusive, now, actions);
        locks.note_used(name, now);
        now = now + ms(2);
        locks.note_used(name, now);
        locks.on_wanted(name, LockMode::shared, now, actions);
        kept = locks.next_deadline().value_or(now) - now;
        now = now + ms(4);
        locks.on_time_passed(now, actions);
        ASSERT_EQ(locks.granted_mode(name), LockMode::shared);
    }
    EXPECT_EQ(kept, ms(4));
}
TEST_F(HoldTest, OfWhoKeepsWritingIsLonger) { EXPECT_EQ(kept_after(20, ms(2), LockMode::shared), ms(4)); }
TEST_F(HoldTest, EndsWithTheMinimumHold) { EXPECT_EQ(kept_after(32, ms(2), LockMode::exclusive), ms(2)); }

}  // namespace
}  // namespace clusterfs
