#include "blockrep/driver/nbd_server.hh"

#include <sys/socket.h>

#include <random>
#include <thread>

#include "base/io/unix_socket.hh"
#include "loop_fixture.hh"
#include "memory_device.hh"
#include "temporary_file.hh"

namespace blockrep {
namespace {

using nbd::append_big;

// A client that blocks, on a thread of its own.
class Client {
  public:
    explicit Client(const std::string& path) : socket_(*base::connect_unix(path)) {}
    void send(const base::Bytes& bytes) {
        ASSERT_EQ(::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    }
    base::Bytes receive(std::size_t count) {
        base::Bytes bytes(count);
        const auto got = ::recv(socket_.get(), bytes.data(), count, MSG_WAITALL);
        bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        return bytes;
    }
    // By EXPORT_NAME, without zeroes; the size.
    std::uint64_t choose(std::string_view name) {
        receive(18);
        base::Bytes out;
        append_big(out, std::uint32_t{3});
        append_big(out, nbd::option_magic);
        append_big(out, std::uint32_t{1});
        append_big(out, static_cast<std::uint32_t>(name.size()));
        out.insert(out.end(), base::as_bytes(name).begin(), base::as_bytes(name).end());
        send(out);
        const auto answer = receive(10);
        if (answer.size() != 10) return 0;
        base::ByteReader reader(answer);
        return nbd::read_big<std::uint64_t>(reader);
    }
    static base::Bytes request(nbd::Command command, std::uint64_t cookie, std::uint64_t offset, std::uint32_t length,
                               std::uint16_t flags = 0) {
        base::Bytes out;
        append_big(out, nbd::request_magic);
        append_big(out, flags);
        append_big(out, static_cast<std::uint16_t>(command));
        append_big(out, cookie);
        append_big(out, offset);
        append_big(out, length);
        return out;
    }
    // The error and the cookie of a simple reply.
    std::pair<std::uint32_t, std::uint64_t> reply() {
        const auto bytes = receive(16);
        if (bytes.size() != 16) return {~0U, 0};
        base::ByteReader reader(bytes);
        EXPECT_EQ(nbd::read_big<std::uint32_t>(reader), nbd::simple_reply_magic);
        const auto error = nbd::read_big<std::uint32_t>(reader);
        return {error, nbd::read_big<std::uint64_t>(reader)};
    }

  private:
    base::FileDescriptor socket_;
};

class NbdServerTest : public LoopTest {
  protected:
    NbdServerTest() : file_(0), path_(file_.path() + ".sock"), server_(loop_, directory_) {
        EXPECT_TRUE(server_.listen_on_path(path_));
    }
    ~NbdServerTest() override { ::unlink(path_.c_str()); }
    void with_client(const std::function<void(Client&)>& story) {
        std::thread thread([&] {
            {
                Client client(path_);
                story(client);
            }
            loop_.post([&] { done(); });
        });
        run_until_done();
        thread.join();
    }

