#include "support/pictures.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <png.h>

#include <algorithm>
#include <cstdlib>

namespace clearframe::test {

std::optional<Pixels> read_png(const std::filesystem::path& file) {
    if (!std::filesystem::exists(file))
        return std::nullopt;
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    Pixels pixels;
    if (png_image_begin_read_from_file(&image, file.c_str())) {
        image.format = PNG_FORMAT_RGB;
        pixels.width = image.width;
        pixels.height = image.height;
        pixels.rgb.resize(std::size_t{image.width} * image.height);
        if (png_image_finish_read(&image, nullptr, pixels.rgb.data(), 0, nullptr))
            return pixels;
    }
    ADD_FAILURE() << file << ": " << image.message;
    return std::nullopt;
}

void write_png(const std::filesystem::path& file, const Pixels& pixels) {
    std::filesystem::create_directories(file.parent_path());
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = pixels.width;
    image.height = pixels.height;
    image.format = PNG_FORMAT_RGB;
    EXPECT_TRUE(png_image_write_to_file(&image, file.c_str(), 0, pixels.rgb.data(), 0, nullptr))
        << file << ": " << image.message;
}

std::string Difference::text() const {
    return !same_size ? "they differ in size"
                      : fmt::format("{} pixels differ, by {} at most", pixels, most);
}

Difference compare(const Pixels& actual, const Pixels& golden) {
    Difference difference;
    difference.same_size = actual.width == golden.width && actual.height == golden.height;
    if (!difference.same_size)
        return difference;
    difference.picture = golden;
    for (std::size_t i = 0; i < golden.rgb.size(); ++i) {
        std::uint32_t most = 0;
        for (std::size_t channel = 0; channel < 3; ++channel) {
            most = std::max<std::uint32_t>(
                most, static_cast<std::uint32_t>(
                          std::abs(actual.rgb[i][channel] - golden.rgb[i][channel])));
            difference.picture.rgb[i][channel] = golden.rgb[i][channel] / 4;
        }
        if (most == 0)
            continue;
        ++difference.pixels;
        difference.most = std::max(difference.most, most);
        difference.picture.rgb[i] = {255, static_cast<std::uint8_t>(most > 2 ? 40 : 200), 40};
    }
    return difference;
}

} // namespace clearframe::test
