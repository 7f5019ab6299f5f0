// Finding and opening the parts a stream is built on: the same for every command.
#pragma once

#include "commands/stream_options.h"
#include "gpu/gpu.h"
#include "measure/record.h"
#include "memory/heap.h"
#include "nic/nic.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clearframe {

// What was asked for, as on the command line.
struct PartRequests {
    std::string heap = "auto";
    std::string gpu = "auto"; // a name, part of one, or an index; "none"
    std::string nic = "auto";
    std::span<const std::string> required; // kinds that must be real: heap, gpu, nic
};

// What those options ask for; they must outlive it.
PartRequests part_requests(const StreamOptions& options);

// The opened parts, and how each was chosen. Destroyed in reverse.
struct Parts {
    std::unique_ptr<Nic> nic; // which may be what the heap takes its memory from
    std::unique_ptr<Heap> shared_heap;
    std::unique_ptr<Heap> private_heap;
    std::unique_ptr<Gpu> gpu;    // null: none
    std::vector<Part> described; // heap, gpu, nic
};

// Probes, chooses and opens. Throws Error: a name nobody has (usage), a part that was named or
// must be real and cannot be had (unavailable).
Parts open_parts(const PartRequests& requests);

// Whether Vulkan calls are to be checked: CLEARFRAME_VALIDATION=1, or a debug build.
bool validation_wanted();

// Throws Error of availability for a scene that is rendered, for a machine whose part `gpu` is
// none.
void check_scene(Scene scene, const Part& gpu);

// The name of the GPU that an index or a part of a name means; other texts as they are. Throws
// Error of usage if several match.
std::string resolve_gpu(std::string_view request, std::span<const Candidate> gpus);

} // namespace clearframe
