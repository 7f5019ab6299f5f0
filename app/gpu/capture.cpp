#include "gpu/capture.h"

#include "core/error.h"

#include <fmt/format.h>
#include <png.h>

#include <vector>

namespace clearframe {
namespace {

std::vector<std::byte> rgb_of(std::span<const std::byte> frame, const FrameLayout& layout) {
    std::vector<std::byte> rgb;
    rgb.reserve(std::size_t{3} * layout.width * layout.height);
    for (std::uint32_t y = 0; y < layout.height; ++y) {
        const std::byte* pixel =
            frame.data() + layout.pixel_offset + std::size_t{y} * layout.stride;
        for (std::uint32_t x = 0; x < layout.width; ++x, pixel += bytes_per_pixel)
            rgb.insert(rgb.end(), {pixel[2], pixel[1], pixel[0]});
    }
    return rgb;
}

} // namespace

std::string encode_png(std::span<const std::byte> pixels, std::uint32_t width, std::uint32_t height,
                       PixelFormat format) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = width;
    image.height = height;
    image.format = format == PixelFormat::rgba ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    std::string png(size, '\0');
    if (!png_image_write_to_memory(&image, png.data(), &size, 0, pixels.data(), 0, nullptr))
        throw Error(Failure::run, fmt::format("encoding a {}x{} picture as PNG", width, height),
                    image.message, {});
    png.resize(size);
    return png;
}

std::string encode_png(std::span<const std::byte> frame, const FrameLayout& layout) {
    return encode_png(rgb_of(frame, layout), layout.width, layout.height, PixelFormat::rgb);
}

} // namespace clearframe
