// Connections between sessions, over TCP on one loop.
#include "dlm/driver/mesh.hh"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "tests/unit/base_io/loop_fixture.hh"

namespace dlm {
namespace {

base::Uuid uuid_of(std::uint8_t number) {
    base::Uuid uuid;
    uuid.bytes[0] = static_cast<std::byte>(number);
    return uuid;
}

class MeshTest : public LoopTest {
  protected:
    struct Session {
        Session(base::EventLoop& loop, std::uint32_t node, std::uint8_t number, std::function<void()> arrived,
                const std::string& lockspace = "test", const std::string& secret = "secret")
            : member{{{node}, number}, {{node}, uuid_of(number)}, uuid_of(number), 0},
              mesh(
                  loop, mutex, options(member, lockspace, secret),
                  [arrived = std::move(arrived)](auto&, auto) { arrived(); },
                  [this](const base::Error& why) { wrong_secret(why); }) {
            const auto port = mesh.listen();
            EXPECT_TRUE(port);
            member.port = port.value_or(0);
        }
        static Mesh::Options options(const Member& member, const std::string& lockspace, const std::string& secret) {
            const auto port = static_cast<std::uint16_t>(20000 + ::getpid() % 20000);
            return {lockspace,
                    member.process.node,
                    member.session,
                    secret,
                    "127.0.0.1",
                    port,
                    {{{1}, "127.0.0.1"}, {{2}, "127.0.0.1"}}};
        }
        void expect(const Session& other) {
            {
                const std::lock_guard lock(mutex);
                mesh.expect(other.member);
            }
            mesh.connect(other.member.session);
        }
        void send_to(const Session& other) {
            const std::lock_guard lock(mutex);
            mesh.send(other.member.session, {1, Unlock{1, "name", {}}});
        }
        bool connected() {
            const std::lock_guard lock(mutex);
            base::JsonWriter json;
            mesh.describe(json);
            return json.text().find("\"connected\":true") != std::string::npos;
        }

        Member member;
        std::function<void(const base::Error&)> wrong_secret = [](const base::Error&) {};
        std::mutex mutex;
        Mesh mesh;
    };
    // The caller was connected with it and goes on calling there.
    std::uint16_t port_of_ended_session(Session& caller) {
        Session first(loop_, 1, 1, [this] { done(); });
        first.expect(caller);
        caller.expect(first);
        caller.send_to(first);
        run_until_done();
        return first.member.port;
    }
    // For at least a second, and until so many lines have been written.
    std::string log_of_many_calls(int lines) {
        std::string logged;
        for (int seconds = 0; seconds < 60 && std::count(logged.begin(), logged.end(), '\n') < lines; ++seconds) {
            ::testing::internal::CaptureStderr();
            pass(base::Duration::seconds(1));
            logged += ::testing::internal::GetCapturedStderr();
        }
        return logged;
    }
    void pass(base::Duration time) {
        const auto end = loop_.after(time, [this] { done(); });
        run_until_done();
    }
};

// The caller keeps dialling a session that has ended, at a port where another one listens now.
TEST_F(MeshTest, ACallForAnEndedSessionLeavesItsSuccessorAlone) {
    Session caller(loop_, 2, 2, [] {});
    const auto port = port_of_ended_session(caller);

    Session second(loop_, 1, 3, [this] { done(); });
    ASSERT_EQ(second.member.port, port);
    second.expect(caller);
    caller.expect(second);
    caller.send_to(second);
    run_until_done();
    int looked = 0;
    int unconnected = 0;
    base::EventLoop::Handle again;
    std::function<void()> look = [&] {
        if (!second.connected()) ++unconnected;
        if (++looked == 200) return done();
        again = loop_.after(base::Duration::milliseconds(5), look);
    };
    look();
    run_until_done();
    EXPECT_EQ(unconnected, 0);
}

TEST_F(MeshTest, BothSidesHearOfAWrongSecret) {
    Session listener(loop_, 1, 1, [] {});
    Session caller(
        loop_, 2, 2, [] {}, "test", "another secret");
    std::string heard_by_listener;
    std::string heard_by_caller;
    listener.wrong_secret = [&](const base::Error& why) { heard_by_listener = why.message(); };
    caller.wrong_secret = [&](const base::Error& why) { heard_by_caller = why.message(); };
    listener.expect(caller);
    caller.expect(listener);
    run_until([&] { return !heard_by_listener.empty() && !heard_by_caller.empty(); });
    EXPECT_NE(heard_by_listener.find("wrong shared secret"), std::string::npos) << heard_by_listener;
    EXPECT_NE(heard_by_caller.find("wrong shared secret"), std::string::npos) << heard_by_caller;
}

// Another lockspace has the port of one that has ended.
TEST_F(MeshTest, AnotherServiceAtThePortSaysNothingOfTheSecret) {
    Session stranger(
        loop_, 1, 1, [] {}, "another");
    Session caller(loop_, 2, 2, [] {});
    int heard = 0;
    stranger.wrong_secret = caller.wrong_secret = [&](const base::Error&) { ++heard; };
    caller.expect(stranger);
    pass(base::Duration::milliseconds(300));
    EXPECT_EQ(heard, 0);
}

// What is wrong is said once, however often it is tried.
TEST_F(MeshTest, TheSameFailureIsLoggedOnce) {
    Session caller(loop_, 2, 2, [] {});
    const auto port = port_of_ended_session(caller);
    Session second(loop_, 1, 3, [] {});
    ASSERT_EQ(second.member.port, port);
    second.expect(caller);
    const auto logged = log_of_many_calls(1);
    EXPECT_NE(logged.find("has forgotten this session"), std::string::npos) << logged;
    EXPECT_LE(std::count(logged.begin(), logged.end(), '\n'), 3) << logged;
}

TEST_F(MeshTest, ARefusedCallerIsLoggedOnce) {
    Session listener(loop_, 1, 1, [] {});
    Session caller(
        loop_, 2, 2, [] {}, "test", "another secret");
    caller.expect(listener);
    const auto logged = log_of_many_calls(2);
    EXPECT_EQ(std::count(logged.begin(), logged.end(), '\n'), 2) << logged;  // one line of each side
}

}  // namespace
}  // namespace dlm
