// Mounting and what is refused, commits, giving locks back, replay, I/O errors.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "clusterfs/core/allocator.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/core/inode.hh"
#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/core/operations/read_directory.hh"
#include "clusterfs/core/slot_claim.hh"
#include "clusterfs/format/allocation_group.hh"
#include "clusterfs/format/block_seal.hh"
#include "clusterfs/format/slot_map.hh"
#include "tests/unit/clusterfs_core/rig.hh"

namespace clusterfs::test {
namespace {

InodeNumber root_of(MemoryDevice& device) { return device.at(superblock_number).as<Superblock>().root_inode; }

Mount::Operation set_time(InodeNumber inode, std::int64_t value) {
    return [=](View& view) -> base::Result<void> {
        BASE_TRY(view.will_change());
        BASE_TRY(view.lock(inode_lock(inode), LockMode::exclusive));
        BASE_ASSIGN(auto* changed, modify_inode(view, inode));
        changed->modified = value;
        return {};
    };
}

Mount::Operation get_time(InodeNumber inode, std::int64_t& value) {
    return [inode, &value](View& view) -> base::Result<void> {
        BASE_TRY(view.lock(inode_lock(inode), LockMode::shared));
        BASE_ASSIGN(const auto* found, read_inode(view, inode));
        value = found->modified;
        return {};
    };
}

void edit_superblock(MemoryDevice& device, const std::function<void(Superblock&)>& edit) {
    auto& block = device.at(superblock_number);
    edit(block.as<Superblock>());
    seal(block.bytes, 1);
}

std::string refusal(MemoryDevice& device, MountOptions options = {}) {
    Rig rig(device, options);
    rig.start();
    if (rig.started || !rig.stopped || rig.stopped->has_value()) return "not refused";
    return rig.stopped->error().message();
}

// A device with an empty filesystem, which a test mounts with a Rig, or several one after another.
class MountTest : public testing::Test {
  protected:
    std::unique_ptr<MemoryDevice> device = formatted_device();
    const InodeNumber root = root_of(*device);
};
using MountCommit = MountTest;
using MountErrors = MountTest;
using MountJournal = MountTest;
using MountLocks = MountTest;
using MountReadOnly = MountTest;
using MountReplay = MountTest;
using MountStart = MountTest;

TEST_F(MountStart, TakesASlotAndMarksIt) {
    Rig rig(*device);
    rig.start();
    EXPECT_TRUE(rig.started);
    const auto& entry = device->at(slot_map_number).as<SlotMap>().slots[0];
    EXPECT_EQ(entry.state, SlotState::mounted);
    EXPECT_EQ(entry.node, 1U);
    rig.stop();
    ASSERT_TRUE(rig.stopped && rig.stopped->has_value());
    EXPECT_EQ(device->at(slot_map_number).as<SlotMap>().slots[0].state, SlotState::free);
}

TEST_F(MountStart, RefusesWhatIsNotAFilesystem) {
    MemoryDevice zeros(8192);
    EXPECT_NE(refusal(zeros).find("no CFS filesystem"), std::string::npos);
}

TEST_F(MountStart, RefusesUnknownIncompatFeatures) {
    edit_superblock(*device, [](Superblock& superblock) { superblock.incompat = 1ULL << 40; });
    EXPECT_NE(refusal(*device).find("0x10000000000"), std::string::npos);
}

TEST_F(MountStart, UnknownReadOnlyFeaturesAllowReadOnlyMounts) {
    edit_superblock(*device, [](Superblock& superblock) { superblock.ro_compat = 4; });
    EXPECT_NE(refusal(*device).find("read-only"), std::string::npos);
    MountOptions options;
    options.read_only = true;
    Rig rig(*device, options);
    rig.start();
    EXPECT_TRUE(rig.started);
}

TEST_F(MountStart, RefusesANewerVersion) {
    edit_superblock(*device, [](Superblock& superblock) { superblock.header.version = 2; });
    EXPECT_NE(refusal(*device).find("newer version"), std::string::npos);
}

TEST_F(MountStart, RefusesADamagedSuperblock) {
    device->at(superblock_number).bytes[700] ^= std::byte{1};
    EXPECT_NE(refusal(*device).find("fsck.cfs"), std::string::npos);
}

TEST_F(MountStart, RefusesWhenEverySlotIsTaken) {
    Rig rig(*device);
    rig.refused = {slot_lock(0), slot_lock(1)};
    rig.start();
    ASSERT_TRUE(rig.stopped && !rig.stopped->has_value());
    EXPECT_EQ(rig.stopped->error().code, make_error_code(Errc::no_free_slot));
}

TEST_F(MountStart, SurvivesATornSlotMap) {
    device->at(slot_map_number).bytes[8] ^= std::byte{1};  // its checksum
    Rig rig(*device);
    rig.start();
    EXPECT_TRUE(rig.started);
    EXPECT_EQ(check(device->at(slot_map_number).bytes, slot_map_number), BlockFault::none);
}

TEST_F(MountStart, AloneItMakesFreeMetadataFree) {
    const auto map = [&]() -> const AllocationMap& {
        const auto geometry = device->at(superblock_number).as<Superblock>().geometry();
        return device->at(geometry.map_block(0, 0)).as<AllocationMap>();
    };
    {
        Rig rig(*device);
        rig.start();
        ASSERT_TRUE(rig.run([](View& view) -> base::Result<void> {
            BASE_ASSIGN(const auto range, allocate(view, Purpose::metadata, 1, 0));
            return release(view, range, Purpose::metadata);
        }));
        rig.stop();
    }
    EXPECT_EQ(map().free_metadata_count, 1U);
    {
        Rig rig(*device);
        rig.refused = {slot_lock(1)};
        rig.start();
        rig.stop();
        EXPECT_EQ(map().free_metadata_count, 1U) << "another node may have it in its journal";
    }
    Rig rig(*device);
    rig.start();
    EXPECT_TRUE(rig.started);
    rig.stop();
    EXPECT_EQ(map().free_metadata_count, 0U);
}

TEST_F(MountCommit, OneStableWriteMakesAChangeDurable) {
    Rig rig(*device);
    rig.start();
    ASSERT_TRUE(rig.run(set_time(root, 42)));
    rig.log.clear();
    ASSERT_TRUE(rig.commit());
    const auto writes = rig.actions<WriteBlocks>();
    ASSERT_EQ(writes.size(), 1U);
    EXPECT_TRUE(writes[0].stable);
    EXPECT_TRUE(rig.actions<FlushDevice>().empty());
}

TEST_F(MountCommit, FlushesBesideTheRecordWhereDataOnlyReplacesOld) {
    Rig rig(*device);
    rig.start();
    rig.hold_flushes = true;
    ASSERT_TRUE(rig.run(set_time(root, 42)));
    rig.mount().note_data_written(FileData::replaces_old, root);
    rig.log.clear();
    std::optional<base::Result<void>> committed;
    rig.begin_commit(committed);
    ASSERT_EQ(rig.log.size(), 2U);
    EXPECT_TRUE(std::holds_alternative<FlushDevice>(rig.log[0]));
    ASSERT_TRUE(std::holds_alternative<WriteBlocks>(rig.log[1]));
    EXPECT_TRUE(std::get<WriteBlocks>(rig.log[1]).stable);
    EXPECT_FALSE(committed) << "the record is there, the data is not";
    rig.end_flushes();
    ASSERT_TRUE(committed && *committed);
    // Together with what becomes visible, that decides.
    rig.hold_flushes = true;
    ASSERT_TRUE(rig.run(set_time(root, 43)));
    rig.mount().note_data_written(FileData::becomes_visible, root);
    rig.mount().note_data_written(FileData::replaces_old, root);
    rig.log.clear();
    rig.begin_commit(committed);
    EXPECT_TRUE(rig.actions<WriteBlocks>().empty());
    rig.end_flushes();
    ASSERT_TRUE(committed && *committed);
}

TEST_F(MountCommit, FlushesFirstWhenFileDataWasWritten) {
    Rig rig(*device);
    rig.start();
    ASSERT_TRUE(rig.run(set_time(root, 42)));
    rig.mount().note_data_written(FileData::becomes_visible, root);
    rig.log.clear();
    ASSERT_TRUE(rig.commit());
    ASSERT_EQ(rig.log.size(), 2U);
    EXPECT_TRUE(std::holds_alternative<FlushDevice>(rig.log[0]));
    EXPECT_TRUE(std::holds_alternative<WriteBlocks>(rig.log[1]));
    rig.log.clear();
    ASSERT_TRUE(rig.commit());
    EXPECT_TRUE(rig.log.empty());
}

// Overwritten data comes to the device after its inode's times may have been committed.
TEST_F(MountCommit, DataAloneIsFlushedAfterTheInterval) {
    Rig rig(*device);
    rig.start();
    const auto pin = [root = root](View& view) -> base::Result<void> {
        BASE_TRY(set_time(root, 42)(view));
        return view.pin(inode_lock(root), LockMode::exclusive);
    };
    ASSERT_TRUE(rig.run(pin));
    ASSERT_TRUE(rig.commit());
    rig.mount().note_data_written(FileData::replaces_old, root);
    rig.unpin(inode_lock(root));
    rig.log.clear();
    rig.pass(base::Duration::seconds(6));
    EXPECT_EQ(rig.actions<FlushDevice>().size(), 1U);
}

TEST_F(MountCommit, ComesByItselfAfterTheInterval) {
    Rig rig(*device);
    rig.start();
    ASSERT_TRUE(rig.run(set_time(root, 42)));
    rig.log.clear();
    rig.pass(base::Duration::milliseconds(4999));
    EXPECT_TRUE(rig.actions<WriteBlocks>().empty());
    rig.pass(base::Duration::milliseconds(2));
    EXPECT_EQ(rig.actions<WriteBlocks>().size(), 1U);
}

TEST_F(MountReplay, TheNextMountFindsWhatWasCommitted) {
    {
        Rig dies(*device);
        dies.start();
        ASSERT_TRUE(dies.run(set_time(root, 42)));
        ASSERT_TRUE(dies.commit());
        ASSERT_TRUE(dies.run(set_time(root, 43)));
    }
    EXPECT_NE(device->at(root).as<Inode>().modified, 42);
    Rig rig(*device);
    rig.start();
    std::int64_t value = 0;
    ASSERT_TRUE(rig.run(get_time(root, value)));
    EXPECT_EQ(value, 42);
}

TEST_F(MountReplay, NeverGoesBackwards) {
    {
        Rig dies(*device);
        dies.start();
        ASSERT_TRUE(dies.run(set_time(root, 42)));
        ASSERT_TRUE(dies.commit());
    }
    auto& block = device->at(root);
    block.as<Inode>().modified = 99;
    seal(block.bytes, 1'000'000);
    Rig rig(*device);
    rig.start();
    std::int64_t value = 0;
    ASSERT_TRUE(rig.run(get_time(root, value)));
    EXPECT_EQ(value, 99);
    ASSERT_TRUE(rig.run(set_time(root, 100)));
    rig.stop();
    EXPECT_GT(block.as<BlockHeader>().sequence, 1'000'000U);
}

// Another node, which the dead one had given the block to, is writing it while it is compared.
TEST_F(MountReplay, WhatIsBeingWrittenIsReadAgain) {
    {
        Rig dies(*device);
        dies.start();
        ASSERT_TRUE(dies.run(set_time(root, 42)));
        ASSERT_TRUE(dies.commit());
    }
    device->at(root).as<Inode>().modified = 99;
    seal(device->at(root).bytes, 1'000'000);
    Rig rig(*device);
    rig.torn_reads[root] = 2;
    rig.start();
    ASSERT_TRUE(rig.started);
    EXPECT_EQ(device->at(root).as<Inode>().modified, 99);
}

// File data can look like any block. A sequence that no filesystem reaches is not believed, nor taken for the time.
TEST_F(MountReplay, AnImpossibleSequenceIsNotNewer) {
    {
        Rig dies(*device);
        dies.start();
        ASSERT_TRUE(dies.run(set_time(root, 42)));
        ASSERT_TRUE(dies.commit());
    }
    seal(device->at(root).bytes, ~std::uint64_t{0});
    Rig rig(*device);
    rig.start();
    ASSERT_TRUE(rig.started);
    EXPECT_EQ(device->at(root).as<Inode>().modified, 42);
    ASSERT_TRUE(rig.run(set_time(root, 43)));
    rig.stop();
    EXPECT_LT(device->at(root).as<BlockHeader>().sequence, 1'000'000U);
}

TEST_F(MountReplay, ADeadNodesJournalBeforeItsLocks) {
    MountOptions other;
    other.self.node.value = 2;
    other.self.incarnation.bytes[0] = std::byte{9};
    {
        Rig dies(*device, other);
        dies.refused = {slot_lock(0)};
        dies.start();
        ASSERT_TRUE(dies.run(set_time(root, 42)));
        ASSERT_TRUE(dies.commit());
        Rig survivor(*device);
        survivor.refused = {slot_lock(1)};
        survivor.start();
        ASSERT_TRUE(survivor.started);
        survivor.refused.clear();
        survivor.log.clear();
        survivor.tell(NodeDied{other.self});
        EXPECT_EQ(device->at(root).as<Inode>().modified, 42);
        ASSERT_EQ(survivor.actions<ReleaseDead>().size(), 1U);
        EXPECT_EQ(survivor.actions<ReleaseDead>()[0].node, other.self);
        EXPECT_EQ(device->at(slot_map_number).as<SlotMap>().slots[1].state, SlotState::free);
        for (const auto& request : survivor.actions<RequestLock>()) {
            EXPECT_TRUE(request.recovery || request.name.type != LockType::slot);
        }
    }
}

// The slot map tells people who is where; whether a journal is replayed must not hang on it.
TEST_F(MountReplay, ADeadNodesJournalWhateverTheSlotMapSays) {
    MountOptions other;
    other.self = {{2}, {}};
    for (const bool mounted_after : {false, true}) {
        Rig dies(*device, other);
        dies.refused = {slot_lock(0)};
        dies.start();
        ASSERT_TRUE(dies.run(set_time(root, mounted_after ? 43 : 42)));
        ASSERT_TRUE(dies.commit());
        if (mounted_after) device->at(slot_map_number) = {};
        Rig survivor(*device);
        survivor.refused = {slot_lock(1)};
        survivor.start();
        if (!mounted_after) device->at(slot_map_number) = {};
        survivor.refused.clear();
        survivor.tell(NodeDied{other.self});
        EXPECT_EQ(device->at(root).as<Inode>().modified, mounted_after ? 43 : 42);
        EXPECT_EQ(survivor.actions<ReleaseDead>().size(), 1U);
        survivor.stop();
    }
}

// An operation waits for a lock that the dead node held: it goes on, and the unmount ends, only after a replay.
TEST_F(MountReplay, ADeathDuringTheUnmount) {
    MountOptions other;
    other.self = {{2}, {}};
    Rig dies(*device, other);
    dies.refused = {slot_lock(0)};
    dies.start();
    ASSERT_TRUE(dies.run(set_time(root, 42)));
    ASSERT_TRUE(dies.commit());
    Rig survivor(*device);
    survivor.refused = {slot_lock(1)};
    survivor.withheld = {inode_lock(root)};
    survivor.start();
    survivor.refused.clear();
    std::int64_t value = 0;
    std::optional<base::Result<void>> outcome;
    survivor.begin(get_time(root, value), outcome);
    survivor.stop();
    EXPECT_FALSE(survivor.stopped);
    survivor.tell(NodeDied{other.self});
    ASSERT_EQ(survivor.actions<ReleaseDead>().size(), 1U);
    survivor.tell(LockGranted{inode_lock(root), LockMode::shared});
    EXPECT_EQ(value, 42);
    ASSERT_TRUE(survivor.stopped && survivor.stopped->has_value());
}

// The replay and the end of the unmount both need the lock of the slot map.
TEST_F(MountReplay, ADeathWhileTheJournalIsClosed) {
    MountOptions other;
    other.self = {{2}, {}};
    Rig dies(*device, other);
    dies.refused = {slot_lock(0)};
    dies.start();
    ASSERT_TRUE(dies.run(set_time(root, 42)));
    ASSERT_TRUE(dies.commit());
    Rig survivor(*device);
    survivor.refused = {slot_lock(1)};
    survivor.start();
    survivor.refused.clear();
    survivor.hold_flushes = true;
    survivor.stop();
    survivor.withheld = {slot_map_lock};
    survivor.tell(NodeDied{other.self});
    survivor.end_flushes();
    EXPECT_FALSE(survivor.stopped);
    survivor.withheld.clear();
    survivor.tell(LockGranted{slot_map_lock, LockMode::exclusive});
    EXPECT_EQ(survivor.actions<ReleaseDead>().size(), 1U);
    ASSERT_TRUE(survivor.stopped && survivor.stopped->has_value());
    EXPECT_EQ(device->at(root).as<Inode>().modified, 42);
    for (const auto& entry : device->at(slot_map_number).as<SlotMap>().slots) EXPECT_EQ(entry.state, SlotState::free);
}

Mount::Operation make_file(InodeNumber directory, const std::string& name, InodeNumber& made) {
    return [=, &made](View& view) -> base::Result<void> {
        const operations::NewFile file{mode_regular | 0644U, 0, {}};
        BASE_ASSIGN(const auto attributes, operations::create(view, {directory, 0}, name, file));
        made = attributes.inode;
        return {};
    };
}

// Each lock is a message and its answer, so those of the inodes to come are asked for together.
TEST_F(MountLocks, SmallFilesMadeInARowWaitNowAndThen) {
    Rig rig(*device);
    rig.start();
    int waits = 0;
    InodeNumber made = 0;
    for (int i = 0; i < 40; ++i) {
        const auto before = rig.actions<RequestLock>().size();
        ASSERT_TRUE(rig.run(make_file(root, "f" + std::to_string(i), made)));
        waits += rig.actions<RequestLock>().size() > before ? 1 : 0;
    }
    EXPECT_EQ(waits, 4);
}

TEST_F(MountLocks, NobodyWaitsForALockThatIsOnlyWantedSoon) {
    Rig rig(*device);
    rig.start();
    InodeNumber made = 0;
    ASSERT_TRUE(rig.run(make_file(root, "first", made)));
    const auto late = inode_lock(made + 3);
    rig.withheld = {late};
    ASSERT_TRUE(rig.run(make_file(root, "second", made)));
    ASSERT_TRUE(rig.run(make_file(root, "third", made)));
    std::optional<base::Result<void>> outcome;
    rig.begin(make_file(root, "fourth", made), outcome);
    EXPECT_FALSE(outcome);
    rig.tell(LockGranted{late, LockMode::exclusive});
    ASSERT_TRUE(outcome && outcome->has_value());
    EXPECT_EQ(inode_lock(made), late);
}

// The kernel is cut off in the middle of a write: what it has allocated is told to nobody before it has ended.
TEST_F(MountCommit, StoppingWaitsForWhoWritesFileData) {
    Rig rig(*device);
    rig.start();
    ASSERT_TRUE(rig.run([this](View& view) -> base::Result<void> {
        BASE_TRY(view.lock(inode_lock(root), LockMode::exclusive));
        return view.pin(inode_lock(root), LockMode::exclusive);
    }));
    rig.stop();
    EXPECT_FALSE(rig.stopped);
    rig.mount().note_data_written(FileData::becomes_visible, root);
    EXPECT_TRUE(rig.run(set_time(root, 42)));
    rig.unpin(inode_lock(root));
    ASSERT_TRUE(rig.stopped && rig.stopped->has_value());
    EXPECT_EQ(device->at(root).as<Inode>().modified, 42);
}

// It waited for a commit that never came: so did the other node.
TEST_F(MountErrors, ALockThatIsBeingGivenBackIsLeftToTheReplay) {
    Rig rig(*device);
    rig.start();
    rig.pass(base::Duration::milliseconds(6));
    ASSERT_TRUE(rig.run(set_time(root, 42)));
    rig.write_error = base::Error{std::make_error_code(std::errc::io_error), "simulated"};
    rig.tell(LockWanted{inode_lock(root), LockMode::exclusive});
    rig.pass(base::Duration::seconds(1));
    ASSERT_TRUE(rig.stopped && !rig.stopped->has_value());
}

// The journal failed, and another node wants what is in it only.
TEST_F(MountErrors, NothingIsPromisedAfterAWithdrawal) {
    Rig rig(*device);
    rig.start();
    ASSERT_TRUE(rig.run(set_time(root, 42)));
    rig.write_error = base::Error{std::make_error_code(std::errc::io_error), "simulated"};
    EXPECT_FALSE(rig.commit());
    rig.pass(base::Duration::seconds(1));
    rig.tell(LockWanted{inode_lock(root), LockMode::exclusive});
    rig.pass(base::Duration::seconds(1));
    ASSERT_TRUE(rig.stopped && !rig.stopped->has_value());
    EXPECT_FALSE(rig.commit());
}

// Its last record may lie in a cache only, and may not be lost once a part of it is in place.
TEST_F(MountReplay, FlushesBeforeItWritesInPlace) {
    {
        Rig dead(*device);
        dead.start();
        ASSERT_TRUE(dead.run(set_time(root, 42)));
        ASSERT_TRUE(dead.commit());
    }
    ASSERT_NE(device->at(root).as<Inode>().modified, 42);
    Rig again(*device);
    again.start();
    EXPECT_EQ(device->at(root).as<Inode>().modified, 42);
    const auto is_in_place = [&](const Action& action) {
        const auto* write = std::get_if<WriteBlocks>(&action);
        return write != nullptr && write->first <= root && root - write->first < write->blocks.size();
    };
    const auto in_place = std::ranges::find_if(again.log, is_in_place);
    ASSERT_NE(in_place, again.log.end());
    const auto is_flush = [](const Action& action) { return std::holds_alternative<FlushDevice>(action); };
    EXPECT_TRUE(std::any_of(again.log.begin(), in_place, is_flush));
}

// mount.cfs was killed and started again on a machine that stays up: both mounts are of the same life of the node.
TEST_F(MountReplay, TheDeathOfAnEarlierMountOfTheSameLifeTouchesNobody) {
    MountOptions options;
    options.self.node.value = 2;
    options.self.incarnation.bytes[0] = std::byte{9};
    Rig again(*device, options);
    again.start();
    ASSERT_TRUE(again.run(set_time(root, 42)));
    again.log.clear();
    again.tell(NodeDied{options.self});
    EXPECT_EQ(again.actions<ReleaseDead>().size(), 1U);
    for (const auto& request : again.actions<RequestLock>()) EXPECT_NE(request.name, slot_lock(0));
    Rig peer(*device);
    peer.refused = {slot_lock(0)};
    peer.start();
    ASSERT_TRUE(peer.started);
    peer.log.clear();
    peer.tell(NodeDied{options.self});
    EXPECT_EQ(peer.actions<ReleaseDead>().size(), 1U);
    EXPECT_EQ(device->at(slot_map_number).as<SlotMap>().slots[0].state, SlotState::mounted);
    ASSERT_TRUE(again.commit());
}

TEST_F(MountLocks, GivesBackOnlyWhatIsInPlace) {
    Rig rig(*device);
    rig.start();
    ASSERT_TRUE(rig.run(set_time(root, 42)));
    rig.log.clear();
    rig.tell(LockWanted{inode_lock(root), LockMode::exclusive});
    EXPECT_TRUE(rig.actions<ReleaseLock>().empty()) << "the minimum hold is not over";
    rig.pass(base::Duration::milliseconds(6));
    ASSERT_EQ(rig.actions<ReleaseLock>().size(), 1U);
    EXPECT_EQ(rig.actions<ReleaseLock>()[0].keep, LockMode::none);
    EXPECT_EQ(device->at(root).as<Inode>().modified, 42);
    EXPECT_TRUE(std::holds_alternative<ReleaseLock>(rig.log.back()));
}

// Whoever stopped writing to a file needs no minimum hold; whoever goes on has it to its end. A directory is kept.
TEST_F(MountLocks, GivesAFileBackSoonThatIsNoLongerUsed) {
    Rig rig(*device);
    rig.start();
    InodeNumber file = 0;
    ASSERT_TRUE(rig.run([&](View& view) -> base::Result<void> {
        BASE_ASSIGN(const auto made, operations::create(view, {root, 0}, "f", {mode_regular | 0644U, 0, {}}));
        file = made.inode;
        return {};
    }));
    rig.log.clear();
    rig.tell(LockWanted{inode_lock(root), LockMode::exclusive});
    rig.tell(LockWanted{inode_lock(file), LockMode::exclusive});
    for (int i = 0; i < 20; ++i) {
        rig.pass(base::Duration::microseconds(200));
        ASSERT_TRUE(rig.run(set_time(file, 43 + i)));
        ASSERT_TRUE(rig.actions<ReleaseLock>().empty()) << "in use for " << 200 * i << " us";
    }
    rig.pass(base::Duration::microseconds(400));
    ASSERT_EQ(rig.actions<ReleaseLock>().size(), 1U);
    EXPECT_EQ(rig.actions<ReleaseLock>()[0].name, inode_lock(file));
}

// An overwrite under way: its inode need not wait for its data, but the lock has to.
TEST_F(MountLocks, WhatIsReadThereIsCleanedWhileItIsStillBeingWritten) {
    using Case = std::tuple<const char*, LockMode, int>;
    for (const auto& [name, wanted, milliseconds] :
         {Case{"a", LockMode::shared, 1}, Case{"b", LockMode::shared, 10}, Case{"c", LockMode::exclusive, 10}}) {
        Rig rig(*device);
        rig.start();
        InodeNumber file = 0;
        ASSERT_TRUE(rig.run([&, name = name](View& view) -> base::Result<void> {
            BASE_ASSIGN(const auto made, operations::create(view, {root, 0}, name, {mode_regular | 0644U, 0, {}}));
            file = made.inode;
            return {};
        }));
        ASSERT_TRUE(rig.commit());
        rig.pass(base::Duration::milliseconds(milliseconds));
        ASSERT_TRUE(rig.run([&](View& view) -> base::Result<void> {
            BASE_TRY(set_time(file, 43)(view));
            return view.pin(inode_lock(file), LockMode::exclusive);
        }));
        rig.log.clear();
        rig.hold_flushes = true;
        rig.tell(LockWanted{inode_lock(file), wanted});
        const bool early = wanted == LockMode::shared;
        EXPECT_EQ(rig.actions<WriteBlocks>().size(), early ? 2U : 0U) << "the record, and in place";
        EXPECT_EQ(device->at(file).as<Inode>().modified == 43, early);
        EXPECT_TRUE(rig.actions<FlushDevice>().empty());
        rig.mount().note_data_written(FileData::replaces_old, file);
        rig.unpin(inode_lock(file));
        rig.pass(base::Duration::milliseconds(1));
        EXPECT_EQ(rig.actions<FlushDevice>().size(), 1U);
        EXPECT_TRUE(rig.actions<ReleaseLock>().empty()) << "an fsync there must find the data durable";
        rig.end_flushes();
        EXPECT_EQ(rig.actions<ReleaseLock>().size(), 1U);
        rig.stop();
    }
}

TEST_F(MountLocks, WhoTakesALockBackFromAReaderWillBeAskedAgain) {
    Rig rig(*device);
    rig.start();
    ASSERT_TRUE(rig.run(set_time(root, 42)));
    EXPECT_FALSE(rig.reader_follows(root)) << "nobody has asked";
    rig.pass(base::Duration::milliseconds(6));
    rig.tell(LockWanted{inode_lock(root), LockMode::shared});
    EXPECT_FALSE(rig.reader_follows(root)) << "shared only";
    ASSERT_TRUE(rig.run(set_time(root, 43)));
    EXPECT_TRUE(rig.reader_follows(root));
    rig.pass(base::Duration::milliseconds(6));
    EXPECT_FALSE(rig.reader_follows(root)) << "it does not ask any more";
    rig.tell(LockWanted{inode_lock(root), LockMode::exclusive});
    ASSERT_TRUE(rig.run(set_time(root, 44)));
    EXPECT_FALSE(rig.reader_follows(root)) << "a writer had it";
}

TEST_F(MountLocks, KeepsASharedLockWhenAnotherNodeOnlyReads) {
    Rig rig(*device);
    rig.start();
    ASSERT_TRUE(rig.run(set_time(root, 42)));
    EXPECT_TRUE(rig.mount().may_cache(root));
    rig.pass(base::Duration::milliseconds(6));
    rig.log.clear();
    rig.tell(LockWanted{inode_lock(root), LockMode::shared});
    ASSERT_EQ(rig.actions<ReleaseLock>().size(), 1U);
    EXPECT_EQ(rig.actions<ReleaseLock>()[0].keep, LockMode::shared);
    EXPECT_TRUE(rig.actions<InvalidateKernel>().empty());
    rig.log.clear();
    std::int64_t value = 0;
    ASSERT_TRUE(rig.run(get_time(root, value)));
    EXPECT_TRUE(rig.log.empty()) << "it is still cached";
}

TEST_F(MountLocks, TheKernelForgetsFirstAndAgainIfItReadMeanwhile) {
    Rig rig(*device);
    rig.start();
    std::int64_t value = 0;
    ASSERT_TRUE(rig.run(get_time(root, value)));
    EXPECT_TRUE(rig.mount().may_cache(root));
    rig.pass(base::Duration::milliseconds(6));
    rig.answer_invalidations = false;
    rig.log.clear();
    rig.tell(LockWanted{inode_lock(root), LockMode::exclusive});
    ASSERT_EQ(rig.actions<InvalidateKernel>().size(), 1U);
    EXPECT_FALSE(rig.mount().may_cache(root));
    ASSERT_TRUE(rig.run(get_time(root, value))) << "served while the kernel forgets";
    rig.mount().note_read_served(root);
    rig.tell(KernelInvalidated{rig.actions<InvalidateKernel>()[0].ticket});
    EXPECT_TRUE(rig.actions<ReleaseLock>().empty());
    ASSERT_EQ(rig.actions<InvalidateKernel>().size(), 2U);
    rig.tell(KernelInvalidated{rig.actions<InvalidateKernel>()[1].ticket});
    EXPECT_EQ(rig.actions<ReleaseLock>().size(), 1U);
}

TEST_F(MountLocks, WaitsForPinsButTakesNoNewOnes) {
    Rig rig(*device);
    rig.start();
    const auto pin = [root = root](View& view) -> base::Result<void> {
        BASE_TRY(view.lock(inode_lock(root), LockMode::shared));
        return view.pin(inode_lock(root), LockMode::shared);
    };
    ASSERT_TRUE(rig.run(pin));
    rig.pass(base::Duration::milliseconds(6));
    rig.tell(LockWanted{inode_lock(root), LockMode::exclusive});
    std::optional<base::Result<void>> late;
    rig.begin(pin, late);
    EXPECT_FALSE(late) << "no new pin while another node waits";
    EXPECT_TRUE(rig.actions<ReleaseLock>().empty() || rig.actions<ReleaseLock>().back().name != inode_lock(root));
    Actions actions;
    rig.mount().unpin(inode_lock(root), base::Instant{} + base::Duration::milliseconds(6), {}, actions);
    ASSERT_GE(actions.size(), 2U);
    EXPECT_TRUE(std::holds_alternative<ReleaseLock>(actions[0]));
    EXPECT_TRUE(std::holds_alternative<RequestLock>(actions[1])) << "and asks for it anew";
}

// A search for free blocks begins in the same group in every run, and goes to one of lower rank.
TEST_F(MountLocks, KeepsAGroupThatASearchWasGivenBefore) {
    Rig rig(*device);
    rig.start();
    const LockName first{LockType::allocation_group, 5};
    const LockName second{LockType::allocation_group, 3};
    const auto search = [&](View& view) -> base::Result<void> {
        BASE_TRY(view.lock(first, LockMode::exclusive));
        return view.lock(second, LockMode::exclusive);
    };
    rig.withheld = {first, second};
    rig.log.clear();
    std::optional<base::Result<void>> outcome;
    rig.begin(search, outcome);
    rig.tell(LockGranted{first, LockMode::exclusive});
    rig.tell(LockWanted{first, LockMode::exclusive});
    rig.pass(base::Duration::milliseconds(6));
    ASSERT_EQ(rig.actions<ReleaseLock>().size(), 1U) << "the second ranks below it";
    EXPECT_EQ(rig.actions<ReleaseLock>()[0].name, first);
    rig.log.clear();
    rig.tell(LockGranted{second, LockMode::exclusive});
    rig.tell(LockWanted{second, LockMode::exclusive});
    rig.pass(base::Duration::milliseconds(6));
    EXPECT_TRUE(rig.actions<ReleaseLock>().empty()) << "or two nodes would take it from each other for ever";
    rig.tell(LockGranted{first, LockMode::exclusive});
    ASSERT_TRUE(outcome && *outcome);
}

TEST_F(MountLocks, AnInodeThatIsOpenHereIsFoundOpen) {
    Rig rig(*device);
    rig.start();
    const LockName open{LockType::open, root};
    ASSERT_TRUE(rig.run([&](View& view) -> base::Result<void> {
        BASE_TRY(view.lock({{inode_lock(root), LockMode::shared}, {open, LockMode::shared}}));
        return view.pin(open, LockMode::shared);
    }));
    const auto outcome = rig.run([&](View& view) { return view.lock(open, LockMode::exclusive); });
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, std::make_error_code(std::errc::device_or_resource_busy));
}

TEST_F(MountErrors, AJournalThatCannotBeWrittenMakesItReadOnly) {
    Rig rig(*device);
    rig.start();
    ASSERT_TRUE(rig.run(set_time(root, 42)));
    rig.write_error = base::Error{std::make_error_code(std::errc::io_error), "the disk burns"};
    EXPECT_FALSE(rig.commit());
    ASSERT_EQ(rig.actions<BecomeReadOnly>().size(), 1U);
    const auto refused = rig.run(set_time(root, 43));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, std::make_error_code(std::errc::read_only_file_system));
    std::int64_t value = 0;
    EXPECT_TRUE(rig.run(get_time(root, value)));
    base::JsonWriter json;
    rig.mount().describe(json, {});
    EXPECT_NE(json.text().find("the disk burns"), std::string::npos);
    // What it could not write is not given to another node, which would wait for ever: it has to replay.
    EXPECT_FALSE(rig.stopped);
    rig.pass(base::Duration::seconds(1));
    rig.log.clear();
    rig.tell(LockWanted{inode_lock(root), LockMode::exclusive});
    EXPECT_TRUE(rig.actions<ReleaseLock>().empty());
    ASSERT_TRUE(rig.stopped && !rig.stopped->has_value());
    EXPECT_NE(rig.stopped->error().message().find("the disk burns"), std::string::npos);
}

