#include "pipeline/sender.h"

#include "core/error.h"
#include "core/units.h"
#include "measure/timer.h"
#include "wire/immediate.h"

#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

constexpr std::size_t completions_at_once = 64;
// A block's first frame only starts the clock: it takes a second one to measure anything.
constexpr std::uint64_t least_frames = 2;

} // namespace

Sender::Sender(Endpoint& endpoint, std::span<const RemoteSlot> remote, Nanoseconds patience)
    : endpoint_(endpoint),
      patience_(patience),
      remotes_(remote.size()),
      drawn_(max_slots),
      free_remotes_(remote.size()),
      completions_(completions_at_once) {
    for (std::uint32_t slot = 0; slot < remote.size(); ++slot) {
        remotes_[slot].memory = remote[slot];
        free_remotes_.push(slot);
    }
    // One message comes back for every frame in flight.
    endpoint_.post_receives(static_cast<std::uint32_t>(remote.size()));
}

void Sender::run_block(Lane lane, const BlockPlan& plan) {
    const CpuTimer timer(lane.meter.cpu_ns);
    const Nanoseconds driver_cpu = lane.source.driver_cpu();
    if (lane.credited)
        lane.credited->throughput.start_block();
    begun_in_block_ = 0;
    all_begun_ = end_posted_ = false;
    while (true) {
        reap(lane);
        begin_frames(lane, plan);
        note_rendered(lane);
        const Waits waits = post_frames(lane);
        if (end_posted_ && at_rest())
            break;
        sleep(lane, waits);
    }
    lane.meter.cpu_gpu_ns.add(static_cast<std::uint64_t>(lane.source.driver_cpu() - driver_cpu));
}

// Gives the GPU every free slot, so that it never waits for this thread while there is one.
void Sender::begin_frames(Lane& lane, const BlockPlan& plan) {
    while (!all_begun_) {
        const Nanoseconds time = now();
        const bool over = time >= plan.until || (plan.cut && plan.cut->load());
        all_begun_ = stopped() || begun_in_block_ == plan.frames ||
                     (over && begun_in_block_ >= least_frames);
        if (all_begun_)
            return;
        std::optional<Lease> lease = lane.ring.acquire(SlotState::rendering);
        if (!lease)
            return;
        const FrameStamp stamp{next_sequence_, static_cast<std::uint64_t>(time)};
        lane.source.begin(lease->slot(), stamp);
        drawn_.push({.lease = std::move(*lease), .sequence = stamp.sequence, .begun = time});
        ++next_sequence_;
        ++begun_in_block_;
    }
}

// Posts finished frames in order, as far as the GPU, the receiver's slots and the path allow.
Sender::Waits Sender::post_frames(Lane& lane) {
    while (!drawn_.empty()) {
        Drawn& frame = drawn_.front();
        if (rendered_ == 0)
            return free_remotes_.empty() ? Waits::for_completion : Waits::for_gpu;
        if (!aim(frame) || lane.path.advance(frame.outgoing, lane.meter) == Progress::blocked)
            return Waits::for_completion;
        posted(lane, frame);
    }
    if (all_begun_ && !end_posted_)
        post_end();
    return Waits::for_completion;
}

// Asks after the frames that the GPU has not finished yet. It draws one after the other: a frame's
// time is counted from when the one before was done.
void Sender::note_rendered(Lane& lane) {
    for (; rendered_ < drawn_.size(); ++rendered_) {
        Drawn& frame = drawn_[rendered_];
        if (!lane.source.wait(frame.lease.slot(), 0))
            return;
        const Nanoseconds time = now();
        frame.lease.advance(SlotState::ready);
        lane.meter.render.record(time - std::max(frame.begun, last_rendered_));
        last_rendered_ = time;
    }
}

// Finds the frame a slot at the receiver.
bool Sender::aim(Drawn& frame) {
    if (frame.aimed)
        return true;
    if (free_remotes_.empty())
        return false;
    const std::uint32_t slot = free_remotes_.pop();
    Remote& remote = remotes_[slot];
    remote.busy = true;
    remote.written = remote.credited = false;
    remote.sequence = frame.sequence;
    remote.begun = frame.begun;
    remote.bytes = 0;
    ++remote.generation;
    frame.outgoing.slot = frame.lease.slot();
    frame.outgoing.remote = remote.memory;
    frame.outgoing.tag = {.generation = remote.generation, .remote_slot = slot};
    frame.outgoing.immediate = Immediate::of(Message::frame, slot, frame.sequence).encode();
    frame.aimed = true;
    return true;
}

void Sender::posted(Lane& lane, Drawn& frame) {
    Remote& remote = remotes_[frame.outgoing.tag.remote_slot];
    remote.bytes = frame.outgoing.done;
    remote.first_post = frame.outgoing.first_post;
    frame.lease.advance(SlotState::posted);
    if (lane.path.frees_slot_when_posted())
        frame.lease.release();
    remote.lease = std::move(frame.lease);

    lane.meter.frames.add();
    lane.meter.bytes.add(frame.outgoing.done);
    lane.meter.post.record(frame.outgoing.post_ns);
    if (frame.outgoing.copy_ns > 0)
        lane.meter.copy.record(frame.outgoing.copy_ns);
    drawn_.pop();
    --rendered_;
}

// Tells the receiver how far this block went, so that it notices if the last frames are missing.
void Sender::post_end() {
    WriteRequest request;
    request.wr_id = WriteTag{.control = true}.encode();
    request.immediate = Immediate::of(Message::end, 0, next_sequence_).encode();
    end_posted_ = endpoint_.post({&request, 1}) == 1;
    end_completed_ = !end_posted_;
}

