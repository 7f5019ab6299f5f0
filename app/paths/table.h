// The paths by name, and what they are built from.
#pragma once

#include "memory/copy.h"
#include "paths/path.h"
#include "paths/staging_pool.h"

#include <memory>
#include <span>
#include <string_view>

namespace clearframe {

// Which devices cannot reach private memory, on the staging path.
enum class Bounce {
    nic,  // only the NIC: one copy at each end, the kindest case
    both, // the GPU too: one more copy at each end
};

// What every path is built from. All references outlive the path.
struct PathParts {
    const Heap& shared_heap;
    const Heap& private_heap;
    Nic& nic;
    ExposureMeter& exposure;
    FrameLayout layout;
    std::uint32_t ring = 0;        // slots at each end
    std::uint32_t max_message = 0; // bytes in one write, as both ends can
    StagingOptions staging;
    Bounce bounce = Bounce::nic;
};

struct ReceiveMemory; // paths/receive_memory.h

struct PathType {
    std::string_view name; // "zero-copy"
    // Bytes of memory that both sides together will allocate.
    std::uint64_t (*memory)(const PathParts&) = nullptr;

    std::unique_ptr<SendPath> (*make_send)(const PathParts&, Endpoint&);
    std::unique_ptr<ReceivePath> (*make_receive)(const PathParts&, const ReceiveMemory&);
};

// The path that every other one is compared with.
inline constexpr std::string_view baseline_path = "staging";

// Every path.
std::span<const PathType> path_types();
// Null when there is none of that name.
const PathType* find_path(std::string_view name);

} // namespace clearframe
