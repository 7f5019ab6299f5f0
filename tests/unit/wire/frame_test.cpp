#include "wire/frame.h"

#include <gtest/gtest.h>

namespace clearframe {
namespace {

constexpr std::uint32_t seed = 9;
constexpr std::uint64_t sequence = 0x1'0000'0011;

class Stamps : public testing::Test {
protected:
    StampFault check() const {
        return check_stamps(header, trailer, layout, Scene::waves, seed, sequence);
    }

    FrameLayout layout = make_frame_layout(1000, 37, 4032, 64);
    FrameHeader header = make_header(layout, Scene::waves, seed, {sequence, 123});
    FrameTrailer trailer = make_trailer(Scene::waves, seed, sequence);
};

TEST_F(Stamps, AreGoodAsMade) { EXPECT_EQ(check(), StampFault::none); }

TEST_F(Stamps, WithoutAHeaderShow) {
    header = {};
    EXPECT_EQ(check(), StampFault::bad_magic);
}

TEST_F(Stamps, OfAnotherVersionShow) {
    ++header.version;
    EXPECT_EQ(check(), StampFault::bad_version);
}

TEST_F(Stamps, OfAnotherGeometryShow) {
    for (std::uint32_t FrameHeader::*field :
         {&FrameHeader::width, &FrameHeader::height, &FrameHeader::stride, &FrameHeader::format}) {
        ++(header.*field);
        EXPECT_EQ(check(), StampFault::bad_geometry);
        --(header.*field);
    }
}

TEST_F(Stamps, OfAnEarlierFrameShow) {
    header = make_header(layout, Scene::waves, seed, {sequence - 8, 100});
    trailer = make_trailer(Scene::waves, seed, sequence - 8);
    EXPECT_EQ(check(), StampFault::stale);
}

TEST_F(Stamps, OfTwoFramesShow) {
    trailer = make_trailer(Scene::waves, seed, sequence - 8);
    EXPECT_EQ(check(), StampFault::torn);
    trailer = {};
    EXPECT_EQ(check(), StampFault::torn);
}

TEST_F(Stamps, WithAWrongCheckWordShow) {
    header.check ^= 1;
    EXPECT_EQ(check(), StampFault::bad_check);
    header.check ^= 1;
    trailer.check ^= 0x8000'0000;
    EXPECT_EQ(check(), StampFault::bad_check);
    trailer = make_trailer(Scene::waves, seed + 1, sequence);
    EXPECT_EQ(check(), StampFault::bad_check);
}

TEST_F(Stamps, OfAnotherSceneOrSeedShow) {
    header = make_header(layout, Scene::noise, seed, {sequence, 123});
    EXPECT_EQ(check(), StampFault::bad_check);
    header = make_header(layout, Scene::waves, seed + 1, {sequence, 123});
    EXPECT_EQ(check(), StampFault::bad_check);
}

TEST(FrameLayout, PartsDoNotOverlapAndEndInTheSlot) {
    for (const std::uint32_t height : {1u, 37u, 1080u}) {
        const FrameLayout layout = make_frame_layout(1000, height, 4032, 256, 4032 * height + 999);
        EXPECT_GE(layout.pixel_offset, sizeof(FrameHeader));
        EXPECT_EQ(layout.pixel_offset % 256, 0u);
        EXPECT_GE(layout.trailer_offset, layout.pixel_offset + layout.pixel_bytes());
        EXPECT_EQ(layout.bytes, layout.trailer_offset + sizeof(FrameTrailer));
        EXPECT_GE(layout.slot_bytes, layout.bytes);
        EXPECT_GE(layout.slot_bytes, layout.pixel_offset + 4032 * height + 999);
        EXPECT_EQ(layout.slot_bytes % 4096, 0u);
    }
}

TEST(FrameLayout, TheLargestFrameDoesNotOverflow) {
    const FrameLayout layout =
        make_frame_layout(max_frame_side, max_frame_side, max_frame_side * 4, 4096);
    EXPECT_GT(layout.bytes, std::uint64_t{1} << 30);
}

TEST(Scene, NamesAreTheirOwnInverse) {
    for (const Scene scene : {Scene::none, Scene::waves, Scene::test_card, Scene::noise})
        EXPECT_EQ(scene_from_name(scene_name(scene)), scene);
    EXPECT_FALSE(scene_from_name("wave"));
    EXPECT_FALSE(scene_from_name(""));
}

} // namespace
} // namespace clearframe
