// The sender's end of a stream: the slots that are drawn into, what draws, and what sends them.
#pragma once

#include "gpu/gpu.h"
#include "paths/table.h"
#include "pipeline/sender.h"
#include "pipeline/session_options.h"

#include <memory>
#include <span>
#include <vector>

namespace clearframe {

// One thread, except stop().
class SendEnd {
public:
    // Allocates and registers the slots of every path of the options. `gpu` is null where there is
    // none; `remote` are the receiver's slots. All references must outlive it. Throws Error, and
    // leaves nothing behind.
    SendEnd(const SessionOptions& options, const PathParts& parts, Gpu* gpu, Endpoint& endpoint,
            std::span<const RemoteSlot> remote);

    // As Stream has them. -----------------------------------------------------------------------
    void set_scene(Scene scene);
    // `credited`: where the credits of a receiver on another host are counted; or null.
    void run_block(std::size_t path, const BlockPlan& plan, SendMeter& sent,
                   ReceiveMeter* credited = nullptr);
    void drain() { sender_.drain(); }
    void stop() noexcept { sender_.stop(); }
    bool stopped() const noexcept { return sender_.stopped(); }
    bool same_buffer(std::size_t path) const;

    const SendPath& path(std::size_t index) const { return *paths_[index].send; }

private:
    struct Path {
        std::unique_ptr<SendPath> send;
        std::unique_ptr<Ring> ring;
        std::unique_ptr<FrameSource> source;
        std::vector<BufferIdentity> drawn; // what the GPU imported
    };

    FrameLayout layout_;
    std::uint32_t seed_;
    Gpu* gpu_;
    std::vector<Path> paths_;
    Sender sender_;
};

} // namespace clearframe
