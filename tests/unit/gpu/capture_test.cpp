#include "gpu/capture.h"
#include "gpu/scene.h"

#include <gtest/gtest.h>
#include <png.h>

#include <vector>

namespace clearframe {
namespace {

// A frame of noise with rows that are longer than the picture is wide.
TEST(Capture, ReadsBackPixelForPixel) {
    const FrameLayout layout = make_frame_layout(50, 31, 256, 64);
    std::vector<std::byte> frame(layout.bytes, std::byte{0x55});
    for (std::uint32_t y = 0; y < layout.height; ++y)
        scene_row(Scene::noise, 1, 2, layout.height, y,
                  {reinterpret_cast<std::uint32_t*>(frame.data() + layout.pixel_offset +
                                                    std::size_t{y} * layout.stride),
                   layout.width});
    const std::string png = encode_png(frame, layout);

    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    ASSERT_TRUE(png_image_begin_read_from_memory(&image, png.data(), png.size())) << image.message;
    EXPECT_EQ(image.width, layout.width);
    EXPECT_EQ(image.height, layout.height);
    EXPECT_EQ(image.format & PNG_FORMAT_FLAG_ALPHA, 0u);
    image.format = PNG_FORMAT_BGRA;
    std::vector<std::uint32_t> pixels(std::size_t{layout.width} * layout.height);
    ASSERT_TRUE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr));
    for (std::uint32_t y = 0; y < layout.height; ++y)
        for (std::uint32_t x = 0; x < layout.width; ++x)
            ASSERT_EQ(pixels[y * layout.width + x],
                      scene_pixel(Scene::noise, 1, 2, layout.width, layout.height, x, y));
}

TEST(EncodePng, KeepsRowsOfRgbaAsTheyAre) {
    std::vector<std::byte> pixels(std::size_t{4} * 7 * 3);
    for (std::size_t i = 0; i < pixels.size(); ++i)
        pixels[i] = static_cast<std::byte>(i % 4 == 3 ? 255 : i);
    const std::string png = encode_png(pixels, 7, 3, PixelFormat::rgba);
    EXPECT_EQ(png, encode_png(pixels, 7, 3, PixelFormat::rgba)) << "same pixels, same bytes";

    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    ASSERT_TRUE(png_image_begin_read_from_memory(&image, png.data(), png.size())) << image.message;
    EXPECT_EQ(image.width, 7u);
    EXPECT_EQ(image.height, 3u);
    image.format = PNG_FORMAT_RGBA;
    std::vector<std::byte> read(pixels.size());
    ASSERT_TRUE(png_image_finish_read(&image, nullptr, read.data(), 0, nullptr));
    EXPECT_EQ(read, pixels);
}

} // namespace
} // namespace clearframe