// The kernel still has the number of an inode whose block became something else: that is stale, and what was read is
// not kept, because another lock covers it.
TEST_F(MountErrors, AStaleInodeNumberLeavesNothingInTheCache) {
    Rig rig(*device);
    rig.refused = {slot_lock(1)};
    rig.start();
    const auto geometry = rig.mount().superblock().geometry();
    const auto number = geometry.map_block(geometry.group_count() - 1, 0);
    const auto stale = rig.run([&](View& view) -> base::Result<void> {
        BASE_TRY(operations::get_attributes(view, {number, 1}));
        return {};
    });
    ASSERT_FALSE(stale);
    EXPECT_EQ(stale.error().code, Errc::stale_inode);
    // Another node changed the map meanwhile; whoever reads it under its own lock must see that.
    auto& map = device->at(number);
    map.as<AllocationMap>().bad_count = 1;
    map.as<AllocationMap>().free_count -= 1;
    seal(map.bytes, map.as<BlockHeader>().sequence + 1);
    const LockName lock{LockType::allocation_group, geometry.group_count() - 1};
    EXPECT_TRUE(rig.run([&](View& view) -> base::Result<void> {
        BASE_TRY(view.lock(lock, LockMode::shared));
        BASE_ASSIGN(const auto* block, view.block(number, lock, BlockType::allocation_map));
        EXPECT_EQ(block->as<AllocationMap>().bad_count, 1U);
        return {};
    }));
}

