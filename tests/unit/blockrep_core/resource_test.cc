// What the simulator cannot bring about: a peer that breaks the protocol, a disk that answers late. Two resources,
// disks and a link without delay.
#include "blockrep/core/resource.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json_writer.hh"
#include "blockrep/format/error.hh"
#include "blockrep/format/metadata.hh"

namespace blockrep {
namespace {

constexpr std::uint64_t disk_size = 16 << 20;

class ResourceTest : public ::testing::Test {
  protected:
    ResourceTest() {
        for (std::uint32_t i = 0; i < 2; ++i) {
            Settings settings;
            settings.name = "r0";
            settings.self = {{i + 1}, {}};
            settings.self.incarnation.bytes[0] = static_cast<std::byte>(i + 1);
            settings.peer = {2 - i};
            settings.fencing = false;
            settings.allow_two_primaries = true;
            settings.seed = 7 + i;
            resources_[i] = std::make_unique<Resource>(settings);
            open_disk(i, 1);
            give(i, CommandGiven{2, CommandKind::connect});
        }
        link_up();
    }
    Resource& a() { return *resources_[0]; }
    Resource& b() { return *resources_[1]; }

    void link_up() {
        for (std::uint32_t i = 0; i < 2; ++i) resources_[i]->step(LinkOpened{}, now_, actions_[i]);
        run();
    }
    // a is Primary, both are UpToDate.
    void establish() {
        give(0, CommandGiven{3, CommandKind::force_promote});
        for (int i = 0; i < 3 && a().replication() != ReplicationState::Established; ++i) link_up();
        ASSERT_EQ(a().replication(), ReplicationState::Established);
        ASSERT_EQ(b().disk(), DiskState::UpToDate);
        ASSERT_EQ(a().role(), Role::Primary);
    }
    void write(RequestId id) {
        const Range range{0, 4096};
        give(0, WriteRequested{id, range, Payload{nullptr, nullptr, range.length}, false});
    }
    // A number of the description, by its name.
    std::uint64_t described(const Resource& resource, const std::string& name) const {
        base::JsonWriter json;
        resource.describe(json, now_);
        const auto text = json.text();
        const auto key = "\"" + name + "\":";
        const auto at = text.find(key);
        EXPECT_NE(at, std::string::npos) << name << " in " << text;
        return at == std::string::npos ? ~0ULL : std::stoull(text.substr(at + key.size()));
    }
    void open_disk(std::uint32_t node, Ticket command) {
        base::Uuid device;
        device.bytes[0] = static_cast<std::byte>(node + 1);
        auto& image = metadata_[node];
        if (image.empty()) image = format_metadata(*geometry_of(disk_size), disk_size, device);
        give(node, DiskOpened{disk_size, image, command});
    }
    void give(std::uint32_t node, Event event) {
        resources_[node]->step(std::move(event), now_, actions_[node]);
        run();
    }
    void pass(base::Duration duration) {
        now_ = now_ + duration;
        for (std::uint32_t i = 0; i < 2; ++i) give(i, TimePassed{});
    }
    // Everything ends at once, and well.
    void run() {
        while (!actions_[0].empty() || !actions_[1].empty()) {
            const std::uint32_t node = actions_[0].empty() ? 1 : 0;
            Actions actions;
            actions.swap(actions_[node]);
            for (auto& action : actions) perform(node, action);
        }
    }
    void perform(std::uint32_t node, Action& action) {
        const auto answer = [&](Event event) { resources_[node]->step(std::move(event), now_, actions_[node]); };
        if (auto* read = std::get_if<ReadLocal>(&action)) {
            if (node == 0 && late_reads_) return late_reads_->push_back(read->ticket);
            answer(LocalReadDone{read->ticket, Payload{nullptr, nullptr, read->range.length}});
        } else if (auto* write = std::get_if<WriteLocal>(&action)) {
            last_write_was_stable_[node] = write->stable;
            if (node == 0 && late_writes_) return late_writes_->push_back(write->ticket);
            answer(LocalWriteDone{write->ticket, {}});
        } else if (auto* metadata = std::get_if<WriteMetadata>(&action)) {
            if (no_metadata_of_ == node)
                return answer(LocalWriteDone{metadata->ticket, base::failure(std::errc::io_error)});
            std::ranges::copy(metadata->bytes, metadata_[node].begin() + static_cast<std::ptrdiff_t>(metadata->offset));
            answer(LocalWriteDone{metadata->ticket, {}});
        } else if (auto* flush = std::get_if<FlushLocal>(&action)) {
            answer(LocalFlushDone{flush->ticket, {}});
        } else if (auto* frame = std::get_if<SendFrame>(&action)) {
            resources_[1 - node]->step(FrameReceived{frame->frame, frame->payload}, now_, actions_[1 - node]);
        } else if (std::holds_alternative<CompleteRead>(action)) {
            ++answered_reads_[node];
        } else if (auto* completed = std::get_if<CompleteCommand>(&action)) {
            outcomes_[node][completed->command] = completed->outcome;
        } else if (std::holds_alternative<OpenLink>(action)) {
            tries_link_[node] = true;
        } else if (std::holds_alternative<CloseLink>(action)) {
            tries_link_[node] = false;
            resources_[1 - node]->step(LinkClosed{"closed by the peer"}, now_, actions_[1 - node]);
        }
    }

