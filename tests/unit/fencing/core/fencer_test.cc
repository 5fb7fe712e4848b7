// Single decisions of Fencer, each in a few lines; whole groups are in tests/sim/fencing.
#include "fencing/core/fencer.hh"

#include <gtest/gtest.h>

#include <algorithm>

namespace fencing {
namespace {

using base::Duration;

base::Uuid uuid(int n) {
    base::Uuid out;
    out.bytes[15] = static_cast<std::byte>(n);
    return out;
}
const base::NodeIncarnation life_a{{1}, uuid(1)};
const base::NodeIncarnation life_b{{2}, uuid(2)};

Settings pair() {
    Settings settings;
    settings.self = {1};
    settings.nodes[{1}] = {"a", Duration::seconds(2), {{"bmc-a"}}};
    settings.nodes[{2}] = {"b", {}, {{"bmc-b"}}};
    return settings;
}

// Node a; what it multicasts comes back to it at once, as CPG does, unless it is deaf.
class FencerTest : public ::testing::Test {
  protected:
    void step(const Event& event) {
        Actions actions;
        fencer_.step(event, now_, actions);
        fencer_.check_invariants();
        std::vector<Message> echo;
        for (auto& action : actions) {
            if (auto* sent = std::get_if<Multicast>(&action)) echo.push_back(sent->message);
            actions_.push_back(std::move(action));
        }
        for (const auto& message : echo) {
            if (!deaf_) step(MessageDelivered{{{1}, 10}, message});
        }
    }
    void view(std::vector<std::uint32_t> members, std::vector<std::uint32_t> joined, std::vector<std::uint32_t> left) {
        base::GroupView view;
        for (const auto node : members) view.members.push_back({{node}, node * 10});
        for (const auto node : joined) view.joined.push_back({{node}, node * 10});
        for (const auto node : left) view.left.push_back({{{node}, node * 10}, base::LeaveReason::node_down});
        step(ViewChanged{view});
    }
    void both_are_members() {
        step(QuorumChanged{true});
        view({1, 2}, {1, 2}, {});
        step(MessageDelivered{{{2}, 20}, Hello{life_b.incarnation, {}, {}, {}}});
        let_pass(Duration::seconds(10));
    }
    std::size_t absence_answers() const {
        return static_cast<std::size_t>(std::ranges::count_if(
            actions_, [](const auto& action) { return std::holds_alternative<AnswerAbsence>(action); }));
    }
    void ask_for_b() { step(FenceRequested{"1", life_b, "link lost", "blockrepd on a"}); }
    void let_pass(Duration time) {
        const auto end = now_ + time;
        for (auto next = fencer_.next_deadline(); next && *next <= end; next = fencer_.next_deadline()) {
            now_ = std::max(*next, now_ + Duration{1});
            step(TimePassed{});
        }
        now_ = end;
    }
    // The oldest run that has not been answered.
    std::optional<RunAgent> running() {
        for (const auto& action : actions_) {
            if (const auto* run = std::get_if<RunAgent>(&action); run && run->run > answered_) return *run;
        }
        return std::nullopt;
    }
    void agent_ends(int code, AgentExit exit = AgentExit::exited) {
        const auto run = running();
        ASSERT_TRUE(run);
        answered_ = run->run;
        step(AgentFinished{run->run, exit, code, "", {}});
    }
    int count_reports(const base::NodeIncarnation& life) const {
        int count = 0;
        for (const auto& action : actions_) {
            const auto* report = std::get_if<ReportFenced>(&action);
            count += report != nullptr && report->dead == life ? 1 : 0;
        }
        return count;
    }
    bool has_ordered_off() const {
        return std::ranges::any_of(actions_, [](const auto& action) {
            const auto* run = std::get_if<RunAgent>(&action);
            return run != nullptr && run->action == AgentAction::off;
        });
    }

