#include <sys/socket.h>

#include <random>
#include <thread>

#include "base/aligned_buffer.hh"
#include "base/io/unix_socket.hh"
#include "blockrep/driver/attach_client.hh"
#include "blockrep/driver/attach_server.hh"
#include "loop_fixture.hh"
#include "memory_device.hh"
#include "temporary_file.hh"

namespace blockrep {
namespace {

// The server on the test's loop, a client on a loop of its own: open() blocks.
class AttachTest : public LoopTest {
  protected:
    AttachTest() : path_(file_.path() + ".sock") { restart_server(); }
    ~AttachTest() override { ::unlink(path_.c_str()); }

    void restart_server() {
        server_.reset();
        server_ = std::make_unique<AttachServer>(loop_, directory_);
        EXPECT_TRUE(server_->listen(path_));
    }
    AttachClient::Options options() {
        AttachClient::Options options;
        options.socket = path_;
        options.pool_length = 1 << 20;
        options.connect_limit = base::Duration::seconds(60);
        return options;
    }
    // `story` runs on a thread of its own while `client_loop_` serves the client.
    void run_story(const std::function<void()>& story) {
        std::thread loop_thread([this] { client_loop_.run(); });
        std::thread thread([&] {
            story();
            client_loop_.post([this] {
                client_.reset();
                client_loop_.stop();
                loop_.post([this] { done(); });
            });
        });
        run_until_done();
        client_loop_.post([this] { client_loop_.stop(); });
        thread.join();
        loop_thread.join();
    }
    void attach() {
        auto opened = AttachClient::open(client_loop_, "r0", options());
        ASSERT_TRUE(opened) << opened.error().message();
        client_ = *std::move(opened);
    }
    // Waits for the completion that `start` is given.
    base::Result<void> wait(const std::function<void(base::BlockDevice::Completion)>& start) {
        std::mutex mutex;
        std::condition_variable arrived;
        std::optional<base::Result<void>> outcome;
        start([&](base::Result<void> result) {
            const std::scoped_lock lock(mutex);
            outcome = std::move(result);
            arrived.notify_one();
        });
        std::unique_lock lock(mutex);
        EXPECT_TRUE(arrived.wait_for(lock, std::chrono::seconds(100), [&] { return outcome.has_value(); }));
        return outcome.value_or(base::failure(std::errc::timed_out));
    }
    void on_server(const std::function<void()>& work) {
        wait([&](auto complete) {
            loop_.post([=] {
                work();
                complete({});
            });
        }).value();
    }

