#include "blockrep/core/bitmap.hh"

#include <gtest/gtest.h>

namespace blockrep {
namespace {

struct BitmapTest : testing::Test {
    Geometry geometry = *geometry_of(600 << 20);
    base::Uuid device{{std::byte{3}}};
    Bitmap bitmap{geometry, {}, device};

    static Range blocks(std::uint64_t first, std::uint64_t count) {
        return {first * bitmap_block, count * bitmap_block};
    }
};

TEST_F(BitmapTest, APartOfABlockMakesItDirtyButDoesNotClearIt) {
    bitmap.set({bitmap_block + 512, 512});
    EXPECT_EQ(bitmap.count(), 1u);
    bitmap.clear({bitmap_block, 512});
    EXPECT_EQ(bitmap.count(), 1u);
    bitmap.clear(blocks(1, 1));
    EXPECT_EQ(bitmap.count(), 0u);
}

TEST_F(BitmapTest, RunsAreFoundAcrossWordsAndCutAtTheLimit) {
    bitmap.set(blocks(60, 70));
    EXPECT_EQ(*bitmap.next_dirty(0, 1 << 30), blocks(60, 70));
    EXPECT_EQ(*bitmap.next_dirty(0, 8 * bitmap_block), blocks(60, 8));
    EXPECT_EQ(*bitmap.next_dirty(100 * bitmap_block, 1 << 30), blocks(100, 30));
    EXPECT_FALSE(bitmap.next_dirty(130 * bitmap_block, 1 << 30).has_value());
}

TEST_F(BitmapTest, NothingBehindTheEndIsSet) {
    bitmap.set_all();
    EXPECT_EQ(bitmap.count(), geometry.bitmap_bits);
    bitmap.set({geometry.data_size, 1 << 20});
    EXPECT_EQ(bitmap.count(), geometry.bitmap_bits);
}

TEST_F(BitmapTest, WhatIsUnprovenIsOnDiskUntilItIsProven) {
    bitmap.note_unproven(blocks(5, 1), 1);
    EXPECT_TRUE(bitmap.pages_to_write().contains(0));
    const auto page = bitmap.page_image(0);
    EXPECT_EQ(std::to_integer<int>(page[0]), 1 << 5);
    bitmap.prove(1);
    EXPECT_TRUE(bitmap.pages_to_write().contains(0));
    EXPECT_EQ(std::to_integer<int>(bitmap.page_image(0)[0]), 0);
    EXPECT_TRUE(bitmap.pages_to_write().empty());
}

TEST_F(BitmapTest, WhatIsUnprovenWhenThePeerIsLostIsDirty) {
    bitmap.note_unproven(blocks(5, 1), 1);
    bitmap.note_unproven(blocks(9, 2), 2);
    bitmap.prove(1);
    bitmap.mark_unproven();
    const auto dirty = bitmap.next_dirty(0, bitmap_block * 64);
    ASSERT_TRUE(dirty);
    EXPECT_EQ(dirty->offset, blocks(9, 2).offset);
    EXPECT_EQ(bitmap.count(), 2u);
}

}  // namespace
}  // namespace blockrep
