// crash_states SCRIPT [--part I/N] [--state NUMBER]: every crash state of a scripted history (README.md). `mkfs` and
// `mkfs-over` cut the making of a filesystem. Exit status 1 when a state does not hold, 2 for wrong use.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/ensure.hh"
#include "clusterfs/core/check/check_filesystem.hh"
#include "clusterfs/core/error.hh"
#include "clusterfs/core/format_filesystem.hh"
#include "clusterfs/format/inode.hh"
#include "clusterfs/format/journal.hh"
#include "tests/crash/scripts.hh"
#include "tests/sim/common/run_seeds.hh"

namespace {

using namespace clusterfs;
using namespace crash;

constexpr std::uint64_t device_blocks = smallest_filesystem_blocks;
constexpr std::uint64_t again_one_in = 40;  // states that are cut once more

struct Options {
    std::string script;
    std::uint64_t part = 0;
    std::uint64_t parts = 1;
    std::optional<std::uint64_t> state;
};
Options options;
std::uint64_t current_state = 0;

void print_current() {
    std::fprintf(stderr, "crash_states: FAILED: crash_states %s --state %llu\n", options.script.c_str(),
                 static_cast<unsigned long long>(current_state));
}

FormatOptions format_options(std::uint64_t seed) {
    sim::Random random(seed);
    FormatOptions format;
    format.uuid = random.uuid();
    format.directory_hash_seed = random.next();
    format.journal_blocks = smallest_journal_blocks;
    format.now = {1'600'000'000'000'000'000};
    return format;
}

void make_filesystem(SynchronousDevice& device, std::uint64_t seed) {
    const auto made = format_filesystem(device, format_options(seed));
    if (!made) throw sim::Violation("mkfs: " + made.error().message());
}

// Of an empty filesystem.
History new_history() {
    TreeState empty;
    empty.names[""] = 0;
    empty.files[0] = std::make_shared<FileState>(FileState{mode_directory | 0755, {}, {}});
    return {{empty}, {}};
}

void expect_clean(sim::Device& device, const char* when) {
    std::string found;
    checking::CheckOptions check;
    check.read_only = true;
    check.decide = [&](const checking::ProblemRow& row, const std::string& detail) {
        if (row.severity != checking::Severity::note) found += "\n" + std::string(row.message) + ": " + detail;
        return false;
    };
    const auto report = checking::check_filesystem(device, check);
    if (!report) throw sim::Violation(std::string("fsck ") + when + ": " + report.error().message());
    if (report->found != 0) throw sim::Violation(std::string("fsck finds ") + when + found);
}

void mount_and_unmount(sim::Device& device, std::uint64_t seed) {
    Session session(device, seed);
    session.pass(base::Duration::milliseconds(50));
    session.unmount();
}

void expect_version(sim::Device& device, const History& history, const Known& known) {
    expect_clean(device, "after the mount");
    const auto comparison = compare(read_tree(device), history, known.promised, known.visible);
    if (comparison.version) return;
    throw sim::Violation("the tree is none of the versions " + std::to_string(known.promised) + " to " +
                         std::to_string(known.visible) + ": " + comparison.difference);
}

// Power fails again while it is mounted for the first time: at one random write, with all and with a part of the rest.
void fail_again(const sim::Device& image, const History& history, const Known& known, std::uint64_t seed) {
    sim::Device device(&image);
    Record record;
    record.note(known);
    device.observe(&record);
    mount_and_unmount(device, seed);
    sim::Random random(seed);
    const auto states = record.for_each_state(image, 1, 1, {});
    if (states == 0) return;
    record.for_each_state(image, random.below(states), states,
                          [&](std::uint64_t, const sim::Device& second, const Known&) {
                              sim::Device twice(&second);
                              expect_clean(twice, "after the second failure");
                              mount_and_unmount(twice, seed + 1);
                              expect_version(twice, history, known);
                          });
}

void check_state(std::uint64_t number, const sim::Device& image, const History& history, const Known& known) {
    sim::Device device(&image);
    expect_clean(device, "after the failure");
    mount_and_unmount(device, number + 1);
    expect_version(device, history, known);
    if (number % again_one_in == 0) fail_again(image, history, known, number + 2);
}

// Says what went wrong, and goes on with the next state: one run shows all.
class Checks {
  public:
    template <typename Check>
    void run(std::uint64_t number, const Check& check) {
        if (options.state && *options.state != number) return;
        current_state = number;
        ++checked_;
        try {
            check();
        } catch (const std::exception& violation) {
            if (++failed_ > 10) return;
            std::fprintf(stderr, "crash_states: %s\n", violation.what());
            print_current();
        }
    }
    std::uint64_t checked() const { return checked_; }
    std::uint64_t failed() const { return failed_; }

