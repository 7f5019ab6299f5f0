// The sender: acquire a slot → render → post → reap.
#pragma once

#include "core/fixed_queue.h"
#include "gpu/frame_source.h"
#include "memory/ring.h"
#include "nic/nic.h"
#include "paths/path.h"

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace clearframe {

// One way of sending: a path, what draws into its slots, and the ring over them.
struct Lane {
    SendPath& path;
    FrameSource& source;
    Ring& ring;
    SendMeter& meter;
    // Of a receiver on another host: what its credits say is counted here, the time from the
    // beginning of a frame to its credit as latency. Or null.
    ReceiveMeter* credited = nullptr;
};

// How long a block goes on: until `frames` were begun or, with two of them at least, `until` has
// passed or `cut` is true, whichever is first.
struct BlockPlan {
    std::uint64_t frames = 0;
    Nanoseconds until = 0;                  // of now()
    const std::atomic<bool>* cut = nullptr; // set by any thread; or null
};

// Sends the frames of one stream over one endpoint. Used by one thread, except stop().
class Sender {
public:
    // `remote` are the receiver's slots. `patience` is how long nothing may move before the stream
    // is given up.
    Sender(Endpoint& endpoint, std::span<const RemoteSlot> remote, Nanoseconds patience);

    // Sends a block of frames and returns when each of them has come to rest: its slots are free
    // again at both ends, whether it arrived or was lost. Blocks; allocates nothing once it runs.
    // Throws Error: GPU or NIC failed, nothing moved for `patience`, the peer breaks the rules.
    void run_block(Lane lane, const BlockPlan& plan);

    // Between blocks: waits until nothing at all is under way, so that the endpoint is free for
    // other work. Throws Error as run_block() does.
    void drain();

    // Ends the present block early and makes later ones empty. Thread-safe; a signal handler may
    // call it.
    void stop() noexcept { stopped_.store(true, std::memory_order_relaxed); }
    bool stopped() const noexcept { return stopped_.load(std::memory_order_relaxed); }

private:
    // A frame that the GPU is drawing or has drawn, not yet wholly posted.
    struct Drawn {
        Lease lease;
        std::uint64_t sequence = 0;
        Nanoseconds begun = 0;
        bool aimed = false; // has a slot at the receiver
        OutgoingFrame outgoing;
    };
    // A slot of the receiver's, and the frame on its way into it.
    struct Remote {
        RemoteSlot memory;
        std::uint32_t generation = 0;
        std::uint64_t sequence = 0;
        Nanoseconds begun = 0;
        std::uint64_t bytes = 0; // of the frame, once it is posted
        Lease lease;             // of the local slot, if it is needed until the write completes
        Nanoseconds first_post = 0;
        bool busy = false;
        bool written = false;  // the last write has completed
        bool credited = false; // the receiver is done with it, or never got it
    };

    // What the frame at the front of `drawn_` waits for.
    enum class Waits { for_nothing, for_gpu, for_completion };

    void begin_frames(Lane& lane, const BlockPlan& plan);
    void note_rendered(Lane& lane);
    Waits post_frames(Lane& lane);
    void reap(Lane& lane);
    void sleep(Lane& lane, Waits waits);
    void await_completions(std::uint32_t at_least);
    std::uint32_t worth_waking_for() const;

    bool aim(Drawn& frame);
    void posted(Lane& lane, Drawn& frame);
    void post_end();
    void check_status(const Completion& completion) const;
    void write_completed(Lane& lane, const Completion& completion);
    void message_arrived(Lane& lane, const Completion& completion);
    void settle(std::uint32_t slot);
    static void count_credit(ReceiveMeter& meter, const Remote& remote);
    bool at_rest() const { return drawn_.empty() && free_remotes_.size() == remotes_.size(); }

    Endpoint& endpoint_;
    Nanoseconds patience_;
    std::vector<Remote> remotes_;
    std::uint64_t next_sequence_ = 0;
    std::uint64_t begun_in_block_ = 0;
    bool all_begun_ = false; // no more frames in this block
    bool end_posted_ = false;
    bool end_completed_ = true; // of the last block that posted it
    std::atomic<bool> stopped_{false};

    FixedQueue<Drawn> drawn_;
    std::size_t rendered_ = 0; // of them, from the front, the GPU is done with
    Nanoseconds last_rendered_ = 0;
    FixedQueue<std::uint32_t> free_remotes_;
    std::vector<Completion> completions_;
};

} // namespace clearframe
