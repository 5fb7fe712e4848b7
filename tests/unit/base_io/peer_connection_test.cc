#include "base/io/peer_connection.hh"

#include <sys/socket.h>

#include <set>
#include <thread>

#include "base/io/framed_socket.hh"
#include "base/io/peer_proof.hh"
#include "base/io/tcp_socket.hh"
#include "tests/unit/base_io/loop_fixture.hh"

namespace {

using base::Duration;
using base::NodeId;
using base::PeerConnection;

class PeerConnectionTest : public LoopTest {
  protected:
    base::PeerOptions options(std::uint32_t node, const std::string& secret = "s3cret") const {
        return {.service = "test", .secret = secret, .self = NodeId{node}};
    }
    // A port of our own process's choosing; tests run at the same time.
    base::PeerEndpoint endpoint() const {
        return {"127.0.0.1", static_cast<std::uint16_t>(20000 + ::getpid() % 20000)};
    }
    void listen(const base::PeerOptions& with) {
        auto made = base::PeerListener::listen(
            loop_, endpoint(), with,
            [this](std::shared_ptr<PeerConnection> c) {
                accepted_ = std::move(c);
                accepted_->start(
                    {[this](base::ByteView m, std::shared_ptr<base::AlignedBuffer> p) { on_accepted(m, p); },
                     [this](const base::Error& why) {
                         accepted_closed_ = why.detail;
                         done();
                     }});
            },
            [this](const base::Error& why) {
                listener_refused_ = why.detail;
                listener_refused_code_ = why.code;
                if (listener_refusal_ends_) done();
            });
        ASSERT_TRUE(made) << made.error().message();
        listener_ = *std::move(made);
    }
    void dial(const base::PeerOptions& with, std::function<void(std::shared_ptr<PeerConnection>)> connected) {
        dial_ =
            base::PeerDial::start(loop_, endpoint(), "", with, std::move(connected), [this](const base::Error& why) {
                dial_failed_ = why.detail;
                dial_failed_code_ = why.code;
                done();
            });
    }
    std::function<void(base::ByteView, std::shared_ptr<base::AlignedBuffer>)> on_accepted = [](auto, auto) {};

