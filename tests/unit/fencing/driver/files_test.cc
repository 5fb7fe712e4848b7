// What the daemon keeps in files: the life of the machine, the history.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "fencing/driver/history_file.hh"
#include "fencing/driver/incarnation_file.hh"

namespace fencing {
namespace {

class FencingFilesTest : public ::testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/fence-files-XXXXXX";
        directory_ = ::mkdtemp(name);
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    static HistoryEntry entry(std::int64_t finished) {
        HistoryEntry out{.victim = {2}, .executor = {1}, .finished = {finished}};
        out.seen = {1};
        out.requested = {2};
        out.started = {3};
        out.outcome = Outcome::fenced;
        out.attempt = 4;
        out.dead.emplace_back().bytes[3] = std::byte{9};
        out.asker = "blockrepd on a";
        out.reason = "link \"r0\" lost\n";
        out.detail = "bmc-b off";
        return out;
    }
    std::unique_ptr<HistoryFile> open() { return HistoryFile::open(path_(), past_); }
    std::string path_() const { return directory_ + "/below/history"; }

    std::string directory_;
    PastHistory past_;
};

TEST_F(FencingFilesTest, ALifeIsNamedOnce) {
    const auto path = directory_ + "/run/cfs/incarnation";
    const auto first = this_life(path);
    ASSERT_TRUE(first.has_value()) << first.error().message();
    EXPECT_FALSE(first->is_nil());
    EXPECT_EQ(*this_life(path), *first);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_ + "/run/cfs"), {}), 1) << "no draft is left";
}

TEST_F(FencingFilesTest, ADamagedLifeIsRefused) {
    const auto path = directory_ + "/incarnation";
    for (const std::string text : {"", "12", "00000000-0000-0000-0000-000000000000\n", "x\n"}) {
        std::ofstream(path) << text;
        EXPECT_FALSE(this_life(path).has_value()) << text;
    }
}

TEST_F(FencingFilesTest, HistoryOutlivesTheDaemon) {
    auto file = open();
    file->append(entry(10));
    file->append(entry(20));
    file.reset();
    open();
    EXPECT_EQ(past_.entries, (std::vector<HistoryEntry>{entry(10), entry(20)}));
    EXPECT_EQ(past_.damaged, 0U);
}

// A node whose /var is full has to fence all the same.
TEST_F(FencingFilesTest, ADiskThatRefusesKeepsNobodyFromFencing) {
    open()->append(entry(10));
    std::filesystem::create_directory(path_() + ".new");  // where the draft would be
    auto file = open();
    EXPECT_EQ(past_.entries.size(), 1U);
    file->append(entry(20));
    file.reset();
    std::filesystem::remove(path_() + ".new");
    open();
    EXPECT_EQ(past_.entries, (std::vector<HistoryEntry>{entry(10), entry(20)}));
}

TEST_F(FencingFilesTest, WhatCannotBeReadIsNotReplaced) {
    std::filesystem::create_directories(path_());  // instead of the file
    open()->append(entry(10));
    EXPECT_TRUE(past_.entries.empty());
    EXPECT_TRUE(std::filesystem::is_directory(path_()));
}

TEST_F(FencingFilesTest, CutAndDamagedLinesAreSkipped) {
    open()->append(entry(10));
    const auto line = history_line(entry(20));
    std::ofstream(path_(), std::ios::app) << line.substr(0, line.size() / 2);
    open();
    EXPECT_EQ(past_.entries.size(), 1U);
    EXPECT_EQ(past_.damaged, 1U);
    open();
    EXPECT_EQ(past_.damaged, 0U) << "opening has cleaned the file";
}

TEST_F(FencingFilesTest, EveryChangedByteOfALineIsNoticed) {
    const auto line = history_line(entry(20));
    ASSERT_EQ(parse_history_line(line), entry(20));
    for (std::size_t i = 0; i < line.size(); ++i) {
        auto changed = line;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        EXPECT_FALSE(parse_history_line(changed).has_value()) << i;
        EXPECT_FALSE(parse_history_line(line.substr(0, i)).has_value()) << i;
    }
}

}  // namespace
}  // namespace fencing