// A block is at rest once its frames are: the completion of the write that told its end may be
// left.
void Sender::drain() {
    while (!end_completed_) {
        await_completions(1);
        const std::size_t count = endpoint_.poll(completions_);
        for (const Completion& completion : std::span(completions_).first(count)) {
            check_status(completion);
            end_completed_ |= completion.opcode == WcOpcode::rdma_write &&
                              WriteTag::decode(completion.wr_id).control;
        }
    }
}

void Sender::reap(Lane& lane) {
    std::size_t count;
    do {
        count = endpoint_.poll(completions_);
        std::uint32_t messages = 0;
        for (const Completion& completion : std::span(completions_).first(count)) {
            check_status(completion);
            if (completion.opcode == WcOpcode::rdma_write) {
                write_completed(lane, completion);
            } else {
                message_arrived(lane, completion);
                ++messages;
            }
        }
        if (messages > 0)
            endpoint_.post_receives(messages);
    } while (count == completions_.size());
}

void Sender::check_status(const Completion& completion) const {
    if (completion.status == WcStatus::success)
        return;
    const WriteTag tag = WriteTag::decode(completion.wr_id);
    std::string what = "NIC: work on the connection failed";
    if (completion.opcode == WcOpcode::rdma_write && !tag.control &&
        tag.remote_slot < remotes_.size())
        what = fmt::format("NIC: sending frame {} to slot {} failed",
                           remotes_[tag.remote_slot].sequence, tag.remote_slot);
    throw Error(Failure::run, what,
                completion.vendor_error == 0
                    ? wc_status_text(completion.status)
                    : fmt::format("{}, vendor error {:#x}", wc_status_text(completion.status),
                                  completion.vendor_error),
                "The connection is broken: start the stream again");
}

void Sender::write_completed(Lane& lane, const Completion& completion) {
    const WriteTag tag = WriteTag::decode(completion.wr_id);
    if (tag.control) {
        end_completed_ = true;
        return;
    }
    if (tag.remote_slot >= remotes_.size() || !remotes_[tag.remote_slot].busy ||
        remotes_[tag.remote_slot].generation != tag.generation) {
        lane.meter.stale_completions.add();
        return;
    }
    lane.path.completed(tag);
    if (!tag.last)
        return;
    Remote& remote = remotes_[tag.remote_slot];
    // This thread may have slept on the GPU since: the NIC knows better when it was done.
    const Nanoseconds time = now();
    const Nanoseconds done =
        completion.time == 0 ? time : std::clamp(completion.time, remote.first_post, time);
    lane.meter.wire.record(done - remote.first_post);
    remote.lease.release();
    remote.written = true;
    settle(tag.remote_slot);
}

void Sender::message_arrived(Lane& lane, const Completion& completion) {
    const Immediate message = Immediate::decode(completion.immediate);
    const auto holds = [&](const Remote& remote) {
        return remote.busy && !remote.credited &&
               (remote.sequence & sequence_mask) == message.sequence_low;
    };
    const auto remote = std::find_if(remotes_.begin(), remotes_.end(), holds);
    const bool sensible =
        remote != remotes_.end() &&
        (message.message == Message::lost ||
         (message.message == Message::credit && remote - remotes_.begin() == message.slot));
    if (!sensible)
        throw Error(Failure::run,
                    fmt::format("the receiver sent a message that fits no frame in flight "
                                "(immediate {:#010x})",
                                completion.immediate),
                    {}, "It is another version of the program, or broken");
    if (message.message == Message::lost)
        lane.meter.lost.add();
    else if (lane.credited)
        count_credit(*lane.credited, *remote);
    remote->credited = true;
    settle(static_cast<std::uint32_t>(remote - remotes_.begin()));
}

void Sender::count_credit(ReceiveMeter& meter, const Remote& remote) {
    const Nanoseconds time = now();
    meter.throughput.arrived(remote.bytes, time);
    meter.latency.record(time - remote.begun);
}

// A slot at the receiver is free once it said so and the NIC is done with the write.
void Sender::settle(std::uint32_t slot) {
    Remote& remote = remotes_[slot];
    if (!remote.written || !remote.credited)
        return;
    remote.busy = false;
    free_remotes_.push(slot);
}

// A frame takes two completions to come to rest. For one frame alone it is not worth waking up
// while others are still on their way.
std::uint32_t Sender::worth_waking_for() const {
    const auto ring = static_cast<std::uint32_t>(remotes_.size());
    const auto in_flight = static_cast<std::uint32_t>(ring - free_remotes_.size());
    return 2 * std::clamp(in_flight / 2, 1u, std::max(1u, ring / 4));
}

void Sender::sleep(Lane& lane, Waits waits) {
    if (waits == Waits::for_gpu) {
        const Drawn& frame = drawn_.front();
        if (!lane.source.wait(frame.lease.slot(), patience_))
            throw Error(Failure::run,
                        fmt::format("GPU: frame {} was not finished within {}", frame.sequence,
                                    duration_text(static_cast<double>(patience_))),
                        {}, "A smaller --size or a longer --timeout may help");
        return;
    }
    lane.meter.blocked_waits.add();
    await_completions(worth_waking_for());
}

void Sender::await_completions(std::uint32_t at_least) {
    switch (endpoint_.wait(patience_, at_least)) {
    case WaitResult::ready:
        return;
    case WaitResult::cancelled:
        throw Error(Failure::run, "the stream was cancelled", {}, {});
    case WaitResult::timed_out:
        throw Error(Failure::run,
                    fmt::format("NIC: nothing completed for {} with {} frames in flight",
                                duration_text(static_cast<double>(patience_)),
                                remotes_.size() - free_remotes_.size()),
                    {}, "The link or the receiver has stopped; a longer --timeout waits longer");
    }
}

} // namespace clearframe
