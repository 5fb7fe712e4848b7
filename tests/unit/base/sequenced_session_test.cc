#include "base/sequenced_session.hh"

#include <gtest/gtest.h>

#include <random>

namespace base {
namespace {

using Session = SequencedSession<int>;

Uuid session_id(unsigned n) {
    Uuid uuid;
    uuid.bytes[0] = static_cast<std::byte>(n);
    return uuid;
}

TEST(SequencedSession, FreshThenResumed) {
    Session a(session_id(1)), b(session_id(2));
    EXPECT_EQ(a.on_hello(b.hello()), SessionVerdict::fresh);
    EXPECT_EQ(b.on_hello(SessionHello{session_id(1), {}, 0}), SessionVerdict::fresh);
    a.enqueue(10);
    a.enqueue(11);
    EXPECT_EQ(b.on_arrived(1), Session::Arrival::deliver);
    EXPECT_EQ(a.on_hello(b.hello()), SessionVerdict::resumed);
    ASSERT_EQ(a.retransmission().size(), 1u);
    EXPECT_EQ(a.retransmission().front().message, 11);
}

TEST(SequencedSession, HalfSeenHelloResumes) {
    Session a(session_id(1)), b(session_id(2));
    EXPECT_EQ(a.on_hello(b.hello()), SessionVerdict::fresh);  // a's own hello was lost with the connection
    EXPECT_EQ(b.on_hello(a.hello()), SessionVerdict::resumed);
}

TEST(SequencedSession, RestartedPeerIsBroken) {
    Session a(session_id(1)), b(session_id(2));
    EXPECT_EQ(a.on_hello(b.hello()), SessionVerdict::fresh);
    Session restarted(session_id(3));
    EXPECT_EQ(a.on_hello(restarted.hello()), SessionVerdict::broken);
    EXPECT_EQ(restarted.on_hello(a.hello()), SessionVerdict::broken);
}

TEST(SequencedSession, PeerThatForgotIsBroken) {
    Session a(session_id(1)), b(session_id(2));
    EXPECT_EQ(a.on_hello(b.hello()), SessionVerdict::fresh);
    EXPECT_EQ(b.on_hello(a.hello()), SessionVerdict::resumed);
    a.enqueue(1);
    EXPECT_TRUE(a.on_acknowledged(1));
    EXPECT_EQ(a.on_hello(SessionHello{session_id(2), {}, 0}), SessionVerdict::broken);
}

TEST(SequencedSession, ClaimsOfWhatWasNeverSentAreRefused) {
    Session a(session_id(1));
    a.enqueue(1);
    EXPECT_FALSE(a.on_acknowledged(2));
    EXPECT_EQ(a.on_arrived(2), Session::Arrival::gap);
}

// Any pattern of broken connections delivers every message once and in order.
TEST(SequencedSession, RandomCutsLoseAndDoubleNothing) {
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
        Session a(session_id(1)), b(session_id(2));
        std::vector<int> got;
        int sent = 0;
        for (int connection = 0; connection < 20; ++connection) {
            const auto hello_a = a.hello(), hello_b = b.hello();
            ASSERT_NE(a.on_hello(hello_b), SessionVerdict::broken);
            if (random() % 4 == 0) continue;  // a's hello never arrives
            ASSERT_NE(b.on_hello(hello_a), SessionVerdict::broken);
            for (unsigned more = random() % 5; more > 0; --more) a.enqueue(sent++);
            const auto reached = random() % (a.retransmission().size() + 1);
            for (std::size_t i = 0; i < reached; ++i) {
                const auto& numbered = a.retransmission()[i];
                if (b.on_arrived(numbered.sequence) == Session::Arrival::deliver) got.push_back(numbered.message);
            }
            if (random() % 2 == 0) {
                ASSERT_TRUE(a.on_acknowledged(b.received()));
            }
            a.check_invariants();
        }
        for (std::size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], static_cast<int>(i));
    }
}

}  // namespace
}  // namespace base
