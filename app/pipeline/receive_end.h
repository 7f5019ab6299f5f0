// The receiver's end of a stream: the slots that the sender writes into, and the thread that takes
// what arrives there.
#pragma once

#include "paths/receive_memory.h"
#include "pipeline/receiver.h"
#include "pipeline/session_options.h"

#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

namespace clearframe {

// One thread calls everything.
class ReceiveEnd {
public:
    // `on_failure` is called on the receiver's thread when that has failed. All references must
    // outlive it. Throws Error, and leaves nothing behind.
    ReceiveEnd(std::span<const PathType* const> paths, const PathParts& parts, Endpoint& endpoint,
               const ReceiveMemory& memory, std::function<void()> on_failure,
               bool same_clock = true);
    ~ReceiveEnd(); // ends the receiver's thread; before the endpoint
    ReceiveEnd(const ReceiveEnd&) = delete;
    ReceiveEnd& operator=(const ReceiveEnd&) = delete;

    // How the next blocks' frames are checked.
    void set_scene(Scene scene, std::uint32_t seed, Verify verify);

    // A block along that path begins: what arrives from now on is counted in `meter`, which must
    // outlive the stream, as `viewer` (called on the receiver's thread) and `tap` must.
    void begin_block(std::size_t path, ReceiveMeter& meter, const FrameViewer* viewer = nullptr,
                     FrameTap* tap = nullptr);
    // It has come to rest.
    void end_block(ReceiveMeter& meter);

    // Ends the receiver's thread. Throws what that ended with.
    void stop();

    // The buffers in which received frames of that path lie, by slot: what a HeldFrame's slot is
    // of. Valid as long as this.
    std::span<const DmaBuf> frames(std::size_t path) const { return paths_[path]->frames(); }

    // Between blocks only.
    const FaultLog& faults() const noexcept { return receiver_.faults(); }

private:
    void receive() noexcept;

    FrameLayout layout_;
    Endpoint& endpoint_;
    bool same_clock_;
    std::function<void()> on_failure_;
    std::vector<std::unique_ptr<ReceivePath>> paths_;
    // Each stays: a sender that breaks the rules may send frames while a block begins.
    struct KnownVerifier {
        Scene scene;
        std::uint32_t seed;
        Verify verify;
        std::unique_ptr<Verifier> verifier;
    };
    std::vector<KnownVerifier> verifiers_;
    Verifier* verifier_ = nullptr; // the present one
    Receiver receiver_;
    std::exception_ptr failure_;
    std::jthread thread_;
    clockid_t clock_{}; // of its CPU time
    Nanoseconds cpu_before_ = 0;
};

} // namespace clearframe
