// The scenes as the CPU knows them.
#include "gpu/scene.h"
#include "gpu/scene_frame.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace clearframe {
namespace {

constexpr Scene all_scenes[] = {Scene::none, Scene::waves, Scene::test_card, Scene::noise};

std::vector<std::uint32_t> frame_of(Scene scene, std::uint32_t seed, std::uint64_t sequence,
                                    std::uint32_t width, std::uint32_t height) {
    std::vector<std::uint32_t> pixels(std::size_t{width} * height);
    for (std::uint32_t y = 0; y < height; ++y)
        scene_row(scene, seed, sequence, height, y,
                  std::span(pixels).subspan(std::size_t{y} * width, width));
    return pixels;
}

// FNV-1a over the pixels.
std::uint64_t checksum(const std::vector<std::uint32_t>& pixels) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const std::uint32_t pixel : pixels)
        hash = (hash ^ pixel) * 0x100000001b3;
    return hash;
}

// A receiver of another version must see the same pictures: a change here is a change of
// frame_version.
TEST(SceneTest, PicturesDoNotDrift) {
    const auto of = [](Scene scene, std::uint32_t seed, std::uint64_t sequence) {
        return checksum(frame_of(scene, seed, sequence, 320, 180));
    };
    EXPECT_EQ(of(Scene::none, 1, 0), 11626033457024976900u);
    EXPECT_EQ(of(Scene::none, 9, 0), 10429710759188502289u);
    EXPECT_EQ(of(Scene::waves, 1, 48213), 14220174343253211989u);
    EXPECT_EQ(of(Scene::waves, 9, 0x1'0000'0007), 11872099765099788683u);
    EXPECT_EQ(of(Scene::test_card, 1, 48213), 12539403135007607469u);
    EXPECT_EQ(of(Scene::test_card, 1, ~std::uint64_t{0}), 7898123389114358203u);
    EXPECT_EQ(of(Scene::noise, 1, 48213), 5021021137934505875u);
    EXPECT_EQ(of(Scene::noise, 9, 0x1'0000'0007), 3718991721543366448u);
}

TEST(SceneTest, ARowIsItsPixels) {
    for (const Scene scene : all_scenes)
        for (const std::uint32_t width : {1u, 7u, 64u, 333u}) {
            const std::uint32_t height = 90;
            std::vector<std::uint32_t> row(width);
            for (std::uint32_t y = 0; y < height; y += 11) {
                scene_row(scene, 5, 0x2'0000'0003, height, y, row);
                for (std::uint32_t x = 0; x < width; ++x)
                    ASSERT_EQ(row[x], scene_pixel(scene, 5, 0x2'0000'0003, width, height, x, y))
                        << scene_name(scene) << " " << width << " (" << x << ", " << y << ")";
            }
        }
}

// Also what UndefinedBehaviorSanitizer looks at: no size overflows.
TEST(SceneTest, EverySizeIsOpaque) {
    const std::uint32_t sides[] = {1, 2, 3, 17, 36, 100, 1079, max_frame_side};
    for (const Scene scene : all_scenes)
        for (const std::uint32_t width : sides)
            for (const std::uint32_t height : sides)
                for (const std::uint32_t y : {0u, height / 2, height - 1})
                    for (const std::uint32_t x : {0u, width / 3, width / 2, width - 1})
                        ASSERT_EQ(scene_pixel(scene, 3, ~std::uint64_t{0}, width, height, x, y) >>
                                      24,
                                  0xffu);
}

TEST(SceneTest, FramesAndSeedsDiffer) {
    for (const Scene scene : all_scenes) {
        std::set<std::uint64_t> seen;
        for (std::uint64_t sequence = 0; sequence < 16; ++sequence)
            seen.insert(checksum(frame_of(scene, 1, sequence, 96, 54)));
        EXPECT_EQ(seen.size(), 16u) << scene_name(scene);
        seen.insert(checksum(frame_of(scene, 2, 0, 96, 54)));
        // The test card is the same for every seed.
        EXPECT_EQ(seen.size(), scene == Scene::test_card ? 16u : 17u) << scene_name(scene);
    }
}

TEST(SceneTest, NoiseIsEvenlySpread) {
    const auto pixels = frame_of(Scene::noise, 1, 1, 256, 256);
    EXPECT_GT(std::set(pixels.begin(), pixels.end()).size(), 65'000u);
    for (int bit = 0; bit < 24; ++bit) {
        std::size_t ones = 0;
        for (const std::uint32_t pixel : pixels)
            ones += pixel >> bit & 1;
        EXPECT_NEAR(static_cast<double>(ones), 32'768.0, 1'000.0) << "bit " << bit;
    }
}

// The lit dots of the test card's number, read back by where they must be.
TEST(SceneTest, TheTestCardShowsItsNumber) {
    const std::uint32_t width = 1920;
    const std::uint32_t height = 1080;
    const auto frame = make_scene_frame(Scene::test_card, 0, 107, width, height);
    const auto lit = [&](std::uint32_t digit, std::uint32_t column, std::uint32_t row) {
        const std::uint32_t x = frame.text_x + (digit * 6 + column) * frame.dot + frame.dot / 2;
        const std::uint32_t y = frame.text_y + row * frame.dot + frame.dot / 2;
        return scene_pixel(Scene::test_card, 0, 107, width, height, x, y) == 0xffffffff;
    };
    const auto row = [&](std::uint32_t digit, std::uint32_t y) {
        std::string text;
        for (std::uint32_t column = 0; column < 5; ++column)
            text += lit(digit, column, y) ? '#' : '.';
        return text;
    };
    // 000107
    EXPECT_EQ(row(2, 0), ".###.");
    EXPECT_EQ(row(2, 3), "#...#");
    EXPECT_EQ(row(3, 1), ".##..");
    EXPECT_EQ(row(3, 6), ".###.");
    EXPECT_EQ(row(5, 0), "#####");
    EXPECT_EQ(row(5, 6), ".#...");
}

TEST(SceneTest, TheGpusCheckWordIsTheWires) {
    for (const std::uint64_t sequence : {std::uint64_t{0}, std::uint64_t{0xffffffff},
                                         std::uint64_t{0x123456789abcdef}, ~std::uint64_t{0}})
        for (const std::uint32_t scene : {0u, 3u})
            for (const std::uint32_t salt : {0u, 1u})
                EXPECT_EQ(glsl::cf_check(static_cast<std::uint32_t>(sequence),
                                         static_cast<std::uint32_t>(sequence >> 32), 77, scene,
                                         salt),
                          frame_check(sequence, 77, scene, salt));
}

} // namespace
} // namespace clearframe
