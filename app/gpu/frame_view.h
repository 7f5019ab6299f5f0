// Received frames as a person sees them: drawn from the receiver's own slots, which a second
// device imports to look at. Nothing is uploaded, and no CPU reads the pixels.
#pragma once

#include "core/clock.h"
#include "gpu/device.h"
#include "gpu/gpu.h"
#include "memory/dma_buf.h"
#include "wire/frame.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace clearframe {

class FrameViews;

// A receiver's slots, imported by the display's device. Immutable; holds their memory, not the
// DmaBufs. Must not outlive the FrameViews that made it.
class ViewedSlots {
public:
    ~ViewedSlots();
    ViewedSlots(const ViewedSlots&) = delete;
    ViewedSlots& operator=(const ViewedSlots&) = delete;

    ImportKind import() const noexcept { return import_; }
    const std::string& import_reason() const noexcept { return import_reason_; } // as in GpuInfo
    // Identities of the fds that were imported, in slot order, as Gpu::imported().
    std::span<const BufferIdentity> imported() const noexcept { return imported_; }

private:
    friend FrameViews;
    struct Memory;
    ViewedSlots(std::unique_ptr<const Memory> memory, ImportKind import, std::string reason,
                std::vector<BufferIdentity> imported);

    std::unique_ptr<const Memory> memory_;
    ImportKind import_;
    std::string import_reason_;
    std::vector<BufferIdentity> imported_;
};

// One picture for each view, of its size in the window, that the latest frame is scaled into. As
// many views as are asked for.
class FrameViews {
public:
    // `device` has graphics and must outlive this. Throws Error.
    explicit FrameViews(const GpuDevice& device);
    // Waits for what is in flight.
    ~FrameViews();
    FrameViews(const FrameViews&) = delete;
    FrameViews& operator=(const FrameViews&) = delete;

    // Imports a ring of slots, as dma-bufs or, where the device cannot, by their mappings; if
    // `wanted` is set, this way or none. Any thread. Throws Error: unavailable, with each way's
    // reason.
    std::shared_ptr<const ViewedSlots> import(std::span<const DmaBuf> slots,
                                              const FrameLayout& layout,
                                              std::optional<ImportKind> wanted = {}) const;

    // From here on: one thread, the display's.

    // The next draw() makes the view's picture this size in pixels; until then it stays as it is.
    // 0: draw() does nothing, as for a view that has never had a size.
    void resize(std::size_t view, std::uint32_t width, std::uint32_t height);

    // Scales the frame in `slot` into the view, as large as it fits and in the middle, with black
    // beside it: a whole multiple, or less and averaged (shaders/view.frag). Returns when the
    // GPU has read the slot for the last time: the caller may then give it back. Throws Error
    // (device lost; nothing within a minute).
    void draw(std::size_t view, const ViewedSlots& slots, std::uint32_t slot);

    // The view's picture, in layout TRANSFER_SRC_OPTIMAL; null before the first draw(). Format
    // frame_format, opaque. Valid until the next draw() of that view.
    struct Picture {
        vk::Image image;
        std::uint32_t width = 0, height = 0;
    };
    Picture picture(std::size_t view) const;

    // Time spent in draw() so far, waiting included.
    Nanoseconds time() const noexcept { return time_; }

private:
    struct View;
    struct Drawing; // pipeline, commands
    const GpuDevice& device_;
    std::unique_ptr<Drawing> drawing_;
    std::vector<View> views_;
    Nanoseconds time_ = 0;
};

} // namespace clearframe
