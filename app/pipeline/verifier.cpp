#include "pipeline/verifier.h"

#include "core/hash.h"
#include "core/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace clearframe {
namespace {

constexpr std::size_t bytes_per_sample = 128 * KiB;

} // namespace

std::string_view verify_name(Verify verify) {
    switch (verify) {
    case Verify::off:
        return "off";
    case Verify::sampled:
        return "sampled";
    case Verify::full:
        return "full";
    }
    return "unknown";
}

std::optional<Verify> verify_from_name(std::string_view name) {
    for (const Verify verify : {Verify::off, Verify::sampled, Verify::full})
        if (verify_name(verify) == name)
            return verify;
    return std::nullopt;
}

std::string fault_text(const FrameFault& fault) {
    switch (fault.kind) {
    case FrameFault::Kind::lost:
        return fmt::format("frame {} never arrived", fault.sequence);
    case FrameFault::Kind::stamp:
        return fmt::format("frame {} (slot {}): {}; its header says frame {}", fault.sequence,
                           fault.slot, stamp_fault_text(fault.stamp), fault.found_sequence);
    case FrameFault::Kind::pixel:
        return fmt::format("frame {} (slot {}): pixel ({}, {}) is {:#010x}, must be {:#010x}",
                           fault.sequence, fault.slot, fault.x, fault.y, fault.found,
                           fault.expected);
    case FrameFault::Kind::length:
        return fmt::format("frame {} (slot {}): its last write was {} bytes, must be {}",
                           fault.sequence, fault.slot, fault.found, fault.expected);
    }
    return {};
}

Verifier::Verifier(const FrameLayout& layout, Scene scene, std::uint32_t seed, Verify verify)
    : layout_(layout), scene_(scene), seed_(seed), verify_(verify) {
    const std::uint64_t pixel_bytes = std::uint64_t{layout.width} * layout.height * bytes_per_pixel;
    if (verify == Verify::sampled) {
        points_.resize(std::max<std::uint64_t>(1, pixel_bytes / bytes_per_sample));
        // No picture has more pixels than 32 bits count.
        const std::uint64_t pixels = pixel_bytes / bytes_per_pixel;
        for (std::size_t i = 0; i <= points_.size(); ++i)
            parts_.push_back(static_cast<std::uint32_t>(pixels * i / points_.size()));
    }
    const std::size_t at_once = verify == Verify::full ? layout.width : points_.size();
    expected_.resize(at_once);
    found_.resize(at_once);
}

Verifier::Verdict Verifier::verify(std::span<const std::byte> frame, std::uint64_t sequence,
                                   std::uint32_t slot) {
    FrameHeader header;
    std::memcpy(&header, frame.data(), sizeof(header));
    Verdict verdict{.time_ns = header.time_ns};
    if (verify_ == Verify::off)
        return verdict;

    FrameTrailer trailer;
    std::memcpy(&trailer, frame.data() + layout_.trailer_offset, sizeof(trailer));
    const StampFault stamp = check_stamps(header, trailer, layout_, scene_, seed_, sequence);
    // The slots of the scene `none` are filled once, all alike.
    picture_ = scene_ == Scene::none ? 0 : sequence;
    if (stamp != StampFault::none)
        verdict.fault = FrameFault{
            .kind = FrameFault::Kind::stamp, .stamp = stamp, .found_sequence = header.sequence};
    else if (verify_ == Verify::sampled)
        compare_samples(frame, sequence, verdict);
    else
        compare_all(frame, verdict);
    if (verdict.fault) {
        verdict.fault->sequence = sequence;
        verdict.fault->slot = slot;
    }
    return verdict;
}

void Verifier::set_pixel_fault(Verdict& verdict, std::uint32_t x, std::uint32_t y,
                               std::uint32_t found, std::uint32_t expected) const {
    verdict.fault = FrameFault{
        .kind = FrameFault::Kind::pixel, .x = x, .y = y, .found = found, .expected = expected};
}

// Where pixel `at` lies in a frame.
std::size_t Verifier::offset_of(Point at) const {
    return layout_.pixel_offset + std::size_t{at.y} * layout_.stride +
           std::size_t{at.x} * bytes_per_pixel;
}

// One pixel of each of as many equal parts of the picture, another one in each frame.
void Verifier::place_samples(std::uint64_t sequence) {
    for (std::size_t i = 0; i < points_.size(); ++i) {
        const std::uint64_t random = mix32(static_cast<std::uint32_t>(sequence * 977 + i));
        const std::uint32_t begin = parts_[i];
        const auto pixel =
            static_cast<std::uint32_t>(begin + (random * (parts_[i + 1] - begin) >> 32));
        points_[i] = {pixel % layout_.width, pixel / layout_.width};
    }
}

void Verifier::compare_samples(std::span<const std::byte> frame, std::uint64_t sequence,
                               Verdict& verdict) {
    place_samples(sequence);
    // The reads miss every cache. Asked for here, they come while it is computed what they must be.
    for (const Point at : points_)
        __builtin_prefetch(frame.data() + offset_of(at));
    scene_pixels(scene_, seed_, picture_, layout_.width, layout_.height, points_, expected_);
    for (std::size_t i = 0; i < points_.size(); ++i)
        std::memcpy(&found_[i], frame.data() + offset_of(points_[i]), bytes_per_pixel);
    verdict.pixels = points_.size();
    const auto [found, expected] = std::mismatch(found_.begin(), found_.end(), expected_.begin());
    if (found != found_.end()) {
        const Point at = points_[static_cast<std::size_t>(found - found_.begin())];
        set_pixel_fault(verdict, at.x, at.y, *found, *expected);
    }
}

void Verifier::compare_all(std::span<const std::byte> frame, Verdict& verdict) {
    const std::size_t row_bytes = std::size_t{layout_.width} * bytes_per_pixel;
    for (std::uint32_t y = 0; y < layout_.height; ++y) {
        std::memcpy(found_.data(),
                    frame.data() + layout_.pixel_offset + std::uint64_t{y} * layout_.stride,
                    row_bytes);
        scene_row(scene_, seed_, picture_, layout_.height, y, expected_);
        verdict.pixels += layout_.width;
        const auto [found, expected] =
            std::mismatch(found_.begin(), found_.end(), expected_.begin());
        if (found != found_.end())
            return set_pixel_fault(verdict, static_cast<std::uint32_t>(found - found_.begin()), y,
                                   *found, *expected);
    }
}

} // namespace clearframe
