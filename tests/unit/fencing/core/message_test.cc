// Every message survives a round trip; everything cut short, extended or out of range is refused.
#include "fencing/format/message.hh"

#include <gtest/gtest.h>

#include "fencing/format/error.hh"
#include "tests/sim/common/random.hh"

namespace fencing {
namespace {

base::Uuid uuid(int n) {
    base::Uuid out;
    out.bytes[15] = static_cast<std::byte>(n);
    return out;
}
base::NodeIncarnation life(std::uint32_t node, int n) { return {base::NodeId{node}, uuid(n)}; }

HistoryEntry entry() {
    return {.victim = {2},
            .executor = {1},
            .finished = {1234567890123},
            .seen = {1234567000001},
            .requested = {1234567000002},
            .started = {1234567000003},
            .outcome = Outcome::fenced,
            .attempt = 3,
            .dead = {uuid(7), uuid(8)},
            .asker = "blockrepd on a",
            .reason = "link lost",
            .detail = "bmc-b: off"};
}

std::vector<Message> samples() {
    return {Hello{uuid(1), {uuid(2)}, {{life(2, 9), "why", "who"}}, {{base::NodeId{2}, 3}}},
            Request{{life(2, 9), "why", "who"}},
            Request{{{base::NodeId{2}, {}}, "any life", "who"}},
            Withdraw{life(2, 9)},
            Claim{base::NodeId{2}, 5},
            Decline{base::NodeId{2}, 5},
            Overlook{base::NodeId{3}},
            Finished{entry()},
            Facts{{life(1, 1), life(2, 2)}, {life(1, 3)}},
            HistoryBatch{{entry(), entry()}}};
}

TEST(FencingMessage, RoundTrip) {
    for (const auto& message : samples()) {
        const auto bytes = encode(message);
        ASSERT_TRUE(bytes);
        const auto back = decode(*bytes);
        ASSERT_TRUE(back) << back.error().message();
        EXPECT_EQ(*back, message);
    }
}

TEST(FencingMessage, EveryTruncationAndExtensionIsRefused) {
    for (const auto& message : samples()) {
        auto bytes = *encode(message);
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            EXPECT_FALSE(decode(base::ByteView(bytes).first(length))) << length;
        }
        bytes.push_back(std::byte{0});
        EXPECT_FALSE(decode(bytes));
    }
}

TEST(FencingMessage, EveryByteFlippedIsRefusedOrDecodedInRange) {
    for (const auto& message : samples()) {
        const auto good = *encode(message);
        for (std::size_t at = 0; at < good.size(); ++at) {
            for (const int bit : {0x01, 0x80, 0xff}) {
                auto bytes = good;
                bytes[at] ^= static_cast<std::byte>(bit);
                const auto back = decode(bytes);
                if (back) {
                    EXPECT_EQ(*encode(*back), bytes);
                }
            }
        }
    }
}

TEST(FencingMessage, NewerVersionIsToldApart) {
    auto bytes = *encode(Claim{base::NodeId{2}, 5});
    bytes[4] = std::byte{2};
    const auto back = decode(bytes);
    ASSERT_FALSE(back);
    EXPECT_EQ(back.error().code, make_error_code(Errc::message_version));
}

TEST(FencingMessage, NonsenseIsRefused) {
    EXPECT_FALSE(decode(*encode(Claim{base::NodeId{0}, 1}))) << "node 0";
    EXPECT_FALSE(decode(*encode(Hello{{}, {}, {}, {}}))) << "nil incarnation";
    EXPECT_FALSE(decode(*encode(Hello{uuid(1), {uuid(1)}, {}, {}}))) << "supersedes itself";
    EXPECT_FALSE(decode(*encode(Facts{{life(1, 0)}, {}}))) << "a nil life is not dead";
    auto failed_with_dead = entry();
    failed_with_dead.outcome = Outcome::failed;
    EXPECT_FALSE(decode(*encode(Finished{failed_with_dead})));
    Facts many;
    many.known.resize(max_list_entries + 1, life(1, 3));
    EXPECT_FALSE(decode(*encode(many))) << "too many";
}

TEST(FencingMessage, LongTextsAreCutAndLongMessagesRefused) {
    const auto back = decode(*encode(Request{{life(2, 9), std::string(5000, 'x'), "who"}}));
    ASSERT_TRUE(back);
    EXPECT_EQ(std::get<Request>(*back).request.reason.size(), max_text_bytes);
    HistoryBatch batch;
    batch.entries.resize(max_list_entries, entry());
    EXPECT_FALSE(encode(batch));
}

// Whatever arrives: refused, or a message that we could have sent ourselves.
TEST(FencingMessage, ChangedBytesNeverMakeNonsense) {
    sim::Random random(1);
    for (int round = 0; round < 100'000; ++round) {
        auto bytes = *encode(random.pick(samples()));
        for (auto changes = random.between(1, 4); changes > 0; --changes) {
            bytes[random.below(bytes.size())] = static_cast<std::byte>(random.next());
        }
        if (random.one_in(4)) bytes.resize(random.below(bytes.size() + 1));
        const auto message = decode(bytes);
        if (!message) continue;
        const auto again = encode(*message);
        ASSERT_TRUE(again);
        EXPECT_EQ(*again, bytes);
    }
}

}  // namespace
}  // namespace fencing
