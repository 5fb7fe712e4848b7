#include "dlm/format/message.hh"

#include <gtest/gtest.h>

#include "dlm/format/error.hh"

namespace dlm {
namespace {

base::Uuid uuid_of(int seed) {
    base::Uuid uuid;
    for (auto& byte : uuid.bytes) byte = static_cast<std::byte>(seed++);
    return uuid;
}
base::NodeIncarnation life_of(std::uint32_t node) { return {{node}, uuid_of(static_cast<int>(node))}; }
Member member_of(std::uint32_t node) { return {{{node}, 77}, life_of(node), uuid_of(9), 7789}; }
Value some_value() {
    Value value{{}, 42, false};
    value.bytes[3] = std::byte{7};
    return value;
}

std::vector<PeerMessage> peer_samples() {
    const Name name("M\0\xff", 3);
    const RebuildDone done;
    return {
        {1, Request{1, 2, name, Mode::EX, Flag::no_queue | Flag::recovery}},
        {2, Convert{1, 2, name, Mode::PR, Flag::value_block}},
        {3, Lower{1, name, Mode::NL, some_value()}},
        {4, Unlock{1, name, std::nullopt}},
        {5, Cancel{1, 2, name}},
        {18, StoreValue{1, name, some_value()}},
        {6, Granted{1, 2, Mode::PW, true, some_value()}},
        {7, Refused{1, 2, Outcome::deadlock, true}},
        {8, Blocking{1, Mode::PR}},
        {9, ValueStored{1, 5}},
        {10, Redirect{1, 2, name, {3}}},
        {11, NotMaster{1, 2}},
        {12, DirectoryRemove{name}},
        {13, DirectoryEntries{{name, std::string(64, 'x')}}},
        {14, HeldLocks{{{1, name, Mode::EX, some_value()}, {2, name, Mode::NL, std::nullopt}}}},
        {15, WrittenValues{{{name, some_value()}}}},
        {16, Handover{{{name, some_value(), {life_of(1), life_of(2)}}}}},
        {17, done},
    };
}

std::vector<GroupMessage> group_samples() {
    const RoundId round{{{1}, 5}, 6};
    return {RoundStart{round},
            MemberStatus{round, member_of(1), true, 8, 7, {member_of(1), member_of(2)}, {member_of(3)}, {life_of(3)}},
            Ready{round, 9}, Resumed{9}, ReleaseDead{life_of(3)}};
}

TEST(Message, EveryKindSurvivesTheWire) {
    const auto samples = peer_samples();
    ASSERT_EQ(samples.size(), std::variant_size_v<PeerBody>);
    for (std::size_t i = 0; i < samples.size(); ++i) {
        ASSERT_EQ(samples[i].body.index(), i);
        const auto decoded = decode_peer_message(encode(samples[i]));
        ASSERT_TRUE(decoded) << i << " " << decoded.error().message();
        EXPECT_EQ(*decoded, samples[i]) << i;
    }
    const auto group = group_samples();
    ASSERT_EQ(group.size(), std::variant_size_v<GroupMessage>);
    for (std::size_t i = 0; i < group.size(); ++i) {
        const auto decoded = decode_group_message(encode(group[i]));
        ASSERT_TRUE(decoded) << i;
        EXPECT_EQ(*decoded, group[i]) << i;
    }
}

// Every prefix and every message with a byte too many is refused.
TEST(Message, CutAndStretchedAreRefused) {
    for (const auto& sample : peer_samples()) {
        auto bytes = encode(sample);
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            EXPECT_FALSE(decode_peer_message(base::ByteView(bytes).first(length))) << sample.body.index();
        }
        bytes.push_back({});
        EXPECT_FALSE(decode_peer_message(bytes)) << sample.body.index();
    }
    for (const auto& sample : group_samples()) {
        auto bytes = encode(sample);
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            EXPECT_FALSE(decode_group_message(base::ByteView(bytes).first(length)));
        }
    }
}

// Any single changed byte gives an error or another valid message, never a crash, and never an enumerator out of range.
TEST(Message, AnyByteMayBeWrong) {
    for (const auto& sample : peer_samples()) {
        const auto good = encode(sample);
        for (std::size_t at = 0; at < good.size(); ++at) {
            for (int change = 1; change < 256; change += 7) {
                auto bytes = good;
                bytes[at] ^= static_cast<std::byte>(change);
                const auto decoded = decode_peer_message(bytes);
                if (!decoded) continue;
                EXPECT_EQ(encode(*decoded), bytes);
            }
        }
    }
}

TEST(Message, FieldsOutOfRange) {
    const auto code_of = [](const PeerMessage& message) {
        const auto decoded = decode_peer_message(encode(message));
        return decoded ? std::error_code() : decoded.error().code;
    };
    EXPECT_EQ(code_of({1, Request{1, 1, "", Mode::NL, {}}}), Errc::bad_field);
    EXPECT_EQ(code_of({1, Request{1, 1, Name(65, 'x'), Mode::NL, {}}}), Errc::bad_field);
    EXPECT_EQ(code_of({1, Request{1, 1, "n", static_cast<Mode>(6), {}}}), Errc::bad_field);
    EXPECT_EQ(code_of({1, Request{1, 1, "n", Mode::NL, Flags(1u << 31)}}), Errc::bad_field);
    EXPECT_EQ(code_of({1, Refused{1, 1, static_cast<Outcome>(5), false}}), Errc::bad_field);
    EXPECT_EQ(code_of({1, Redirect{1, 1, "n", {0}}}), Errc::bad_field);
    EXPECT_EQ(code_of({1, DirectoryEntries{std::vector<Name>(max_batch + 1, "n")}}), Errc::bad_field);
    auto bytes = encode(PeerMessage{1, RebuildDone{}});
    bytes[13] = std::byte{200};
    EXPECT_EQ(decode_peer_message(bytes).error().code, Errc::bad_type);
    bytes[4] = std::byte{2};
    EXPECT_EQ(decode_peer_message(bytes).error().code, Errc::bad_version);
    bytes[0] = std::byte{0};
    EXPECT_EQ(decode_peer_message(bytes).error().code, Errc::bad_magic);
}

}  // namespace
}  // namespace dlm
