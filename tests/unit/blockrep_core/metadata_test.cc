#include "blockrep/format/metadata.hh"

#include <gtest/gtest.h>

#include "blockrep/format/error.hh"

namespace blockrep {
namespace {

constexpr std::uint64_t disk_size = 300 << 20;

struct Area {
    Geometry geometry = *geometry_of(disk_size);
    base::Uuid device{{std::byte{7}}};
    base::Bytes bytes = format_metadata(geometry, disk_size, device);

    auto read() const { return read_metadata(geometry, disk_size, bytes); }
    void damage(std::uint64_t at) { bytes[at] ^= std::byte{1}; }
};

TEST(Metadata, ANewAreaIsInconsistentAndJustCreated) {
    const auto image = Area().read();
    ASSERT_TRUE(image.has_value());
    EXPECT_FALSE(image->superblock.consistent);
    EXPECT_EQ(image->superblock.generations.current, just_created);
    EXPECT_EQ(image->damaged_pages, 0u);
}

TEST(Metadata, TheDataAreaEndsWhereTheMetadataBegins) {
    for (std::uint64_t size = 1 << 20; size < (std::uint64_t{1} << 42); size = size * 3 + 4096 * 5 + 512) {
        const auto geometry = geometry_of(size);
        ASSERT_TRUE(geometry.has_value());
        EXPECT_EQ(geometry->data_size % bitmap_block, 0u);
        EXPECT_LE(geometry->metadata_offset + geometry->metadata_length, size);
        EXPECT_GE(geometry->bitmap_pages * bits_per_page, geometry->bitmap_bits);
    }
    EXPECT_EQ(geometry_of((1 << 20) - 1).error().code, Errc::device_too_small);
}

TEST(Metadata, EitherSuperblockWillDo) {
    for (std::uint64_t copy = 0; copy < 2; ++copy) {
        Area area;
        area.damage(Geometry::superblock_offset(copy) + 100);
        EXPECT_TRUE(area.read().has_value());
        area.damage(Geometry::superblock_offset(1 - copy) + 100);
        EXPECT_EQ(area.read().error().code, Errc::metadata_damaged);
    }
}

TEST(Metadata, NothingThereIsToldFromDamage) {
    Area area;
    std::fill(area.bytes.begin(), area.bytes.end(), std::byte{0});
    EXPECT_EQ(area.read().error().code, Errc::no_metadata);
}

TEST(Metadata, ATornBitmapPageCountsAsDirty) {
    Area area;
    area.damage(Geometry::bitmap_offset(1) + 5);
    const auto image = area.read();
    ASSERT_TRUE(image.has_value());
    EXPECT_EQ(image->damaged_pages, 1u);
    EXPECT_EQ(image->bitmap[0], 0u);
    EXPECT_EQ(image->bitmap[bits_per_page / 64], ~std::uint64_t{0});
}

TEST(Metadata, AnotherDisksSizeIsRefused) {
    const Area area;
    EXPECT_EQ(read_metadata(area.geometry, disk_size + 512, area.bytes).error().code, Errc::metadata_mismatch);
}

TEST(Metadata, TheActivityLogSurvivesItsCodec) {
    const ActivityLogCopy copy{9, {1, 5, 70000}};
    EXPECT_EQ(*decode_activity_log(encode(copy)), copy);
    auto bytes = encode(copy);
    bytes[30] ^= std::byte{1};
    EXPECT_FALSE(decode_activity_log(bytes).has_value());
}

}  // namespace
}  // namespace blockrep
