// What the doctor learns from this room: Vulkan devices, DRM nodes, and whose memory they import.
//
// Both try every usable heap of the machine below `root` ("/", or the picture of another machine),
// and throw for nothing that is missing or may not be opened: that is a finding.
#pragma once

#include "core/finding.h"

#include <filesystem>

namespace clearframe {

// Opens every device, as Gpu does, and imports a small frame of each heap as a buffer and as an
// image. Vulkan is this process's own: a picture of a machine has none.
Report report_vulkan(const std::filesystem::path& root);

// Opens every node in dev/dri, and has it import a small buffer of each heap.
Report report_drm(const std::filesystem::path& root);

} // namespace clearframe