TEST_F(MountErrors, ADamagedBlockFailsOnlyWhoNeedsIt) {
    device->at(root).bytes[300] ^= std::byte{1};
    Rig rig(*device);
    rig.start();
    std::int64_t value = 0;
    const auto outcome = rig.run(get_time(root, value));
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, make_error_code(Errc::corrupted));
    EXPECT_NE(outcome.error().detail.find(std::to_string(root)), std::string::npos);
}

TEST_F(MountErrors, ADamagedInodeIsListedWithoutAttributes) {
    BlockNumber bad = 0;
    {
        Rig rig(*device);
        rig.start();
        for (const auto* name : {"a", "b", "c"}) {
            ASSERT_TRUE(rig.run([&](View& view) -> base::Result<void> {
                operations::NewFile file;
                file.mode = mode_regular | 0644;
                BASE_ASSIGN(const auto made, operations::create(view, {root, 0}, name, file));
                if (*name == 'b') bad = made.inode;
                return {};
            }));
        }
        rig.stop();
    }
    device->at(bad).bytes[300] ^= std::byte{1};
    Rig rig(*device);
    rig.start();
    std::vector<operations::DirectoryItem> items;
    ASSERT_TRUE(rig.run([&](View& view) -> base::Result<void> {
        BASE_ASSIGN(items, operations::read_directory(view, {root, 0}, 0, 100, operations::WithAttributes::yes));
        return {};
    }));
    std::size_t with_attributes = 0;
    for (const auto& item : items) with_attributes += item.attributes ? 1 : 0;
    EXPECT_EQ(items.size(), 5U);
    EXPECT_EQ(with_attributes, 2U);
}

