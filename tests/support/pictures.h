// Pictures as files, and how far two of them differ.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace clearframe::test {

struct Pixels {
    std::uint32_t width = 0, height = 0;
    std::vector<std::array<std::uint8_t, 3>> rgb; // row after row
};

// Empty where there is no such file; a test failure for one that is no PNG.
std::optional<Pixels> read_png(const std::filesystem::path& file);
void write_png(const std::filesystem::path& file, const Pixels& pixels);

struct Difference {
    bool same_size = false;
    std::uint64_t pixels = 0; // that differ at all
    std::uint32_t most = 0;   // the largest difference in one channel
    Pixels picture;           // where they differ, bright on the darkened golden

    // The same, or what another build of the driver's arithmetic makes of the same picture: no
    // channel further off than 2, and at most one pixel in a thousand.
    bool tolerable(std::uint64_t all) const {
        return same_size && most <= 2 && pixels * 1000 <= all;
    }
    std::string text() const;
};
Difference compare(const Pixels& actual, const Pixels& golden);

} // namespace clearframe::test
