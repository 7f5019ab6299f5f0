// Holding a received frame against what it must be.
#pragma once

#include "gpu/scene.h"
#include "wire/frame.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clearframe {

enum class Verify {
    off,     // nothing is looked at
    sampled, // both stamps, and one pixel of every 128 KiB, another one in each frame
    full,    // both stamps and every pixel
};
std::string_view verify_name(Verify verify);
std::optional<Verify> verify_from_name(std::string_view name);

// What was wrong with one frame. Small and fixed in size: kept without allocating.
struct FrameFault {
    enum class Kind { lost, stamp, pixel, length } kind = Kind::stamp;
    std::uint64_t sequence = 0;
    std::uint32_t slot = 0;                // the receiver's; not for lost
    StampFault stamp = StampFault::none;   // kind stamp
    std::uint64_t found_sequence = 0;      // kind stamp: what the header says
    std::uint32_t x = 0, y = 0;            // kind pixel
    std::uint32_t found = 0, expected = 0; // kind pixel: BGRA8; kind length: bytes
};
// "frame 17 (slot 1): pixel (12, 40) is 0xff102030, must be 0xff102031".
std::string fault_text(const FrameFault& fault);

// Verifies frames of one stream's scene. Used by one thread. Allocates in its constructor alone.
class Verifier {
public:
    Verifier(const FrameLayout& layout, Scene scene, std::uint32_t seed, Verify verify);

    struct Verdict {
        std::uint64_t time_ns = 0; // as the header says; checked unless Verify::off
        std::uint64_t pixels = 0;  // compared
        std::optional<FrameFault> fault;
    };
    // `frame` may be memory that a peer can change meanwhile: each word of it is read once.
    Verdict verify(std::span<const std::byte> frame, std::uint64_t sequence, std::uint32_t slot);

private:
    std::size_t offset_of(Point at) const;
    void place_samples(std::uint64_t sequence);
    void compare_samples(std::span<const std::byte> frame, std::uint64_t sequence,
                         Verdict& verdict);
    void compare_all(std::span<const std::byte> frame, Verdict& verdict);
    void set_pixel_fault(Verdict& verdict, std::uint32_t x, std::uint32_t y, std::uint32_t found,
                         std::uint32_t expected) const;

    FrameLayout layout_;
    Scene scene_;
    std::uint32_t seed_;
    Verify verify_;
    std::uint64_t picture_ = 0;           // the sequence that the pixels follow from
    std::vector<std::uint32_t> parts_;    // sampled: of which pixels each sample is one
    std::vector<Point> points_;           // sampled
    std::vector<std::uint32_t> expected_; // of the samples, or of a row
    std::vector<std::uint32_t> found_;
};

} // namespace clearframe
