// One attempt against scripted devices: levels, the order of orders, what counts as proof.
#include "fencing/core/execution.hh"

#include <gtest/gtest.h>

namespace fencing {
namespace {

using base::Duration;

using Levels = std::vector<std::vector<std::string>>;

// Answers the agents by a script; keeps what was run, as "bmc off".
class Attempt {
  public:
    explicit Attempt(Levels levels, PowerOrder order = PowerOrder::off) {
        settings.nodes[{2}] = {"b", {}, std::move(levels)};
        settings.heuristics = {"ping"};
        settings.verify_limit = Duration::seconds(3);
        order_ = order;
    }

    // code < 0: timed out.
    Attempt& answer(const std::string& run, std::vector<int> codes) {
        script[run] = std::move(codes);
        return *this;
    }
    Execution::State go(bool look = false) {
        Execution execution({2}, order_, settings, now);
        Actions actions;
        look ? execution.start_looking(now, next_run, actions) : execution.start(now, next_run, actions);
        for (int steps = 0; execution.state() == Execution::State::running && steps < 100; ++steps) {
            execution.check_invariants();
            if (const auto run = take_run(actions)) {
                now = now + Duration::milliseconds(100);
                execution.on_agent(end_of(*run), now, next_run, actions);
            } else {
                now = *execution.next_deadline();
                execution.on_time(now, next_run, actions);
            }
        }
        detail = execution.detail();
        return execution.state();
    }

    Settings settings;
    std::map<std::string, std::vector<int>> script;
    std::vector<std::string> runs;
    std::string detail;
    base::Instant now;
    RunId next_run = 1;

  private:
    std::optional<RunAgent> take_run(Actions& actions) {
        std::optional<RunAgent> found;
        for (const auto& action : actions) {
            if (const auto* run = std::get_if<RunAgent>(&action)) {
                EXPECT_FALSE(found) << "two agents at once";
                found = *run;
            }
        }
        actions.clear();
        return found;
    }
    AgentFinished end_of(const RunAgent& run) {
        const auto name = run.device + " " + text_of(run.action);
        runs.push_back(name);
        auto& codes = script[name];
        AgentFinished end{.run = run.run, .exit = AgentExit::exited, .code = 0, .output = {}, .wall = {}};
        if (!codes.empty()) {
            end.code = codes.front();
            if (codes.size() > 1) codes.erase(codes.begin());
        }
        if (end.code < 0) end.exit = AgentExit::timed_out;
        return end;
    }

