#include "blockrep/format/message.hh"

#include <gtest/gtest.h>

namespace blockrep {
namespace {

std::vector<std::pair<Message, std::uint64_t>> examples() {
    const Range range{4096, 8192};
    StateReport state{
        DiskState::UpToDate, Role::Primary, {1, 2, {3, 4, 5, 6}}, true, false, true, true, true, 1 << 30, 77};
    return {{state, 0},
            {Agreed{}, 0},
            {BitmapPart{{{1, 2}, {7, 9}}, true}, 0},
            {SyncStart{5}, 0},
            {SyncStarted{}, 0},
            {SyncFinish{{1, 2, {3, 4, 5, 6}}}, 0},
            {SyncFinished{}, 0},
            {Write{1, range, false, true}, 8192},
            {Write{1, range, true, false}, 0},
            {WriteDone{1, false, false}, 0},
            {WriteDone{1, true, true}, 0},
            {Flush{2}, 0},
            {FlushDone{2, true}, 0},
            {Read{3, range}, 0},
            {ReadDone{3, true, false}, 8192},
            {ReadDone{3, false, false}, 0},
            {ResyncBlocks{4, range, false}, 8192},
            {ResyncDone{4, true}, 0},
            {PromoteRequest{5}, 0},
            {PromoteReply{5, true}, 0},
            {Leave{}, 0},
            {LeaveAccepted{}, 0}};
}

TEST(Message, SurvivesTheWire) {
    for (const auto& [message, payload] : examples()) {
        const Frame frame = Numbered{11, 7, message};
        const auto back = decode(encode(frame), payload);
        ASSERT_TRUE(back.has_value()) << message.index();
        EXPECT_EQ(*back, frame);
    }
}

TEST(Message, EveryCutAndEveryExtraByteIsRefused) {
    for (const auto& [message, payload] : examples()) {
        auto bytes = encode(Numbered{11, 7, message});
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            EXPECT_FALSE(decode(base::ByteView(bytes).first(length), payload).has_value());
        }
        bytes.push_back(std::byte{0});
        EXPECT_FALSE(decode(bytes, payload).has_value());
    }
}

TEST(Message, ThePayloadMustBeWhatTheMessageSays) {
    EXPECT_FALSE(decode(encode(Numbered{1, 0, Write{1, {0, 4096}, false, false}}), 512).has_value());
    EXPECT_FALSE(decode(encode(Numbered{1, 0, Agreed{}}), 512).has_value());
}

TEST(Message, RangesInOddPlacesAreRefused) {
    for (const auto& range : {Range{1, 512}, Range{0, 0}, Range{0, 100}, Range{~std::uint64_t{511}, 1024}}) {
        EXPECT_FALSE(decode(encode(Numbered{1, 0, Read{1, range}}), 0).has_value());
    }
}

TEST(Message, ANewerProtocolIsNamed) {
    Hello hello;
    hello.version = 99;
    const auto refused = decode(encode(hello), 0);
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().message().find("99"), std::string::npos);
}

}  // namespace
}  // namespace blockrep
