// One end of an emulated connection: its queues, and who waits for them.
#pragma once

#include "core/fixed_queue.h"
#include "nic/emulated/faults.h"
#include "nic/nic.h"

#include <condition_variable>
#include <cstdint>
#include <limits>
#include <mutex>
#include <span>

namespace clearframe {

// A write as it lies in the send queue.
struct Work {
    std::uint64_t wr_id = 0;
    std::uint64_t local_address = 0;
    std::uint64_t remote_address = 0;
    std::uint32_t lkey = 0;
    std::uint32_t rkey = 0;
    std::uint32_t length = 0;
    bool signaled = true;
    std::optional<std::uint32_t> immediate;
    Nanoseconds posted = 0;

    bool is_frame() const noexcept { return immediate && length > 0; }
};

// Every call is made with the engine's mutex held. Allocates in its constructor alone.
//
// A send holds its place in the queue until a completion of it, or of a later one, has been
// polled; a receive until its own has. So the completion queue has room for all of them.
class QueuePair {
public:
    QueuePair(std::uint32_t depth, FaultSource frame_faults);

    // The user's side. --------------------------------------------------------------------------

    // Takes as many requests as there is room for; returns how many.
    std::size_t post(std::span<const WriteRequest> requests, Nanoseconds time);
    // Throws Error as Endpoint::post_receives does.
    void post_receives(std::uint32_t count, Nanoseconds due);
    std::size_t poll(std::span<Completion> completions);
    WaitResult wait(std::unique_lock<std::mutex>& lock, Nanoseconds timeout,
                    std::uint32_t at_least);
    void wake();
    void cancel();
    // The user is gone: forgets all sends.
    void close();

    // The engine's side. ------------------------------------------------------------------------

    bool has_send() const { return !sends_.empty(); }
    Work take_send();
    bool has_receive() const { return receives_ > 0; }
    bool is_broken() const { return broken_; }
    bool is_closed() const { return closed_; }

    // The outcome of a send that was taken, and a receive's; they show at time `due`.
    void complete_send(const Work& work, WcStatus status, Nanoseconds due);
    void complete_receive(std::uint32_t byte_len, std::uint32_t immediate, Nanoseconds due);
    // Enters the error state: flushes the receives. The engine flushes the sends as it takes them.
    // What is complete and has not shown yet shows by `due`, too.
    void break_down(Nanoseconds due);
    // The other end has gone: nothing is received any more. The next send will fail.
    void lose_peer(Nanoseconds due);

    // Shows what is due by `time`. True when the waiting thread is to be woken, by the caller:
    // `quiet` or not woken for a while. Waking it for every one of many small writes would cost
    // more than moving them; NICs moderate their interrupts for the same reason.
    bool publish(Nanoseconds time, bool quiet);
    // When publish() has something to do next, as things stand.
    Nanoseconds next_event() const;
    static constexpr Nanoseconds never = std::numeric_limits<Nanoseconds>::max();

    FaultSource faults;
    std::condition_variable arrived;

private:
    struct Outcome {
        Completion completion;
        Nanoseconds due = 0;
        std::uint32_t sends = 0;    // places in the send queue that polling it frees
        std::uint32_t receives = 0; // likewise in the receive queue
    };

    void flush_receives(Nanoseconds due);
    bool has_wanted() const { return shown_ >= wanted_ || (lost_ && shown_ > 0); }

    std::uint32_t depth_;
    FixedQueue<Work> sends_;       // not yet taken by the engine
    FixedQueue<Outcome> outcomes_; // not yet polled
    std::size_t shown_ = 0;        // of them, may be polled
    std::uint32_t sends_held_ = 0; // places taken, by work in any state
    std::uint32_t silent_ = 0;     // done without completion since the last one
    std::uint32_t receives_ = 0;   // posted, not yet used
    std::uint32_t receives_held_ = 0;

    bool broken_ = false;
    bool lost_ = false; // broken, or the peer has gone
    bool failure_polled_ = false;
    bool closed_ = false;
    bool cancelled_ = false;
    bool nudged_ = false; // by wake(), for the present wait or the next
    bool waiting_ = false;
    bool woken_ = false;         // by publish(), since the present wait began
    std::uint32_t wanted_ = 1;   // completions that the present wait is for
    Nanoseconds rest_until_ = 0; // not woken before, unless all is quiet
};

} // namespace clearframe
