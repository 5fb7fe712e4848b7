#include "base/json_writer.hh"

#include <gtest/gtest.h>

namespace base {
namespace {

TEST(JsonWriter, NestsAndSeparates) {
    JsonWriter json;
    json.begin_object().member("a", 1).key("b").begin_array().value(true).null().value("x").end_array();
    json.key("c").begin_object().end_object().end_object();
    EXPECT_EQ(json.text(), R"({"a":1,"b":[true,null,"x"],"c":{}})");
}

TEST(JsonWriter, EscapesControlQuotesAndInvalidUtf8) {
    JsonWriter json;
    json.value(std::string_view("q\"\\\n\x01ü\xff\xc3", 9));
    EXPECT_EQ(json.text(), "\"q\\\"\\\\\\u000a\\u0001ü\\u00ff\\u00c3\"");
}

TEST(JsonWriter, KeepsFullWidthOfIntegers) {
    JsonWriter json;
    json.begin_array().value(UINT64_MAX).value(INT64_MIN).end_array();
    EXPECT_EQ(json.text(), "[18446744073709551615,-9223372036854775808]");
}

TEST(JsonWriter, NotANumberIsNull) {
    JsonWriter json;
    json.value(0.0 / 0.0);
    EXPECT_EQ(json.text(), "null");
}

}  // namespace
}  // namespace base
