// Scene::none once its slots are filled. Inside gpu/ only.
#pragma once

#include "gpu/frame_source.h"
#include "memory/dma_buf.h"

#include <memory>
#include <span>

namespace clearframe {

// The CPU stamps sequence and time at both ends of each frame and touches nothing between them;
// wait() is true at once. Keeps the slots mapped, whole. The buffers must outlive it. Throws Error.
std::unique_ptr<FrameSource> make_stamping_source(std::span<const DmaBuf> slots,
                                                  const FrameLayout& layout, std::uint32_t seed);

} // namespace clearframe
