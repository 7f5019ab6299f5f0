// A verifier that accepts anything would make every figure worthless: each fault is shown to it.
#include "core/units.h"
#include "gpu/scene.h"
#include "pipeline/verifier.h"

#include <gtest/gtest.h>

#include <cstring>

namespace clearframe {
namespace {

constexpr std::uint32_t seed = 3;

class VerifierTest : public testing::TestWithParam<Scene> {
protected:
    std::vector<std::byte> make(std::uint64_t sequence) const {
        std::vector<std::byte> frame(layout.slot_bytes);
        const FrameHeader header = make_header(layout, GetParam(), seed, {sequence, 55});
        const FrameTrailer trailer = make_trailer(GetParam(), seed, sequence);
        std::memcpy(frame.data(), &header, sizeof(header));
        std::memcpy(frame.data() + layout.trailer_offset, &trailer, sizeof(trailer));
        const std::uint64_t picture = GetParam() == Scene::none ? 0 : sequence;
        for (std::uint32_t y = 0; y < layout.height; ++y)
            for (std::uint32_t x = 0; x < layout.width; ++x) {
                const std::uint32_t pixel =
                    scene_pixel(GetParam(), seed, picture, layout.width, layout.height, x, y);
                std::memcpy(frame.data() + offset(x, y), &pixel, sizeof(pixel));
            }
        return frame;
    }
    std::size_t offset(std::uint32_t x, std::uint32_t y) const {
        return layout.pixel_offset + std::size_t{y} * layout.stride + std::size_t{x} * 4;
    }

    FrameLayout layout = make_frame_layout(333, 65, 1344, 64);
};

TEST_P(VerifierTest, AcceptsWhatIsRight) {
    const std::vector<std::byte> frame = make(7);
    for (const Verify how : {Verify::off, Verify::sampled, Verify::full}) {
        Verifier verifier(layout, GetParam(), seed, how);
        const Verifier::Verdict verdict = verifier.verify(frame, 7, 2);
        EXPECT_FALSE(verdict.fault) << fault_text(*verdict.fault);
        EXPECT_EQ(verdict.time_ns, 55u);
        EXPECT_EQ(verdict.pixels, how == Verify::off ? 0u : how == Verify::full ? 333u * 65 : 1u);
    }
}

TEST_P(VerifierTest, InFullFindsAnySingleWrongBit) {
    Verifier verifier(layout, GetParam(), seed, Verify::full);
    std::vector<std::byte> frame = make(7);
    for (const auto& [x, y] : {std::pair{0u, 0u}, {332u, 64u}, {17u, 40u}, {332u, 0u}, {0u, 64u}})
        for (const std::size_t byte : {0u, 3u}) {
            frame[offset(x, y) + byte] ^= std::byte{1};
            const Verifier::Verdict verdict = verifier.verify(frame, 7, 2);
            ASSERT_TRUE(verdict.fault);
            EXPECT_EQ(verdict.fault->kind, FrameFault::Kind::pixel);
            EXPECT_EQ(verdict.fault->x, x);
            EXPECT_EQ(verdict.fault->y, y);
            EXPECT_EQ(verdict.fault->found ^ verdict.fault->expected, byte == 0 ? 1u : 1u << 24);
            EXPECT_EQ(verdict.fault->sequence, 7u);
            EXPECT_EQ(verdict.fault->slot, 2u);
            frame[offset(x, y) + byte] ^= std::byte{1};
        }
    EXPECT_FALSE(verifier.verify(frame, 7, 2).fault);
}

TEST_P(VerifierTest, FindsAnotherFramesStamps) {
    for (const Verify how : {Verify::sampled, Verify::full}) {
        Verifier verifier(layout, GetParam(), seed, how);
        const Verifier::Verdict stale = verifier.verify(make(6), 7, 2);
        ASSERT_TRUE(stale.fault);
        EXPECT_EQ(stale.fault->stamp, StampFault::stale);
        EXPECT_EQ(stale.fault->found_sequence, 6u);

        std::vector<std::byte> torn = make(7);
        const FrameTrailer old = make_trailer(GetParam(), seed, 3);
        std::memcpy(torn.data() + layout.trailer_offset, &old, sizeof(old));
        const Verifier::Verdict verdict = verifier.verify(torn, 7, 2);
        ASSERT_TRUE(verdict.fault);
        EXPECT_EQ(verdict.fault->stamp, StampFault::torn);
    }
}

TEST_P(VerifierTest, RefusesAnotherSeed) {
    Verifier verifier(layout, GetParam(), seed + 1, Verify::sampled);
    EXPECT_TRUE(verifier.verify(make(7), 7, 2).fault);
}

INSTANTIATE_TEST_SUITE_P(Scenes, VerifierTest,
                         testing::Values(Scene::none, Scene::waves, Scene::test_card, Scene::noise),
                         [](const auto& scene) {
                             std::string name(scene_name(scene.param));
                             std::erase(name, '-');
                             return name;
                         });

class SampledVerifier : public testing::TestWithParam<Scene> {
protected:
    void write(std::uint64_t sequence) {
        const FrameHeader header = make_header(layout, GetParam(), seed, {sequence, 0});
        const FrameTrailer trailer = make_trailer(GetParam(), seed, sequence);
        std::memcpy(frame.data(), &header, sizeof(header));
        std::memcpy(frame.data() + layout.trailer_offset, &trailer, sizeof(trailer));
        const std::uint64_t picture = GetParam() == Scene::none ? 0 : sequence;
        std::vector<std::uint32_t> row(layout.width);
        for (std::uint32_t y = 0; y < layout.height; ++y) {
            scene_row(GetParam(), seed, picture, layout.height, y, row);
            std::memcpy(frame.data() + layout.pixel_offset + y * 4096, row.data(), 4096);
        }
    }