    TemporaryFile file_;
    std::string path_;
    std::shared_ptr<MemoryDevice> device_ = std::make_shared<MemoryDevice>(loop_, 4 << 20);
    OneDevice directory_{device_};
    NbdServer server_;
};

TEST_F(NbdServerTest, ReadsWhatWasWritten) {
    with_client([](Client& client) {
        EXPECT_EQ(client.choose("r0"), 4U << 20);
        auto write = Client::request(nbd::Command::write, 7, 512, 100 * 512, nbd::command_fua);
        write.resize(write.size() + 100 * 512, std::byte{'w'});
        client.send(write);
        EXPECT_EQ(client.reply(), std::pair(0U, std::uint64_t{7}));
        client.send(Client::request(nbd::Command::read, 8, 0, 1024));
        EXPECT_EQ(client.reply(), std::pair(0U, std::uint64_t{8}));
        const auto data = client.receive(1024);
        EXPECT_EQ(data[511], std::byte{0});
        EXPECT_EQ(data[512], std::byte{'w'});
    });
    EXPECT_EQ(device_->stable_writes, 1);
}

TEST_F(NbdServerTest, AnswersManyRequestsSentAtOnce) {
    with_client([](Client& client) {
        client.choose("r0");
        base::Bytes all;
        for (std::uint64_t i = 0; i < 2000; ++i) {
            const auto one = Client::request(nbd::Command::flush, i, 0, 0);
            all.insert(all.end(), one.begin(), one.end());
        }
        client.send(all);
        for (std::uint64_t i = 0; i < 2000; ++i) EXPECT_EQ(client.reply(), std::pair(0U, i));
    });
    EXPECT_EQ(device_->flushes, 2000);
}

TEST_F(NbdServerTest, RefusesWhatIsOutsideAndGoesOn) {
    with_client([](Client& client) {
        client.choose("r0");
        client.send(Client::request(nbd::Command::read, 1, 4 << 20, 512));
        EXPECT_EQ(client.reply(), std::pair(22U, std::uint64_t{1}));
        auto write = Client::request(nbd::Command::write, 2, 4 << 20, 512);
        write.resize(write.size() + 512);
        client.send(write);
        EXPECT_EQ(client.reply(), std::pair(28U, std::uint64_t{2}));
        client.send(Client::request(nbd::Command::write, 3, 0, 0));
        EXPECT_EQ(client.reply(), std::pair(0U, std::uint64_t{3}));
        client.send(Client::request(nbd::Command::write_zeroes, 4, 0, 4096));
        EXPECT_EQ(client.reply(), std::pair(0U, std::uint64_t{4}));
    });
}

TEST_F(NbdServerTest, TellsOfErrorsOfTheDevice) {
    device_->failing = true;
    with_client([](Client& client) {
        client.choose("r0");
        client.send(Client::request(nbd::Command::read, 1, 0, 512));
        EXPECT_EQ(client.reply(), std::pair(5U, std::uint64_t{1}));
    });
}

TEST_F(NbdServerTest, HangsUpOnWhoAsksForNothingKnown) {
    with_client([this](Client& client) {
        EXPECT_EQ(client.choose("r9"), 0U);
        directory_.refused = true;
        Client second(path_);
        EXPECT_EQ(second.choose("r0"), 0U);
    });
    EXPECT_EQ(device_->clients, 0);
}

TEST_F(NbdServerTest, HoldsTheDeviceUntilTheLastRequestIsAnswered) {
    device_->frozen = true;
    // The client that asked has hung up; what it asked for is still held.
    base::EventLoop::Handle again;
    std::function<void()> look = [&] {
        if (device_->held.size() == 1 && server_.clients() == 1) {
            EXPECT_EQ(device_->clients, 1);
            return device_->thaw();
        }
        again = loop_.after(base::Duration::milliseconds(5), look);
    };
    look();
    with_client([this](Client& witness) {
        {
            Client client(path_);
            client.choose("r0");
            client.send(Client::request(nbd::Command::flush, 1, 0, 0));
        }
        for (int i = 0; i < 6000 && device_->clients != 0; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        EXPECT_EQ(device_->clients, 0);
        EXPECT_FALSE(witness.receive(18).empty());
    });
}

TEST_F(NbdServerTest, AnswersWhatIsInFlightBeforeItLetsGo) {
    device_->frozen = true;
    const auto thaw = loop_.after(base::Duration::milliseconds(50), [&] { device_->thaw(); });
    with_client([](Client& client) {
        client.choose("r0");
        auto both = Client::request(nbd::Command::flush, 1, 0, 0);
        const auto goodbye = Client::request(nbd::Command::disconnect, 2, 0, 0);
        both.insert(both.end(), goodbye.begin(), goodbye.end());
        client.send(both);
        EXPECT_EQ(client.reply(), std::pair(0U, std::uint64_t{1}));
        EXPECT_TRUE(client.receive(1).empty());
    });
}

// Valid beginnings with random continuations: whatever comes, the server goes on and lets go of the device.
TEST_F(NbdServerTest, SurvivesGarbage) {
    with_client([this](Client& last) {
        std::mt19937 random(7);
        for (int round = 0; round < 200; ++round) {
            Client client(path_);
            if (round % 2 == 0) {
                client.choose("r0");
            } else {
                client.receive(18);
            }
            base::Bytes out;
            if (round % 4 == 0) {
                out = Client::request(static_cast<nbd::Command>(random() % 8), random(), random() % (8 << 20),
                                      random() % 100000, static_cast<std::uint16_t>(random()));
            } else if (round % 4 == 1) {
                append_big(out, std::uint32_t{3});
                append_big(out, nbd::option_magic);
                append_big(out, static_cast<std::uint32_t>(random() % 12));
                append_big(out, static_cast<std::uint32_t>(random() % 300));
            }
            for (auto i = random() % 2000; i > 0; --i) out.push_back(static_cast<std::byte>(random()));
            client.send(out);
        }
        last.choose("r0");
        last.send(Client::request(nbd::Command::flush, 1, 0, 0));
        EXPECT_EQ(last.reply(), std::pair(0U, std::uint64_t{1}));
    });
}

}  // namespace
}  // namespace blockrep
