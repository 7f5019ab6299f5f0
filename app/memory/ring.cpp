#include "memory/ring.h"

#include "core/error.h"
#include "wire/immediate.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace clearframe {
namespace {

bool is_step(SlotState from, SlotState to) {
    switch (to) {
    case SlotState::rendering:
    case SlotState::arrived:
        return from == SlotState::free;
    case SlotState::ready:
        return from == SlotState::rendering;
    case SlotState::posted:
        return from == SlotState::ready;
    case SlotState::shown:
        return from == SlotState::arrived;
    case SlotState::free: // by release alone
        break;
    }
    return false;
}

} // namespace

Lease::Lease(Lease&& other) noexcept
    : ring_(std::exchange(other.ring_, nullptr)),
      slot_(other.slot_),
      generation_(other.generation_) {}

Lease& Lease::operator=(Lease&& other) noexcept {
    if (this == &other)
        return *this;
    release();
    ring_ = std::exchange(other.ring_, nullptr);
    slot_ = other.slot_;
    generation_ = other.generation_;
    return *this;
}

Lease::~Lease() { release(); }

SlotState Lease::state() const {
    if (!ring_)
        throw std::logic_error("an empty lease has no state");
    const std::lock_guard lock(ring_->mutex_);
    return ring_->slots_[slot_].state;
}

void Lease::advance(SlotState next) {
    if (!ring_)
        throw std::logic_error("an empty lease has no slot to advance");
    const std::lock_guard lock(ring_->mutex_);
    SlotState& state = ring_->slots_[slot_].state;
    if (!is_step(state, next))
        throw std::logic_error("a step that the way of a slot does not have");
    state = next;
}

void Lease::release() noexcept {
    if (Ring* const ring = std::exchange(ring_, nullptr))
        ring->give_back(slot_);
}

Ring::Ring(std::uint32_t slots) {
    if (slots < 1 || slots > max_slots)
        throw Error(Failure::usage, fmt::format("a ring of {} slots", slots), {},
                    fmt::format("Take --ring 1 to {}", max_slots));
    slots_.resize(slots);
}

std::optional<Lease> Ring::acquire(SlotState state) {
    const std::lock_guard lock(mutex_);
    const Slot* oldest = nullptr;
    for (const Slot& slot : slots_)
        if (slot.state == SlotState::free && (!oldest || slot.freed < oldest->freed))
            oldest = &slot;
    if (!oldest)
        return std::nullopt;
    return take(static_cast<std::uint32_t>(oldest - slots_.data()), state);
}

std::optional<Lease> Ring::acquire_slot(std::uint32_t slot, SlotState state) {
    const std::lock_guard lock(mutex_);
    if (slot >= slots_.size() || slots_[slot].state != SlotState::free)
        return std::nullopt;
    return take(slot, state);
}

std::uint32_t Ring::count(SlotState state) const {
    const std::lock_guard lock(mutex_);
    std::uint32_t count = 0;
    for (const Slot& slot : slots_)
        count += slot.state == state;
    return count;
}

Lease Ring::take(std::uint32_t slot, SlotState state) {
    if (!is_step(SlotState::free, state))
        throw std::logic_error("a slot is acquired to be rendered to or as one that arrived");
    slots_[slot].state = state;
    return {this, slot, slots_[slot].generation++};
}

void Ring::give_back(std::uint32_t slot) noexcept {
    const std::lock_guard lock(mutex_);
    slots_[slot].state = SlotState::free;
    slots_[slot].freed = ++releases_;
}

} // namespace clearframe