  private:
    std::uint64_t checked_ = 0;
    std::uint64_t failed_ = 0;
};

void run_script(const Script& script, Checks& checks) {
    sim::Device base(device_blocks);
    make_filesystem(base, 1);
    auto history = new_history();
    {
        Record unused;
        ScriptedMount mount(base, unused, history, 1);
        script.prepare(mount);
        mount.unmount();
    }
    history.overwrites.clear();
    sim::Device device(&base);
    Record record;
    device.observe(&record);
    record.note({history.versions.size() - 1, history.versions.size() - 1});
    {
        ScriptedMount mount(device, record, history, 2);
        for (int round = 0; round < script.rounds; ++round) script.run(mount, round);
        mount.unmount();
    }
    const auto states = record.for_each_state(
        base, options.part, options.parts, [&](std::uint64_t number, const sim::Device& image, const Known& known) {
            checks.run(number, [&] { check_state(number, image, history, known); });
        });
    std::printf("crash_states %s: %zu writes, %zu flushes, %zu versions, %llu states\n", script.name.c_str(),
                record.writes(), record.flushes(), history.versions.size(), static_cast<unsigned long long>(states));
}

// What mkfs writes, as a record.
class RecordedDevice : public SynchronousDevice {
  public:
    RecordedDevice(sim::Device& device, Record& record) : device_(device), record_(record) {}
    std::uint64_t block_count() const override { return device_.block_count(); }
    base::Result<void> read(BlockNumber first, std::span<Block> into) override { return device_.read(first, into); }
    base::Result<void> write(BlockNumber first, std::span<const Block> from) override {
        std::vector<BlockHandle> blocks;
        for (const auto& block : from) blocks.push_back(std::make_shared<Block>(block));
        record_.write_begun(++writes_, first, blocks, false);
        record_.write_ended(writes_);
        return device_.write(first, from);
    }
    base::Result<void> flush() override {
        record_.flush_ended(writes_);
        return {};
    }

  private:
    sim::Device& device_;
    Record& record_;
    std::uint64_t writes_ = 0;
};

void check_made(const sim::Device& image, const base::Uuid& uuid) {
    sim::Device device(&image);
    const auto superblock = read_superblock(device, superblock_number);
    if (!superblock || superblock->header.filesystem != uuid.bytes) return;
    expect_clean(device, "after the failure");
    mount_and_unmount(device, 3);
    expect_clean(device, "after the mount");
    if (read_tree(device).size() != 1) throw sim::Violation("a new filesystem is not empty");
}

void run_mkfs(bool over_old, Checks& checks) {
    sim::Device base(device_blocks);
    if (over_old) {
        make_filesystem(base, 1);
        auto history = new_history();
        Record unused;
        ScriptedMount mount(base, unused, history, 1);
        mount.create("old");
        mount.unmount();
    }
    sim::Device device(&base);
    Record record;
    RecordedDevice recorded(device, record);
    make_filesystem(recorded, 2);
    const auto uuid = format_options(2).uuid;
    const auto states = record.for_each_state(base, options.part, options.parts,
                                              [&](std::uint64_t number, const sim::Device& image, const Known&) {
                                                  checks.run(number, [&] { check_made(image, uuid); });
                                              });
    std::printf("crash_states %s: %zu writes, %zu flushes, %llu states\n", options.script.c_str(), record.writes(),
                record.flushes(), static_cast<unsigned long long>(states));
}

bool parse(int argc, char** argv) {
    if (argc < 2) return false;
    options.script = argv[1];
    for (int i = 2; i + 1 < argc; i += 2) {
        char* rest = nullptr;
        const auto value = std::strtoull(argv[i + 1], &rest, 10);
        if (std::strcmp(argv[i], "--state") == 0 && *rest == '\0') {
            options.state = value;
        } else if (std::strcmp(argv[i], "--part") == 0 && *rest == '/') {
            options.part = value;
            options.parts = std::strtoull(rest + 1, nullptr, 10);
        } else {
            return false;
        }
    }
    return argc % 2 == 0 && options.parts != 0 && options.part < options.parts;
}

constexpr const char* mkfs_script = "mkfs";
constexpr const char* mkfs_over_script = "mkfs-over";

std::vector<std::string> all_names() {
    std::vector<std::string> names{mkfs_script, mkfs_over_script};
    for (const auto& script : all_scripts()) names.push_back(script.name);
    return names;
}

bool run_named(Checks& checks) {
    if (options.script == mkfs_script || options.script == mkfs_over_script) {
        run_mkfs(options.script == mkfs_over_script, checks);
        return true;
    }
    for (const auto& script : all_scripts()) {
        if (script.name != options.script) continue;
        run_script(script, checks);
        return true;
    }
    return false;
}

}  // namespace

int main(int argc, char** argv) {
    base::set_crash_reporter(print_current);
    if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
        for (const auto& name : all_names()) std::printf("%s\n", name.c_str());
        return 0;
    }
    Checks checks;
    try {
        if (!parse(argc, argv) || !run_named(checks)) {
            std::fprintf(stderr, "usage: crash_states SCRIPT [--part I/N] [--state NUMBER] | --list\n");
            return 2;
        }
    } catch (const std::exception& violation) {
        std::fprintf(stderr, "crash_states %s: the history itself: %s\n", options.script.c_str(), violation.what());
        return 1;
    }
    std::printf("crash_states %s: %llu states checked, %llu failed\n", options.script.c_str(),
                static_cast<unsigned long long>(checks.checked()), static_cast<unsigned long long>(checks.failed()));
    return checks.failed() == 0 ? 0 : 1;
}