    // One of the numbers that the server tells of its clients, summed up.
    std::size_t told(const std::string& name) {
        std::string text;
        on_server([&] {
            base::JsonWriter json;
            server_->describe(json);
            text = json.text();
        });
        std::size_t sum = 0;
        const auto key = "\"" + name + "\":";
        for (auto at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
            const auto value = text.substr(at + key.size());
            sum += value.starts_with("true") ? 1 : std::strtoull(value.c_str(), nullptr, 10);
        }
        return sum;
    }
    bool comes(const std::function<bool()>& condition) {
        for (int i = 0; i < 10'000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return condition();
    }

    TemporaryFile file_{0};
    std::string path_;
    std::shared_ptr<MemoryDevice> device_ = std::make_shared<MemoryDevice>(loop_, 8 << 20);
    OneDevice directory_{device_};
    std::unique_ptr<AttachServer> server_;
    base::EventLoop client_loop_;
    std::unique_ptr<AttachClient> client_;
};

TEST_F(AttachTest, TheDeviceIsFreeOnceItsClientIsGone) {
    run_story([this] {
        for (int i = 0; i < 50; ++i) {
            attach();
            EXPECT_EQ(device_->clients, 1);
            wait([&](auto complete) {
                client_loop_.post([=, this] {
                    client_.reset();
                    EXPECT_EQ(device_->clients, 0);
                    complete({});
                });
            }).value();
        }
    });
}

TEST_F(AttachTest, ReadsWhatWasWrittenFromAnyMemory) {
    run_story([this] {
        attach();
        EXPECT_EQ(client_->size(), 8U << 20);
        base::Bytes out(4096, std::byte{'p'});
        EXPECT_TRUE(wait([&](auto done) { client_->write(512, out, base::Durability::stable, done); }));
        const auto shared = client_->take_buffer(8192);
        ASSERT_EQ(shared.size(), 8192U);
        EXPECT_TRUE(wait([&](auto done) { client_->read(0, shared, done); }));
        EXPECT_EQ(shared[511], std::byte{0});
        EXPECT_EQ(shared[512], std::byte{'p'});
        shared[0] = std::byte{'s'};
        EXPECT_TRUE(wait([&](auto done) { client_->write(1 << 20, shared, base::Durability::cached, done); }));
        EXPECT_TRUE(wait([&](auto done) { client_->discard(512, 4096, done); }));
        EXPECT_TRUE(wait([&](auto done) { client_->flush(done); }));
        base::Bytes in(1024);
        EXPECT_TRUE(wait([&](auto done) { client_->read(1 << 20, in, done); }));
        EXPECT_EQ(in[0], std::byte{'s'});
        EXPECT_TRUE(wait([&](auto done) { client_->read(512, in, done); }));
        EXPECT_EQ(in[0], std::byte{0});
        client_->give_back_buffer(shared);
    });
    EXPECT_EQ(device_->stable_writes, 1);
    EXPECT_EQ(device_->flushes, 1);
}

TEST_F(AttachTest, ManyRequestsShareASmallPool) {
    run_story([this] {
        attach();
        constexpr int count = 3000;
        std::vector<base::Bytes> buffers(count, base::Bytes(16384, std::byte{'m'}));
        std::atomic<int> good = 0;
        for (int i = 0; i + 1 < count; ++i) {
            client_->write(std::uint64_t(i % 512) * 16384, buffers[std::size_t(i)], base::Durability::cached,
                           [&](base::Result<void> outcome) { good += outcome ? 1 : 0; });
        }
        EXPECT_TRUE(wait([&](auto done) { client_->write(0, buffers.back(), base::Durability::cached, done); }));
        EXPECT_TRUE(wait([&](auto done) { client_->flush(done); }));
        while (good < count - 1) std::this_thread::yield();
    });
    EXPECT_EQ(device_->content.back(), std::byte{'m'});
}

TEST_F(AttachTest, RefusesWhatIsOutside) {
    run_story([this] {
        attach();
        base::Bytes memory(4096);
        EXPECT_FALSE(wait([&](auto done) { client_->read(8 << 20, memory, done); }));
        EXPECT_FALSE(wait([&](auto done) { client_->read(100, memory, done); }));
        EXPECT_FALSE(wait([&](auto done) { client_->discard(4096, ~0ULL - 4095, done); }));
        EXPECT_TRUE(wait([&](auto done) { client_->read(0, memory, done); }));
    });
}

TEST_F(AttachTest, SaysWhyADeviceCannotBeAttached) {
    directory_.refused = true;
    run_story([this] {
        const auto opened = AttachClient::open(client_loop_, "r0", options());
        ASSERT_FALSE(opened);
        EXPECT_NE(opened.error().message().find("r0 is Secondary"), std::string::npos) << opened.error().message();
        EXPECT_EQ(opened.error().code, std::errc::operation_not_permitted);
    });
}

TEST_F(AttachTest, GoesOnWhenTheDaemonComesBack) {
    run_story([this] {
        attach();
        base::Bytes memory(4096, std::byte{'r'});
        on_server([this] { device_->frozen = true; });
        const auto outcome = wait([&](auto done) {
            client_->write(0, memory, base::Durability::cached, done);
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            on_server([this] {
                server_.reset();
                device_->held.clear();
                device_->frozen = false;
                restart_server();
            });
        });
        EXPECT_TRUE(outcome);
    });
    EXPECT_EQ(device_->content[0], std::byte{'r'});
}

TEST_F(AttachTest, ANewClientWaitsUntilTheDeadOneIsDrained) {
    run_story([this] {
        attach();
        const auto first = client_->identity();
        on_server([this] { device_->frozen = true; });
        base::Bytes memory(4096, std::byte{'d'});
        client_->write(0, memory, base::Durability::cached, [](auto) { FAIL() << "the client is dead"; });
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        wait([&](auto done) {
            client_loop_.post([this, done] {
                client_.reset();
                done({});
            });
        }).value();
        std::atomic<bool> certified = false;
        on_server([&] { server_->when_drained(first, [&] { certified = true; }); });
        std::thread thaw([this, &certified] {
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
            EXPECT_FALSE(certified);
            EXPECT_EQ(device_->clients, 1);
            loop_.post([this] { device_->thaw(); });
        });
        attach();
        thaw.join();
        EXPECT_EQ(device_->content[0], std::byte{'d'});
        on_server([] {});  // what the loop had to do is done when it has taken a second job
        on_server([] {});
        EXPECT_TRUE(certified);
    });
}

// A client without the library's manners: it says what it is told to, and dies at once.
struct RawClient {
    explicit RawClient(const std::string& path) : socket(*base::connect_unix(path)) {
        memory = *SharedMemory::create(1 << 20);
        const std::string name = "r0";
        attach::HelloHead head;
        head.pool_length = 1 << 20;
        head.name_length = static_cast<std::uint32_t>(name.size());
        base::ByteWriter hello;
        hello.append(attach::bytes_of(head)).append(base::as_bytes(name));
        EXPECT_TRUE(attach::send_with_descriptor(socket.get(), hello.bytes(), memory->descriptor()));
        attach::WelcomeHead welcome;
        EXPECT_EQ(::recv(socket.get(), &welcome, sizeof welcome, MSG_WAITALL), ssize_t{sizeof welcome});
        EXPECT_EQ(welcome.status, 0U);
    }
    // False where the daemon takes no more for now. A request is not divided: the socket's pieces are larger.
    bool try_send(const attach::Request& request) {
        return ::send(socket.get(), &request, sizeof request, MSG_NOSIGNAL | MSG_DONTWAIT) == ssize_t{sizeof request};
    }

