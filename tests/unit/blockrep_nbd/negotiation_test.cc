#include "blockrep/nbd/negotiation.hh"

#include <gtest/gtest.h>

#include <random>

namespace blockrep::nbd {
namespace {

class OneExport : public ExportCatalog {
  public:
    std::vector<std::string> names() const override { return {"r0", "r1"}; }
    std::expected<Export, ExportRefusal> find(std::string_view name) const override {
        if (name == "r1") return std::unexpected(ExportRefusal{OptionReply::err_policy, "r1 is Secondary here"});
        if (name != "r0") return std::unexpected(ExportRefusal{OptionReply::err_unknown, "no such resource"});
        return Export{"r0", "replicated", 1 << 20, 512, 4096, false};
    }
};

base::Bytes option(std::uint32_t number, const base::Bytes& data) {
    base::Bytes out;
    append_big(out, option_magic);
    append_big(out, number);
    append_big(out, static_cast<std::uint32_t>(data.size()));
    out.insert(out.end(), data.begin(), data.end());
    return out;
}

base::Bytes text_bytes(std::string_view text) { return {base::as_bytes(text).begin(), base::as_bytes(text).end()}; }

base::Bytes go_data(std::string_view name, const std::vector<std::uint16_t>& wanted = {}) {
    base::Bytes out;
    append_big(out, static_cast<std::uint32_t>(name.size()));
    out.insert(out.end(), base::as_bytes(name).begin(), base::as_bytes(name).end());
    append_big(out, static_cast<std::uint16_t>(wanted.size()));
    for (const auto kind : wanted) append_big(out, kind);
    return out;
}

class NegotiationTest : public ::testing::Test {
  protected:
    // Feeds in the pieces that are asked for; returns how much was taken.
    std::size_t feed(const base::Bytes& input) {
        std::size_t used = 0;
        while (negotiation_.needed() != 0 && negotiation_.needed() <= input.size() - used) {
            const auto step = negotiation_.needed();
            negotiation_.receive(base::ByteView(input).subspan(used, step), out_);
            used += step;
        }
        return used;
    }
    void begin(std::uint32_t flags = 3) {
        base::Bytes bytes;
        append_big(bytes, flags);
        feed(bytes);
    }
    void send(Option number, const base::Bytes& data = {}) { feed(option(static_cast<std::uint32_t>(number), data)); }

    struct Reply {
        std::uint32_t option;
        OptionReply code;
        base::Bytes data;
    };
    std::vector<Reply> replies() {
        std::vector<Reply> all;
        base::ByteReader reader(out_);
        while (reader.remaining() > 0) {
            EXPECT_EQ(read_big<std::uint64_t>(reader), option_reply_magic);
            Reply one;
            one.option = read_big<std::uint32_t>(reader);
            one.code = static_cast<OptionReply>(read_big<std::uint32_t>(reader));
            const auto data = reader.take(read_big<std::uint32_t>(reader));
            one.data.assign(data.begin(), data.end());
            EXPECT_TRUE(reader.ok());
            all.push_back(one);
        }
        out_.clear();
        return all;
    }

