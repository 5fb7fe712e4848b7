// Overwrites in turns with a reader on the other node.
#include <gtest/gtest.h>

#include "tests/unit/clusterfs_driver/rig.hh"

namespace clusterfs::test {
namespace {

// No flush stands between the data and the lock then. Whoever writes alone does not pay for it.
TEST(Overwrite, IsStableWhereAReaderHadTheLockJustBefore) {
    Rig rig({}, base::Duration::seconds(2));
    const auto file = rig.make_file("f", std::string(2 * block_size, 'a'));
    rig.write(file, 0, "nobody has asked");
    EXPECT_TRUE(rig.device().holds("nobody has asked"));
    EXPECT_FALSE(rig.device().holds_stable("nobody has asked"));
    rig.locks().another_node_asks(inode_lock(file.number), LockMode::shared);
    ASSERT_TRUE(Rig::comes_true([&] { return rig.locks().released(inode_lock(file.number)); }));
    rig.write(file, 0, "it will ask again");
    EXPECT_TRUE(rig.device().holds_stable("it will ask again"));
}

}  // namespace
}  // namespace clusterfs::test
