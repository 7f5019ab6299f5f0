// Pictures as files.
#pragma once

#include "wire/frame.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace clearframe {

// 8 bits a sample.
enum class PixelFormat { rgb, rgba };

// Rows of pixels without padding, as the bytes of a PNG file. Same pixels, same bytes. Throws
// Error.
std::string encode_png(std::span<const std::byte> pixels, std::uint32_t width, std::uint32_t height,
                       PixelFormat format);

// The pixels of a frame, opaque, as the bytes of an 8-bit RGB PNG file. `frame` is at least
// layout.bytes long. Throws Error.
std::string encode_png(std::span<const std::byte> frame, const FrameLayout& layout);

} // namespace clearframe
