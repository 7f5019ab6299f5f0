#include "commands/parts.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace clearframe {
namespace {

constexpr const char* nic_heap_name = "nic";

Part describe(std::string_view kind, std::span<const Candidate> candidates, const Choice& choice) {
    const Candidate& chosen = candidates[choice.index];
    return {.kind = std::string(kind),
            .name = chosen.name,
            .detail = chosen.detail,
            .emulated = chosen.emulated,
            .emulation = chosen.emulation,
            .refused = choice.refused};
}

// How slots reach the GPU and what it draws into; a fallback with its reason.
std::string import_text(const GpuInfo& gpu) {
    std::string text = gpu.import == ImportKind::dma_buf
                           ? "imports the slots as dma-bufs"
                           : fmt::format("imports the slots' mappings through "
                                         "VK_EXT_external_memory_host (no dma-buf: {})",
                                         gpu.import_reason);
    if (gpu.target == TargetKind::image)
        text += gpu.uses_modifiers ? ", draws into images with the LINEAR modifier"
                                   : ", draws into LINEAR images";
    else
        text += fmt::format(", draws into buffers (no image: {})", gpu.target_reason);
    return text;
}

// Of the devices that a candidate stands for, what the one that was opened says of itself.
void describe_opened(Part& part, const NicInfo& nic) {
    if (!nic.detail.empty())
        part.detail = nic.detail;
    part.emulated = nic.emulated;
    if (!nic.emulated)
        part.emulation.clear();
    else if (!nic.emulation.empty())
        part.emulation = nic.emulation;
}

// What the NIC's driver allocates, by trying; the last that `auto` would take.
Candidate probe_nic_heap(Nic& nic) {
    Candidate candidate{.name = nic_heap_name,
                        .detail = "dma-bufs that the NIC's driver allocates"};
    try {
        const std::unique_ptr<Heap> heap = nic.open_heap();
        ExposureMeter meter;
        heap->allocate(1, Exposure::shared, meter);
        candidate.usable = true;
        candidate.emulated = !heap->is_shared_heap();
        if (candidate.emulated)
            candidate.emulation = "the NIC's memory plays shared memory: nothing changes what the "
                                  "host can read";
    } catch (const Error& error) {
        candidate.refusal = error.what();
        candidate.mend = error.advice();
    }
    return candidate;
}

void check_required(const PartRequests& requests, const std::vector<Part>& parts) {
    for (const Part& part : parts) {
        const bool required = std::find(requests.required.begin(), requests.required.end(),
                                        part.kind) != requests.required.end();
        if (!required || !part.emulated)
            continue;
        std::string reasons = part.emulation;
        for (const Refusal& refusal : part.refused)
            reasons += fmt::format("; {}: {}", refusal.name, refusal.reason);
        throw Error(
            Failure::unavailable,
            fmt::format("a real {} is required, but the best one here is {}", part.kind, part.name),
            reasons, {});
    }
}

} // namespace

bool validation_wanted() {
    const char* value = std::getenv("CLEARFRAME_VALIDATION");
    if (value)
        return std::string_view(value) == "1";
#ifdef NDEBUG
    return false;
#else
    return true;
#endif
}

PartRequests part_requests(const StreamOptions& options) {
    return {
        .heap = options.heap, .gpu = options.gpu, .nic = options.nic, .required = options.require};
}

void check_scene(Scene scene, const Part& gpu) {
    if (scene == Scene::none)
        return;
    std::string reasons;
    for (const Refusal& refusal : gpu.refused)
        reasons +=
            fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", refusal.name, refusal.reason);
    throw Error(Failure::unavailable,
                fmt::format("scene {} needs a GPU, and there is none", scene_name(scene)), reasons,
                "Use --scene none to measure the transport alone");
}

std::string resolve_gpu(std::string_view request, std::span<const Candidate> gpus) {
    std::size_t index = 0;
    const auto [end, error] =
        std::from_chars(request.data(), request.data() + request.size(), index);
    if (error == std::errc{} && end == request.data() + request.size() && index < gpus.size())
        return gpus[index].name;
    if (request.empty() || request == "auto")
        return "auto";

    std::vector<std::string> matches;
    for (const Candidate& gpu : gpus) {
        if (gpu.name == request)
            return gpu.name;
        if (gpu.name.find(request) != std::string::npos)
            matches.push_back(gpu.name);
    }
    if (matches.size() > 1)
        throw Error(Failure::usage, fmt::format("--gpu '{}' means more than one GPU", request), {},
                    fmt::format("Name one of: {}", fmt::join(matches, ", ")));
    return matches.empty() ? std::string(request) : matches.front();
}

Parts open_parts(const PartRequests& requests) {
    Parts parts;
    const std::vector<Candidate> nics = probe_nics_for(requests.nic);
    const Choice nic = choose("NIC", requests.nic.substr(0, requests.nic.find(':')), nics);
    parts.nic = open_nic(requests.nic, nics);
    Part nic_part = describe("nic", nics, nic);
    describe_opened(nic_part, parts.nic->info());

    std::vector<Candidate> heaps = probe_frame_heaps();
    parts.private_heap = open_heap(heaps[choose_private_heap(heaps).index].name);
    heaps.push_back(probe_nic_heap(*parts.nic));
    const Choice heap = choose("heap", requests.heap, heaps);
    parts.shared_heap = heaps[heap.index].name == nic_heap_name ? parts.nic->open_heap()
                                                                : open_heap(heaps[heap.index].name);

    const GpuOptions gpu_options{.validation = validation_wanted()};
    // Asked for none, no driver is loaded: a broken one can be stepped around.
    const std::vector<Candidate> gpus = requests.gpu == "none"
                                            ? std::vector{Gpu::none()}
                                            : Gpu::probe(*parts.shared_heap, gpu_options);
    const Choice gpu = choose("GPU", resolve_gpu(requests.gpu, gpus), gpus);
    if (gpus[gpu.index].name != "none")
        parts.gpu = std::make_unique<Gpu>(gpu.index, *parts.shared_heap, gpu_options);
    Part gpu_part = describe("gpu", gpus, gpu);
    if (parts.gpu)
        gpu_part.detail += "; " + import_text(parts.gpu->info());

    parts.described = {describe("heap", heaps, heap), std::move(gpu_part), std::move(nic_part)};
    check_required(requests, parts.described);
    return parts;
}

} // namespace clearframe
