// Each refusal names the file, the line and what to write instead.
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/blockrep_config/parse_text.hh"

namespace blockrep::config {
namespace {

struct Refusal {
    std::string text;
    ConfigErrc code;
    std::string message;  // part of it
};

class Refused : public testing::TestWithParam<Refusal> {};

TEST_P(Refused, WithPlaceAndReason) {
    const auto parsed = parse_text(GetParam().text);
    ASSERT_FALSE(parsed) << GetParam().text;
    EXPECT_EQ(parsed.error().code, make_error_code(GetParam().code)) << parsed.error().message();
    EXPECT_NE(parsed.error().message().find(GetParam().message), std::string::npos) << parsed.error().message();
    EXPECT_EQ(parsed.error().message().find("test.conf:"), 0U) << parsed.error().message();
}

Refusal in_net(const std::string& option, ConfigErrc code, const std::string& message) {
    return {resource("net { shared-secret s;\n" + option + " }" + hosts()), code, message};
}

INSTANTIATE_TEST_SUITE_P(
    Syntax, Refused,
    testing::Values(
        Refusal{"resource r0 {\n", ConfigErrc::syntax, "test.conf:2: the file ends, but the { of line 1 has no }"},
        Refusal{"}\n", ConfigErrc::syntax, "closes nothing"},
        Refusal{"resource r0 { net { protocol C } }", ConfigErrc::syntax, "a ; is missing at the end of `protocol`"},
        Refusal{resource("net { protocol C\n timeout 40; shared-secret s; }" + hosts()), ConfigErrc::syntax,
                "is a ; missing on line 2?"},
        Refusal{"resource r0 { net { shared-secret \"x\n; } }", ConfigErrc::syntax, "no closing \""},
        Refusal{"resource $ {}", ConfigErrc::syntax, "unexpected character `$`"},
        Refusal{"skip { {", ConfigErrc::syntax, "balanced"},
        Refusal{"include \"nowhere.res\";", ConfigErrc::unreadable, "nowhere.res"},
        Refusal{"resource " + std::string(129, 'x') + " {}", ConfigErrc::bad_value, "128"},
        Refusal{resource("net { shared-secret \"" + std::string(256, 'x') + "\"; }" + hosts()), ConfigErrc::bad_value,
                "255"}));

INSTANTIATE_TEST_SUITE_P(
    Keywords, Refused,
    testing::Values(
        Refusal{"resorce r0 {}", ConfigErrc::unknown, "known: global common resource include skip"},
        Refusal{resource(secret + hosts("onn c { }")), ConfigErrc::unknown, "`onn` is not known in section `resource`"},
        in_net("protocl C;", ConfigErrc::unknown,
               "test.conf:3: `protocl` is not known in section `net`; known: protocol"),
        Refusal{resource(secret + "on a { adress 1.2.3.4:5; }"), ConfigErrc::unknown, "known: address device disk"},
        Refusal{resource(secret + hosts("connection { hosts a; }")), ConfigErrc::unknown, "section `connection`"},
        Refusal{"global { usage-cont no; }", ConfigErrc::unknown, "section `global`"},
        Refusal{resource(secret + hosts("floating 1.2.3.4:5 { }")), ConfigErrc::unsupported, "on HOST"}));

INSTANTIATE_TEST_SUITE_P(
    Values, Refused,
    testing::Values(in_net("timeout 0;", ConfigErrc::bad_value, "`timeout` is a number from 1 to 600, not `0`"),
                    in_net("timeout 99999999999999999999;", ConfigErrc::bad_value, "`timeout` is a number"),
                    in_net("timeout soon;", ConfigErrc::bad_value, "`timeout` is a number"),
                    in_net("timeout 40 50;", ConfigErrc::syntax, "`timeout` takes 1 values, not 2"),
                    in_net("timeout;", ConfigErrc::syntax, "`timeout` takes 1 values, not 0"),
                    in_net("allow-two-primaries maybe;", ConfigErrc::bad_value, "is yes or no"),
                    in_net("fencing sometimes;", ConfigErrc::bad_value, "dont-care"),
                    in_net("protocol A;", ConfigErrc::unsupported, "protocol C"),
                    in_net("protocol X;", ConfigErrc::bad_value, "is A, B or C"),
                    in_net("shared-secret \"" + std::string(65, 's') + "\";", ConfigErrc::bad_value, "1 to 64"),
                    in_net("timeout 100;", ConfigErrc::conflict, "must be shorter"),
                    Refusal{resource("net { shared-secret s; } disk { al-extents 66; }" + hosts()),
                            ConfigErrc::bad_value, "67 to 65534"},
                    Refusal{"resource all { }", ConfigErrc::bad_value, "cannot be the name"}));

INSTANTIATE_TEST_SUITE_P(
    Whole, Refused,
    testing::Values(
        Refusal{resource(hosts()), ConfigErrc::missing, "has no secret"},
        Refusal{resource(secret), ConfigErrc::missing, "exactly two"},
        Refusal{resource(secret + "on a { disk /d; address 10.0.0.1:1; }"), ConfigErrc::missing, "it has 1"},
        Refusal{resource(secret + hosts("on c { disk /d; address 10.0.0.3:1; }")), ConfigErrc::unsupported, "it has 3"},
        Refusal{resource(secret + hosts("on a { }")), ConfigErrc::conflict, "stands twice"},
        Refusal{resource(secret + "on a { disk /d; } on b { disk /d; address 10.0.0.2:1; }"), ConfigErrc::missing,
                "has no address"},
        Refusal{resource(secret + "on a { address 10.0.0.1:1; } on b { disk /d; address 10.0.0.2:1; }"),
                ConfigErrc::missing, "has no disk"},
        Refusal{resource(secret + "on a { disk /d; address 10.0.0.1:1; } on b { disk /d; address 10.0.0.1:1; }"),
                ConfigErrc::conflict, "both hosts have the address"},
        Refusal{resource(secret + "on a { address 10.0.0.1; }"), ConfigErrc::bad_value, "an address is written"},
        Refusal{resource(secret + "on a { address 10.0.0.1:70000; }"), ConfigErrc::bad_value, "1 to 65535"},
        Refusal{resource(secret + "on a { volume 0 { disk /d; } volume 1 { disk /e; } }"), ConfigErrc::unsupported,
                "second volume"},
        Refusal{resource(secret + hosts()) + resource(secret + hosts()), ConfigErrc::conflict, "stands already at"},
        Refusal{resource(secret + hosts()) + "resource r1 { " + secret + hosts() + "}", ConfigErrc::conflict,
                "is used already at test.conf:3"},
        Refusal{resource(secret + hosts("connection { host c address 10.0.0.3:1; }")), ConfigErrc::missing,
                "no section `on c`"}));

TEST(Include, EndlessRecursionIsFound) {
    const auto parsed = parse_text("include \"loop\";", {{"loop", "include \"loop\";"}});
    ASSERT_FALSE(parsed);
    EXPECT_NE(parsed.error().message().find("10 deep"), std::string::npos);
}

// Whatever the bytes are: an answer, no crash.
TEST(Mutated, NeverCrashes) {
    const std::string good = "global { usage-count no; } common { protocol C; }\n" +
                             resource(secret + "disk { al-extents 300; }" + hosts("connection-mesh { hosts a b; }"));
    std::mt19937 random(7);
    for (int round = 0; round < 20000; ++round) {
        std::string text = good;
        for (auto changes = 1 + random() % 6; changes > 0 && !text.empty(); --changes) {
            const auto at = random() % text.size();
            switch (random() % 4) {
                case 0:
                    text.erase(at, 1 + random() % 9);
                    break;
                case 1:
                    text[at] = static_cast<char>(random());
                    break;
                case 2:
                    text.insert(at, 1, "{};:[]\"#\\ "[random() % 10]);
                    break;
                default:
                    text.insert(at, text.substr(random() % text.size(), random() % 20));
                    break;
            }
        }
        const auto parsed = parse_text(text);
        if (!parsed) {
            EXPECT_FALSE(parsed.error().message().empty());
        }
    }
}

}  // namespace
}  // namespace blockrep::config
