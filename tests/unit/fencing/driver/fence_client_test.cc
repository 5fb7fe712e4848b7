// FenceClient against a daemon that a test plays.
#include "fencing/driver/fence_client.hh"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/json.hpp>
#include <filesystem>

#include "base/io/control_server.hh"
#include "base/io/json_text.hh"
#include "tests/unit/base_io/loop_fixture.hh"

namespace fencing {
namespace {

base::Uuid uuid(int last) {
    base::Uuid out;
    out.bytes[15] = static_cast<std::byte>(last);
    return out;
}

class FenceClientTest : public LoopTest {
  protected:
    void SetUp() override {
        char name[] = "/tmp/fence-client-XXXXXX";
        directory_ = ::mkdtemp(name);
        path_ = directory_ + "/fenced.sock";
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    void start_daemon() {
        auto server = base::ControlServer::listen(
            loop_, path_, [this](const auto& request, const auto& caller, auto r) { on_request(request, caller, r); });
        ASSERT_TRUE(server.has_value());
        server_ = *std::move(server);
    }

    void on_request(const boost::json::object& request, const base::ControlCaller&, const base::ControlReply& reply) {
        const auto command = *base::text_member(request, "command");
        heard_.push_back(command);
        if (command == "subscribe") {
            reply.line(R"({"ok":true,"event":"hello","node":1,"incarnation":")" + uuid(1).text() + "\"}");
            reply.line(R"({"event":"dead","node":2,"incarnation":")" + uuid(7).text() + "\"}");
            reply.line(R"({"event":"members","in_group":true,"quorate":true,"members":[{"node":2,"incarnation":")" +
                       uuid(2).text() + "\"}]}");
            reply.on_hang_up([this] { ++hung_up_; });
        }
        if (command == "fence" && answer_) {
            reply.line(R"({"event":"dead","node":2,"incarnation":")" + uuid(2).text() + "\"}");
        }
    }

    std::string directory_;
    std::string path_;
    std::unique_ptr<base::ControlServer> server_;
    std::vector<std::string> heard_;
    bool answer_ = true;
    int hung_up_ = 0;
};

TEST_F(FenceClientTest, TellsWhatIsKnownAndWhatHappens) {
    start_daemon();
    FenceClient client(loop_, "test", path_);
    std::vector<base::NodeIncarnation> dead;
    client.on_state([&](const FenceClient::State& state) {
        if (!state.connected) return;
        EXPECT_TRUE(state.in_group);
        EXPECT_TRUE(state.quorate);
        EXPECT_EQ(state.self, (base::NodeIncarnation{{1}, uuid(1)}));
        EXPECT_EQ(state.members.at({2}), uuid(2));
        client.request_fence({{2}, uuid(2)}, "link lost");
        EXPECT_EQ(dead.size(), 1U) << "never told from inside the request";
    });
    client.on_fenced([&](const base::NodeIncarnation& life) {
        dead.push_back(life);
        if (dead.size() == 2) done();
    });
    run_until_done();
    EXPECT_EQ(dead, (std::vector<base::NodeIncarnation>{{{2}, uuid(7)}, {{2}, uuid(2)}}));
    EXPECT_TRUE(client.is_dead({{2}, uuid(2)}));
}

TEST_F(FenceClientTest, LateSubscribersAreToldEverything) {
    start_daemon();
    FenceClient client(loop_, "test", path_);
    client.on_fenced([&](const base::NodeIncarnation&) {
        client.on_fenced([&](const base::NodeIncarnation& life) {
            EXPECT_EQ(life.incarnation, uuid(7));
            done();
        });
    });
    run_until_done();
}

TEST_F(FenceClientTest, WaitsForTheDaemonAndAsksAgainAfterItsRestart) {
    FenceClient client(loop_, "test", path_);
    client.request_fence({{2}, uuid(2)}, "link lost");
    answer_ = false;
    auto start = loop_.after(base::Duration::milliseconds(50), [&] { start_daemon(); });
    run_until([&] { return heard_.size() == 2; });
    const auto end = loop_.after(base::Duration::milliseconds(300), [this] { done(); });
    run_until_done();
    EXPECT_EQ(heard_, (std::vector<std::string>{"subscribe", "fence"}));
    EXPECT_EQ(hung_up_, 0);
    server_.reset();
    answer_ = true;
    start_daemon();
    client.on_fenced([&](const base::NodeIncarnation& life) {
        if (life.incarnation == uuid(2)) done();
    });
    run_until_done();
    EXPECT_EQ(heard_.size(), 4U);
}

TEST_F(FenceClientTest, HangsUpWhenItEnds) {
    start_daemon();
    auto client = std::make_unique<FenceClient>(loop_, "test", path_);
    client->on_state([&](const FenceClient::State& state) {
        if (state.connected) loop_.post([&] { client.reset(); });
    });
    run_until([&] { return hung_up_ == 1; });
}

TEST_F(FenceClientTest, SaysWhatToDoWithoutDaemon) {
    const auto result = check_fencing_is_configured(path_);
    ASSERT_FALSE(result.has_value());
    EXPECT_NE(result.error().message().find("systemctl start cfs-fenced"), std::string::npos);
}

}  // namespace
}  // namespace fencing
