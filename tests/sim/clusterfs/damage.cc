// The third phase of some seeds: blocks of metadata are damaged while nobody has the filesystem mounted. Whatever is
// asked afterwards is answered as the model says, or refused; never with what is not true.
#include "base/probe.hh"
#include "clusterfs/core/check/check_filesystem.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/format/block_header.hh"
#include "tests/sim/clusterfs/filesystem.hh"
#include "tests/sim/clusterfs/world.hh"

namespace sim {

using base::Duration;
using clusterfs::BlockNumber;

namespace {

base::Probe probe_misdirected("simulated: a metadata write is misdirected");
base::Probe probe_torn("simulated: a metadata block is torn");
base::Probe probe_rotten("simulated: a metadata block rots");
base::Probe probe_unreadable("simulated: a metadata block becomes unreadable");
base::Probe probe_refused("simulated: an operation on damaged metadata is refused");
base::Probe probe_mount_refused("simulated: a mount of damaged metadata is refused or ends");

// A filesystem that is damaged is found to be so.
bool fsck_complains(Device& device) {
    clusterfs::checking::CheckOptions options;
    options.read_only = true;
    options.decide = [](const auto&, const std::string&) { return false; };
    const auto report = clusterfs::checking::check_filesystem(device, options);
    return !report || report->found != 0;
}

}  // namespace

bool Workload::is_refused(const base::Error& error) const {
    return refusals_ && (error.code == clusterfs::make_error_code(clusterfs::Errc::corrupted) ||
                         error.code == clusterfs::make_error_code(clusterfs::Errc::journal_corrupted) ||
                         error.code == std::make_error_code(std::errc::io_error) ||
                         error.code == std::make_error_code(std::errc::read_only_file_system));
}

bool World::is_refused(const base::Result<void>& outcome) const {
    if (outcome || !workload_->is_refused(outcome.error())) return false;
    probe_refused.hit();
    return true;
}

// Where a block lies that says of itself that it belongs there.
std::vector<BlockNumber> World::metadata_blocks() const {
    std::vector<BlockNumber> numbers;
    for (BlockNumber number = 0; number < filesystem_blocks; ++number) {
        if (device_.never_written(number)) continue;
        const auto& header = device_.current(number).as<clusterfs::BlockHeader>();
        const bool in_journal = header.magic == clusterfs::BlockType::journal_descriptor;
        if (header.number == number && header.version == 1 && !in_journal) numbers.push_back(number);
    }
    return numbers;
}

void World::damage_block(BlockNumber number, const std::vector<BlockNumber>& others) {
    const auto other = random_.pick(others);
    say("damages block " + std::to_string(number) + " with " + std::to_string(other));
    const auto how = random_.below(6);
    if (how < 3 && other != number) {
        probe_misdirected.hit();
        device_.misdirect(other, number);
    } else if (how == 3 && other != number) {
        const auto before = device_.current(number).bytes;
        device_.tear(number, other, random_);
        if (before == device_.current(number).bytes) device_.flip_bit(number, random_);
        probe_torn.hit();
    } else if (how == 4) {
        probe_unreadable.hit();
        device_.make_unreadable(number);
    } else {
        probe_rotten.hit();
        device_.flip_bit(number, random_);
    }
}

void World::damage() {
    damaged_ = true;
    workload_->expect_refusals();
    const auto all = metadata_blocks();
    const auto in_use = workload_->inodes();
    const bool surely = random_.one_in(2);
    damage_block(surely ? random_.pick(in_use) : random_.pick(all), all);
    for (auto more = random_.below(3); more > 0; --more) damage_block(random_.pick(all), all);
    if (surely && !fsck_complains(device_)) throw Violation("fsck finds nothing wrong with a damaged inode");
    work_on_damage();
}

// Nobody waits for an end: an operation may wait for a lock that a mount without a way out holds.
void World::work_on_damage() {
    working_ = true;
    for (int index = 0; index < nodes_; ++index) {
        members_[index] = {};
        boot(index);
    }
    scheduler_.run_until(scheduler_.now() + random_.between(Duration::milliseconds(50), Duration::milliseconds(500)));
    working_ = false;
}

// It gives up, as it may. What it had not committed is lost, so nothing is asked any more.
void World::mount_ends(int index, const base::Error& reason) {
    if (!damaged_) throw Violation("node " + std::to_string(index) + " gave up: " + reason.message());
    probe_mount_refused.hit();
    if (members_[index].started) working_ = false;
    members_[index].started = false;
}

}  // namespace sim
