// Both ends of a stream in one process: what `bench` measures and the window shows.
#pragma once

#include "core/unique_fd.h"
#include "gpu/gpu.h"
#include "paths/table.h"
#include "pipeline/limits.h"
#include "pipeline/receiver.h"
#include "pipeline/sender.h"

#include <exception>
#include <memory>
#include <span>
#include <thread>
#include <vector>

namespace clearframe {

struct SessionOptions {
    std::uint32_t width = 0, height = 0; // pixels
    std::uint32_t ring = 0;              // slots at each end, 1 … max_slots
    std::uint32_t seed = 0;
    Verify verify = Verify::sampled;
    Bounce bounce = Bounce::nic;
    StagingOptions staging;
    Nanoseconds patience = 0; // how long nothing may move
    std::vector<const PathType*> paths;
};

// What a session is built on. All of it outlives the session.
struct SessionParts {
    const Heap& shared_heap;
    const Heap& private_heap;
    Gpu* gpu = nullptr; // null: no GPU, scene `none` alone
    Nic& nic;
    ExposureMeter& exposure;
};

// Owns the rings of every path, the connection and the receiver's thread. The thread that calls
// run_block() is the sender's; one thread calls everything but stop().
class Session {
public:
    // Allocates, registers and connects everything. Throws Error, and leaves nothing behind.
    Session(const SessionOptions& options, const SessionParts& parts);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    const FrameLayout& layout() const noexcept { return layout_; }

    // Prepares every path to send this scene; none may be running. Throws Error.
    void set_scene(Scene scene);
    // What the receiver checks from the next block on. Between blocks, after set_scene().
    void set_verify(Verify verify);

    // Sends a block along path `path` (an index into the options' paths) and returns when it has
    // come to rest. `viewer` is called on the receiver's thread; `tap` gets the newest good frame,
    // where the ring has two slots or more. A frame taken from it does not hold up the stream, but
    // the block's end: for `patience` at most. All of these must outlive the session. Throws Error;
    // the session is of no use after that.
    void run_block(std::size_t path, const BlockPlan& plan, SendMeter& sent, ReceiveMeter& received,
                   const FrameViewer* viewer = nullptr, FrameTap* tap = nullptr);

    // The buffers in which received frames of that path lie, by slot: what a HeldFrame's slot is
    // of. Valid as long as the session.
    std::span<const DmaBuf> frames(std::size_t path) const {
        return paths_[path].receive->frames();
    }

    // Ends the present block early and makes later ones empty. Thread-safe.
    void stop() noexcept { sender_->stop(); }
    bool stopped() const noexcept { return sender_->stopped(); }

    // Whether the GPU drew into, and the NIC sent from, the very buffers that the heap gave, by
    // inode: no copy can have been between them. Of the present scene.
    bool same_buffer(std::size_t path) const;

    LimitProbe make_limit_probe() const;
    // Bytes of the staging pool; 0 without a staging path.
    std::size_t staging_pool_bytes() const noexcept { return staging_pool_bytes_; }

    // Between blocks only.
    const FaultLog& faults() const noexcept { return receiver_->faults(); }

private:
    struct Path {
        std::unique_ptr<SendPath> send;
        std::unique_ptr<ReceivePath> receive;
        std::unique_ptr<Ring> ring;
        std::unique_ptr<FrameSource> source;
        std::vector<BufferIdentity> drawn; // what the GPU imported
    };

    void receive() noexcept;

    SessionOptions options_;
    SessionParts parts_;
    FrameLayout layout_;
    EndpointPair endpoints_;
    std::unique_ptr<ReceiveMemory> receive_memory_;
    std::vector<Path> paths_;
    std::size_t staging_pool_bytes_ = 0;
    Scene scene_ = Scene::none;
    std::unique_ptr<Verifier> verifier_;
    std::unique_ptr<Sender> sender_;
    std::unique_ptr<Receiver> receiver_;
    std::exception_ptr receive_failure_;
    std::jthread receive_thread_;
    clockid_t receive_clock_{}; // of its CPU time
};

} // namespace clearframe
