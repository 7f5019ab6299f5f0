// A frame as a picture.
#pragma once

#include "wire/frame.h"

#include <cstddef>
#include <span>
#include <string>

namespace clearframe {

// The pixels of a frame, opaque, as the bytes of an 8-bit RGB PNG file. `frame` is at least
// layout.bytes long. Throws Error.
std::string encode_png(std::span<const std::byte> frame, const FrameLayout& layout);

} // namespace clearframe
