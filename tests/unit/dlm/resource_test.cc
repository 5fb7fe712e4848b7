#include "dlm/core/resource.hh"

#include <gtest/gtest.h>

namespace dlm {
namespace {

constexpr base::NodeId a{1};
constexpr base::NodeId b{2};

// A resource and everything that was said about it, as short texts: "1 granted EX".
class ResourceTest : public testing::Test {
  protected:
    void request(base::NodeId node, LockId lock, Mode mode, Flags flags = {}) {
        MasterNotices notices;
        resource.request(node, {lock, ++operation, "n", mode, flags}, {}, notices);
        note(notices);
    }
    void convert(base::NodeId node, LockId lock, Mode mode, Flags flags = {}) {
        MasterNotices notices;
        resource.convert(node, {lock, ++operation, "n", mode, flags}, {}, notices);
        note(notices);
    }
    void lower(base::NodeId node, LockId lock, Mode mode) {
        MasterNotices notices;
        resource.lower(node, {lock, "n", mode, {}}, notices);
        note(notices);
    }
    void unlock(base::NodeId node, LockId lock) {
        MasterNotices notices;
        resource.unlock(node, {lock, "n", {}}, notices);
        note(notices);
    }
    void cancel(base::NodeId node, LockId lock, OperationId which) {
        MasterNotices notices;
        resource.cancel(node, {lock, which, "n"}, notices);
        note(notices);
    }
    void note(const MasterNotices& notices) {
        resource.check_invariants();
        for (const auto& notice : notices) {
            if (const auto* granted = std::get_if<Granted>(&notice.body)) {
                said.push_back(std::to_string(granted->lock) + " granted " + std::string(text_of(granted->mode)) +
                               (granted->demoted ? " demoted" : ""));
            } else if (const auto* refused = std::get_if<Refused>(&notice.body)) {
                said.push_back(std::to_string(refused->lock) + " " + std::string(text_of(refused->outcome)));
            } else if (const auto* blocking = std::get_if<Blocking>(&notice.body)) {
                said.push_back(std::to_string(blocking->lock) + " blocks " + std::string(text_of(blocking->wanted)));
            }
        }
    }
    std::vector<std::string> heard() { return std::exchange(said, {}); }
    using Texts = std::vector<std::string>;

