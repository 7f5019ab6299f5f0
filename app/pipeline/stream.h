// What is measured: blocks of frames along paths, whichever host the receiver is on.
#pragma once

#include "pipeline/limits.h"
#include "pipeline/sender.h"
#include "pipeline/verifier.h"

#include <cstddef>

namespace clearframe {

// One thread calls everything but stop().
class Stream {
public:
    virtual ~Stream() = default;

    virtual const FrameLayout& layout() const noexcept = 0;

    // Prepares every path to send this scene; none may be running. Throws Error.
    virtual void set_scene(Scene scene) = 0;

    // Sends a block along path `path` (an index into the options' paths) and returns when it has
    // come to rest. The meters must outlive the stream. Throws Error; the stream is of no use after
    // that.
    virtual void run_block(std::size_t path, const BlockPlan& plan, SendMeter& sent,
                           ReceiveMeter& received) = 0;

    // Ends the present block early and makes later ones empty. Thread-safe.
    virtual void stop() noexcept = 0;
    virtual bool stopped() const noexcept = 0;

    // Whether the GPU drew into, and the NIC sent from, the very buffers that the heap gave, by
    // inode: no copy can have been between them. Of the present scene.
    virtual bool same_buffer(std::size_t path) const = 0;

    virtual LimitProbe make_limit_probe() = 0;
};

} // namespace clearframe
