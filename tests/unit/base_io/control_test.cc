#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "base/io/control_client.hh"
#include "base/io/control_server.hh"
#include "base/io/json_text.hh"
#include "base/io/unix_socket.hh"
#include "tests/unit/base_io/loop_fixture.hh"

namespace {

class ControlTest : public LoopTest {
  protected:
    void SetUp() override {
        directory_ = std::filesystem::temp_directory_path() / ("control-test-" + std::to_string(::getpid()));
        auto made = base::ControlServer::listen(
            loop_, path(),
            [](const boost::json::object& request, const base::ControlCaller& caller, base::ControlReply reply) {
                if (base::text_member(request, "command") != "who") return reply.error("unknown command");
                reply.ok({{"user", caller.user}});
            });
        ASSERT_TRUE(made) << made.error().message();
        server_ = *std::move(made);
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }
    std::string path() const { return directory_ / "control.sock"; }

    // Runs the loop while another thread calls.
    base::Result<boost::json::object> call(const boost::json::object& request) {
        base::Result<boost::json::object> answer;
        std::thread caller([&] {
            answer = base::call_control(path(), request, base::Duration::seconds(5));
            loop_.post([this] { done(); });
        });
        run_until_done();
        caller.join();
        return answer;
    }

    std::filesystem::path directory_;
    std::unique_ptr<base::ControlServer> server_;
};

TEST_F(ControlTest, AnswersAndKnowsTheCaller) {
    const auto answer = call({{"command", "who"}});
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->at("user").to_number<unsigned>(), ::getuid());
}

TEST_F(ControlTest, PassesErrorsOn) {
    const auto answer = call({{"command", "what"}});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().detail, "unknown command");
}

TEST_F(ControlTest, AnswersGarbageWithAnError) {
    std::string answer(200, '\0');
    std::thread caller([&] {
        const auto socket = base::connect_unix(path());
        ASSERT_TRUE(socket);
        const std::string garbage = "[1,2,\xff\n";
        ASSERT_GT(::send(socket->get(), garbage.data(), garbage.size(), 0), 0);
        answer.resize(static_cast<std::size_t>(::recv(socket->get(), answer.data(), answer.size(), 0)));
        loop_.post([this] { done(); });
    });
    run_until_done();
    caller.join();
    EXPECT_NE(answer.find("one JSON object"), std::string::npos) << answer;
}

TEST_F(ControlTest, SocketIsClosedToOthersAndNotTakenTwice) {
    struct stat status {};
    ASSERT_EQ(::stat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0660U);
    const auto second = base::ControlServer::listen(loop_, path(), [](const auto&, const auto&, auto) {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, std::errc::address_in_use);
}

}  // namespace
