// Received frames as a person sees them: drawn from the receiver's own slots, which a second
// device imports to look at. Nothing is uploaded, and no CPU reads the pixels.
#pragma once

#include "gpu/device.h"
#include "memory/dma_buf.h"
#include "wire/frame.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace clearframe {

// A receiver's slots, imported by the display's device. Immutable; holds their memory, not the
// DmaBufs. Must not outlive the FrameViews that made it.
class ViewedSlots;

// One picture for each view, of its size in the window, that the latest frame is scaled into.
class FrameViews {
public:
    // `device` must outlive this.
    FrameViews(const GpuDevice& device, std::size_t views);
    ~FrameViews();
    FrameViews(const FrameViews&) = delete;
    FrameViews& operator=(const FrameViews&) = delete;

    // Imports a ring of slots, as dma-bufs or, where the device cannot, by their mappings. Any
    // thread. Throws Error.
    std::shared_ptr<const ViewedSlots> import(std::span<const DmaBuf> slots,
                                              const FrameLayout& layout) const;

    // From here on: one thread, the display's.

    // Gives view `view` this size in pixels; it is empty (black) until the next draw(). Nothing
    // happens if it has that size. Throws Error.
    void resize(std::size_t view, std::uint32_t width, std::uint32_t height);

    // Scales the frame in `slot` into the view: a whole multiple or less, averaged, so that thin
    // lines stay. Returns when the GPU has read the slot for the last time: the caller may then
    // give it back. Throws Error (device lost; nothing within 5 s).
    void draw(std::size_t view, const ViewedSlots& slots, std::uint32_t slot);

    // The view's picture, in layout TRANSFER_SRC_OPTIMAL; null before the first resize(). Format
    // frame_format. Valid until the next resize() of that view.
    struct Picture {
        vk::Image image;
        std::uint32_t width = 0, height = 0;
    };
    Picture picture(std::size_t view) const;

private:
    struct View;
    struct Drawing; // pipeline, command buffer, fence
    const GpuDevice& device_;
    std::vector<View> views_;
    std::unique_ptr<Drawing> drawing_;
};

} // namespace clearframe
