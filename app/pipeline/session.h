// Both ends of a stream in one process: what `bench` measures and the window shows.
#pragma once

#include "gpu/gpu.h"
#include "pipeline/receive_end.h"
#include "pipeline/send_end.h"
#include "pipeline/session_options.h"
#include "pipeline/stream.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>

namespace clearframe {

// Owns the rings of every path, the connection and the receiver's thread. The thread that calls
// run_block() is the sender's.
class Session final : public Stream {
public:
    // Allocates, registers and connects everything. Throws Error, and leaves nothing behind.
    Session(const SessionOptions& options, const SessionParts& parts);
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    const FrameLayout& layout() const noexcept override { return layout_; }

    void set_scene(Scene scene) override;
    // What the receiver checks from the next block on. Between blocks, after set_scene().
    void set_verify(Verify verify);

    void run_block(std::size_t path, const BlockPlan& plan, SendMeter& sent,
                   ReceiveMeter& received) override;
    // `viewer` is called on the receiver's thread; `tap` gets the newest good frame, where the ring
    // has two slots or more. A frame taken from it does not hold up the stream, but the block's
    // end: for `patience` at most. Both must outlive the session.
    void run_block(std::size_t path, const BlockPlan& plan, SendMeter& sent, ReceiveMeter& received,
                   const FrameViewer* viewer, FrameTap* tap = nullptr);
    // Whose tap gets the frames of blocks that name none, asked before each. Between blocks.
    void set_taps(std::function<FrameTap*(std::size_t path)> taps) { taps_ = std::move(taps); }

    // The buffers in which received frames of that path lie, by slot: what a HeldFrame's slot is
    // of. Valid as long as the session.
    std::span<const DmaBuf> frames(std::size_t path) const { return receive_->frames(path); }

    void stop() noexcept override { send_->stop(); }
    bool stopped() const noexcept override { return send_->stopped(); }

    bool same_buffer(std::size_t path) const override { return send_->same_buffer(path); }

    LimitProbe make_limit_probe() override;
    // Bytes of the staging pool; 0 without a staging path.
    std::size_t staging_pool_bytes() const noexcept { return staging_pool_bytes_; }

    // Between blocks only.
    const FaultLog& faults() const noexcept { return receive_->faults(); }

private:
    SessionOptions options_;
    SessionParts parts_;
    FrameLayout layout_;
    EndpointPair endpoints_;
    std::unique_ptr<ReceiveMemory> receive_memory_;
    std::optional<SendEnd> send_;
    std::optional<ReceiveEnd> receive_;
    std::size_t staging_pool_bytes_ = 0;
    Scene scene_ = Scene::none;
    std::function<FrameTap*(std::size_t path)> taps_;
};

} // namespace clearframe
