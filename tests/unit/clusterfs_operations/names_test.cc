// Names: what POSIX says of creating, removing and renaming, on two nodes.
#include <gtest/gtest.h>

#include "clusterfs/core/error.hh"
#include "clusterfs/core/operations/names.hh"
#include "clusterfs/core/operations/open.hh"
#include "clusterfs/core/operations/read_directory.hh"
#include "clusterfs/core/operations/remove.hh"
#include "clusterfs/core/operations/rename.hh"
#include "tests/unit/clusterfs_operations/memory_cluster.hh"

namespace clusterfs::test {
namespace {

using namespace operations;

class NamesTest : public ::testing::Test {
  protected:
    InodeReference root() const { return {cluster_.root(), 0}; }
    MemoryNode& a() { return cluster_[0]; }
    MemoryNode& b() { return cluster_[1]; }

    InodeReference make(InodeReference directory, std::string_view name, std::uint32_t mode = mode_regular | 0644) {
        auto made = a().get([&](View& view) { return create(view, directory, name, {mode, 0, {1, 2, 022}}); });
        EXPECT_TRUE(made) << made.error().message();
        return {made->inode, made->generation};
    }
    InodeReference make_directory(InodeReference directory, std::string_view name) {
        return make(directory, name, mode_directory | 0755);
    }
    std::error_code rename_code(InodeReference from, std::string_view old_name, InodeReference to,
                                std::string_view new_name, RenameMode mode = RenameMode::replace) {
        auto done = b().get([&](View& view) { return rename(view, from, old_name, to, new_name, mode); });
        return done ? std::error_code{} : done.error().code;
    }
    base::Result<Attributes> find(MemoryNode& node, InodeReference directory, std::string_view name) {
        return node.get([&](View& view) { return lookup(view, directory, name); });
    }
    std::uint32_t links(InodeReference inode) {
        return a().get([&](View& view) { return get_attributes(view, inode); })->links;
    }

