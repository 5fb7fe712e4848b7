// fencing.toml: what is accepted, and that every refusal names file and line.
#include "fencing/driver/config.hh"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace fencing {
namespace {

class ConfigTest : public ::testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/fence-config-XXXXXX";
        directory_ = ::mkdtemp(name);
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    base::Result<Config> read(const std::string& text, mode_t mode = 0600) {
        const auto path = directory_ + "/fencing.toml";
        std::ofstream(path) << text;
        ::chmod(path.c_str(), mode);
        return read_config(path, cluster_);
    }
    std::string refusal(const std::string& text, mode_t mode = 0600) {
        const auto config = read(text, mode);
        return config ? "accepted" : config.error().detail.substr(directory_.size() + 1);
    }

    std::string directory_;
    std::vector<base::ConfiguredNode> cluster_{{{1}, "a", "10.0.0.1"}, {{2}, "b", "10.0.0.2"}};
};

const std::string devices = R"(
[device.bmc-a]
agent = "fence_cfs_ipmi"
timeout = 7.5
[device.bmc-a.options]
ip = "10.0.0.9"
ipport = 623
lanplus = true
[device.bmc-b]
agent = "fence_cfs_ipmi"
)";
const std::string two = R"([node.a]
levels = [["bmc-a"]]
[node.b]
nodeid = 2
levels = [["bmc-b"]]
)" + devices;

TEST_F(ConfigTest, TwoNodes) {
    const auto config = read(two);
    ASSERT_TRUE(config.has_value()) << config.error().message();
    const auto& a = config->settings.nodes.at({1});
    EXPECT_EQ(a.name, "a");
    EXPECT_EQ(a.delay, base::Duration::seconds(4)) << "the lowest node survives a tie";
    EXPECT_EQ(config->settings.nodes.at({2}).delay, base::Duration{});
    EXPECT_EQ(a.levels, (std::vector<std::vector<std::string>>{{"bmc-a"}}));
    const auto& device = config->devices.at("bmc-a");
    EXPECT_EQ(device.timeout, base::Duration::milliseconds(7500));
    EXPECT_EQ(device.options.at("lanplus"), "1");
    EXPECT_EQ(device.options.at("ipport"), "623");
    EXPECT_EQ(missing_devices(*config, {1}, cluster_), "");
}

TEST_F(ConfigTest, ChosenDelaysReplaceTheDefault) {
    const auto config = read("[node.a]\nlevels=[['bmc-a']]\n[node.b]\ndelay=1.5\nlevels=[['bmc-b']]\n" + devices);
    ASSERT_TRUE(config.has_value()) << config.error().message();
    EXPECT_EQ(config->settings.nodes.at({1}).delay, base::Duration{});
    EXPECT_EQ(config->settings.nodes.at({2}).delay, base::Duration::milliseconds(1500));
}

TEST_F(ConfigTest, SlowDevicesAreMeasuredByTheDelay) {
    auto settings = read(two)->settings;
    EXPECT_EQ(slowest_good_device(settings), base::Duration::seconds(2));
    settings.nodes[{3}] = {};
    EXPECT_EQ(slowest_good_device(settings), std::nullopt);
}

TEST_F(ConfigTest, SaysWhichNodeCannotBeFenced) {
    const auto config = read("[node.a]\nlevels=[['bmc-a']]\n" + devices);
    ASSERT_TRUE(config.has_value());
    EXPECT_NE(missing_devices(*config, {1}, cluster_).find("[node.b]"), std::string::npos);
    EXPECT_EQ(missing_devices(*config, {2}, cluster_), "");
}

TEST_F(ConfigTest, RefusalsNameTheLine) {
    const std::pair<std::string, std::string> rows[] = {
        {"[node.a\n", "fencing.toml:1: "},
        {"\n[nodes.a]\n", "fencing.toml:2: unknown section [nodes]"},
        {"[node.a]\nlevel = 1\n", "fencing.toml:2: unknown key level in [node.a]"},
        {"[node.a]\nnodeid = 3\n", "fencing.toml:1: node a has nodeid 1 in corosync.conf, not 3"},
        {"[node.a]\nnodeid = 0\n", "fencing.toml:2: nodeid is a number"},
        {"[node.x]\n", "fencing.toml:1: corosync.conf names no node x"},
        {"[node.a]\n[node.x]\nnodeid = 1\n", "fencing.toml:2: x and a have the same nodeid 1"},
        {"[node.a]\nlevels = [['nope']]\n", "fencing.toml:2: no section [device.nope]"},
        {"[node.a]\nlevels = ['bmc-a']\n", "fencing.toml:2: a level is a list"},
        {"[node.a]\nlevels = [[]]\n", "fencing.toml:2: a level is a list"},
        {"[node.a]\ndelay = -1\n", "fencing.toml:2: delay is a number of seconds"},
        {"[node.a]\ndelay = nan\n", "fencing.toml:2: delay is a number of seconds"},
        {"[node.a]\ndelay=2\n[node.b]\ndelay=2\n",
         "fencing.toml:3: a and b have the same delay: they would shoot each other. Write delay = 4 in"},
        {"[device.d]\n", "fencing.toml:1: device d names no agent"},
        {"[device.d]\nagent = 'x'\ntimeout = 'long'\n", "fencing.toml:3: timeout is a number"},
        {"[device.d]\nagent = 'x'\n[device.d.options]\naction = 'off'\n", "fencing.toml:4: the daemon chooses"},
        {"[device.d]\nagent = 'x'\n[device.d.options]\nip = \"a\\nb\"\n", "fencing.toml:4: option ip does not fit"},
        {"[device.d]\nagent = 'x'\nheuristic = true\n[node.a]\nlevels = [['d']]\n", "fencing.toml:5: a level of heur"},
        {"[fencing]\nown_death = 'panic'\n", "fencing.toml:2: own_death is tell or reboot"},
    };
    for (const auto& [text, expected] : rows) {
        EXPECT_EQ(refusal(text).substr(0, expected.size()), expected) << text;
    }
}

TEST_F(ConfigTest, PasswordsAreNotForOthersToRead) {
    const std::string text = "[device.d]\nagent = 'x'\n[device.d.options]\npassword = 's'\n";
    EXPECT_EQ(refusal(text, 0644).substr(0, 28), "fencing.toml:4: a password i");
    EXPECT_EQ(refusal(text, 0600), "accepted");
}

TEST_F(ConfigTest, SecretsHaveManyNames) {
    for (const auto* name : {"password", "passwd", "snmp-priv-passwd", "secret_key", "apikey", "token", "community"})
        EXPECT_TRUE(is_secret_option(name)) << name;
    for (const auto* name : {"password_file", "identity_file", "ip", "username", "lanplus", "timeout"})
        EXPECT_FALSE(is_secret_option(name)) << name;
}

TEST_F(ConfigTest, CycleIsWarnedOf) {
    const auto config = read("[device.d]\nagent = 'x'\n[device.d.options]\nmethod = 'cycle'\n");
    ASSERT_TRUE(config.has_value());
    ASSERT_EQ(config->warnings.size(), 1U);
    EXPECT_NE(config->warnings[0].find("fencing.toml:4: method cycle"), std::string::npos);
}

}  // namespace
}  // namespace fencing
