// Looking at received frames without copying them: while one is held, its slot stays as it is.
#pragma once

#include "core/fixed_queue.h"
#include "nic/nic.h"

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

namespace clearframe {

// The slots that their users are done with, on the way back to the receiver's thread, which alone
// may tell the sender. Thread-safe; allocates in its constructor alone.
class SlotReturns {
public:
    // `endpoint` is woken for every slot, until close().
    explicit SlotReturns(Endpoint& endpoint);

    void give_back(std::uint32_t slot) noexcept;
    // The slots given back since, and how many; `slots` has room for max_slots.
    std::size_t collect(std::span<std::uint32_t> slots) noexcept;
    // The endpoint goes away: slots that come now are nobody's any more.
    void close() noexcept;

private:
    std::mutex mutex_;
    Endpoint* endpoint_;
    FixedQueue<std::uint32_t> slots_;
};

// A received frame that its user looks at. As long as it is held, nothing is written to its slot;
// the stream goes on in the others, but a block does not end. Dropping it, on any thread, gives
// the slot back; it may outlive tap, receiver and session. Move-only.
class HeldFrame {
public:
    HeldFrame() = default; // of no frame
    HeldFrame(std::shared_ptr<SlotReturns> returns, std::uint32_t slot, std::uint64_t sequence)
        : returns_(std::move(returns)), slot_(slot), sequence_(sequence) {}
    HeldFrame(HeldFrame&&) noexcept = default;
    HeldFrame& operator=(HeldFrame&& other) noexcept;
    ~HeldFrame() { drop(); }

    explicit operator bool() const noexcept { return returns_ != nullptr; }
    std::uint32_t slot() const noexcept { return slot_; } // of Session::frames()
    std::uint64_t sequence() const noexcept { return sequence_; }

    void drop() noexcept;
    // Ends the hold without giving the slot back: for the receiver, who gives it back itself.
    void forget() noexcept { returns_.reset(); }

private:
    std::shared_ptr<SlotReturns> returns_;
    std::uint32_t slot_ = 0;
    std::uint64_t sequence_ = 0;
};

// Where the newest frame of a path waits for somebody to look at it. Thread-safe; no call but
// wait() blocks for longer than the others take. Allocates nothing.
class FrameTap {
public:
    // The newest good frame, if one has come since the last call and its block still runs.
    HeldFrame take() noexcept;

    // The same, but blocks until one has come. Whoever still holds the one before (`holds`) gets
    // none once its block has ended but for that: drop it then. Nothing after close().
    std::optional<HeldFrame> wait(bool holds) noexcept;
    void close() noexcept;

    // The receiver's side: parks `newest` and returns the frame in whose place it came, if nobody
    // has taken that. Without `room` for one more, it comes only in the place of another, or back.
    HeldFrame offer(HeldFrame newest, bool room) noexcept;
    // The block has ended: what is parked, parked no more.
    HeldFrame withdraw() noexcept;

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    HeldFrame parked_;
    bool block_ended_ = false;
    bool closed_ = false;
};

} // namespace clearframe