    MemoryCluster cluster_{40000};
};

TEST_F(NamesTest, WhatOneNodeMakesTheOtherSees) {
    const auto file = make(root(), "file");
    const auto seen = find(b(), root(), "file");
    ASSERT_TRUE(seen) << seen.error().message();
    EXPECT_EQ(seen->inode, file.number);
    EXPECT_EQ(seen->links, 1U);
    EXPECT_EQ(seen->mode, mode_regular | 0644U);
    EXPECT_EQ(seen->gid, 2U);
    EXPECT_EQ(find(b(), root(), "other").error().code, std::errc::no_such_file_or_directory);
}

TEST_F(NamesTest, NamesAreChecked) {
    const auto code = [&](std::string_view name) {
        return a().get([&](View& view) { return create(view, root(), name, {mode_regular, 0, {}}); }).error().code;
    };
    make(root(), "file");
    EXPECT_EQ(code("file"), std::errc::file_exists);
    EXPECT_EQ(code("."), std::errc::file_exists);
    EXPECT_EQ(code(std::string(256, 'x')), std::errc::filename_too_long);
    EXPECT_EQ(find(a(), root(), std::string(256, 'x')).error().code, std::errc::filename_too_long);
    EXPECT_EQ(code("a/b"), std::errc::invalid_argument);
    make(root(), std::string(255, 'x'));
}

TEST_F(NamesTest, DirectoriesCountTheirSubdirectories) {
    const auto directory = make_directory(root(), "d");
    EXPECT_EQ(links(directory), 2U);
    EXPECT_EQ(links(root()), 3U);
    make_directory(directory, "e");
    EXPECT_EQ(links(directory), 3U);
    auto refused = b().get([&](View& view) { return remove_directory(view, root(), "d"); });
    EXPECT_EQ(refused.error().code, std::errc::directory_not_empty);
    EXPECT_TRUE(b().get([&](View& view) { return remove_directory(view, directory, "e"); }));
    EXPECT_TRUE(b().get([&](View& view) { return remove_directory(view, root(), "d"); }));
    EXPECT_EQ(links(root()), 2U);
    auto stale = a().get([&](View& view) { return get_attributes(view, directory); });
    EXPECT_EQ(stale.error().code, Errc::stale_inode);
}

TEST_F(NamesTest, TypesAreToldApart) {
    make(root(), "f");
    make_directory(root(), "d");
    EXPECT_EQ(a().get([&](View& view) { return unlink(view, root(), "d"); }).error().code, std::errc::is_a_directory);
    EXPECT_EQ(a().get([&](View& view) { return remove_directory(view, root(), "f"); }).error().code,
              std::errc::not_a_directory);
    EXPECT_EQ(rename_code(root(), "f", root(), "d"), std::errc::is_a_directory);
    EXPECT_EQ(rename_code(root(), "d", root(), "f"), std::errc::not_a_directory);
    const auto file = find(a(), root(), "f");
    EXPECT_EQ(find(a(), {file->inode, file->generation}, "x").error().code, std::errc::not_a_directory);
}

// What a file handle stands for is looked up as "." of itself.
TEST_F(NamesTest, EveryInodeFindsItself) {
    const auto file = make(root(), "f");
    const auto found = find(b(), {file.number, 0}, ".");
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(found->inode, file.number);
    EXPECT_EQ(found->generation, file.generation);
    ASSERT_TRUE(a().get([&](View& view) { return unlink(view, root(), "f"); }));
    EXPECT_EQ(find(b(), {file.number, 0}, ".").error().code, Errc::stale_inode);
}

TEST_F(NamesTest, SetgidDirectoriesHandOnTheirGroup) {
    const auto directory = make(root(), "d", mode_directory | 02775);
    const auto sub = make(directory, "sub", mode_directory | 0755);
    const auto attributes = a().get([&](View& view) { return get_attributes(view, sub); });
    EXPECT_EQ(attributes->mode, mode_directory | 02755U);
    EXPECT_EQ(attributes->gid, 2U);
}

TEST_F(NamesTest, HardLinks) {
    const auto file = make(root(), "f");
    const auto directory = make_directory(root(), "d");
    ASSERT_TRUE(b().get([&](View& view) { return link(view, file, directory, "g"); }));
    EXPECT_EQ(links(file), 2U);
    EXPECT_EQ(a().get([&](View& view) { return link(view, directory, root(), "x"); }).error().code,
              std::errc::operation_not_permitted);
    // Two names of one file: nothing happens.
    EXPECT_EQ(rename_code(root(), "f", directory, "g"), std::error_code{});
    EXPECT_EQ(links(file), 2U);
    ASSERT_TRUE(a().get([&](View& view) { return unlink(view, root(), "f"); }));
    EXPECT_EQ(links(file), 1U);
}

TEST_F(NamesTest, RenameOfDirectoriesRefusesCycles) {
    const auto one = make_directory(root(), "1");
    const auto two = make_directory(one, "2");
    const auto three = make_directory(two, "3");
    EXPECT_EQ(rename_code(root(), "1", three, "x"), std::errc::invalid_argument);
    EXPECT_EQ(rename_code(root(), "1", one, "x"), std::errc::invalid_argument);
    EXPECT_EQ(rename_code(two, "3", root(), "1"), std::errc::directory_not_empty);
    EXPECT_EQ(rename_code(two, "3", root(), "1", RenameMode::exchange), std::errc::invalid_argument);
    EXPECT_EQ(rename_code(two, "3", root(), "3"), std::error_code{});
    EXPECT_EQ(links(two), 2U);
    EXPECT_EQ(links(root()), 4U);
    const auto up = find(a(), three, "..");
    EXPECT_EQ(up->inode, cluster_.root());
}

TEST_F(NamesTest, RenameForms) {
    const auto f = make(root(), "f");
    const auto g = make(root(), "g");
    EXPECT_EQ(rename_code(root(), "f", root(), "g", RenameMode::no_replace), std::errc::file_exists);
    EXPECT_EQ(rename_code(root(), "f", root(), "h", RenameMode::exchange), std::errc::no_such_file_or_directory);
    EXPECT_EQ(rename_code(root(), "f", root(), "g", RenameMode::exchange), std::error_code{});
    EXPECT_EQ(find(a(), root(), "f")->inode, g.number);
    EXPECT_EQ(rename_code(root(), "f", root(), "g"), std::error_code{});
    EXPECT_EQ(find(a(), root(), "g")->inode, g.number);
    EXPECT_EQ(a().get([&](View& view) { return get_attributes(view, f); }).error().code, Errc::stale_inode);
}

TEST_F(NamesTest, AnOpenFileOutlivesItsName) {
    const auto file = make(root(), "f");
    ASSERT_TRUE(b().get([&](View& view) { return open(view, file); }));
    auto removed = a().get([&](View& view) { return unlink(view, root(), "f"); });
    ASSERT_TRUE(removed);
    EXPECT_TRUE(removed->orphaned);
    EXPECT_EQ(*a().get([&](View& view) { return delete_orphan(view, file); }), Deletion::in_use);
    EXPECT_EQ(b().get([&](View& view) { return get_attributes(view, file); })->links, 0U);
    EXPECT_EQ(a().get([&](View& view) { return list_orphans(view, 0, 0, 10); })->size(), 1U);
    b().unpin(open_lock(file.number));
    EXPECT_EQ(*b().get([&](View& view) { return delete_orphan(view, file); }), Deletion::done);
    EXPECT_EQ(a().get([&](View& view) { return delete_orphan(view, file); }).error().code, Errc::stale_inode);
    EXPECT_TRUE(a().get([&](View& view) { return list_orphans(view, 0, 0, 10); })->empty());
}

TEST_F(NamesTest, ATemporaryFileGetsAName) {
    auto made = a().get([&](View& view) { return create_temporary(view, root(), {0600, 0, {}}); });
    ASSERT_TRUE(made) << made.error().message();
    const InodeReference file{made->inode, made->generation};
    EXPECT_EQ(made->links, 0U);
    ASSERT_TRUE(a().get([&](View& view) { return link(view, file, root(), "named"); }));
    a().unpin(open_lock(file.number));
    EXPECT_EQ(*a().get([&](View& view) { return delete_orphan(view, file); }), Deletion::linked);
    EXPECT_EQ(find(b(), root(), "named")->links, 1U);
}

TEST_F(NamesTest, ListingsAreStableWhileNamesComeAndGo) {
    for (int i = 0; i < 2000; ++i) make(root(), "stays-" + std::to_string(i));
    std::set<std::string> seen;
    std::uint64_t cookie = 0;
    for (int round = 0;; ++round) {
        auto part = b().get([&](View& view) { return read_directory(view, root(), cookie, 37, WithAttributes::yes); });
        ASSERT_TRUE(part) << part.error().message();
        if (part->empty()) break;
        for (const auto& item : *part) {
            EXPECT_GT(item.cookie, cookie);
            cookie = item.cookie;
            EXPECT_TRUE(seen.insert(item.name).second) << item.name;
        }
        make(root(), "comes-" + std::to_string(round));
        if (round > 3) {
            const auto name = "comes-" + std::to_string(round - 3);
            ASSERT_TRUE(a().get([&](View& view) { return unlink(view, root(), name); }));
        }
    }
    for (int i = 0; i < 2000; ++i) EXPECT_TRUE(seen.contains("stays-" + std::to_string(i)));
    for (int i = 0; i < 2000; ++i) {
        const auto name = "stays-" + std::to_string(i);
        ASSERT_TRUE(b().get([&](View& view) { return unlink(view, root(), name); })) << name;
    }
}

TEST_F(NamesTest, DeviceNumbersAreKeptWhole) {
    for (const std::uint64_t device : {0x0ULL, 0x801ULL, 0x12300045ULL, 0x00001000'00000802ULL}) {
        const auto name = std::to_string(device);
        const NewFile what{mode_character_device | 0600, device, {}};
        auto made = a().get([&](View& view) { return create(view, root(), name, what); });
        ASSERT_TRUE(made) << made.error().message();
        EXPECT_EQ(find(b(), root(), name)->device, device);
    }
}

TEST_F(NamesTest, SymbolicLinks) {
    auto made = a().get([&](View& view) { return symlink(view, root(), "s", "where/ever", {}); });
    ASSERT_TRUE(made);
    auto target = b().get([&](View& view) { return read_link(view, {made->inode, made->generation}); });
    EXPECT_EQ(*target, "where/ever");
    EXPECT_EQ(made->size, 10U);
    const std::string longest(max_target_length, 'x');
    EXPECT_TRUE(a().get([&](View& view) { return symlink(view, root(), "long", longest, {}); }));
    EXPECT_EQ(a().get([&](View& view) { return symlink(view, root(), "l", longest + "x", {}); }).error().code,
              std::errc::filename_too_long);
}

}  // namespace
}  // namespace clusterfs::test
