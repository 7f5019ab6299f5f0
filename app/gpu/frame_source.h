// What fills a slot with a frame: the GPU, or for the scene `none` nobody but two stamps.
#pragma once

#include "core/clock.h"
#include "wire/frame.h"

#include <cstdint>

namespace clearframe {

// Belongs to the slots it was made for. Used by one thread.
class FrameSource {
public:
    virtual ~FrameSource() = default;

    virtual Scene scene() const = 0;

    // Starts making the frame in `slot`, whose last frame has been waited for; returns without
    // waiting for it. Frames are finished in the order in which they were begun. Allocates nothing
    // of its own. Throws Error (device lost).
    virtual void begin(std::uint32_t slot, const FrameStamp& stamp) = 0;

    // Waits until the frame begun in `slot` is whole in memory, where NIC and CPU see it. False
    // after `timeout` (0 asks without waiting). Throws Error (device lost).
    virtual bool wait(std::uint32_t slot, Nanoseconds timeout) = 0;

    // CPU time that begin() and wait() have spent in the GPU's driver so far; 0 without one.
    virtual Nanoseconds driver_cpu() const { return 0; }
};

} // namespace clearframe
