#include "tests/unit/clusterfs_operations/random_run.hh"

#include <gtest/gtest.h>

#include <algorithm>

#include "clusterfs/core/error.hh"
#include "clusterfs/core/operations/extended_attributes.hh"
#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/core/operations/read_directory.hh"
#include "clusterfs/core/operations/remove.hh"
#include "clusterfs/core/operations/statistics.hh"
#include "clusterfs/format/inode.hh"
#include "tests/unit/clusterfs_operations/file_io.hh"

namespace clusterfs::test {

using namespace operations;

namespace {

template <typename T>
const base::Error* error_of(const base::Result<T>& result) {
    return result ? nullptr : &result.error();
}

std::uint32_t mode_of(const ModelInode& inode) {
    switch (inode.type) {
        case ModelInode::Type::file:
            return mode_regular | inode.permissions;
        case ModelInode::Type::directory:
            return mode_directory | inode.permissions;
        case ModelInode::Type::symlink:
            return mode_symlink | 0777;
        case ModelInode::Type::fifo:
            return mode_fifo | inode.permissions;
    }
    return 0;
}

Statistics statistics_of(MemoryNode& node) {
    return *node.get(StatisticsCount{});
}

}  // namespace

RandomRun::RandomRun(std::uint64_t seed, Options options) : random_(seed), options_(options), cluster_(options.blocks) {
    model_.inodes.at(PosixModel::root).reference = {cluster_.root(), 0};
    free_at_start_ = statistics_of(cluster_[0]).free;
}

int RandomRun::any_inode() {
    auto place = model_.inodes.begin();
    std::advance(place, static_cast<std::ptrdiff_t>(below(model_.inodes.size())));
    return place->first;
}

int RandomRun::any_of(ModelInode::Type type) {
    std::vector<int> found;
    for (const auto& [number, inode] : model_.inodes) {
        if (inode.type == type) found.push_back(number);
    }
    return found.empty() ? 0 : found[below(found.size())];
}

std::string RandomRun::any_name() {
    const auto number = std::to_string(below(static_cast<std::uint64_t>(options_.names)));
    return one_in(3) ? "a-name-that-is-rather-long-so-that-directories-grow-into-trees-" + number : number;
}

std::string RandomRun::any_data(std::uint64_t length) {
    std::string data(length, '\0');
    for (std::size_t i = 0; i < data.size(); i += 61) data[i] = static_cast<char>('a' + below(26));
    if (!data.empty()) data.front() = data.back() = 'x';
    return data;
}

bool RandomRun::agrees(const char* what, std::errc expected, const base::Error* error, bool never_full) {
    const auto code = error == nullptr ? std::error_code{} : error->code;
    if (code == std::errc::no_space_on_device && options_.may_fill && !never_full) return false;
    if (expected == std::errc{}) {
        EXPECT_EQ(error, nullptr) << what << ": " << (error == nullptr ? "" : error->message());
    } else {
        EXPECT_EQ(code, std::make_error_code(expected)) << what;
    }
    return error == nullptr && expected == std::errc{};
}

void RandomRun::make() {
    const auto directory = one_in(8) ? any_inode() : any_of(ModelInode::Type::directory);
    const auto name = any_name();
    const auto expected = model_.create_outcome(directory, name);
    ModelInode inode;
    const ModelInode::Type types[] = {ModelInode::Type::file, ModelInode::Type::file, ModelInode::Type::directory,
                                      ModelInode::Type::symlink, ModelInode::Type::fifo};
    inode.type = types[below(5)];
    inode.permissions = 0700 | static_cast<std::uint32_t>(below(0100));
    const auto parent = model_.inodes.at(directory).reference;
    auto made = node().get([&](View& view) {
        if (inode.type == ModelInode::Type::symlink) return symlink(view, parent, name, "to/" + name, {});
        return create(view, parent, name, {mode_of(inode), 0, {}});
    });
    if (!agrees("create", expected, error_of(made))) return;
    EXPECT_EQ(made->mode, mode_of(inode));
    inode.reference = {made->inode, made->generation};
    if (inode.type == ModelInode::Type::symlink) inode.content = "to/" + name;
    model_.created(directory, name, inode);
}

void RandomRun::make_link() {
    const auto inode = any_inode();
    if (model_.inodes.at(inode).links == 0) return;
    const auto directory = any_of(ModelInode::Type::directory);
    const auto name = any_name();
    const auto expected = model_.link_outcome(inode, directory, name);
    const auto parent = model_.inodes.at(directory).reference;
    const auto target = model_.inodes.at(inode).reference;
    auto made = node().get([&](View& view) { return link(view, target, parent, name); });
    if (agrees("link", expected, error_of(made))) model_.linked(inode, directory, name);
}

void RandomRun::finish_deletion(MemoryNode& on, InodeReference inode, Deletion expected) {
    auto outcome = Deletion::more;
    while (outcome == Deletion::more) {
        auto step = on.get([&](View& view) { return delete_orphan(view, inode); });
        ASSERT_TRUE(step) << step.error().message();
        outcome = *step;
    }
    EXPECT_EQ(outcome, expected);
}

void RandomRun::removed(MemoryNode& on, const base::Result<Removed>& result, int victim) {
    if (victim == 0) return;
    const auto& inode = model_.inodes.at(victim);
    const bool last = inode.is_directory() || inode.links == 1;
    EXPECT_EQ(result->inode.number, inode.reference.number);
    if (!last) {
        EXPECT_FALSE(result->orphaned);
        return;
    }
    if (inode.open_on.empty()) stale_.push_back(inode.reference);
    if (!inode.open_on.empty()) {
        EXPECT_TRUE(result->orphaned);
    }
    if (!result->orphaned) return;
    finish_deletion(on, inode.reference, inode.open_on.empty() ? Deletion::done : Deletion::in_use);
}

void RandomRun::remove() {
    const auto directory = one_in(8) ? any_inode() : any_of(ModelInode::Type::directory);
    const auto& parent = model_.inodes.at(directory);
    auto name = any_name();
    if (!parent.entries.empty() && !one_in(4)) {
        auto place = parent.entries.begin();
        std::advance(place, static_cast<std::ptrdiff_t>(below(parent.entries.size())));
        name = place->first;
    }
    const auto victim = parent.is_directory() ? model_.find(directory, name) : 0;
    const bool as_directory = victim != 0 && model_.inodes.at(victim).is_directory() ? !one_in(5) : one_in(5);
    const auto expected =
        as_directory ? model_.remove_directory_outcome(directory, name) : model_.unlink_outcome(directory, name);
    if (parent.links == 0 && expected != std::errc::not_a_directory) return;
    auto& on = node();
    auto done = on.get([&](View& view) {
        return as_directory ? remove_directory(view, parent.reference, name) : unlink(view, parent.reference, name);
    });
    if (!agrees("remove", expected, error_of(done), true)) return;
    removed(on, done, victim);
    model_.unlinked(directory, name);
}

void RandomRun::move() {
    const auto from = any_of(ModelInode::Type::directory);
    const auto to = one_in(2) ? from : one_in(8) ? any_inode() : any_of(ModelInode::Type::directory);
    const auto old_name = any_name();
    const auto new_name = any_name();
    const RenameMode modes[] = {RenameMode::replace, RenameMode::replace, RenameMode::no_replace, RenameMode::exchange};
    const auto mode = modes[below(4)];
    const auto expected = model_.rename_outcome(from, old_name, to, new_name, mode);
    const auto target = expected == std::errc{} ? model_.find(to, new_name) : 0;
    const bool same = target != 0 && target == model_.find(from, old_name);
    auto& on = node();
    auto done = on.get([&](View& view) {
        return rename(view, model_.inodes.at(from).reference, old_name, model_.inodes.at(to).reference, new_name, mode);
    });
    if (!agrees("rename", expected, error_of(done))) return;
    if (mode != RenameMode::exchange && !same) removed(on, done, target);
    model_.renamed(from, old_name, to, new_name, mode);
}

void RandomRun::look_up() {
    const auto directory = any_of(ModelInode::Type::directory);
    const auto name = any_name();
    const auto expected = model_.find(directory, name);
    auto found = node().get([&](View& view) { return lookup(view, model_.inodes.at(directory).reference, name); });
    if (!agrees("lookup", expected == 0 ? std::errc::no_such_file_or_directory : std::errc{}, error_of(found))) return;
    const auto& inode = model_.inodes.at(expected);
    EXPECT_EQ(found->inode, inode.reference.number);
    EXPECT_EQ(found->links, inode.links);
    EXPECT_EQ(found->mode, mode_of(inode));
}

void RandomRun::list_directory() { compare(any_of(ModelInode::Type::directory)); }

void RandomRun::open_one() {
    const auto number = any_inode();
    if (number == PosixModel::root) return;
    auto& inode = model_.inodes.at(number);
    const auto which = static_cast<int>(below(2));
    auto done = cluster_[static_cast<std::size_t>(which)].get([&](View& view) { return open(view, inode.reference); });
    if (agrees("open", {}, error_of(done))) inode.open_on.push_back(which);
}

void RandomRun::close(int number, std::size_t which) {
    const auto inode = model_.inodes.at(number);
    auto& on = cluster_[static_cast<std::size_t>(inode.open_on[which])];
    on.unpin(open_lock(inode.reference.number));
    if (inode.links == 0) {
        finish_deletion(on, inode.reference, inode.open_on.size() == 1 ? Deletion::done : Deletion::in_use);
        if (inode.open_on.size() == 1) stale_.push_back(inode.reference);
    }
    model_.closed(number, which);
}

void RandomRun::close_one() {
    std::vector<int> open;
    for (const auto& [number, inode] : model_.inodes) {
        if (!inode.open_on.empty()) open.push_back(number);
    }
    if (open.empty()) return;
    const auto number = open[below(open.size())];
    close(number, below(model_.inodes.at(number).open_on.size()));
}

void RandomRun::write() {
    const auto number = any_inode();
    auto& inode = model_.inodes.at(number);
    const bool append = one_in(3);
    const auto offset = append ? inode.content.size() : below(one_in(2) ? 4000 : options_.largest);
    const auto data = any_data(1 + below(one_in(2) ? 3000 : options_.largest / 2));
    auto& on = node();
    auto done = write_file(on, cluster_, inode.reference, offset, data, append);
    const auto expected = inode.is_directory()                   ? std::errc::is_a_directory
                          : inode.type != ModelInode::Type::file ? std::errc::invalid_argument
                                                                 : std::errc{};
    if (!agrees("write", expected, error_of(done))) return;
    if (!options_.may_fill) {
        EXPECT_EQ(*done, data.size());
    }
    if (*done == 0) return;
    if (inode.content.size() < offset + *done) inode.content.resize(offset + *done, '\0');
    inode.content.replace(offset, *done, data, 0, *done);
}

void RandomRun::compare_file(int number, MemoryNode& on) {
    const auto& inode = model_.inodes.at(number);
    auto content = read_file(on, cluster_, inode.reference, 0, inode.content.size() + 10);
    ASSERT_TRUE(content) << content.error().message();
    EXPECT_EQ(content->size(), inode.content.size());
    if (*content == inode.content) return;
    const auto differs = std::ranges::mismatch(*content, inode.content).in1 - content->begin();
    ADD_FAILURE() << "inode " << number << " differs at byte " << differs << " of " << inode.content.size();
}

void RandomRun::read() {
    const auto number = any_of(ModelInode::Type::file);
    if (number == 0) return;
    const auto& inode = model_.inodes.at(number);
    const auto offset = below(options_.largest);
    const auto length = below(options_.largest);
    auto content = read_file(node(), cluster_, inode.reference, offset, length);
    if (!agrees("read", {}, error_of(content))) return;
    const auto expected = offset >= inode.content.size() ? "" : inode.content.substr(offset, length);
    EXPECT_TRUE(*content == expected) << "read of " << length << " at " << offset << " of " << inode.content.size();
}

void RandomRun::truncate() {
    const auto number = any_of(ModelInode::Type::file);
    if (number == 0) return;
    auto& inode = model_.inodes.at(number);
    const auto size = one_in(3) ? 0 : below(one_in(2) ? 4000 : options_.largest);
    auto done = truncate_file(node(), cluster_, inode.reference, size);
    if (agrees("truncate", {}, error_of(done))) inode.content.resize(size, '\0');
}

void RandomRun::allocate() {
    const auto number = any_of(ModelInode::Type::file);
    if (number == 0) return;
    auto& inode = model_.inodes.at(number);
    const auto offset = below(options_.largest);
    const auto length = 1 + below(options_.largest);
    const auto mode = one_in(2) ? Preallocation::change_size : Preallocation::keep_size;
    auto done = carry_out(node(), cluster_, inode.reference, [&](View& view, unsigned zeroed) {
        return preallocate(view, inode.reference, offset, length, mode, zeroed);
    });
    if (!agrees("fallocate", {}, error_of(done))) return;
    if (mode == Preallocation::keep_size || inode.content.size() >= offset + length) return;
    inode.content.resize(offset + length, '\0');
}

void RandomRun::punch() {
    const auto number = any_of(ModelInode::Type::file);
    if (number == 0) return;
    auto& inode = model_.inodes.at(number);
    const auto offset = below(options_.largest);
    const auto length = 1 + below(options_.largest / 2);
    auto done = carry_out(node(), cluster_, inode.reference, [&](View& view, unsigned zeroed) {
        return punch_hole(view, inode.reference, offset, length, zeroed);
    });
    if (!agrees("punch", {}, error_of(done), true) || offset >= inode.content.size()) return;
    const auto end = std::min<std::uint64_t>(inode.content.size(), offset + length);
    std::fill(inode.content.begin() + static_cast<std::ptrdiff_t>(offset),
              inode.content.begin() + static_cast<std::ptrdiff_t>(end), '\0');
}

// Whatever lies between the offset and the next data must read as zeros.
void RandomRun::seek_data() {
    const auto number = any_of(ModelInode::Type::file);
    if (number == 0) return;
    const auto& inode = model_.inodes.at(number);
    const auto offset = below(options_.largest);
    auto found = node().get([&](View& view) { return seek(view, inode.reference, offset, SeekFor::data); });
    const auto size = inode.content.size();
    if (offset >= size) {
        agrees("seek", std::errc::no_such_device_or_address, error_of(found));
        return;
    }
    const auto data = found ? *found : size;
    EXPECT_GE(data, offset);
    EXPECT_EQ(inode.content.substr(offset, data - offset).find_first_not_of('\0'), std::string::npos);
    auto hole = node().get([&](View& view) { return seek(view, inode.reference, offset, SeekFor::hole); });
    ASSERT_TRUE(hole);
    EXPECT_GE(*hole, offset);
    EXPECT_LE(*hole, size);
}

void RandomRun::change_attributes() {
    const auto number = any_inode();
    auto& inode = model_.inodes.at(number);
    if (inode.type == ModelInode::Type::symlink) return;
    AttributeChange change;
    change.permissions = static_cast<std::uint32_t>(below(01000));
    auto done = node().get([&](View& view) { return set_attributes(view, inode.reference, change); });
    if (agrees("chmod", {}, error_of(done))) inode.permissions = *change.permissions;
}

void RandomRun::change_xattrs() {
    const auto number = any_inode();
    auto& inode = model_.inodes.at(number);
    const auto name = "user." + std::to_string(below(8));
    if (one_in(3)) {
        auto done = node().run([&](View& view) { return remove_xattr(view, inode.reference, name); });
        const bool there = inode.xattrs.contains(name);
        if (agrees("removexattr", there ? std::errc{} : std::errc::no_message_available, error_of(done), true)) {
            inode.xattrs.erase(name);
        }
        return;
    }
    const auto value = any_data(below(one_in(2) ? 40 : 700));
    const XattrMode modes[] = {XattrMode::create_or_replace, XattrMode::create_only, XattrMode::replace_only};
    const auto mode = modes[below(3)];
    auto done =
        node().run([&](View& view) { return set_xattr(view, inode.reference, name, base::as_bytes(value), mode); });
    const bool there = inode.xattrs.contains(name);
    const auto expected = there && mode == XattrMode::create_only     ? std::errc::file_exists
                          : !there && mode == XattrMode::replace_only ? std::errc::no_message_available
                                                                      : std::errc{};
    const bool no_room = !done && done.error().code == std::errc::no_space_on_device;
    if (no_room && inode.xattrs.size() > 2) return;
    if (agrees("setxattr", expected, error_of(done))) inode.xattrs[name] = value;
}

void RandomRun::read_xattrs() {
    const auto& inode = model_.inodes.at(any_inode());
    auto& on = node();
    auto names = on.get([&](View& view) { return list_xattrs(view, inode.reference); });
    ASSERT_TRUE(names) << names.error().message();
    EXPECT_EQ(names->size(), inode.xattrs.size());
    for (const auto& [name, value] : inode.xattrs) {
        auto found = on.get([&](View& view) { return get_xattr(view, inode.reference, name); });
        ASSERT_TRUE(found) << name << found.error().message();
        EXPECT_TRUE(base::as_text(*found) == value) << name;
    }
}

void RandomRun::stat_stale() {
    if (stale_.empty()) return;
    const auto reference = stale_[below(stale_.size())];
    auto found = node().get([&](View& view) { return get_attributes(view, reference); });
    EXPECT_FALSE(found);
}

void RandomRun::step() {
    using Step = void (RandomRun::*)();
    static constexpr Step steps[] = {
        &RandomRun::make,          &RandomRun::make,        &RandomRun::make,           &RandomRun::make_link,
        &RandomRun::remove,        &RandomRun::remove,      &RandomRun::move,           &RandomRun::move,
        &RandomRun::look_up,       &RandomRun::open_one,    &RandomRun::close_one,      &RandomRun::write,
        &RandomRun::write,         &RandomRun::write,       &RandomRun::read,           &RandomRun::truncate,
        &RandomRun::allocate,      &RandomRun::punch,       &RandomRun::seek_data,      &RandomRun::change_attributes,
        &RandomRun::change_xattrs, &RandomRun::read_xattrs, &RandomRun::list_directory, &RandomRun::stat_stale};
    cluster_.now.nanoseconds += 1'000'000;
    (this->*steps[below(std::size(steps))])();
    if (one_in(10)) node().commit();
}

void RandomRun::compare(int number) {
    const auto& inode = model_.inodes.at(number);
    auto& on = node();
    auto attributes = on.get([&](View& view) { return get_attributes(view, inode.reference); });
    ASSERT_TRUE(attributes) << attributes.error().message();
    EXPECT_EQ(attributes->links, inode.links);
    if (inode.type == ModelInode::Type::file) return compare_file(number, on);
    if (!inode.is_directory()) return;
    std::map<std::string, InodeNumber> seen;
    for (std::uint64_t cookie = 0;;) {
        auto part = on.get([&](View& view) {
            return read_directory(view, inode.reference, cookie, 1 + below(20), WithAttributes::no);
        });
        ASSERT_TRUE(part) << part.error().message();
        if (part->empty()) break;
        for (const auto& item : *part) seen[item.name] = item.inode;
        cookie = part->back().cookie;
    }
    std::map<std::string, InodeNumber> expected;
    for (const auto& [name, child] : inode.entries) expected[name] = model_.inodes.at(child).reference.number;
    expected["."] = inode.reference.number;
    expected[".."] = seen[".."];
    if (inode.links > 0) expected[".."] = model_.inodes.at(inode.parent).reference.number;
    EXPECT_EQ(seen, expected);
}

void RandomRun::compare_all() {
    for (const auto& [number, inode] : model_.inodes) compare(number);
    EXPECT_EQ(cluster_.damage(), std::vector<std::string>());
}

void RandomRun::remove_all() {
    for (bool any = true; any;) {
        any = false;
        for (const auto& [number, inode] : model_.inodes) {
            any = !inode.open_on.empty();
            if (any) {
                close(number, 0);
                break;
            }
        }
    }
    while (model_.inodes.size() > 1 && !::testing::Test::HasFailure()) remove();
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
        EXPECT_TRUE(cluster_[0].get([&](View& view) { return list_orphans(view, slot, 0, 10); })->empty());
    }
    EXPECT_EQ(cluster_[0].pin_count() + cluster_[1].pin_count(), 0U);
    // The root keeps its own xattrs.
    const auto root = cluster_[0].get([&](View& view) { return get_attributes(view, {cluster_.root(), 0}); });
    EXPECT_EQ(statistics_of(cluster_[0]).free + root->blocks, free_at_start_);
    EXPECT_EQ(cluster_.damage(), std::vector<std::string>());
}

}  // namespace clusterfs::test
