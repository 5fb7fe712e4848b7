// Extended attributes and ACLs.
#include <gtest/gtest.h>

#include "clusterfs/core/operations/acl.hh"
#include "clusterfs/core/operations/attributes.hh"
#include "clusterfs/core/operations/extended_attributes.hh"
#include "clusterfs/core/operations/names.hh"
#include "tests/unit/clusterfs_operations/memory_cluster.hh"

namespace clusterfs::test {
namespace {

using namespace operations;

constexpr std::uint32_t nobody = 0xffffffff;

class XattrsTest : public ::testing::Test {
  protected:
    InodeReference root() const { return {cluster_.root(), 0}; }
    MemoryNode& a() { return cluster_[0]; }
    MemoryNode& b() { return cluster_[1]; }
    InodeReference make(std::string_view name, std::uint32_t mode, InodeReference directory) {
        auto made = a().get([&](View& view) { return create(view, directory, name, {mode, 0, {1, 2, 022}}); });
        EXPECT_TRUE(made) << made.error().message();
        return {made->inode, made->generation};
    }
    std::error_code set(InodeReference inode, std::string_view name, std::string_view value,
                        XattrMode mode = XattrMode::create_or_replace) {
        auto done = b().run([&](View& view) { return set_xattr(view, inode, name, base::as_bytes(value), mode); });
        return done ? std::error_code{} : done.error().code;
    }
    std::error_code set_acl(InodeReference inode, std::string_view name, const Acl& acl) {
        const auto bytes = encode_acl(acl);
        return set(inode, name, base::as_text(bytes));
    }
    base::Result<base::Bytes> get(InodeReference inode, std::string_view name) {
        return a().get([&](View& view) { return get_xattr(view, inode, name); });
    }
    std::uint32_t permissions(InodeReference inode) {
        return a().get([&](View& view) { return get_attributes(view, inode); })->mode & 07777U;
    }

    MemoryCluster cluster_{40000};
};

TEST_F(XattrsTest, Limits) {
    const auto file = make("f", mode_regular | 0644, root());
    EXPECT_EQ(set(file, "", "v"), std::errc::result_out_of_range);
    EXPECT_EQ(set(file, "user." + std::string(251, 'n'), "v"), std::errc::result_out_of_range);
    EXPECT_EQ(set(file, "user." + std::string(250, 'n'), "v"), std::error_code{});
    EXPECT_EQ(set(file, "user.v", std::string(65537, 'v')), std::errc::argument_list_too_long);
    EXPECT_EQ(set(file, "user.v", std::string(65536, 'v')), std::errc::no_space_on_device);
    EXPECT_EQ(set(file, "user.v", std::string(4000, 'v')), std::error_code{});
    EXPECT_EQ(set(file, "user.v", std::string(3999, 'w')), std::error_code{});
    EXPECT_EQ(base::as_text(*get(file, "user.v")), std::string(3999, 'w'));
    EXPECT_EQ(set(file, "user.empty", ""), std::error_code{});
    EXPECT_TRUE(get(file, "user.empty")->empty());
    EXPECT_EQ(get(file, "user.none").error().code, std::errc::no_message_available);
    EXPECT_EQ(set(file, "user.v", "x", XattrMode::create_only), std::errc::file_exists);
    EXPECT_EQ(set(file, "user.none", "x", XattrMode::replace_only), std::errc::no_message_available);
    EXPECT_EQ(a().get([&](View& view) { return list_xattrs(view, file); })->size(), 3U);
}

TEST_F(XattrsTest, AnAclIsPermissionBitsToo) {
    const auto file = make("f", mode_regular | 0644, root());
    const Acl acl{{AclEntry::user_owner, 7, nobody},
                  {AclEntry::user, 6, 42},
                  {AclEntry::group_owner, 4, nobody},
                  {AclEntry::mask, 6, nobody},
                  {AclEntry::other, 0, nobody}};
    EXPECT_EQ(set_acl(file, access_acl_name, acl), std::error_code{});
    EXPECT_EQ(permissions(file), 0760U);
    AttributeChange change;
    change.permissions = 0640;
    ASSERT_TRUE(b().get([&](View& view) { return set_attributes(view, file, change); }));
    auto stored = parse_acl(*get(file, access_acl_name));
    ASSERT_TRUE(stored);
    EXPECT_EQ((*stored)[3].permissions, 4U);
    EXPECT_EQ((*stored)[2].permissions, 4U);
    // One that says no more than the bits is not kept.
    const Acl minimal{
        {AclEntry::user_owner, 7, nobody}, {AclEntry::group_owner, 5, nobody}, {AclEntry::other, 1, nobody}};
    EXPECT_EQ(set_acl(file, access_acl_name, minimal), std::error_code{});
    EXPECT_EQ(permissions(file), 0751U);
    EXPECT_EQ(get(file, access_acl_name).error().code, std::errc::no_message_available);
    EXPECT_EQ(set(file, access_acl_name, "nonsense"), std::errc::operation_not_supported);
    EXPECT_EQ(set_acl(file, default_acl_name, acl), std::errc::permission_denied);
}

TEST_F(XattrsTest, ADefaultAclIsInherited) {
    const auto directory = make("d", mode_directory | 0755, root());
    const Acl acl{{AclEntry::user_owner, 7, nobody},
                  {AclEntry::user, 7, 42},
                  {AclEntry::group_owner, 5, nobody},
                  {AclEntry::mask, 7, nobody},
                  {AclEntry::other, 0, nobody}};
    EXPECT_EQ(set_acl(directory, default_acl_name, acl), std::error_code{});
    // The umask does not count here.
    const auto file = make("f", mode_regular | 0666, directory);
    EXPECT_EQ(permissions(file), 0660U);
    auto stored = parse_acl(*get(file, access_acl_name));
    ASSERT_TRUE(stored);
    EXPECT_EQ((*stored)[1].permissions, 7U);
    EXPECT_EQ((*stored)[3].permissions, 6U);
    EXPECT_EQ(get(file, default_acl_name).error().code, std::errc::no_message_available);
    const auto sub = make("s", mode_directory | 0777, directory);
    EXPECT_EQ(permissions(sub), 0770U);
    EXPECT_TRUE(get(sub, default_acl_name));
    const auto plain = make("p", mode_regular | 0666, root());
    EXPECT_EQ(permissions(plain), 0644U);
}

}  // namespace
}  // namespace clusterfs::test
