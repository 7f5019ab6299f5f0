// The fixed set of slots that a stream cycles through, and the lease on one of them.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace clearframe {

// Where a slot is on its way. A sender's goes free → rendering → ready → posted → free, a
// receiver's free → arrived → shown → free. From any of them a slot may go back to free.
enum class SlotState : std::uint8_t { free, rendering, ready, posted, arrived, shown };

class Ring;

// The right to one slot, held by one owner. Gives the slot back when destroyed. Move-only.
// Valid only as long as its ring.
class Lease {
public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();

    explicit operator bool() const noexcept { return ring_ != nullptr; }
    std::uint32_t slot() const noexcept { return slot_; }
    // How many times the slot had been leased before: a completion that carries another
    // generation belongs to an earlier use of the slot and must not free this one.
    std::uint32_t generation() const noexcept { return generation_; }

    SlotState state() const;
    // Moves the slot on. Throws std::logic_error for a step that the way of a slot does not have.
    void advance(SlotState next);
    // Gives the slot back now; the lease is empty afterwards.
    void release() noexcept;

private:
    friend class Ring;
    Lease(Ring* ring, std::uint32_t slot, std::uint32_t generation) noexcept
        : ring_(ring), slot_(slot), generation_(generation) {}

    Ring* ring_ = nullptr;
    std::uint32_t slot_ = 0;
    std::uint32_t generation_ = 0;
};

// Thread-safe; nothing blocks for longer than the other calls take. Allocates in its constructor
// alone. Must outlive its leases.
class Ring {
public:
    // Throws Error of usage unless 1 ≤ slots ≤ max_slots (wire/immediate.h).
    explicit Ring(std::uint32_t slots);
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(slots_.size()); }

    // The slot that has been free for longest, now in `state` (rendering or arrived); empty when
    // none is free.
    std::optional<Lease> acquire(SlotState state);
    // A certain slot, if it is free: for the receiver, where the sender has chosen it.
    std::optional<Lease> acquire_slot(std::uint32_t slot, SlotState state);

    std::uint32_t count(SlotState state) const;

private:
    friend class Lease;
    struct Slot {
        SlotState state = SlotState::free;
        std::uint32_t generation = 0;
        std::uint64_t freed = 0; // when it became free, in releases
    };

    Lease take(std::uint32_t slot, SlotState state); // under the lock, of a free slot
    void give_back(std::uint32_t slot) noexcept;

    mutable std::mutex mutex_;
    std::vector<Slot> slots_;
    std::uint64_t releases_ = 0;
};

} // namespace clearframe
