#include "pipeline/frame_tap.h"

#include "wire/immediate.h"

#include <algorithm>
#include <utility>

namespace clearframe {

SlotReturns::SlotReturns(Endpoint& endpoint) : endpoint_(&endpoint), slots_(max_slots) {}

void SlotReturns::give_back(std::uint32_t slot) noexcept {
    const std::lock_guard lock(mutex_);
    if (!endpoint_)
        return;
    slots_.push(slot);
    // Under the lock: the endpoint stays until close() has it.
    endpoint_->wake();
}

std::size_t SlotReturns::collect(std::span<std::uint32_t> slots) noexcept {
    const std::lock_guard lock(mutex_);
    const std::size_t count = std::min(slots_.size(), slots.size());
    for (std::uint32_t& slot : slots.first(count))
        slot = slots_.pop();
    return count;
}

void SlotReturns::close() noexcept {
    const std::lock_guard lock(mutex_);
    endpoint_ = nullptr;
}

HeldFrame& HeldFrame::operator=(HeldFrame&& other) noexcept {
    if (this == &other)
        return *this;
    drop();
    returns_ = std::move(other.returns_);
    slot_ = other.slot_;
    sequence_ = other.sequence_;
    return *this;
}

void HeldFrame::drop() noexcept {
    if (const auto returns = std::exchange(returns_, nullptr))
        returns->give_back(slot_);
}

HeldFrame FrameTap::take() noexcept {
    const std::lock_guard lock(mutex_);
    return std::move(parked_);
}

std::optional<HeldFrame> FrameTap::wait(bool holds) noexcept {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return parked_ || closed_ || (holds && block_ended_); });
    if (closed_)
        return std::nullopt;
    return std::move(parked_);
}

void FrameTap::close() noexcept {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    changed_.notify_all();
}

HeldFrame FrameTap::offer(HeldFrame newest, bool room) noexcept {
    {
        const std::lock_guard lock(mutex_);
        block_ended_ = false;
        if (parked_ || room)
            std::swap(parked_, newest);
    }
    changed_.notify_all();
    return newest;
}

HeldFrame FrameTap::withdraw() noexcept {
    HeldFrame parked;
    {
        const std::lock_guard lock(mutex_);
        block_ended_ = true;
        parked = std::move(parked_);
    }
    changed_.notify_all();
    return parked;
}

} // namespace clearframe