    base::Instant now_;
    Fencer fencer_{pair(), life_a.incarnation, {}};
    Actions actions_;
    RunId answered_ = 0;
    bool deaf_ = false;
};

TEST_F(FencerTest, WhoIsOutOfReachIsMissingUntilItIsKnownToBeDead) {
    both_are_members();
    EXPECT_TRUE(fencer_.missing().empty());
    view({1}, {}, {2});
    EXPECT_EQ(fencer_.missing(), std::vector<base::NodeId>{{2}});
    view({1, 2}, {2}, {});
    EXPECT_TRUE(fencer_.missing().empty());
}

TEST_F(FencerTest, WhoLeftInGoodOrderIsNotMissing) {
    both_are_members();
    step(ViewChanged{{{{{1}, 10}}, {}, {{{{2}, 20}, base::LeaveReason::leave}}}});
    EXPECT_TRUE(fencer_.missing().empty());
}

TEST_F(FencerTest, TheOtherOfAPairIsMissingUntilItWasHeard) {
    step(QuorumChanged{true});
    view({1}, {1}, {});
    EXPECT_EQ(fencer_.missing(), std::vector<base::NodeId>{{2}}) << "Corosync may have seen it before this daemon";
    step(OperatorConfirmed{1, {2}, "root", {}});
    EXPECT_TRUE(fencer_.missing().empty());
    view({1, 2}, {2}, {});
    view({1}, {}, {2});
    EXPECT_EQ(fencer_.missing(), std::vector<base::NodeId>{{2}}) << "it was switched on again";
}

TEST_F(FencerTest, AbsenceIsJudgedByNewsAsNewAsTheQuestion) {
    both_are_members();
    deaf_ = true;
    step(AbsenceAsked{7});
    EXPECT_EQ(absence_answers(), 0U) << "what the group has to say first is not delivered yet";
    view({1}, {}, {2});
    step(MessageDelivered{{{1}, 10}, Marker{7}});
    EXPECT_EQ(absence_answers(), 0U) << "b may be at work out of reach";
    view({1, 2}, {2}, {});
    step(MessageDelivered{{{1}, 10}, Hello{life_a.incarnation, {}, {}, {}}});
    EXPECT_EQ(absence_answers(), 0U) << "b has not spoken";
    step(MessageDelivered{{{2}, 20}, Hello{life_b.incarnation, {}, {}, {}}});
    EXPECT_EQ(absence_answers(), 1U);
    step(TimePassed{});
    EXPECT_EQ(absence_answers(), 1U);
}

TEST_F(FencerTest, WhoIsBackIsGivenTimeToBeSpared) {
    both_are_members();
    step(QuorumChanged{false});  // so that it is not shot at once
    view({1}, {}, {2});
    ask_for_b();
    agent_ends(1);
    view({1, 2}, {2}, {});
    step(QuorumChanged{true});
    step(MessageDelivered{{{1}, 10}, Hello{life_a.incarnation, {}, {{life_b, "link lost", "blockrepd on a"}}, {}}});
    step(MessageDelivered{{{2}, 20}, Hello{life_b.incarnation, {}, {}, {}}});
    let_pass(Duration::milliseconds(2900));
    EXPECT_FALSE(has_ordered_off());
    step(FenceWithdrawn{"1", life_b});
    let_pass(Duration::seconds(60));
    EXPECT_FALSE(has_ordered_off());
}

TEST_F(FencerTest, ALivingNodeIsShotVerifiedAndReportedOnce) {
    both_are_members();
    ask_for_b();
    EXPECT_EQ(running()->action, AgentAction::status) << "looks first";
    agent_ends(0);
    let_pass(Duration::seconds(1));
    ASSERT_TRUE(has_ordered_off());
    agent_ends(0);
    EXPECT_EQ(count_reports(life_b), 0) << "an order is no proof";
    agent_ends(2);
    EXPECT_EQ(count_reports(life_b), 1);
    ASSERT_EQ(fencer_.history().entries().size(), 1U);
    EXPECT_EQ(fencer_.history().entries()[0].asker, "blockrepd on a");
    ask_for_b();
    EXPECT_EQ(count_reports(life_b), 1);
}

TEST_F(FencerTest, WhoIsOffAlreadyIsDeadAlsoWhileTheGroupIsDeaf) {
    both_are_members();
    deaf_ = true;
    ask_for_b();
    agent_ends(2);
    EXPECT_EQ(count_reports(life_b), 1);
    EXPECT_FALSE(has_ordered_off());
}

TEST_F(FencerTest, NobodyIsShotWithoutQuorum) {
    both_are_members();
    step(QuorumChanged{false});
    ask_for_b();
    agent_ends(1);
    let_pass(Duration::seconds(60));
    EXPECT_FALSE(has_ordered_off());
    step(QuorumChanged{true});
    EXPECT_TRUE(has_ordered_off());
}

TEST_F(FencerTest, TheDelayPassesFirst) {
    // b's view: a is shot 2 s after it was asked for.
    auto settings = pair();
    settings.self = {2};
    Fencer b(settings, life_b.incarnation, {});
    Actions actions;
    b.step(QuorumChanged{true}, now_, actions);
    base::GroupView view;
    view.members = view.joined = {{{1}, 10}, {{2}, 20}};
    b.step(ViewChanged{view}, now_, actions);
    for (const auto& hello : {life_a, life_b}) {
        b.step(MessageDelivered{{hello.node, 1}, Hello{hello.incarnation, {}, {}, {}}}, now_, actions);
    }
    now_ = now_ + Duration::seconds(10);
    b.step(MessageDelivered{{{2}, 20}, Request{{life_a, "why", "who"}}}, now_, actions);
    EXPECT_EQ(b.next_deadline(), now_ + Duration::seconds(2));
}

TEST_F(FencerTest, AWithdrawalBeforeTheClaimCancels) {
    both_are_members();
    step(QuorumChanged{false});
    ask_for_b();
    agent_ends(0);
    step(FenceWithdrawn{"1", life_b});
    step(QuorumChanged{true});
    let_pass(Duration::seconds(60));
    EXPECT_FALSE(has_ordered_off());
}

TEST_F(FencerTest, ARequestEndsWithItsProgramButNotWithAnother) {
    both_are_members();
    step(QuorumChanged{false});
    ask_for_b();
    step(FenceRequested{"2", life_b, "locks", "mount.cfs on a"});
    agent_ends(0);
    step(ClientGone{"1"});
    step(QuorumChanged{true});
    EXPECT_TRUE(has_ordered_off());
}

TEST_F(FencerTest, AFailureIsTriedAgainLaterAndLater) {
    both_are_members();
    ask_for_b();
    agent_ends(1);
    for (const int seconds : {1, 2, 4, 8, 16, 30, 30}) {
        agent_ends(1, AgentExit::timed_out);
        agent_ends(1, AgentExit::timed_out);
        EXPECT_FALSE(running()) << "waits";
        let_pass(Duration::milliseconds(seconds * 1000 - 1));
        EXPECT_FALSE(running()) << seconds;
        let_pass(Duration::milliseconds(1));
        EXPECT_TRUE(running()) << seconds;
    }
    EXPECT_EQ(count_reports(life_b), 0);
}

TEST_F(FencerTest, ALaterLifeProvesTheEarlierDead) {
    both_are_members();
    view({1}, {}, {2});
    view({1, 2}, {2}, {});
    step(MessageDelivered{{{2}, 21}, Hello{uuid(3), {life_b.incarnation}, {}, {}}});
    EXPECT_EQ(count_reports(life_b), 1);
    EXPECT_EQ(fencer_.current_life({2}), uuid(3));
}

TEST_F(FencerTest, ALifeThatIsOverIsNotListenedTo) {
    both_are_members();
    ask_for_b();
    agent_ends(2);
    step(MessageDelivered{{{2}, 20}, Hello{life_b.incarnation, {}, {}, {}}});
    EXPECT_FALSE(fencer_.current_life({2}));
}

TEST_F(FencerTest, TheHistoryOnDiskKnowsTheDead) {
    HistoryEntry entry{.victim = {2}, .executor = {1}, .finished = {5}};
    entry.outcome = Outcome::fenced;
    entry.dead = {life_b.incarnation};
    Fencer again(pair(), uuid(9), {entry});
    EXPECT_TRUE(again.lives().is_dead(life_b));
}

TEST_F(FencerTest, APersonConfirmsOnlyWhoIsAway) {
    both_are_members();
    step(OperatorConfirmed{1, {2}, "operator root on a", {}});
    EXPECT_EQ(count_reports(life_b), 0);
    view({1}, {}, {2});
    step(OperatorConfirmed{2, {2}, "operator root on a", {}});
    EXPECT_EQ(count_reports(life_b), 1);
    EXPECT_EQ(fencer_.history().entries().back().outcome, Outcome::confirmed);
}

// By way of a daemon that was paused meanwhile.
TEST_F(FencerTest, AConfirmationThatComesLateDoesNotAnswerForTheNextLife) {
    both_are_members();
    const base::NodeIncarnation whichever{{2}, {}};
    step(QuorumChanged{false});
    step(FenceRequested{"1", whichever, "locks", "mount.cfs on a"});
    HistoryEntry entry{.victim = {2}, .executor = {1}, .finished = {5}};
    entry.outcome = Outcome::confirmed;
    entry.dead = {uuid(7)};
    step(MessageDelivered{{{1}, 10}, Finished{entry}});
    EXPECT_EQ(count_reports(whichever), 0) << "b is a member";
    view({1}, {}, {2});
    step(MessageDelivered{{{1}, 10}, Finished{entry}});
    EXPECT_EQ(count_reports(whichever), 1);
}

TEST_F(FencerTest, ANodeDoesNotShootItself) {
    both_are_members();
    step(FenceRequested{"1", life_a, "mistake", "blockrepd on a"});
    step(PowerOrdered{1, {1}, PowerOrder::off, "operator"});
    let_pass(Duration::seconds(60));
    EXPECT_FALSE(running());
}

TEST_F(FencerTest, OwnDeathIsReportedOnce) {
    both_are_members();
    step(MessageDelivered{{{2}, 20}, Facts{{life_a}, {}}});
    step(TimePassed{});
    int count = 0;
    for (const auto& action : actions_) count += std::holds_alternative<ReportOwnDeath>(action) ? 1 : 0;
    EXPECT_EQ(count, 1);
    EXPECT_EQ(count_reports(life_a), 1);
}

TEST_F(FencerTest, ADaemonThatHangsIsOverlooked) {
    step(QuorumChanged{true});
    view({1, 2}, {1, 2}, {});
    ask_for_b();
    agent_ends(0);
    EXPECT_FALSE(has_ordered_off()) << "b has not spoken";
    let_pass(Duration::seconds(4));
    EXPECT_TRUE(has_ordered_off());
}

// A daemon that was paused says what it wanted to say before it learns of the join.
TEST_F(FencerTest, AClaimThatComesBeforeTheHelloOfItsSenderIsVoid) {
    step(QuorumChanged{true});
    view({1, 2}, {1, 2}, {});
    ask_for_b();
    agent_ends(0);
    step(MessageDelivered{{{2}, 20}, Request{{life_a, "link lost", "blockrepd on b"}}});
    step(MessageDelivered{{{1}, 10}, Overlook{{2}}});
    deaf_ = true;
    step(MessageDelivered{{{2}, 20}, Claim{{1}, 0}});
    step(MessageDelivered{{{2}, 20}, Hello{life_b.incarnation, {}, {{life_a, "link lost", "blockrepd on b"}}, {}}});
    deaf_ = false;
    step(MessageDelivered{{{1}, 10}, Claim{{2}, 0}});
    EXPECT_TRUE(has_ordered_off()) << "b's claim counted, though b does not know that it claims";
}

TEST_F(FencerTest, WhoIsUnheardDoesNotClaim) {
    step(QuorumChanged{true});
    deaf_ = true;
    view({1, 2}, {1, 2}, {});
    step(MessageDelivered{{{2}, 20}, Hello{life_b.incarnation, {}, {}, {}}});
    step(MessageDelivered{{{2}, 20}, Overlook{{1}}});
    ask_for_b();
    agent_ends(0);
    step(MessageDelivered{{{1}, 10}, Request{{life_b, "link lost", "blockrepd on a"}}});
    let_pass(Duration::seconds(10));
    const auto is_claim = [](const auto& action) {
        const auto* sent = std::get_if<Multicast>(&action);
        return sent != nullptr && std::holds_alternative<Claim>(sent->message);
    };
    EXPECT_TRUE(std::ranges::none_of(actions_, is_claim));
    step(MessageDelivered{{{1}, 10}, Hello{life_a.incarnation, {}, {{life_b, "link lost", "blockrepd on a"}}, {}}});
    let_pass(Duration::seconds(10));
    EXPECT_TRUE(std::ranges::any_of(actions_, is_claim));
}

TEST_F(FencerTest, RequestsOfWhoIsOverlookedWaitForItsHello) {
    step(QuorumChanged{true});
    view({1, 2}, {1, 2}, {});
    step(MessageDelivered{{{2}, 20}, Request{{life_a, "link lost", "blockrepd on b"}}});
    let_pass(Duration::seconds(4));
    step(MessageDelivered{{{2}, 20}, Claim{{1}, 0}});
    base::JsonWriter out;
    fencer_.describe(now_, out);
    EXPECT_NE(out.text().find("\"fences\":[]"), std::string::npos) << out.text();
}

// Claims of ours may be on their way: a Hello would say that we execute nothing.
TEST_F(FencerTest, ARumourIsCorrectedWithoutAHello) {
    both_are_members();
    actions_.clear();
    step(MessageDelivered{{{2}, 20}, Request{{{{1}, uuid(8)}, "link lost", "blockrepd on b"}}});
    EXPECT_TRUE(fencer_.lives().is_dead({{1}, uuid(8)}));
    for (const auto& action : actions_) {
        const auto* sent = std::get_if<Multicast>(&action);
        EXPECT_FALSE(sent != nullptr && std::holds_alternative<Hello>(sent->message));
    }
}

// One daemon of a group; the test is the others, and CPG.
struct Member {
    Member(Settings settings, const base::NodeIncarnation& life) : fencer(std::move(settings), life.incarnation, {}) {}
    void step(const Event& event) {
        fencer.step(event, now, actions);
        fencer.check_invariants();
    }
    void view(const std::vector<base::NodeId>& members, const std::vector<base::NodeId>& joined) {
        base::GroupView out;
        for (const auto node : members) out.members.push_back({node, node.value});
        for (const auto node : joined) out.joined.push_back({node, node.value});
        step(ViewChanged{out});
    }
    void says(base::NodeId node, Message message) { step(MessageDelivered{{node, node.value}, std::move(message)}); }
    void pass(Duration time) {
        for (const auto end = now + time; now < end;) {
            now = now + Duration::milliseconds(100);
            step(TimePassed{});
        }
    }
    // Of the youngest run.
    void agent_ends(AgentExit exit, int code) {
        for (auto i = actions.rbegin(); i != actions.rend(); ++i) {
            const auto* run = std::get_if<RunAgent>(&*i);
            if (run != nullptr) return step(AgentFinished{run->run, exit, code, "", {}});
        }
    }
    void agent_times_out() { agent_ends(AgentExit::timed_out, 0); }
    std::ptrdiff_t orders() const {
        return std::ranges::count_if(actions, [](const auto& action) {
            const auto* run = std::get_if<RunAgent>(&action);
            return run != nullptr && run->action == AgentAction::off;
        });
    }
    template <typename Kind>
    std::vector<Kind> sent() const {
        std::vector<Kind> out;
        for (const auto& action : actions) {
            const auto* multicast = std::get_if<Multicast>(&action);
            if (multicast == nullptr) continue;
            if (const auto* kind = std::get_if<Kind>(&multicast->message)) out.push_back(*kind);
        }
        return out;
    }

