#include "pipeline/receiver.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

constexpr std::size_t completions_at_once = 64;

} // namespace

Receiver::Receiver(Endpoint& endpoint, const ReceiveMemory& memory)
    : endpoint_(endpoint),
      memory_(memory),
      ring_(static_cast<std::uint32_t>(memory.buffers.size())),
      held_(ring_.size()),
      returns_(std::make_shared<SlotReturns>(endpoint)),
      returned_(ring_.size()),
      signal_every_(std::max(1u, endpoint.limits().send_queue / 4)),
      completions_(completions_at_once) {
    // A frame for every slot, and the ends of two blocks.
    endpoint_.post_receives(ring_.size() + 2);
}

Receiver::~Receiver() { returns_->close(); }

void Receiver::set_lane(const ReceiveLane& lane) {
    const std::lock_guard lock(lane_mutex_);
    lane_ = lane;
}

ReceiveLane Receiver::lane() {
    const std::lock_guard lock(lane_mutex_);
    return lane_;
}

void Receiver::run() {
    // The sender is the one who notices that a stream has stopped.
    while (!closed_ && endpoint_.wait(one_hour) != WaitResult::cancelled) {
        std::size_t count;
        do {
            // First: it makes room for what has arrived.
            credit_returned();
            count = endpoint_.poll(completions_);
            // A block begins only when the one before has come to rest: all frames of a batch are
            // of one lane.
            const ReceiveLane present = lane();
            const auto batch = std::span(completions_).first(count);
            replenish(batch);
            for (const Completion& completion : batch)
                handle(present, completion);
        } while (!closed_ && count == completions_.size());
    }
}

// Before any slot of the batch is given back: the sender may use it at once.
void Receiver::replenish(std::span<const Completion> batch) {
    std::uint32_t receives = 0;
    for (const Completion& completion : batch) {
        if (completion.status != WcStatus::success)
            return; // nothing more will come
        receives += completion.opcode == WcOpcode::receive_with_immediate;
    }
    endpoint_.post_receives(receives);
}

void Receiver::handle(const ReceiveLane& lane, const Completion& completion) {
    if (completion.status != WcStatus::success) {
        closed_ = true;
        // Flushed: the other side has ended the connection, and says why.
        if (completion.status != WcStatus::flushed)
            throw Error(Failure::run, "NIC: receiving failed", wc_status_text(completion.status),
                        "The connection is broken: start the stream again");
        return;
    }
    if (completion.opcode != WcOpcode::receive_with_immediate)
        return;
    const Immediate immediate = Immediate::decode(completion.immediate);
    const std::uint64_t sequence = widen_sequence(immediate.sequence_low, expected_);
    // No more frames than slots can be under way.
    const bool plausible = sequence - expected_ <= ring_.size();
    if (immediate.message == Message::end && plausible)
        end_block(lane, sequence);
    else if (immediate.message == Message::frame && plausible)
        frame_arrived(lane, completion, immediate.slot, sequence);
    else
        lane.meter->rejected.add();
}

void Receiver::frame_arrived(const ReceiveLane& lane, const Completion& completion,
                             std::uint32_t slot, std::uint64_t sequence) {
    std::optional<Lease> lease = ring_.acquire_slot(slot, SlotState::arrived);
    if (!lease) {
        lane.meter->rejected.add();
        return;
    }
    give_up_until(lane, sequence);
    expected_ = sequence + 1;
    lane.meter->frames.add();
    bool good = false;
    if (completion.byte_len == lane.path->last_write_bytes())
        good = use(lane, *lease, sequence);
    else
        corrupt(lane, {.kind = FrameFault::Kind::length,
                       .sequence = sequence,
                       .slot = slot,
                       .found = completion.byte_len,
                       .expected = lane.path->last_write_bytes()});
    if (good && lane.tap)
        return park(*lane.tap, std::move(*lease), sequence);
    lease->release();
    tell(Message::credit, slot, sequence);
}

// Makes the frame usable, and says whether it is as it must be.
bool Receiver::use(const ReceiveLane& lane, Lease& lease, std::uint64_t sequence) {
    const CpuAccess access(memory_.buffers[lease.slot()], Access::read);
    const FrameView frame = lane.path->receive(lease.slot(), *lane.meter);
    const Nanoseconds usable = now();
    lane.meter->throughput.arrived(frame.size(), usable);
    lease.advance(SlotState::shown);

    const Verifier::Verdict verdict = lane.verifier->verify(frame, sequence, lease.slot());
    lane.meter->verify.record(now() - usable);
    lane.meter->verified_pixels.add(verdict.pixels);
    if (verdict.fault) {
        corrupt(lane, *verdict.fault);
        return false;
    }
    const auto begun = static_cast<Nanoseconds>(verdict.time_ns);
    if (lane.same_clock && begun > 0 && begun <= usable)
        lane.meter->latency.record(usable - begun);
    if (lane.viewer)
        (*lane.viewer)(frame, sequence);
    return true;
}

// The newest frame waits in the tap, and the one that waited there is given back. One slot at least
// is left to the sender, however many frames are looked at.
void Receiver::park(FrameTap& tap, Lease lease, std::uint64_t sequence) {
    const std::uint32_t slot = lease.slot();
    const bool room = held_count_ + 1 < ring_.size();
    held_[slot] = {std::move(lease), sequence};
    ++held_count_;
    credit_frame(tap.offer(HeldFrame(returns_, slot, sequence), room));
}

// A frame that nobody has looked at.
void Receiver::credit_frame(HeldFrame frame) {
    if (!frame)
        return;
    frame.forget();
    credit_slot(frame.slot());
}

// The frames that were looked at.
void Receiver::credit_returned() {
    const std::size_t count = returns_->collect(returned_);
    for (const std::uint32_t slot : std::span(returned_).first(count))
        credit_slot(slot);
}

void Receiver::credit_slot(std::uint32_t slot) {
    held_[slot].lease.release();
    --held_count_;
    tell(Message::credit, slot, held_[slot].sequence);
}

void Receiver::corrupt(const ReceiveLane& lane, const FrameFault& fault) {
    lane.meter->corrupt.add();
    faults_.add(fault);
}

// A frame that nobody has taken by now does not keep the block from coming to rest.
void Receiver::end_block(const ReceiveLane& lane, std::uint64_t sequence) {
    give_up_until(lane, sequence);
    if (lane.tap)
        credit_frame(lane.tap->withdraw());
}

// Frames before `sequence` that have not come will not come any more: writes arrive in order.
void Receiver::give_up_until(const ReceiveLane& lane, std::uint64_t sequence) {
    for (; expected_ < sequence; ++expected_) {
        lane.meter->lost.add();
        faults_.add({.kind = FrameFault::Kind::lost, .sequence = expected_});
        tell(Message::lost, 0, expected_);
    }
}

void Receiver::tell(Message message, std::uint32_t slot, std::uint64_t sequence) {
    WriteRequest request;
    request.wr_id = WriteTag{.control = true}.encode();
    request.immediate = Immediate::of(message, slot, sequence).encode();
    // A completion now and then keeps the send queue going; one for each would wake this thread.
    request.signaled = ++told_ % signal_every_ == 0;
    if (endpoint_.post({&request, 1}) == 0)
        throw Error(Failure::run,
                    fmt::format("NIC: no room to give slot {} back to the sender", slot), {},
                    "The sender does not take its credits");
}

} // namespace clearframe