// A stale handle's inode number is now a block of something else, which another operation needs at the same time.
TEST_F(MountErrors, AStaleReaderDoesNotDisturbARightfulOne) {
    Rig rig(*device);
    rig.start();
    const auto geometry = rig.mount().superblock().geometry();
    const auto number = geometry.map_block(geometry.group_count() - 1, 0);
    const LockName lock{LockType::allocation_group, geometry.group_count() - 1};
    rig.tell(LockWanted{lock, LockMode::exclusive});
    rig.pass(base::Duration::milliseconds(10));
    rig.withheld = {lock, inode_lock(number)};
    std::optional<base::Result<void>> stale;
    rig.begin(
        [&](View& view) -> base::Result<void> {
            BASE_TRY(view.lock(inode_lock(number), LockMode::shared));
            BASE_TRY(view.block(number, inode_lock(number), BlockType::inode));
            return {};
        },
        stale);
    std::optional<base::Result<void>> rightful;
    rig.begin(
        [&](View& view) -> base::Result<void> {
            BASE_TRY(view.lock(lock, LockMode::shared));
            BASE_TRY(view.block(number, lock, BlockType::allocation_map));
            return {};
        },
        rightful);
    rig.hold_reads = true;
    rig.tell(LockGranted{inode_lock(number), LockMode::shared});
    rig.tell(LockGranted{lock, LockMode::shared});
    rig.end_reads();
    ASSERT_TRUE(stale && rightful);
    EXPECT_FALSE(*stale);
    EXPECT_TRUE(*rightful) << rightful->error().message();
}