    PowerOrder order_;
};

using Runs = std::vector<std::string>;
using enum Execution::State;

TEST(Execution, OffIsAStatusThatSaysSo) {
    Attempt attempt(Levels{{"bmc"}});
    attempt.answer("bmc status", {0, 0, 2});
    EXPECT_EQ(attempt.go(), succeeded);
    EXPECT_EQ(attempt.runs, (Runs{"bmc off", "bmc status", "bmc status", "bmc status"}));
    EXPECT_EQ(attempt.detail, "bmc off");
}

TEST(Execution, ADeviceThatOnlySaysOkFails) {
    EXPECT_EQ(Attempt(Levels{{"bmc"}}).answer("bmc status", {0}).go(), failed);
}

TEST(Execution, ARefusedOrderIsForgivenWhenTheMachineIsOff) {
    EXPECT_EQ(Attempt(Levels{{"bmc"}}).answer("bmc off", {1}).answer("bmc status", {2}).go(), succeeded);
    Attempt attempt(Levels{{"bmc"}});
    attempt.answer("bmc off", {-1}).answer("bmc status", {0});
    EXPECT_EQ(attempt.go(), failed);
    EXPECT_EQ(attempt.runs, (Runs{"bmc off", "bmc status"})) << "no waiting for what was not accepted";
}

TEST(Execution, SilenceIsAFailure) {
    EXPECT_EQ(Attempt(Levels{{"bmc"}}).answer("bmc off", {-1}).answer("bmc status", {-1}).go(), failed);
    EXPECT_EQ(Attempt(Levels{{"bmc"}}).answer("bmc status", {7}).go(), failed);
}

TEST(Execution, AllDevicesOfALevelAreOrderedBeforeAnyIsAsked) {
    Attempt attempt(Levels{{"pdu1", "pdu2"}});
    attempt.answer("pdu1 status", {2}).answer("pdu2 status", {2});
    EXPECT_EQ(attempt.go(), succeeded);
    EXPECT_EQ(attempt.runs, (Runs{"pdu1 off", "pdu2 off", "pdu1 status", "pdu2 status"}));
}

TEST(Execution, HalfALevelIsNoSuccess) {
    Attempt attempt(Levels{{"pdu1", "pdu2"}});
    attempt.answer("pdu1 status", {2}).answer("pdu2 off", {1}).answer("pdu2 status", {0});
    EXPECT_EQ(attempt.go(), failed);
}

TEST(Execution, TheNextLevelFollowsAFailure) {
    Attempt attempt(Levels{{"bmc"}, {"pdu"}});
    attempt.answer("bmc off", {-1}).answer("bmc status", {-1}).answer("pdu status", {2});
    EXPECT_EQ(attempt.go(), succeeded);
    EXPECT_EQ(attempt.runs, (Runs{"bmc off", "bmc status", "pdu off", "pdu status"}));
}

TEST(Execution, AHeuristicMayVetoItsLevelOnly) {
    Attempt veto(Levels{{"ping", "bmc"}});
    veto.answer("ping off", {1}).answer("bmc status", {2});
    EXPECT_EQ(veto.go(), failed);
    EXPECT_EQ(veto.runs, (Runs{"ping off"}));
    Attempt agreed(Levels{{"ping", "bmc"}});
    agreed.answer("bmc status", {2});
    EXPECT_EQ(agreed.go(), succeeded);
    EXPECT_EQ(Attempt(Levels{{"ping"}}).go(), failed) << "proves nothing";
}

TEST(Execution, NothingConfiguredIsAFailure) {
    EXPECT_EQ(Attempt(Levels{}).go(), failed);
    EXPECT_EQ(Attempt(Levels(1)).go(), failed);
}

TEST(Execution, LookingGivesNoOrders) {
    Attempt off(Levels{{"bmc"}, {"pdu"}});
    off.answer("bmc status", {1}).answer("pdu status", {2});
    EXPECT_EQ(off.go(true), succeeded);
    EXPECT_EQ(off.runs, (Runs{"bmc status", "pdu status"}));
    EXPECT_EQ(off.detail, "pdu was off already");
    Attempt on(Levels{{"bmc"}, {"pdu"}});
    on.answer("bmc status", {0}).answer("pdu status", {-1});
    EXPECT_EQ(on.go(true), failed);
    EXPECT_EQ(on.runs, (Runs{"bmc status", "pdu status"}));
}

TEST(Execution, OnIsVerifiedToo) {
    Attempt attempt(Levels{{"bmc"}}, PowerOrder::on);
    attempt.answer("bmc status", {2, 0});
    EXPECT_EQ(attempt.go(), succeeded);
    EXPECT_EQ(attempt.runs, (Runs{"bmc on", "bmc status", "bmc status"}));
}

TEST(Execution, AHeldOrderWaits) {
    Attempt attempt(Levels{{"bmc"}});
    Execution execution({2}, PowerOrder::off, attempt.settings, {});
    Actions actions;
    const auto until = base::Instant{} + Duration::seconds(2);
    execution.hold_orders_until(until);
    execution.start({}, attempt.next_run, actions);
    EXPECT_TRUE(actions.empty());
    EXPECT_EQ(execution.next_deadline(), until);
    execution.on_time(until, attempt.next_run, actions);
    ASSERT_EQ(actions.size(), 1U);
    EXPECT_EQ(std::get<RunAgent>(actions[0]).action, AgentAction::off);
}

}  // namespace
}  // namespace fencing