    base::Instant now_{};
    std::array<std::unique_ptr<Resource>, 2> resources_;
    std::array<Actions, 2> actions_;
    std::array<base::Bytes, 2> metadata_;
    std::optional<std::uint32_t> no_metadata_of_;  // whose disk refuses it
    std::array<bool, 2> tries_link_{};
    std::array<std::map<Ticket, base::Result<void>>, 2> outcomes_;
    std::optional<std::vector<Ticket>> late_reads_;  // of a, when it keeps them
    std::optional<std::vector<Ticket>> late_writes_;
    std::array<bool, 2> last_write_was_stable_{};
    std::array<int, 2> answered_reads_{};
};

TEST_F(ResourceTest, TriesToConnectAgainAfterAPeerThatBrokeTheProtocol) {
    establish();
    give(0, FrameReceived{Numbered{1000, 0, Agreed{}}, {}});  // a gap
    EXPECT_FALSE(tries_link_[0]);                             // the peer would go on alone
    pass(base::Duration::seconds(2));
    EXPECT_EQ(a().frozen_because(), "");
    EXPECT_TRUE(tries_link_[0]);
}

// Whose failure would then be taken for that of the new one.
TEST_F(ResourceTest, TakesNoOtherDiskBeforeTheLostOneHasAnswered) {
    establish();
    late_reads_.emplace();
    give(0, ReadRequested{50, {0, 4096}, {}});
    ASSERT_EQ(late_reads_->size(), 1U);
    give(0, CommandGiven{4, CommandKind::detach});
    ASSERT_TRUE(outcomes_[0][4]);
    ASSERT_EQ(a().disk(), DiskState::Diskless);
    open_disk(0, 5);
    EXPECT_EQ(a().disk(), DiskState::Diskless);
    ASSERT_FALSE(outcomes_[0][5]);
    EXPECT_EQ(outcomes_[0][5].error().code, make_error_code(Errc::device_in_use));
    give(0, LocalReadDone{late_reads_->front(), base::failure(std::errc::io_error)});
    open_disk(0, 6);
    EXPECT_TRUE(outcomes_[0][6]);
    EXPECT_NE(a().disk(), DiskState::Diskless);
}

// The peer's loss of power must not take what only the peer has: this node goes on afterwards.
TEST_F(ResourceTest, WhatOnlyThePeerStoresIsStable) {
    establish();
    write(10);
    EXPECT_FALSE(last_write_was_stable_[1]);
    give(0, CommandGiven{4, CommandKind::detach});
    ASSERT_EQ(a().disk(), DiskState::Diskless);
    write(11);
    EXPECT_TRUE(last_write_was_stable_[1]);
    EXPECT_EQ(a().requests_in_flight(), 0U);
}

TEST_F(ResourceTest, ItsDescriptionCountsWhatIsUnderWay) {
    establish();
    late_writes_.emplace();
    write(10);
    EXPECT_EQ(described(a(), "upper-pending"), 1U);
    EXPECT_EQ(described(a(), "lower-pending"), 1U);
    EXPECT_EQ(described(a(), "pending"), 0U) << "b has answered";
    write(11);  // waits: it overlaps the first
    EXPECT_EQ(described(a(), "upper-pending"), 2U);
    EXPECT_EQ(described(a(), "not-started"), 1U);
    EXPECT_EQ(described(a(), "lower-pending"), 1U);

    give(1, CommandGiven{4, CommandKind::promote});
    const Range elsewhere{1 << 20, 4096};
    give(1, WriteRequested{12, elsewhere, Payload{nullptr, nullptr, elsewhere.length}, false});
    EXPECT_EQ(described(a(), "unacked"), 1U) << "b's write, which a's disk has not answered";
    EXPECT_EQ(described(b(), "pending"), 1U);
    EXPECT_EQ(described(b(), "lower-pending"), 0U);

    while (!late_writes_->empty()) {
        const auto ticket = late_writes_->front();
        late_writes_->erase(late_writes_->begin());
        give(0, LocalWriteDone{ticket, {}});
    }
    for (const auto* name : {"upper-pending", "not-started", "lower-pending", "pending", "unacked"}) {
        EXPECT_EQ(described(a(), name), 0U) << name;
        EXPECT_EQ(described(b(), name), 0U) << name;
    }
}

// Whoever uses it over the link has read it, and goes on when this node has lost power.
TEST_F(ResourceTest, TheOnlyCopyIsStable) {
    establish();
    write(10);
    EXPECT_FALSE(last_write_was_stable_[0]);
    give(1, CommandGiven{4, CommandKind::detach});
    ASSERT_EQ(a().peer_disk(), DiskState::Diskless);
    write(11);
    EXPECT_TRUE(last_write_was_stable_[0]);
}

// Its cache is lost with it: a write that our disk refuses afterwards is nowhere.
TEST_F(ResourceTest, WhatADeadPeerHadStoredIsNotCountedOn) {
    establish();
    late_writes_.emplace();
    write(10);
    ASSERT_EQ(late_writes_->size(), 1U);
    give(0, PeerFenced{{{2}, {{std::byte{2}}}}});
    give(0, LocalWriteDone{late_writes_->front(), base::failure(std::errc::io_error)});
    ASSERT_EQ(a().disk(), DiskState::Diskless);
    EXPECT_EQ(a().requests_in_flight(), 1U);
    late_writes_.reset();
    open_disk(0, 9);
    ASSERT_EQ(a().frozen_because(), "");
    EXPECT_EQ(a().requests_in_flight(), 0U) << "written again";
}

// The same where the peer's disk was lost meanwhile: ours will be copied over it.
TEST_F(ResourceTest, WhatALostDiskOfThePeerHadStoredIsNotCountedOn) {
    establish();
    late_writes_.emplace();
    write(10);
    give(1, CommandGiven{4, CommandKind::detach});
    ASSERT_EQ(a().peer_disk(), DiskState::Diskless);
    give(0, LocalWriteDone{late_writes_->front(), base::failure(std::errc::io_error)});
    ASSERT_EQ(a().disk(), DiskState::Diskless);
    EXPECT_EQ(a().requests_in_flight(), 1U);
    late_writes_.reset();
    open_disk(0, 9);
    open_disk(1, 9);
    for (int i = 0; i < 3 && b().disk() != DiskState::UpToDate; ++i) link_up();
    ASSERT_EQ(a().frozen_because(), "");
    EXPECT_EQ(a().requests_in_flight(), 0U) << "written again";
}

// It has everything, and what the dead node had not flushed is lost there.
TEST_F(ResourceTest, ADiskThatCouldNotRecordThePeersDeathDoesSoWhenItIsBack) {
    establish();
    no_metadata_of_ = 1;
    give(1, PeerFenced{{{1}, {{std::byte{1}}}}});
    ASSERT_EQ(b().disk(), DiskState::Diskless);
    no_metadata_of_.reset();
    open_disk(1, 9);
    EXPECT_EQ(b().disk(), DiskState::UpToDate);
}

// The source needs no fence to go on without it, and it may be the last to hear that the link is lost.
TEST_F(ResourceTest, ASyncTargetShowsOnlyWhatTheSourceConfirms) {
    late_reads_.emplace();
    give(0, CommandGiven{3, CommandKind::force_promote});
    for (int i = 0; i < 3 && a().replication() != ReplicationState::SyncSource; ++i) link_up();
    ASSERT_EQ(b().replication(), ReplicationState::SyncTarget);
    ASSERT_FALSE(late_reads_->empty());
    const auto chunk = Payload{nullptr, nullptr, Settings{}.resync_chunk_length};
    give(0, LocalReadDone{late_reads_->front(), chunk});  // copied: the first blocks
    give(1, CommandGiven{4, CommandKind::promote});
    ASSERT_EQ(b().role(), Role::Primary);
    const Range range{0, 4096};

    late_reads_->clear();
    give(1, ReadRequested{50, range, {}});
    for (const auto ticket : *late_reads_) give(0, LocalReadDone{ticket, Payload{nullptr, nullptr, range.length}});
    EXPECT_EQ(answered_reads_[1], 1);

    give(0, LinkClosed{"lost"});
    now_ = now_ + Settings{}.reconnect_grace;
    give(0, TimePassed{});
    give(0, WriteRequested{51, range, Payload{nullptr, nullptr, range.length}, false});
    ASSERT_EQ(a().requests_in_flight(), 0U);
    give(1, ReadRequested{52, range, {}});
    EXPECT_EQ(answered_reads_[1], 1);
}

}  // namespace
}  // namespace blockrep