TEST_F(MountJournal, GoesRoundAndRound) {
    Rig rig(*device);
    rig.start();
    for (std::int64_t i = 0; i < 3000; ++i) {
        ASSERT_TRUE(rig.run(set_time(root, i)));
        ASSERT_TRUE(rig.commit());
    }
    Rig next(*device);
    next.start();
    std::int64_t value = 0;
    ASSERT_TRUE(next.run(get_time(root, value)));
    EXPECT_EQ(value, 2999);
}

// What is let in while a commit waits for its flush has to fit behind that commit's record, wherever that one lies.
TEST_F(MountJournal, HasRoomForWhatCameInDuringASlowFlush) {
    device = formatted_device(24576, 5120);
    ASSERT_EQ(root_of(*device), root);
    Rig rig(*device);
    rig.start();
    std::vector<BlockNumber> blocks;
    const auto make_some = [&](View& view) -> base::Result<void> {
        BASE_TRY(view.will_change());
        BASE_TRY(view.lock(inode_lock(root), LockMode::exclusive));
        BASE_ASSIGN(const auto range, allocate(view, Purpose::metadata, 200, 0));
        for (std::uint32_t i = 0; i < range.count; ++i) {
            BASE_TRY(view.create(range.first + i, inode_lock(root), BlockType::directory_leaf, root));
        }
        for (std::uint32_t i = 0; i < range.count; ++i) blocks.push_back(range.first + i);
        return {};
    };
    while (blocks.size() < 2400) ASSERT_TRUE(rig.run(make_some));
    std::size_t next = 0;
    const auto change_some = [&](View& view) -> base::Result<void> {
        BASE_TRY(view.will_change());
        BASE_TRY(view.lock(inode_lock(root), LockMode::exclusive));
        for (std::size_t i = 0; i < 17; ++i) {
            BASE_TRY(view.modify(blocks[(next + i) % blocks.size()], inode_lock(root), BlockType::directory_leaf));
        }
        next += 17;
        return {};
    };
    // Places where the second record does not fit before the end of the ring by less and less.
    const auto region = journal_region(rig.mount().superblock(), 0);
    for (std::uint64_t left_then = 2100; left_then < 2900; left_then += 80) {
        for (std::uint64_t left = 0; left < left_then || left > left_then + 40;) {
            ASSERT_TRUE(rig.run(change_some));
            rig.log.clear();
            ASSERT_TRUE(rig.commit());
            const auto record = rig.actions<WriteBlocks>().at(0);
            left = region.first + 1 + region.ring_blocks - (record.first + record.blocks.size());
        }
        rig.hold_flushes = true;
        rig.mount().note_data_written(FileData::becomes_visible, root);
        // The commit begins by itself when there is much to write.
        std::deque<std::optional<base::Result<void>>> outcomes;
        do {
            rig.begin(change_some, outcomes.emplace_back());
        } while (outcomes.back().has_value());
        rig.end_flushes();
        ASSERT_TRUE(outcomes.back() && *outcomes.back());
        ASSERT_TRUE(rig.commit());
    }
}

TEST_F(MountReadOnly, ChangesNothing) {
    MountOptions options;
    options.read_only = true;
    Rig rig(*device, options);
    rig.start();
    ASSERT_TRUE(rig.started);
    EXPECT_TRUE(rig.actions<WriteBlocks>().empty());
    const auto refused = rig.run(set_time(root_of(*device), 1));
    EXPECT_EQ(refused.error().code, std::make_error_code(std::errc::read_only_file_system));
    rig.stop();
    EXPECT_TRUE(rig.stopped && rig.stopped->has_value());
    EXPECT_TRUE(rig.actions<WriteBlocks>().empty());
}

}  // namespace
}  // namespace clusterfs::test