    std::unique_ptr<base::PeerListener> listener_;
    std::unique_ptr<base::PeerDial> dial_;
    std::shared_ptr<PeerConnection> accepted_;
    std::shared_ptr<PeerConnection> dialled_;
    std::string listener_refused_;
    std::error_code listener_refused_code_;
    bool listener_refusal_ends_ = false;
    std::string dial_failed_;
    std::error_code dial_failed_code_;
    std::string accepted_closed_;
};

TEST_F(PeerConnectionTest, CarriesMessagesAndPayloadsInOrder) {
    constexpr int count = 500;
    int received = 0;
    on_accepted = [&](base::ByteView message, const std::shared_ptr<base::AlignedBuffer>& payload) {
        ASSERT_EQ(base::load<std::int32_t>(message), received);
        ASSERT_EQ(payload->size(), 65536U);
        ASSERT_EQ(payload->bytes()[4000], static_cast<std::byte>(received));
        if (++received == count) done();
    };
    listen(options(1));
    std::thread sender;
    dial(options(2), [&](std::shared_ptr<PeerConnection> c) {
        dialled_ = std::move(c);
        EXPECT_EQ(dialled_->peer(), NodeId{1});
        dialled_->start({[](auto, auto) {}, [](const base::Error&) {}});
        sender = std::thread([&] {
            for (int i = 0; i < count; ++i) {
                auto payload = std::make_shared<base::Bytes>(65536, static_cast<std::byte>(i));
                base::ByteWriter message;
                message.integer(i);
                dialled_->send(message.take(), {*payload, payload});
            }
        });
    });
    run_until_done();
    sender.join();
    EXPECT_EQ(received, count);
}

TEST_F(PeerConnectionTest, TellsBothSidesOfAWrongSecret) {
    listen(options(1));
    dial(options(2, "other"), [](std::shared_ptr<PeerConnection>) { FAIL() << "connected"; });
    run_until_done();
    EXPECT_NE(dial_failed_.find("wrong shared secret"), std::string::npos) << dial_failed_;
    EXPECT_NE(listener_refused_.find("wrong shared secret"), std::string::npos) << listener_refused_;
    EXPECT_EQ(dial_failed_code_, std::errc::permission_denied);
    EXPECT_EQ(listener_refused_code_, std::errc::permission_denied);
}

// Somebody who dials again and again is refused with the same words.
TEST_F(PeerConnectionTest, SaysTheSameOfEveryCallWithAWrongSecret) {
    listen(options(1));
    std::set<std::string> said;
    for (int i = 0; i < 3; ++i) {
        dial(options(2, "other"), [](std::shared_ptr<PeerConnection>) { FAIL() << "connected"; });
        run_until_done();
        said.insert(dial_failed_);
        said.insert(listener_refused_);
    }
    EXPECT_EQ(said.size(), 2U);
}

TEST_F(PeerConnectionTest, RefusesAnotherService) {
    listen(options(1));
    auto other = options(2);
    other.service = "something else";
    dial(other, [](std::shared_ptr<PeerConnection>) { FAIL() << "connected"; });
    run_until_done();
    EXPECT_NE(dial_failed_.find("something else"), std::string::npos) << dial_failed_;
    EXPECT_EQ(dial_failed_code_, std::errc::connection_refused);  // nothing is known of the secret
}

// Whose proof was not asked for cannot say that ours is wrong.
TEST_F(PeerConnectionTest, ACallersRefusalIsNotOfTheSecret) {
    listener_refusal_ends_ = true;
    listen(options(1));
    const auto address = base::parse_address("127.0.0.1", endpoint().port);
    ASSERT_TRUE(address);
    base::FileDescriptor connected(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(connected.get(), address->raw(), address->length), 0);
    const auto stranger = std::make_shared<base::FramedSocket>(loop_, std::move(connected), "stranger");
    stranger->open([](const auto&) {}, [](const base::Error&) {});
    const auto hello = base::encode_hello({base::PeerRole::caller, "test", NodeId{2}, {}});
    stranger->send_frame(base::FrameKind::hello, hello, {});
    stranger->send_frame(base::FrameKind::refused, {}, {});
    run_until_done();
    EXPECT_NE(listener_refused_.find("refused us"), std::string::npos) << listener_refused_;
    EXPECT_EQ(listener_refused_code_, std::errc::connection_refused);
    stranger->close();
}

TEST_F(PeerConnectionTest, StrangersWhoSayNothingDoNotKeepThePeerOut) {
    listen(options(1));
    const auto address = base::parse_address("127.0.0.1", endpoint().port);
    ASSERT_TRUE(address);
    std::vector<base::FileDescriptor> strangers;
    for (int i = 0; i < 100; ++i) {
        strangers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(::connect(strangers.back().get(), address->raw(), address->length), 0);
    }
    dial(options(2), [&](std::shared_ptr<PeerConnection> c) {
        dialled_ = std::move(c);
        done();
    });
    run_until_done();
    EXPECT_TRUE(dialled_) << dial_failed_;
}

TEST_F(PeerConnectionTest, SurvivesGarbage) {
    listen(options(1));
    auto address = base::parse_address("127.0.0.1", endpoint().port);
    ASSERT_TRUE(address);
    const int stranger = ::socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(::connect(stranger, address->raw(), address->length), 0);
    ASSERT_GT(::send(stranger, std::string(1000, 'x').data(), 1000, MSG_NOSIGNAL), 0);
    const auto later = loop_.after(Duration::milliseconds(50), [&] {
        dial(options(2), [&](std::shared_ptr<PeerConnection> c) {
            dialled_ = std::move(c);
            done();
        });
    });
    run_until_done();
    EXPECT_NE(listener_refused_.find("not a frame"), std::string::npos) << listener_refused_;
    EXPECT_TRUE(dialled_);
    ::close(stranger);
}

TEST_F(PeerConnectionTest, NoticesASilentPeer) {
    auto hasty = options(1);
    hasty.silence_limit = Duration::milliseconds(300);
    hasty.heartbeat = Duration::milliseconds(50);
    listen(hasty);
    auto mute = options(2);
    mute.heartbeat = Duration::seconds(60);
    dial(mute, [&](std::shared_ptr<PeerConnection> c) {
        dialled_ = std::move(c);
        dialled_->start({[](auto, auto) {}, [](const base::Error&) {}});
    });
    run_until_done();
    EXPECT_NE(accepted_closed_.find("silent"), std::string::npos) << accepted_closed_;
}

}  // namespace
