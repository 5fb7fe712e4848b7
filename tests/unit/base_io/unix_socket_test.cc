#include "base/io/unix_socket.hh"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

namespace {

using base::Duration;

struct UnixSocketTest : testing::Test {
    std::string path = testing::TempDir() + "cfs-unix-socket-" + std::to_string(::getpid());
    ~UnixSocketTest() override { std::filesystem::remove(path); }
};

// A daemon that hangs: what calls it must not hang with it.
TEST_F(UnixSocketTest, ConnectingEndsWhereNobodyAccepts) {
    const auto listener = base::listen_unix(path);
    ASSERT_TRUE(listener) << listener.error().message();
    std::vector<base::FileDescriptor> connected;
    for (int i = 0; i < 1000; ++i) {
        auto socket = base::connect_unix(path, Duration::milliseconds(50));
        if (!socket) {
            EXPECT_EQ(socket.error().code, std::errc::resource_unavailable_try_again);
            break;
        }
        connected.push_back(*std::move(socket));
    }
    EXPECT_LT(connected.size(), 1000U);
    EXPECT_FALSE(base::listen_unix(path)) << "it is alive";
}

TEST_F(UnixSocketTest, ASocketOfADeadProcessIsReplaced) {
    { ASSERT_TRUE(base::listen_unix(path)); }
    ASSERT_TRUE(std::filesystem::exists(path));
    const auto listener = base::listen_unix(path);
    ASSERT_TRUE(listener) << listener.error().message();
    EXPECT_TRUE(base::connect_unix(path));
}

}  // namespace
