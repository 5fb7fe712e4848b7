#include "base/uuid.hh"

#include <gtest/gtest.h>

namespace base {
namespace {

TEST(Uuid, TextRoundTrip) {
    const std::string text = "01234567-89ab-cdef-0123-456789abcdef";
    const auto uuid = Uuid::parse(text);
    ASSERT_TRUE(uuid);
    EXPECT_EQ(uuid->text(), text);
    EXPECT_FALSE(uuid->is_nil());
}

TEST(Uuid, RefusesWhatIsNotOne) {
    for (const char* wrong : {"", "0", "0123456789abcdef0123456789abcdef", "01234567-89ab-cdef-0123-456789abcdeg",
                              "01234567x89ab-cdef-0123-456789abcdef", "01234567-89ab-cdef-0123-456789abcdef0"}) {
        EXPECT_FALSE(Uuid::parse(wrong)) << wrong;
    }
}

}  // namespace
}  // namespace base