    base::FileDescriptor socket;
    std::shared_ptr<SharedMemory> memory;
};

// While so much is in flight nothing is read from it, so that its end does not show there.
TEST_F(AttachTest, ANewClientWaitsForADeadOneThatHadAllItMayHaveInFlight) {
    run_story([this] {
        on_server([this] { device_->frozen = true; });
        {
            RawClient dead(path_);
            for (std::uint64_t id = 0; id < attach::most_in_flight; ++id) {
                while (!dead.try_send({id, attach::Operation::write, 0, 0, 4096, 0})) std::this_thread::yield();
            }
            ASSERT_TRUE(comes([&] { return told("in-flight") == attach::most_in_flight; }));
        }
        std::thread thaw([this] {
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
            EXPECT_EQ(device_->clients, 1);
            loop_.post([this] { device_->thaw(); });
        });
        attach();
        thaw.join();
        EXPECT_EQ(told("attached"), 1U);
    });
}

TEST_F(AttachTest, WhoGivesUpWaitingIsForgotten) {
    run_story([this] {
        on_server([this] { device_->frozen = true; });
        {
            RawClient dead(path_);
            ASSERT_TRUE(dead.try_send({1, attach::Operation::write, 0, 0, 4096, 0}));
            ASSERT_TRUE(comes([&] { return told("in-flight") == 1; }));
        }
        auto impatient = options();
        impatient.connect_limit = base::Duration::milliseconds(50);
        for (int i = 0; i < 3; ++i) EXPECT_FALSE(AttachClient::open(client_loop_, "r0", impatient));
        EXPECT_TRUE(comes([&] { return told("connected") == 0; }));
        on_server([this] { device_->thaw(); });
        attach();
    });
}

TEST_F(AttachTest, WhoTakesNoRepliesIsNotServedForEver) {
    run_story([this] {
        constexpr std::uint64_t count = 100'000;
        RawClient client(path_);
        std::uint64_t sent = 0;
        for (int waited = 0; sent < count && waited < 30;) {
            if (client.try_send({sent, attach::Operation(99), 0, 0, 0, 0})) {
                ++sent;
                waited = 0;
            } else {
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
                ++waited;
            }
        }
        EXPECT_LT(sent, count);
        // It goes on when they are taken.
        std::uint64_t answered = 0;
        for (attach::Reply reply; answered < count; ++answered) {
            for (; sent < count && client.try_send({sent, attach::Operation(99), 0, 0, 0, 0}); ++sent) {
            }
            ASSERT_EQ(::recv(client.socket.get(), &reply, sizeof reply, MSG_WAITALL), ssize_t{sizeof reply});
            ASSERT_EQ(reply.id, answered);
        }
    });
}

// Nothing is read from it, and it takes nothing: nobody would see its end.
TEST_F(AttachTest, AHalfClosedClientThatTakesNoRepliesKeepsNobodyOut) {
    run_story([this] {
        RawClient stuck(path_);
        for (int refused = 0; refused < 30;) {
            if (stuck.try_send({1, attach::Operation(99), 0, 0, 0, 0})) continue;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            ++refused;
        }
        ASSERT_EQ(::shutdown(stuck.socket.get(), SHUT_WR), 0);
        attach();
        EXPECT_EQ(told("attached"), 1U);
    });
}

TEST_F(AttachTest, SurvivesGarbage) {
    run_story([this] {
        std::mt19937 random(11);
        for (int round = 0; round < 200; ++round) {
            auto socket = base::connect_unix(path_);
            ASSERT_TRUE(socket);
            attach::HelloHead head;
            if (round % 3 != 0) head.name_length = static_cast<std::uint32_t>(random() % 400);
            if (round % 5 == 0) head.pool_length = random();
            if (round % 7 == 0) head.magic = static_cast<std::uint32_t>(random());
            base::ByteWriter out;
            out.append(attach::bytes_of(head));
            for (auto i = random() % 600; i > 0; --i) out.integer(static_cast<std::uint8_t>(random()));
            const auto bytes = out.take();
            EXPECT_GT(::send(socket->get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), 0);
        }
        attach();
        EXPECT_TRUE(wait([&](auto done) { client_->flush(done); }));
    });
}

TEST(SharedMemory, IsRefusedWhenItCouldShrink) {
    TemporaryFile file(4096);
    EXPECT_FALSE(SharedMemory::map(base::FileDescriptor(::dup(file.descriptor())), 4096));
    const auto good = SharedMemory::create(8192);
    ASSERT_TRUE(good);
    EXPECT_TRUE(SharedMemory::map(base::FileDescriptor(::dup((*good)->descriptor())), 8192));
    EXPECT_FALSE(SharedMemory::map(base::FileDescriptor(::dup((*good)->descriptor())), 16384));
}

TEST(AttachProtocol, ValidatesEveryField) {
    using attach::Operation;
    const auto check = [](Operation operation, std::uint32_t flags, std::uint64_t offset, std::uint64_t length,
                          std::uint64_t pool_offset) {
        return attach::validate({1, operation, flags, offset, length, pool_offset}, 1 << 20, 512, 1 << 16);
    };
    EXPECT_EQ(check(Operation::read, 0, 0, 512, 0), 0);
    EXPECT_EQ(check(Operation::write, 1, (1 << 20) - 512, 512, (1 << 16) - 512), 0);
    EXPECT_EQ(check(Operation::flush, 0, 0, 0, 0), 0);
    EXPECT_EQ(check(Operation::discard, 0, 0, 1 << 20, 0), 0);
    EXPECT_NE(check(Operation::read, 2, 0, 512, 0), 0);
    EXPECT_NE(check(Operation(0), 0, 0, 512, 0), 0);
    EXPECT_NE(check(Operation(5), 0, 0, 512, 0), 0);
    EXPECT_NE(check(Operation::read, 0, 1 << 20, 512, 0), 0);
    EXPECT_NE(check(Operation::read, 0, ~0ULL - 511, 1024, 0), 0);
    EXPECT_NE(check(Operation::read, 0, 0, 0, 0), 0);
    EXPECT_NE(check(Operation::read, 0, 0, 100, 0), 0);
    EXPECT_NE(check(Operation::read, 0, 0, 512, 1 << 16), 0);
    EXPECT_NE(check(Operation::read, 0, 0, 1024, (1 << 16) - 512), 0);
    EXPECT_NE(check(Operation::read, 0, 0, 512, 7), 0);
    EXPECT_NE(check(Operation::read, 0, 0, 512, ~0ULL - 511), 0);
}

}  // namespace
}  // namespace blockrep
