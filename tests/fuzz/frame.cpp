// What a receiver reads of a frame and of an immediate: memory and numbers that a peer writes.
#include "wire/frame.h"

#include "fuzz/target.h"
#include "wire/immediate.h"

#include <cstring>

namespace clearframe {

// Header, trailer and an immediate, out of the input's bytes.
void fuzz::one_input(std::span<const std::byte> input) {
    FrameHeader header{};
    FrameTrailer trailer{};
    std::uint32_t immediate = 0;
    std::uint64_t floor = 0;
    const auto take = [&](auto& value) {
        const std::size_t size = std::min(sizeof value, input.size());
        std::memcpy(&value, input.data(), size);
        input = input.subspan(size);
    };
    take(header);
    take(trailer);
    take(immediate);
    take(floor);

    const FrameLayout layout = make_frame_layout(64, 64, 256, 64);
    const StampFault fault = check_stamps(header, trailer, layout, Scene::waves, 1, 17);
    fuzz::require(!stamp_fault_text(fault).empty());
    if (fault == StampFault::none) {
        // Then nothing of it is left open.
        const FrameHeader expected =
            make_header(layout, Scene::waves, 1, {.sequence = 17, .time_ns = header.time_ns});
        fuzz::require(std::memcmp(&header, &expected, offsetof(FrameHeader, reserved)) == 0);
    }

    const Immediate decoded = Immediate::decode(immediate);
    fuzz::require(decoded.encode() == immediate);
    floor >>= 1;
    const std::uint64_t sequence = widen_sequence(decoded.sequence_low, floor);
    fuzz::require(sequence >= floor && sequence - floor <= sequence_mask);
    fuzz::require((sequence & sequence_mask) == decoded.sequence_low);
}

} // namespace clearframe
