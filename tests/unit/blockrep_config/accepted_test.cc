// What an existing drbd.conf may contain, old and new.
#include <gtest/gtest.h>

#include "tests/unit/blockrep_config/parse_text.hh"

namespace blockrep::config {
namespace {

TEST(Accepted, SmallestResource) {
    const auto parsed = parse_text(resource(secret + hosts()));
    ASSERT_TRUE(parsed) << parsed.error().message();
    ASSERT_EQ(parsed->resources.size(), 1U);
    const auto& r0 = parsed->resources.front();
    EXPECT_EQ(r0.name, "r0");
    EXPECT_EQ(r0.net.shared_secret, "top secret");
    EXPECT_FALSE(r0.net.allow_two_primaries);
    EXPECT_EQ(r0.net.fencing, FencingPolicy::resource_and_stonith);
    EXPECT_EQ(r0.disk.al_extents, 1237U);
    ASSERT_NE(r0.host("b"), nullptr);
    EXPECT_EQ(r0.host("b")->address.text(), "10.0.0.2:7789");
    EXPECT_EQ(r0.host("a")->minor, 0U);
    EXPECT_TRUE(r0.host("a")->meta_disk.internal());
    EXPECT_EQ(&r0.peer_of(*r0.host("a")), r0.host("b"));
    EXPECT_TRUE(parsed->warnings.empty());
}

TEST(Accepted, OptionsOfNetAndDisk) {
    const auto parsed = parse_text(resource(
        "net { protocol C; allow-two-primaries yes; shared-secret s; fencing dont-care; timeout 30; ping-int 6; "
        "connect-int 5; ping-timeout 7; }\n"
        "disk { al-extents 257; on-io-error pass_on; resync-rate 100M; }\n" +
        hosts()));
    ASSERT_TRUE(parsed) << parsed.error().message();
    const auto& r0 = parsed->resources.front();
    EXPECT_TRUE(r0.net.allow_two_primaries);
    EXPECT_EQ(r0.net.fencing, FencingPolicy::dont_care);
    EXPECT_EQ(r0.net.timeout, base::Duration::seconds(3));
    EXPECT_EQ(r0.net.ping_interval, base::Duration::seconds(6));
    EXPECT_EQ(r0.net.ping_timeout, base::Duration::milliseconds(700));
    EXPECT_EQ(r0.net.connect_interval, base::Duration::seconds(5));
    EXPECT_EQ(r0.disk.al_extents, 257U);
    EXPECT_EQ(r0.disk.on_io_error, OnIoError::pass_on);
    ASSERT_EQ(parsed->warnings.size(), 1U);
    EXPECT_NE(parsed->warnings[0].text().find("test.conf:3: `resync-rate`"), std::string::npos);
}

TEST(Accepted, BooleanSpellings) {
    for (const auto& [spelling, expected] : std::map<std::string, bool>{{"allow-two-primaries;", true},
                                                                        {"allow-two-primaries yes;", true},
                                                                        {"allow-two-primaries no;", false},
                                                                        {"no-allow-two-primaries;", false}}) {
        const auto parsed = parse_text(resource("net { shared-secret s; " + spelling + " }" + hosts()));
        ASSERT_TRUE(parsed) << parsed.error().message();
        EXPECT_EQ(parsed->resources.front().net.allow_two_primaries, expected) << spelling;
    }
}

TEST(Accepted, CommonIsInheritedAndOverridden) {
    const auto parsed = parse_text(
        "global { usage-count no; }\n"
        "common { protocol C; net { shared-secret \"all\"; timeout 50; allow-two-primaries; } "
        "syncer { rate 500M; verify-alg sha1; al-extents 300; group 2; } handlers { split-brain \"/bin/true\"; } }\n" +
        resource("net { timeout 40; }" + hosts()));
    ASSERT_TRUE(parsed) << parsed.error().message();
    const auto& r0 = parsed->resources.front();
    EXPECT_EQ(r0.net.shared_secret, "all");
    EXPECT_EQ(r0.net.timeout, base::Duration::seconds(4));
    EXPECT_TRUE(r0.net.allow_two_primaries);
    EXPECT_EQ(r0.disk.al_extents, 300U);
    EXPECT_EQ(parsed->warnings.size(), 4U);
}

TEST(Accepted, WarningsOfCommonAreSaidOnce) {
    auto second = resource("on a { disk /d; address 10.0.0.1:1; } on b { disk /d; address 10.0.0.2:1; }");
    second.replace(second.find("r0"), 2, "r1");
    const auto parsed = parse_text("common { net { shared-secret s; sndbuf-size 1M; } }" + resource(hosts()) + second);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->resources.size(), 2U);
    EXPECT_EQ(parsed->warnings.size(), 1U);
}

TEST(Accepted, Version9Form) {
    const auto parsed = parse_text(
        "resource www {\n"
        "  net { shared-secret s; }\n"
        "  options { quorum off; }\n"
        "  on a { node-id 0; volume 0 { device minor 4; disk /dev/vg0/www; meta-disk /dev/md[7]; } }\n"
        "  on b { node-id 1; volume 0 { device minor 4; disk /dev/vg0/www; meta-disk /dev/md [7]; } }\n"
        "  connection { path { host a address 10.0.0.1:7000; host b address ipv6 [fd00::2]:7000; } "
        "net { allow-two-primaries yes; } }\n"
        "}\n");
    ASSERT_TRUE(parsed) << parsed.error().message();
    const auto& www = parsed->resources.front();
    EXPECT_EQ(www.host("a")->node_id, 0U);
    EXPECT_EQ(www.host("b")->address.host, "fd00::2");
    EXPECT_EQ(www.host("b")->address.text(), "[fd00::2]:7000");
    EXPECT_EQ(www.host("a")->meta_disk.path, "/dev/md");
    EXPECT_EQ(www.host("b")->meta_disk.index, 7U);
    EXPECT_EQ(www.host("b")->minor, 4U);
    EXPECT_TRUE(www.net.allow_two_primaries);
}

TEST(Accepted, MeshWithAddressesAndResourceLevelDisk) {
    const auto parsed = parse_text(
        "resource r0 { device /dev/drbd1 minor 1; disk /dev/sdb; meta-disk internal; net { shared-secret s; }"
        "on a { address 10.0.0.1:7789; } on b { address 10.0.0.2:7789; disk /dev/sdc; }"
        "connection-mesh { hosts a b; } }");
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->resources.front().host("a")->disk, "/dev/sdb");
    EXPECT_EQ(parsed->resources.front().host("b")->disk, "/dev/sdc");
}

TEST(Accepted, CommentsSkipAndNoNewlineAtTheEnd) {
    const auto parsed =
        parse_text("## first\nskip resource old { it's { not ! parsed } }\n" + resource(secret + hosts()) + "# last");
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->resources.size(), 1U);
}

TEST(Accepted, IncludedFiles) {
    const auto parsed = parse_text("include \"www.res\";\n", {{"www.res", resource(secret + hosts())}});
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->resources.front().at.text(), "www.res:1");
}

TEST(Accepted, QuotedStringsKeepTheirCharacters) {
    const auto parsed = parse_text(resource("net { shared-secret \"a;{}\\\"b\"; }" + hosts()));
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->resources.front().net.shared_secret, "a;{}\"b");
}

TEST(Accepted, NothingAtAll) {
    const auto parsed = parse_text("");
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_TRUE(parsed->resources.empty());
}

}  // namespace
}  // namespace blockrep::config
