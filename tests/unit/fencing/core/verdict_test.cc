// Every end of an agent has exactly one meaning, and only the promised codes mean success.
#include "fencing/core/verdict.hh"

#include <gtest/gtest.h>

namespace fencing {
namespace {

TEST(Verdict, OnlyPromisedCodesSucceed) {
    for (int code = 0; code < 256; ++code) {
        EXPECT_EQ(judge(AgentAction::off, AgentExit::exited, code), code == 0 ? Verdict::done : Verdict::failed);
        EXPECT_EQ(judge(AgentAction::on, AgentExit::exited, code), code == 0 ? Verdict::done : Verdict::failed);
        const auto expected = code == 0 ? Verdict::power_on : code == 2 ? Verdict::power_off : Verdict::failed;
        EXPECT_EQ(judge(AgentAction::status, AgentExit::exited, code), expected);
    }
}

TEST(Verdict, ATimeoutACrashAndNoRunAreFailures) {
    for (const auto exit : {AgentExit::timed_out, AgentExit::crashed, AgentExit::not_run, AgentExit::unclear}) {
        for (const auto action : {AgentAction::off, AgentAction::on, AgentAction::status}) {
            for (int code = 0; code < 256; ++code) EXPECT_EQ(judge(action, exit, code), Verdict::failed);
        }
    }
}

}  // namespace
}  // namespace fencing