    Resource resource;
    OperationId operation = 0;
    Texts said;
};

TEST_F(ResourceTest, AllPairsWithNoQueue) {
    for (const Mode held : all_modes) {
        for (const Mode asked : all_modes) {
            Resource fresh;
            MasterNotices notices;
            fresh.request(a, {1, 1, "n", held, {}}, {}, notices);
            notices.clear();
            fresh.request(b, {2, 2, "n", asked, Flag::no_queue}, {}, notices);
            ASSERT_EQ(notices.size(), 1u);
            EXPECT_EQ(std::holds_alternative<Granted>(notices[0].body), compatible(held, asked));
            EXPECT_TRUE(fresh.waiting().empty());
        }
    }
}

TEST_F(ResourceTest, AllConversionPairsBesideAllHolders) {
    for (const Mode held : all_modes) {
        for (const Mode from : all_modes) {
            if (!compatible(held, from)) continue;
            for (const Mode to : all_modes) {
                Resource fresh;
                MasterNotices notices;
                fresh.request(a, {1, 1, "n", held, {}}, {}, notices);
                fresh.request(b, {2, 2, "n", from, {}}, {}, notices);
                notices.clear();
                fresh.convert(b, {2, 3, "n", to, Flag::no_queue}, {}, notices);
                ASSERT_EQ(notices.size(), 1u);
                EXPECT_EQ(std::holds_alternative<Granted>(notices[0].body), compatible(held, to));
            }
        }
    }
}

TEST_F(ResourceTest, NoQueueTellsHoldersOnlyWhenAsked) {
    request(a, 1, Mode::EX);
    heard();
    request(b, 2, Mode::PR, Flag::no_queue);
    EXPECT_EQ(heard(), Texts{"2 would block"});
    request(b, 3, Mode::PR, Flag::no_queue | Flag::no_queue_notify);
    EXPECT_EQ(heard(), (Texts{"1 blocks PR", "3 would block"}));
}

TEST_F(ResourceTest, NewRequestsWaitBehindEarlierOnes) {
    request(a, 1, Mode::PR);
    request(b, 2, Mode::EX);
    EXPECT_EQ(heard(), (Texts{"1 granted PR", "1 blocks EX"}));
    request(a, 3, Mode::PR);
    EXPECT_EQ(heard(), Texts{});
    unlock(a, 1);
    EXPECT_EQ(heard(), (Texts{"2 granted EX", "2 blocks PR"}));
    unlock(b, 2);
    EXPECT_EQ(heard(), Texts{"3 granted PR"});
}

TEST_F(ResourceTest, ConversionGoesBeforeNewRequests) {
    request(a, 1, Mode::PR);
    request(b, 2, Mode::PR);
    request(b, 3, Mode::EX);
    heard();
    convert(a, 1, Mode::EX);
    EXPECT_EQ(heard(), Texts{"1 blocks EX"});  // by the new request; 2 was told already
    unlock(b, 2);
    EXPECT_EQ(heard(), (Texts{"1 granted EX", "1 blocks EX"}));
}

TEST_F(ResourceTest, ConversionInPlacePassesTheQueueUnlessQueued) {
    request(a, 1, Mode::NL);
    request(a, 2, Mode::CR);
    request(b, 3, Mode::PR);
    convert(a, 2, Mode::EX);  // waits for the PR
    heard();
    convert(a, 1, Mode::CR);
    EXPECT_EQ(heard(), (Texts{"1 granted CR", "1 blocks EX"}));
    request(b, 4, Mode::NL, Flag::expedite);
    heard();
    convert(b, 4, Mode::CR, Flag::queue_conversion);
    EXPECT_EQ(heard(), Texts{});
    unlock(b, 3);
    EXPECT_EQ(heard(), Texts{});
    unlock(a, 1);
    EXPECT_EQ(heard(), (Texts{"2 granted EX", "2 blocks CR"}));
    lower(a, 2, Mode::CR);
    EXPECT_EQ(heard(), Texts{"4 granted CR"});
}

TEST_F(ResourceTest, ExpediteHeadAndNoOrder) {
    request(a, 1, Mode::EX);
    request(b, 2, Mode::EX);
    request(b, 3, Mode::NL);
    heard();
    request(b, 4, Mode::NL, Flag::expedite);
    EXPECT_EQ(heard(), Texts{"4 granted NL"});
    request(a, 5, Mode::PR, Flag::head_of_queue);
    request(a, 6, Mode::PR, Flag::no_order);
    unlock(a, 1);
    EXPECT_EQ(heard(), (Texts{"5 granted PR", "6 granted PR", "5 blocks EX", "6 blocks EX"}));
}

TEST_F(ResourceTest, ConversionDeadlockRefusesTheSecond) {
    request(a, 1, Mode::PR);
    request(b, 2, Mode::PR);
    convert(a, 1, Mode::EX);
    EXPECT_EQ(heard(), (Texts{"1 granted PR", "2 granted PR", "2 blocks EX"}));
    convert(b, 2, Mode::EX);
    EXPECT_EQ(heard(), Texts{"2 deadlock"});
    unlock(b, 2);
    EXPECT_EQ(heard(), Texts{"1 granted EX"});
}

TEST_F(ResourceTest, AConversionAtTheHeadDoesNotOvertakeWhomItWaitsFor) {
    request(a, 1, Mode::CR);
    request(a, 2, Mode::PR);
    request(b, 3, Mode::PR);
    convert(a, 2, Mode::CW);
    convert(a, 1, Mode::EX, Flag::head_of_queue);
    heard();
    unlock(b, 3);
    EXPECT_EQ(heard(), (Texts{"2 granted CW", "2 blocks EX"}));
    unlock(a, 2);
    EXPECT_EQ(heard(), Texts{"1 granted EX"});
}

TEST_F(ResourceTest, ConversionDeadlockDemotesWhenAllowed) {
    request(a, 1, Mode::PR);
    request(b, 2, Mode::PR);
    convert(a, 1, Mode::EX);
    heard();
    convert(b, 2, Mode::EX, Flag::demote_on_deadlock);
    EXPECT_EQ(heard(), (Texts{"1 granted EX", "1 blocks EX"}));
    unlock(a, 1);
    EXPECT_EQ(heard(), Texts{"2 granted EX demoted"});
}

TEST_F(ResourceTest, AlternateModes) {
    request(a, 1, Mode::PR);
    heard();
    request(b, 2, Mode::EX, Flag::alternate_pr);
    EXPECT_EQ(heard(), Texts{"2 granted PR"});
    request(b, 3, Mode::EX, Flag::alternate_cw | Flag::no_queue);
    EXPECT_EQ(heard(), Texts{"3 would block"});
}

TEST_F(ResourceTest, CancelOfWaitersAndConversions) {
    request(a, 1, Mode::PR);
    request(b, 2, Mode::PR);
    request(b, 3, Mode::EX);
    cancel(b, 3, operation);
    EXPECT_EQ(heard(), (Texts{"1 granted PR", "2 granted PR", "1 blocks EX", "2 blocks EX", "3 cancelled"}));
    convert(a, 1, Mode::EX);
    cancel(a, 1, operation + 7);  // late, of another operation
    heard();
    cancel(a, 1, operation);
    EXPECT_EQ(heard(), Texts{"1 cancelled"});
    request(b, 4, Mode::PR);
    EXPECT_EQ(heard(), Texts{"4 granted PR"});
}

TEST_F(ResourceTest, WithheldUntilReleasedExceptForRecovery) {
    const base::NodeIncarnation dead{{3}, {}};
    resource.withhold(dead);
    request(a, 1, Mode::NL);
    request(a, 2, Mode::PR);
    request(b, 3, Mode::PR, Flag::no_queue);
    EXPECT_EQ(heard(), (Texts{"1 granted NL", "3 would block"}));
    request(b, 4, Mode::EX, Flag::recovery);
    EXPECT_EQ(heard(), Texts{"4 granted EX"});
    unlock(b, 4);
    EXPECT_EQ(heard(), Texts{});
    resource.release(dead);
    MasterNotices notices;
    resource.serve(notices);
    note(notices);
    EXPECT_EQ(heard(), Texts{"2 granted PR"});
}

TEST_F(ResourceTest, ValueBlocksKeepTheNewest) {
    Value first{{}, 5, true};
    first.bytes[0] = std::byte{1};
    resource.store(first);
    Value older{{}, 4, true};
    resource.store(older);
    EXPECT_EQ(resource.value(), first);
    resource.invalidate_value();
    resource.store(first);  // a copy that somebody still has
    EXPECT_FALSE(resource.value().valid);
    request(a, 1, Mode::NL);
    unlock(a, 1);
    EXPECT_EQ(resource.value().bytes, ValueBytes{});
    EXPECT_GE(resource.value().sequence, 6u);
}

}  // namespace
}  // namespace dlm
