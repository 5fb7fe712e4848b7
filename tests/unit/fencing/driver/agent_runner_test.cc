// Agents as child processes: what they are told, how they end.
#include "fencing/driver/agent_runner.hh"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "fencing/format/error.hh"
#include "tests/unit/base_io/loop_fixture.hh"

namespace fencing {
namespace {

class AgentRunnerTest : public LoopTest {
  protected:
    void SetUp() override {
        char name[] = "/tmp/fence-agent-XXXXXX";
        directory_ = ::mkdtemp(name);
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    Device device(const std::string& script) {
        const auto path = directory_ + "/agent";
        std::ofstream(path) << "#!/bin/sh\n" << script;
        ::chmod(path.c_str(), 0755);
        Device out;
        out.agent = path;
        return out;
    }
    AgentEnd run(const Device& device, const std::string& action = "off") {
        AgentEnd end;
        runner_.run(device, action, "b", [&](const AgentEnd& how) {
            end = how;
            done();
        });
        run_until_done();
        return end;
    }
    std::string content(const std::string& name) const {
        std::ifstream file(directory_ + "/" + name);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    // The process whose number is in the file.
    bool comes_to_an_end(const std::string& name) const {
        const auto path = "/proc/" + std::to_string(std::stoi(content(name))) + "/stat";
        for (int i = 0; i < 6000; ++i) {
            std::ifstream status(path);
            const std::string text{std::istreambuf_iterator<char>(status), {}};
            if (text.empty() || text.find(") Z") != std::string::npos) return true;
            ::usleep(10'000);
        }
        return false;
    }

    std::string directory_;
    AgentRunner runner_{loop_};
};

// 2 is also how an interpreter ends that does not find its script.
TEST_F(AgentRunnerTest, AMachineIsOffOnlyWhenItsAgentSaysSo) {
    const auto silent = run(device("echo cannot open file; exit 2"), "status");
    EXPECT_EQ(silent.exit, AgentExit::unclear);
    EXPECT_EQ(silent.output, "cannot open file");
    const auto off = run(device("echo 'Status: OFF'; echo deprecated >&2; exit 2"), "status");
    EXPECT_EQ(off.exit, AgentExit::exited);
    EXPECT_EQ(off.code, 2);
    EXPECT_EQ(run(device("exit 0"), "status").exit, AgentExit::exited);
}

TEST_F(AgentRunnerTest, OptionsComeOnStandardInput) {
    auto agent = device("cat >" + directory_ + "/input; echo first; echo last; exit 2");
    agent.options = {{"ip", "10.0.0.1"}, {"lanplus", "1"}};
    const auto end = run(agent);
    EXPECT_EQ(end.exit, AgentExit::exited);
    EXPECT_EQ(end.code, 2);
    EXPECT_EQ(end.output, "last");
    EXPECT_EQ(content("input"), "action=off\nip=10.0.0.1\nlanplus=1\n");
}

TEST_F(AgentRunnerTest, AnAgentThatReadsNothingIsFine) {
    auto agent = device("exec 0<&-; exit 0");
    agent.options = {{"filler", std::string(20000, 'x')}};
    EXPECT_EQ(run(agent).exit, AgentExit::exited);
}

TEST_F(AgentRunnerTest, ATimeoutKillsTheWholeGroup) {
    auto agent = device("sleep 600 & echo $! >" + directory_ + "/child; wait");
    agent.timeout = base::Duration::seconds(3);
    const auto end = run(agent);
    EXPECT_EQ(end.exit, AgentExit::timed_out);
    EXPECT_LT(end.took, base::Duration::seconds(300));
    EXPECT_TRUE(comes_to_an_end("child"));
}

TEST_F(AgentRunnerTest, WhatAnAgentLeavesBehindIsKilled) {
    const auto agent = device("sleep 600 & echo $! >" + directory_ + "/left; exit 0");
    EXPECT_EQ(run(agent).exit, AgentExit::exited);
    EXPECT_TRUE(comes_to_an_end("left"));
}

TEST_F(AgentRunnerTest, ACrashIsNoExit) {
    const auto end = run(device("kill -SEGV $$"));
    EXPECT_EQ(end.exit, AgentExit::crashed);
    EXPECT_EQ(end.code, SIGSEGV);
}

TEST_F(AgentRunnerTest, AMissingAgentIsReportedLater) {
    Device missing;
    missing.agent = "fence_no_such_agent";
    const auto end = run(missing);
    EXPECT_EQ(end.exit, AgentExit::not_run);
    EXPECT_NE(end.output.find("fence_no_such_agent"), std::string::npos);
}

TEST_F(AgentRunnerTest, PasswordsAreNotRepeated) {
    auto agent = device("cat; echo login with hunter2 failed; exit 1");
    agent.options = {{"password", "hunter2"}};
    EXPECT_EQ(run(agent).output, "login with [set] failed");
}

TEST_F(AgentRunnerTest, PasswordFilesAreReadForForeignAgents) {
    const auto file = directory_ + "/password";
    std::ofstream(file) << "hunter2\n";
    ::chmod(file.c_str(), 0600);
    Device foreign;
    foreign.agent = "fence_ipmilan";
    foreign.options = {{"password_file", file}};
    EXPECT_EQ(agent_input(foreign, "off", "b"), "action=off\npassword=hunter2\n");
    foreign.agent = "fence_cfs_ipmi";
    EXPECT_EQ(agent_input(foreign, "status", "b"), "action=status\npassword_file=" + file + "\nnodename=b\n");
    foreign.agent = "fence_ipmilan";
    ::chmod(file.c_str(), 0644);
    EXPECT_FALSE(agent_input(foreign, "off", "b").has_value());
}

}  // namespace
}  // namespace fencing