    OneExport catalog_;
    Negotiation negotiation_{catalog_};
    base::Bytes out_;
};

TEST_F(NegotiationTest, GoChoosesAndTellsSizeFlagsAndBlockSizes) {
    begin();
    send(Option::go, go_data("r0", {1, 2}));
    const auto got = replies();
    ASSERT_EQ(got.size(), 5u);
    base::ByteReader info(got[0].data);
    EXPECT_EQ(read_big<std::uint16_t>(info), 0);
    EXPECT_EQ(read_big<std::uint64_t>(info), 1u << 20);
    EXPECT_EQ(read_big<std::uint16_t>(info),
              has_flags | send_flush | send_fua | send_trim | send_write_zeroes | send_df | can_multi_conn);
    EXPECT_TRUE(info.complete());
    base::ByteReader sizes(got[1].data);
    EXPECT_EQ(read_big<std::uint16_t>(sizes), 3);
    EXPECT_EQ(read_big<std::uint32_t>(sizes), 512u);
    EXPECT_EQ(read_big<std::uint32_t>(sizes), 4096u);
    EXPECT_EQ(read_big<std::uint32_t>(sizes), max_payload);
    EXPECT_EQ(got[4].code, OptionReply::ack);
    EXPECT_EQ(negotiation_.phase(), Negotiation::Phase::transmission);
    EXPECT_EQ(negotiation_.chosen().name, "r0");
    EXPECT_FALSE(negotiation_.structured_replies());
}

TEST_F(NegotiationTest, InfoTellsAndDoesNotChoose) {
    begin();
    send(Option::info, go_data("r0"));
    EXPECT_EQ(replies().back().code, OptionReply::ack);
    EXPECT_EQ(negotiation_.phase(), Negotiation::Phase::option_header);
}

TEST_F(NegotiationTest, RefusalsCarryTheReasonAndTheClientMayGoOn) {
    begin();
    send(Option::go, go_data("r1"));
    send(Option::go, go_data("r9"));
    const auto got = replies();
    ASSERT_EQ(got.size(), 2u);
    EXPECT_EQ(got[0].code, OptionReply::err_policy);
    EXPECT_EQ(base::as_text(got[0].data), "r1 is Secondary here");
    EXPECT_EQ(got[1].code, OptionReply::err_unknown);
    send(Option::go, go_data("r0"));
    EXPECT_EQ(negotiation_.phase(), Negotiation::Phase::transmission);
}

TEST_F(NegotiationTest, ListNamesAll) {
    begin();
    send(Option::list);
    const auto got = replies();
    ASSERT_EQ(got.size(), 3u);
    EXPECT_EQ(base::as_text(base::ByteView(got[1].data).subspan(4)), "r1");
    send(Option::list, text_bytes("x"));
    EXPECT_EQ(replies()[0].code, OptionReply::err_invalid);
}

TEST_F(NegotiationTest, ExportNameHasZeroesOnlyWithoutNoZeroes) {
    begin(flag_fixed_newstyle);
    send(Option::export_name, text_bytes("r0"));
    EXPECT_EQ(out_.size(), 8u + 2 + 124);
    EXPECT_EQ(negotiation_.phase(), Negotiation::Phase::transmission);
}

TEST_F(NegotiationTest, ExportNameThatDoesNotExistCloses) {
    begin();
    send(Option::export_name, text_bytes("nope"));
    EXPECT_EQ(negotiation_.phase(), Negotiation::Phase::closed);
    EXPECT_TRUE(out_.empty());
}

TEST_F(NegotiationTest, AbortIsAcknowledged) {
    begin();
    send(Option::abort);
    EXPECT_EQ(replies()[0].code, OptionReply::ack);
    EXPECT_EQ(negotiation_.phase(), Negotiation::Phase::closed);
}

TEST_F(NegotiationTest, StructuredRepliesOnce) {
    begin();
    send(Option::structured_reply);
    send(Option::structured_reply);
    const auto got = replies();
    EXPECT_EQ(got[0].code, OptionReply::ack);
    EXPECT_EQ(got[1].code, OptionReply::err_invalid);
    EXPECT_TRUE(negotiation_.structured_replies());
}

TEST_F(NegotiationTest, UnknownOptionsAreSkippedWithTheirData) {
    begin();
    feed(option(5, {}));  // STARTTLS is not offered
    feed(option(10, base::Bytes(100)));
    feed(option(0xdeadbeef, base::Bytes(8192)));
    for (const auto& one : replies()) EXPECT_EQ(one.code, OptionReply::err_unsup);
    send(Option::go, go_data("r0"));
    EXPECT_EQ(negotiation_.phase(), Negotiation::Phase::transmission);
}

TEST_F(NegotiationTest, LongOptionsAreTooBigAndSkipped) {
    begin();
    feed(option(7, base::Bytes(10000)));
    EXPECT_EQ(replies()[0].code, OptionReply::err_too_big);
    send(Option::go, go_data("r0"));
    EXPECT_EQ(negotiation_.phase(), Negotiation::Phase::transmission);
}

TEST_F(NegotiationTest, AbsurdLengthsFlagsAndMagicsClose) {
    begin();
    base::Bytes header;
    append_big(header, option_magic);
    append_big(header, std::uint32_t{7});
    append_big(header, std::uint32_t{0xffffffff});
    feed(header);
    EXPECT_EQ(negotiation_.phase(), Negotiation::Phase::closed);

    Negotiation flags(catalog_);
    base::Bytes four;
    append_big(four, std::uint32_t{0x80000000});
    flags.receive(four, out_);
    EXPECT_EQ(flags.phase(), Negotiation::Phase::closed);
}

// Name lengths of 0xffffffff and counts that do not fit: CVE-2022-26495 and -26496 elsewhere.
TEST_F(NegotiationTest, LyingLengthsInGoAreInvalid) {
    begin();
    base::Bytes data;
    append_big(data, std::uint32_t{0xffffffff});
    send(Option::go, data);
    data = go_data("r0");
    data.push_back(std::byte{1});
    send(Option::go, data);
    data = go_data("r0", {1, 2});
    data.pop_back();
    send(Option::go, data);
    send(Option::go, {});
    const auto got = replies();
    ASSERT_EQ(got.size(), 4u);
    for (const auto& one : got) EXPECT_EQ(one.code, OptionReply::err_invalid);
}

TEST(NegotiationFuzz, NoInputDoesMoreThanClose) {
    OneExport catalog;
    std::mt19937 random(1);
    for (int round = 0; round < 20000; ++round) {
        Negotiation negotiation(catalog);
        base::Bytes out;
        for (int step = 0; step < 20 && negotiation.needed() != 0; ++step) {
            base::Bytes input(negotiation.needed());
            for (auto& byte : input) byte = static_cast<std::byte>(random() % 4);
            if (input.size() == 16 && random() % 8 != 0) {
                base::Bytes header;
                append_big(header, option_magic);
                append_big(header, static_cast<std::uint32_t>(random() % 11));
                append_big(header, static_cast<std::uint32_t>(random() % 40));
                input = header;
            }
            negotiation.receive(input, out);
        }
        EXPECT_LT(out.size(), 1u << 20);
    }
}

}  // namespace
}  // namespace blockrep::nbd