    Fencer fencer;
    base::Instant now;
    Actions actions;
};

// a, b and c have met; c has no delay, as b.
struct OneOfThree : Member {
    explicit OneOfThree(std::uint32_t number) : Member(settings(number), life(number)) {
        step(QuorumChanged{true});
        view({{1}, {2}, {3}}, {{1}, {2}, {3}});
        for (std::uint32_t node = 1; node <= 3; ++node) says({node}, Hello{life(node).incarnation, {}, {}, {}});
        pass(Duration::seconds(10));
    }
    static base::NodeIncarnation life(std::uint32_t number) { return {{number}, uuid(static_cast<int>(number))}; }
    static Settings settings(std::uint32_t number) {
        auto out = pair();
        out.self = {number};
        out.nodes[{3}] = {"c", {}, {{"bmc-c"}}};
        return out;
    }
};

// One that was paused while its claim held: the others may have gone on without it.
TEST(FencerOfThree, AClaimThatBeginsTooLateIsGivenBack) {
    for (const bool is_late : {false, true}) {
        OneOfThree a(1);
        a.says({3}, Request{{life_b, "why", "who"}});
        a.says({1}, Claim{{2}, 0});
        a.now = a.now + Settings{}.quorum_settle + Duration::milliseconds(is_late ? 1001 : 0);
        a.step(TimePassed{});
        EXPECT_EQ(a.sent<Decline>().size(), is_late ? 1U : 0U);
        EXPECT_EQ(a.orders(), is_late ? 0 : 1);
    }
}

// Claims of both hold, and neither has begun. If each took its claim back, a ring of three could do so by turns for
// ever.
TEST(FencerOfThree, OfTwoClaimsThatCrossOneWaitsAndOneIsGivenBack) {
    for (const std::uint32_t number : {1U, 3U}) {
        OneOfThree member(number);
        const base::NodeId self{number};
        const base::NodeId other{4 - number};
        member.says({2}, Request{{OneOfThree::life(other.value), "why", "who"}});
        member.says({2}, Request{{OneOfThree::life(number), "why", "who"}});
        member.says(self, Claim{other, 0});
        member.says({2}, Claim{self, 0});
        member.pass(Duration::seconds(5));
        EXPECT_EQ(member.orders(), 0) << "node " << number;
        EXPECT_EQ(member.sent<Decline>().size(), number == 1 ? 0U : 1U) << "node " << number;
        if (number != 1) continue;
        member.says({2}, Decline{self, 0});
        member.pass(Duration::seconds(1));
        EXPECT_EQ(member.orders(), 1);
    }
}

struct AClaimThatWaits : ::testing::Test, OneOfThree {
    AClaimThatWaits() : OneOfThree(1) {
        says({2}, Request{{life(3), "why", "who"}});
        says({2}, Request{{life(1), "why", "who"}});
        says({1}, Claim{{3}, 0});
        says({2}, Claim{{1}, 0});
        pass(Duration::seconds(5));
    }
};

TEST_F(AClaimThatWaits, IsGivenBackWhereNobodyAsksForItAnyMore) {
    EXPECT_TRUE(sent<Decline>().empty());
    says({2}, Withdraw{life(3)});
    pass(Duration::seconds(1));
    EXPECT_EQ(sent<Decline>().size(), 1U);
    EXPECT_EQ(orders(), 0);
}

TEST_F(AClaimThatWaits, IsGivenBackWhereTheShooterHangs) {
    pass(Duration::seconds(50));
    EXPECT_TRUE(sent<Decline>().empty());
    pass(Duration::seconds(10));
    EXPECT_EQ(sent<Decline>().size(), 1U);
    EXPECT_EQ(orders(), 0);
}

// Its own look at the machine is the end of it: no attempt begins that nobody counts.
TEST(FencerOfThree, AClaimThatHasNotBegunEndsWithWhatWasSeenMeanwhile) {
    OneOfThree b(2);
    const OpenRequest wish{OneOfThree::life(1), "why", "who"};
    b.view({{1}, {2}, {3}}, {{3}});
    b.says({2}, Hello{OneOfThree::life(2).incarnation, {}, {}, {}});
    b.says({1}, Hello{OneOfThree::life(1).incarnation, {}, {}, {}});
    b.says({2}, Overlook{{3}});
    b.says({1}, Request{{{{1}, {}}, "whichever life", "who"}});
    b.says({2}, Request{wish});
    b.says({2}, Claim{{1}, 0});
    b.says({3}, Hello{OneOfThree::life(3).incarnation, {}, {wish}, {{{1}, 0}}});
    HistoryEntry seen{.victim = {1}, .executor = {2}, .finished = {5}};
    seen.outcome = Outcome::fenced;
    seen.dead = {uuid(7)};
    b.says({2}, Finished{seen});
    b.pass(Duration::seconds(3));
    EXPECT_EQ(b.orders(), 0);
}

// The act answers who wants "whichever life" dead, whatever becomes of another shooter meanwhile.
TEST(FencerOfThree, AShooterThatFailsLeavesToTheOtherWhatItsClaimCovers) {
    OneOfThree b(2);
    const base::NodeIncarnation whichever{{1}, {}};
    const OpenRequest wish{whichever, "why", "who"};
    b.step(FenceRequested{"1", whichever, "why", "who"});
    b.agent_times_out();  // the first look
    b.says({2}, Request{wish});
    b.says({2}, Claim{{1}, 0});
    b.pass(Duration::seconds(2));
    b.view({{1}, {2}, {3}}, {{3}});
    b.says({2}, Hello{OneOfThree::life(2).incarnation, {}, {wish}, {{{1}, 0}}});
    b.says({1}, Hello{OneOfThree::life(1).incarnation, {}, {}, {}});
    b.says({3}, Hello{OneOfThree::life(3).incarnation, {}, {}, {{{1}, 0}}});
    HistoryEntry failure{.victim = {1}, .executor = {3}, .finished = {5}};
    failure.outcome = Outcome::failed;
    b.says({3}, Finished{failure});
    b.agent_ends(AgentExit::exited, 0);  // the order
    b.agent_ends(AgentExit::exited, 2);  // off
    EXPECT_TRUE(std::ranges::any_of(b.actions, [&](const auto& action) {
        const auto* report = std::get_if<ReportFenced>(&action);
        return report != nullptr && report->dead == whichever;
    }));
}

// Two that shot the same node on both sides of a split: it is being shot until both have ended.
TEST(FencerOfThree, NobodyForgetsTheSecondShooterOfANode) {
    OneOfThree b(2);
    const OpenRequest wish{OneOfThree::life(1), "why", "who"};
    b.says({3}, Request{wish});
    b.says({2}, Claim{{1}, 0});
    b.pass(Duration::seconds(2));
    ASSERT_EQ(b.orders(), 1);
    b.view({{1}, {2}, {3}}, {{3}});
    b.says({2}, Hello{OneOfThree::life(2).incarnation, {}, {}, {{{1}, 0}}});
    b.says({1}, Hello{OneOfThree::life(1).incarnation, {}, {}, {}});
    b.says({3}, Hello{OneOfThree::life(3).incarnation, {}, {wish}, {{{1}, 0}}});
    b.agent_times_out();  // the order
    b.agent_times_out();  // the status
    ASSERT_EQ(b.sent<Finished>().size(), 1U);
    b.says({2}, b.sent<Finished>().front());
    b.says({1}, Request{{OneOfThree::life(3), "why", "who"}});
    b.says({1}, Claim{{3}, 0});  // void: node 3 still shoots its sender
    b.says({2}, Claim{{3}, 0});
    b.pass(Duration::seconds(2));
    EXPECT_EQ(b.orders(), 2);
}

// Two that shoot at each other when they meet again, each with a second level left.
struct CrossedShots : ::testing::TestWithParam<std::uint32_t>, Member {
    CrossedShots() : Member(settings(), GetParam() == 1 ? life_a : life_b) {}
    static Settings settings() {
        auto out = pair();
        out.self = {GetParam()};
        for (auto& [node, plan] : out.nodes) plan.levels.push_back({"pdu-" + plan.name});
        return out;
    }
    bool has_given_up() const {
        return std::ranges::any_of(sent<Finished>(),
                                   [](const auto& end) { return end.entry.outcome == Outcome::failed; });
    }
    // The first level is being ordered, on this side of a split.
    void begin_to_shoot() {
        step(QuorumChanged{true});
        view({self}, {self});
        says(self, Hello{own_life.incarnation, {}, {}, {}});
        step(FenceRequested{"1", other_life, "link lost", "blockrepd"});
        agent_times_out();
        agent_times_out();
        says(self, Request{own_wish});
        pass(Duration::seconds(2));
        says(self, Claim{other, 0});
        ASSERT_EQ(orders(), 1);
    }
    void meet() {
        view({self, other}, {other});
        agent_times_out();  // the order
        agent_times_out();  // the status
        pass(Duration::seconds(2));
        EXPECT_EQ(orders(), 1) << "nobody knows yet what the other does";
        says(self, Hello{own_life.incarnation, {}, {own_wish}, {{other, 0}}});
        says(other, Hello{other_life.incarnation, {}, {its_wish}, {{self, 0}}});
    }

