#include "nic/emulated/queue_pair.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace clearframe {
namespace {

// A thread is woken at most once in this time while the engine has more to do. Waking costs some
// microseconds.
constexpr Nanoseconds moderation = 200'000;

Work work_of(const WriteRequest& request, Nanoseconds time) {
    Work work{.wr_id = request.wr_id,
              .remote_address = request.remote_address,
              .rkey = request.rkey,
              .length = request.length,
              .signaled = request.signaled,
              .immediate = request.immediate,
              .posted = time};
    if (request.length > 0) {
        work.lkey = request.local->lkey();
        work.local_address = request.local->address() + request.local_offset;
    }
    return work;
}

} // namespace

QueuePair::QueuePair(std::uint32_t depth, FaultSource frame_faults)
    : faults(frame_faults), depth_(depth), sends_(depth), outcomes_(2 * std::size_t{depth}) {}

std::size_t QueuePair::post(std::span<const WriteRequest> requests, Nanoseconds time) {
    const std::size_t count = std::min<std::size_t>(requests.size(), depth_ - sends_held_);
    for (const WriteRequest& request : requests.first(count))
        sends_.push(work_of(request, time));
    sends_held_ += static_cast<std::uint32_t>(count);
    return count;
}

void QueuePair::post_receives(std::uint32_t count, Nanoseconds due) {
    if (failure_polled_)
        throw Error(Failure::run, "NIC emulated: posting receives on a broken connection", {}, {});
    if (count > depth_ - receives_held_)
        throw Error(Failure::run,
                    fmt::format("NIC emulated: posting {} receives beside {}, over the limit of {}",
                                count, receives_held_, depth_),
                    {}, {});
    receives_ += count;
    receives_held_ += count;
    if (lost_)
        flush_receives(due);
}

std::size_t QueuePair::poll(std::span<Completion> completions) {
    const std::size_t count = std::min(completions.size(), shown_);
    for (Completion& completion : completions.first(count)) {
        const Outcome outcome = outcomes_.pop();
        completion = outcome.completion;
        sends_held_ -= outcome.sends;
        receives_held_ -= outcome.receives;
        failure_polled_ |= completion.status != WcStatus::success;
    }
    shown_ -= count;
    return count;
}

WaitResult QueuePair::wait(std::unique_lock<std::mutex>& lock, Nanoseconds timeout,
                           std::uint32_t at_least) {
    const Nanoseconds start = now();
    const Nanoseconds end = timeout < never - start ? start + timeout : never;
    const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(end)};
    woken_ = false;
    wanted_ = at_least;
    while (!cancelled_ && !nudged_ && !woken_ && !has_wanted()) {
        waiting_ = true;
        if (arrived.wait_until(lock, deadline) == std::cv_status::timeout)
            break;
    }
    waiting_ = false;
    const bool nudged = std::exchange(nudged_, false);
    if (cancelled_)
        return WaitResult::cancelled;
    return nudged || shown_ > 0 ? WaitResult::ready : WaitResult::timed_out;
}

void QueuePair::wake() {
    nudged_ = true;
    arrived.notify_one();
}

void QueuePair::cancel() {
    cancelled_ = true;
    arrived.notify_one();
}

void QueuePair::close() {
    closed_ = true;
    sends_.clear();
}

Work QueuePair::take_send() { return sends_.pop(); }

void QueuePair::complete_send(const Work& work, WcStatus status, Nanoseconds due) {
    ++silent_;
    if (!work.signaled && status == WcStatus::success)
        return;
    outcomes_.push({.completion = {.wr_id = work.wr_id, .status = status, .time = due},
                    .due = due,
                    .sends = std::exchange(silent_, 0)});
}

void QueuePair::complete_receive(std::uint32_t byte_len, std::uint32_t immediate, Nanoseconds due) {
    --receives_;
    outcomes_.push({.completion = {.opcode = WcOpcode::receive_with_immediate,
                                   .byte_len = byte_len,
                                   .immediate = immediate,
                                   .time = due},
                    .due = due,
                    .receives = 1});
}

void QueuePair::break_down(Nanoseconds due) {
    broken_ = true;
    lose_peer(due);
}

void QueuePair::lose_peer(Nanoseconds due) {
    lost_ = true;
    // A peer's word for when something shows must not hold up that it has failed.
    for (std::size_t i = shown_; i < outcomes_.size(); ++i)
        outcomes_[i].due = std::min(outcomes_[i].due, due);
    flush_receives(due);
}

void QueuePair::flush_receives(Nanoseconds due) {
    for (; receives_ > 0; --receives_)
        outcomes_.push({.completion = {.status = WcStatus::flushed,
                                       .opcode = WcOpcode::receive_with_immediate,
                                       .time = due},
                        .due = due,
                        .receives = 1});
}

bool QueuePair::publish(Nanoseconds time, bool quiet) {
    while (shown_ < outcomes_.size() && outcomes_[shown_].due <= time)
        ++shown_;
    if (!waiting_ || shown_ == 0 || (!quiet && (time < rest_until_ || !has_wanted())))
        return false;
    waiting_ = false;
    woken_ = true;
    rest_until_ = time + moderation;
    return true;
}

Nanoseconds QueuePair::next_event() const {
    const Nanoseconds due = shown_ < outcomes_.size() ? outcomes_[shown_].due : never;
    return waiting_ && has_wanted() ? std::min(due, rest_until_) : due;
}

} // namespace clearframe
