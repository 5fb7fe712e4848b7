#include "base/bytes.hh"

#include <gtest/gtest.h>

namespace base {
namespace {

TEST(ByteReader, ReadsWhatWasWritten) {
    ByteWriter writer;
    writer.integer<std::uint8_t>(7).integer<std::uint32_t>(0x01020304).text("name").integer<std::int64_t>(-5);
    ByteReader reader(writer.bytes());
    EXPECT_EQ(reader.integer<std::uint8_t>(), 7);
    EXPECT_EQ(reader.integer<std::uint32_t>(), 0x01020304u);
    EXPECT_EQ(reader.text(16), "name");
    EXPECT_EQ(reader.integer<std::int64_t>(), -5);
    EXPECT_TRUE(reader.complete());
}

TEST(ByteReader, IsLittleEndian) {
    ByteWriter writer;
    writer.integer<std::uint16_t>(0x0102);
    EXPECT_EQ(std::to_integer<int>(writer.bytes()[0]), 2);
}

TEST(ByteReader, EveryTruncationFails) {
    ByteWriter writer;
    writer.integer<std::uint64_t>(1).text("abcdef").integer<std::uint16_t>(9);
    for (std::size_t length = 0; length < writer.bytes().size(); ++length) {
        ByteReader reader(ByteView(writer.bytes()).first(length));
        reader.integer<std::uint64_t>();
        reader.text(100);
        reader.integer<std::uint16_t>();
        EXPECT_FALSE(reader.ok()) << length;
    }
}

TEST(ByteReader, RefusesTextOverItsLimitAndStaysFailed) {
    ByteWriter writer;
    writer.text("abcdef").integer<std::uint16_t>(9);
    ByteReader reader(writer.bytes());
    EXPECT_EQ(reader.text(5), "");
    EXPECT_EQ(reader.integer<std::uint16_t>(), 0);
    EXPECT_FALSE(reader.ok());
}

TEST(ByteReader, LeftoverIsNotComplete) {
    ByteWriter writer;
    writer.integer<std::uint16_t>(9);
    ByteReader reader(writer.bytes());
    reader.integer<std::uint8_t>();
    EXPECT_TRUE(reader.ok());
    EXPECT_FALSE(reader.complete());
}

}  // namespace
}  // namespace base
