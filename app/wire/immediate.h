// The 32 bits that travel with an RDMA write: what it was, which slot, which frame.
#pragma once

#include <cstdint>

namespace clearframe {

// What a write with immediate tells the other side.
enum class Message : std::uint32_t {
    frame = 0,  // to the receiver: the slot now holds this frame
    credit = 1, // to the sender: the slot is free again; it held this frame
    lost = 2,   // to the sender: this frame never came; its slot is free again
    end = 3,    // to the receiver: frames up to, not including, this sequence were sent
};

inline constexpr std::uint32_t max_slots = 256;
inline constexpr std::uint32_t sequence_bits = 22;
inline constexpr std::uint32_t sequence_mask = (1u << sequence_bits) - 1;

// Bits: 31-30 message, 29-22 slot, 21-0 the sequence's low bits. Every value decodes; whether
// slot and sequence make sense is for the receiver of it to check.
struct Immediate {
    Message message = Message::frame;
    std::uint32_t slot = 0;
    std::uint32_t sequence_low = 0;

    static constexpr Immediate of(Message message, std::uint32_t slot, std::uint64_t sequence) {
        return {message, slot, static_cast<std::uint32_t>(sequence) & sequence_mask};
    }
    constexpr std::uint32_t encode() const {
        return static_cast<std::uint32_t>(message) << 30 | (slot & 0xff) << sequence_bits |
               (sequence_low & sequence_mask);
    }
    static constexpr Immediate decode(std::uint32_t bits) {
        return {static_cast<Message>(bits >> 30), bits >> sequence_bits & 0xff,
                bits & sequence_mask};
    }
    bool operator==(const Immediate&) const = default;
};

// The sequence at or after `floor` whose low bits are `low`. A stream may run ahead of `floor` by
// less than 2^22 frames, which the ring (at most 256 slots) ensures by far.
constexpr std::uint64_t widen_sequence(std::uint32_t low, std::uint64_t floor) {
    const std::uint64_t step = (low - static_cast<std::uint32_t>(floor)) & sequence_mask;
    return floor + step;
}

} // namespace clearframe