    const base::NodeId self{GetParam()};
    const base::NodeId other{3 - GetParam()};
    const bool goes_first = GetParam() == 1;
    const base::NodeIncarnation own_life = goes_first ? life_a : life_b;
    const base::NodeIncarnation other_life = goes_first ? life_b : life_a;
    const OpenRequest own_wish{other_life, "link lost", "blockrepd"};
    const OpenRequest its_wish{own_life, "link lost", "blockrepd"};
};

TEST_P(CrossedShots, OnlyTheShotThatGoesFirstGoesOn) {
    begin_to_shoot();
    meet();
    pass(Duration::seconds(30));
    EXPECT_EQ(orders(), 1) << "the other's shot is under way";
    EXPECT_EQ(has_given_up(), !goes_first);
    HistoryEntry failure{.victim = self, .executor = other, .finished = {5}};
    failure.outcome = Outcome::failed;
    says(other, Finished{failure});
    pass(Duration::seconds(1));
    EXPECT_EQ(orders(), goes_first ? 2 : 1);
}

TEST_P(CrossedShots, AShooterThatHangsIsNotWaitedForForEver) {
    begin_to_shoot();
    meet();
    pass(Duration::seconds(70));
    EXPECT_EQ(orders(), goes_first ? 2 : 1);
}

// However long the agent took that was at work when they met.
TEST_P(CrossedShots, AreWaitedForFromTheOrderOnThatHasToWait) {
    begin_to_shoot();
    view({self, other}, {other});
    says(self, Hello{own_life.incarnation, {}, {own_wish}, {{other, 0}}});
    says(other, Hello{other_life.incarnation, {}, {its_wish}, {{self, 0}}});
    pass(Duration::seconds(100));
    agent_times_out();  // the order
    agent_times_out();  // the status
    pass(Duration::seconds(50));
    EXPECT_EQ(orders(), 1);
    pass(Duration::seconds(15));
    EXPECT_EQ(orders(), goes_first ? 2 : 1);
}

// Others may have judged without us meanwhile.
TEST_P(CrossedShots, WhoHasLostQuorumGivesNoFurtherOrder) {
    begin_to_shoot();
    step(QuorumChanged{false});
    step(QuorumChanged{true});
    agent_times_out();
    agent_times_out();
    EXPECT_TRUE(has_given_up());
    EXPECT_EQ(orders(), 1);
}

// A first device that works and does not say so, a second one: the machine is back in a new life before its turn comes.
TEST_P(CrossedShots, ALaterLifeIsNotShotForTheOneBefore) {
    begin_to_shoot();
    const base::NodeIncarnation later{other, uuid(9)};
    view({self, other}, {other});
    says(self, Hello{own_life.incarnation, {}, {own_wish}, {{other, 0}}});
    says(other, Hello{later.incarnation, {other_life.incarnation}, {}, {}});
    agent_times_out();  // the order
    agent_times_out();  // the status
    pass(Duration::seconds(2));
    EXPECT_EQ(orders(), 1);
    EXPECT_TRUE(has_given_up());
}

// Whoever has joined does not know of it: all judge claims as if it were not.
TEST_P(CrossedShots, WhomAnOverlookedDaemonShootsCountsFromItsHelloOn) {
    step(QuorumChanged{true});
    view({self, other}, {self, other});
    says(self, Hello{own_life.incarnation, {}, {}, {}});
    says(other, Hello{other_life.incarnation, {}, {its_wish}, {{self, 0}}});
    view({self, other}, {other});
    says(self, Hello{own_life.incarnation, {}, {}, {}});
    says(self, Overlook{other});
    says(self, Request{own_wish});
    pass(Duration::seconds(10));
    says(self, Claim{other, 0});
    EXPECT_EQ(orders(), 1);
}

INSTANTIATE_TEST_SUITE_P(BothSides, CrossedShots, ::testing::Values(1U, 2U));

}  // namespace
}  // namespace fencing
