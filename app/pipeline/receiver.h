// The receiver: wait → take the arrived slot → verify → give the slot back to the sender, at once
// or when whoever looks at the frame is done with it.
#pragma once

#include "memory/ring.h"
#include "nic/nic.h"
#include "paths/receive_memory.h"
#include "pipeline/frame_tap.h"
#include "pipeline/verifier.h"
#include "wire/immediate.h"

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

namespace clearframe {

// Looks at a good frame while its slot is held; must be quick, and copy what it wants to keep.
using FrameViewer = std::function<void(FrameView frame, std::uint64_t sequence)>;

// What the receiver does with the frames of a block.
struct ReceiveLane {
    ReceivePath* path = nullptr;
    Verifier* verifier = nullptr;
    ReceiveMeter* meter = nullptr;
    const FrameViewer* viewer = nullptr; // or nobody looks
    // Gets the newest good frame, as far as the ring has a slot to spare. Or null.
    FrameTap* tap = nullptr;
    // The sender's clock is this one: then a frame's latency can be told.
    bool same_clock = true;
};

// The first few faults of a stream, in words for the report; more are only counted.
class FaultLog {
public:
    void add(const FrameFault& fault) noexcept {
        if (size_ < faults_.size())
            faults_[size_++] = fault;
    }
    std::span<const FrameFault> faults() const noexcept { return std::span(faults_).first(size_); }

private:
    std::array<FrameFault, 8> faults_;
    std::size_t size_ = 0;
};

// Receives one stream over one endpoint. run() belongs to one thread.
class Receiver {
public:
    // `memory` are the slots that the sender writes into. Throws Error.
    Receiver(Endpoint& endpoint, const ReceiveMemory& memory);
    ~Receiver(); // before the endpoint
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;

    // What to do with frames from now on. Call it only while no frame is in flight; the first
    // frame sent afterwards is handled so. Thread-safe. `lane`'s objects must outlive run().
    void set_lane(const ReceiveLane& lane);

    // Serves the stream until cancel() is called on the endpoint or the sender ends the connection.
    // Blocks; allocates nothing of its own once it runs. Throws Error: the NIC failed, the sender
    // is faster than its credits.
    void run();

    // For the thread that runs, or after it.
    const FaultLog& faults() const noexcept { return faults_; }

private:
    ReceiveLane lane();
    void replenish(std::span<const Completion> batch);
    void handle(const ReceiveLane& lane, const Completion& completion);
    void frame_arrived(const ReceiveLane& lane, const Completion& completion, std::uint32_t slot,
                       std::uint64_t sequence);
    bool use(const ReceiveLane& lane, Lease& lease, std::uint64_t sequence);
    void park(FrameTap& tap, Lease lease, std::uint64_t sequence);
    void credit_frame(HeldFrame frame);
    void credit_returned();
    void credit_slot(std::uint32_t slot);
    void corrupt(const ReceiveLane& lane, const FrameFault& fault);
    void end_block(const ReceiveLane& lane, std::uint64_t sequence);
    void give_up_until(const ReceiveLane& lane, std::uint64_t sequence);
    void tell(Message message, std::uint32_t slot, std::uint64_t sequence);

    Endpoint& endpoint_;
    const ReceiveMemory& memory_;
    // A slot whose frame is parked or looked at.
    struct Held {
        Lease lease;
        std::uint64_t sequence = 0;
    };

    Ring ring_;
    std::vector<Held> held_; // by slot
    std::uint32_t held_count_ = 0;
    std::shared_ptr<SlotReturns> returns_; // those that are held no more
    std::vector<std::uint32_t> returned_;
    std::uint64_t expected_ = 0; // the next sequence
    std::uint64_t told_ = 0;     // messages to the sender so far
    std::uint32_t signal_every_;
    bool closed_ = false;
    std::mutex lane_mutex_;
    ReceiveLane lane_;
    std::vector<Completion> completions_;
    FaultLog faults_;
};

} // namespace clearframe
