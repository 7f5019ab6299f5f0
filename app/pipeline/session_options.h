// What both ends of a stream are set up by.
#pragma once

#include "memory/heap.h"
#include "nic/nic.h"
#include "paths/table.h"
#include "pipeline/verifier.h"

#include <cstdint>
#include <span>
#include <vector>

namespace clearframe {

class Gpu;

struct SessionOptions {
    std::uint32_t width = 0, height = 0; // pixels
    std::uint32_t ring = 0;              // slots at each end, 1 … max_slots
    std::uint32_t seed = 0;
    Verify verify = Verify::sampled;
    Bounce bounce = Bounce::nic;
    StagingOptions staging;
    Nanoseconds patience = 0; // how long nothing may move
    std::vector<const PathType*> paths;
};

// What a stream is built on. All of it outlives the stream.
struct SessionParts {
    const Heap& shared_heap;
    const Heap& private_heap;
    Gpu* gpu = nullptr; // null: no GPU, scene `none` alone
    Nic& nic;
    ExposureMeter& exposure;
};

// What the paths of a stream are built from; `max_message` is the lesser of both NICs'.
PathParts make_path_parts(const SessionOptions& options, const SessionParts& parts,
                          const FrameLayout& layout, std::uint32_t max_message);

// Writes that may be outstanding on one end.
std::uint32_t writes_in_flight(const FrameLayout& layout, std::uint32_t ring);

} // namespace clearframe