    FrameLayout layout = make_frame_layout(1024, 512, 4096, 64);
    std::vector<std::byte> frame = std::vector<std::byte>(layout.slot_bytes);
};

// A frame whose 128 KiB parts were not all written is found in the first frame already.
TEST_P(SampledVerifier, LooksIntoEvery128KiB) {
    const std::size_t parts = layout.pixel_bytes() / (128 * KiB);
    write(1);
    Verifier verifier(layout, GetParam(), seed, Verify::sampled);
    EXPECT_EQ(verifier.verify(frame, 1, 0).pixels, parts);
    for (std::size_t part = 0; part < parts; ++part) {
        write(1);
        std::memset(frame.data() + layout.pixel_offset + part * 128 * KiB, 0, 128 * KiB);
        EXPECT_TRUE(verifier.verify(frame, 1, 0).fault) << "part " << part;
    }
}

// What the samples of one frame miss, those of another find: also where all frames are alike.
TEST_P(SampledVerifier, LooksElsewhereInEachFrame) {
    constexpr int frames = 32;
    Verifier verifier(layout, GetParam(), seed, Verify::sampled);
    int found = 0;
    for (int sequence = 0; sequence < frames; ++sequence) {
        write(static_cast<std::uint64_t>(sequence));
        std::memset(frame.data() + layout.pixel_offset + 128 * KiB, 0, 64 * KiB);
        found += verifier.verify(frame, static_cast<std::uint64_t>(sequence), 0).fault.has_value();
    }
    EXPECT_GT(found, frames / 4);
    EXPECT_LT(found, frames * 3 / 4);
}

INSTANTIATE_TEST_SUITE_P(Scenes, SampledVerifier, testing::Values(Scene::none, Scene::noise),
                         [](const auto& scene) { return std::string(scene_name(scene.param)); });

TEST(FaultText, SaysWhatWhereAndWhatItMustBe) {
    EXPECT_EQ(fault_text({.kind = FrameFault::Kind::pixel,
                          .sequence = 17,
                          .slot = 1,
                          .x = 12,
                          .y = 40,
                          .found = 0xff102030,
                          .expected = 0xff102031}),
              "frame 17 (slot 1): pixel (12, 40) is 0xff102030, must be 0xff102031");
    EXPECT_EQ(fault_text({.kind = FrameFault::Kind::lost, .sequence = 17}),
              "frame 17 never arrived");
    EXPECT_EQ(fault_text({.kind = FrameFault::Kind::stamp,
                          .sequence = 17,
                          .slot = 1,
                          .stamp = StampFault::torn,
                          .found_sequence = 9}),
              "frame 17 (slot 1): head and tail are of different frames; its header says frame 9");
    EXPECT_EQ(fault_text({.kind = FrameFault::Kind::length,
                          .sequence = 17,
                          .slot = 1,
                          .found = 5,
                          .expected = 8}),
              "frame 17 (slot 1): its last write was 5 bytes, must be 8");
}

} // namespace
} // namespace clearframe
