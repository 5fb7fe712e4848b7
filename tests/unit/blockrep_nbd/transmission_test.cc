#include <gtest/gtest.h>

#include <cerrno>

#include "blockrep/nbd/reply.hh"
#include "blockrep/nbd/request.hh"

namespace blockrep::nbd {
namespace {

const Export target{"r0", "", 1 << 20, 512, 4096, false};

base::Bytes encode(const Request& request, std::uint32_t magic = request_magic) {
    base::Bytes out;
    append_big(out, magic);
    append_big(out, request.flags);
    append_big(out, request.type);
    append_big(out, request.cookie);
    append_big(out, request.offset);
    append_big(out, request.length);
    return out;
}

Request request(Command command, std::uint64_t offset, std::uint32_t length, std::uint16_t flags = 0) {
    return {flags, static_cast<std::uint16_t>(command), 77, offset, length};
}

TEST(Request, RoundTrip) {
    const auto decoded = decode_request(encode(request(Command::write, 4096, 8192, command_fua)));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->command(), Command::write);
    EXPECT_EQ(decoded->offset, 4096u);
    EXPECT_EQ(decoded->length, 8192u);
    EXPECT_EQ(decoded->cookie, 77u);
    EXPECT_TRUE(decoded->fua());
    EXPECT_EQ(decoded->payload(), 8192u);
    EXPECT_FALSE(decode_request(encode({}, 1)));
    EXPECT_FALSE(decode_request(base::Bytes(5)));
}

struct Case {
    Request request;
    NbdError expected;
};
class Validate : public ::testing::TestWithParam<Case> {};

TEST_P(Validate, SaysWhatTheProtocolAsks) { EXPECT_EQ(validate(GetParam().request, target), GetParam().expected); }

constexpr std::uint64_t end = 1 << 20;
INSTANTIATE_TEST_SUITE_P(
    All, Validate,
    ::testing::Values(
        Case{request(Command::read, 0, 512), NbdError::none},
        Case{request(Command::read, end - 512, 512, command_df), NbdError::none},
        Case{request(Command::read, end, 512), NbdError::einval}, Case{request(Command::read, end, 0), NbdError::none},
        Case{request(Command::read, ~std::uint64_t{0} - 511, 512), NbdError::einval},
        Case{request(Command::read, 1, 512), NbdError::einval}, Case{request(Command::read, 0, 511), NbdError::einval},
        Case{request(Command::read, 0, 512, command_no_hole), NbdError::einval},
        Case{request(Command::write, 0, 4096, command_fua), NbdError::none},
        Case{request(Command::write, end - 512, 1024), NbdError::enospc},
        Case{request(Command::write, 0, 0xfffffe00), NbdError::einval},
        Case{request(Command::write, 0, 0), NbdError::none}, Case{request(Command::flush, 0, 0), NbdError::none},
        Case{request(Command::flush, 12345, 678), NbdError::none},
        Case{request(Command::trim, 0, 1 << 20), NbdError::none},
        Case{request(Command::trim, 512, 1 << 20), NbdError::einval},
        Case{request(Command::write_zeroes, 0, 1 << 20, command_no_hole | command_fua), NbdError::none},
        Case{request(Command::write_zeroes, 512, 1 << 20), NbdError::enospc},
        Case{request(Command::write_zeroes, 0, 512, 16), NbdError::einval},
        Case{request(static_cast<Command>(5), 0, 512), NbdError::einval},
        Case{request(static_cast<Command>(99), 0, 0), NbdError::einval}));

TEST(Validate, ReadOnlyRefusesEveryChange) {
    auto sealed = target;
    sealed.read_only = true;
    EXPECT_EQ(validate(request(Command::write, 0, 512), sealed), NbdError::eperm);
    EXPECT_EQ(validate(request(Command::trim, 0, 512), sealed), NbdError::eperm);
    EXPECT_EQ(validate(request(Command::write_zeroes, 0, 512), sealed), NbdError::eperm);
    EXPECT_EQ(validate(request(Command::read, 0, 512), sealed), NbdError::none);
    EXPECT_EQ(sealed.transmission_flags() & (send_trim | send_write_zeroes), 0);
}

TEST(Reply, SimpleAndStructured) {
    EXPECT_EQ(simple_reply(7, NbdError::eio).size(), 16u);
    EXPECT_EQ(read_reply_header(false, 7, 512, 1024).size(), 16u);
    const auto header = read_reply_header(true, 7, 512, 1024);
    base::ByteReader reader(header);
    EXPECT_EQ(read_big<std::uint32_t>(reader), structured_reply_magic);
    EXPECT_EQ(read_big<std::uint16_t>(reader), structured_done);
    EXPECT_EQ(read_big<std::uint16_t>(reader), 1);
    EXPECT_EQ(read_big<std::uint64_t>(reader), 7u);
    EXPECT_EQ(read_big<std::uint32_t>(reader), 1032u);
    EXPECT_EQ(read_big<std::uint64_t>(reader), 512u);
    EXPECT_TRUE(reader.complete());
    EXPECT_EQ(read_reply_header(true, 7, 512, 0).size(), 20u);
    EXPECT_EQ(failed_read_reply(true, 7, NbdError::eio, "disk").size(), 20u + 6 + 4);
    EXPECT_EQ(failed_read_reply(true, 7, NbdError::eio, std::string(5000, 'x')).size(), 20u + 6 + 1024);
}

TEST(Reply, OnlyTheProtocolsErrorNumbers) {
    EXPECT_EQ(to_nbd_error(ENOSPC), NbdError::enospc);
    EXPECT_EQ(to_nbd_error(EROFS), NbdError::eperm);
    EXPECT_EQ(to_nbd_error(ECONNRESET), NbdError::eio);
    EXPECT_EQ(to_nbd_error(0), NbdError::none);
}

}  // namespace
}  // namespace blockrep::nbd
