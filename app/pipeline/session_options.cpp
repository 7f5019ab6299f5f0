#include "pipeline/session_options.h"

#include <algorithm>

namespace clearframe {

PathParts make_path_parts(const SessionOptions& options, const SessionParts& parts,
                          const FrameLayout& layout, std::uint32_t max_message) {
    return {
        .shared_heap = parts.shared_heap,
        .private_heap = parts.private_heap,
        .nic = parts.nic,
        .exposure = parts.exposure,
        .layout = layout,
        .ring = options.ring,
        .max_message = max_message,
        .staging = options.staging,
        .bounce = options.bounce,
    };
}

// Every frame of a full ring in pieces, and a message for each. For very large frames fewer: with
// so many under way, waiting for one of them costs nothing.
std::uint32_t writes_in_flight(const FrameLayout& layout, std::uint32_t ring) {
    const std::uint64_t pieces = layout.bytes / swiotlb_mapping + 2;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(pieces * ring, 16384));
}

} // namespace clearframe
