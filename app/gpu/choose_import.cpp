#include "gpu/choose_import.h"

#include <fmt/format.h>

namespace clearframe {
namespace {

// A frame that is cheap to allocate and has rows, padding and both stamps like any other.
constexpr std::uint32_t trial_side = 64;

void choose_target(const GpuDevice& device, std::optional<TargetKind> wanted, ImportMethod& method,
                   GpuInfo& info) {
    method.modifiers = method.handle == HandleType::eDmaBufEXT &&
                       device.has_extension(VK_EXT_IMAGE_DRM_FORMAT_MODIFIER_EXTENSION_NAME) &&
                       image_refusal(device, method.handle, true).empty();
    info.target_reason = wanted == TargetKind::buffer
                             ? "asked for"
                             : image_refusal(device, method.handle, method.modifiers);
    if (wanted == TargetKind::image && !info.target_reason.empty())
        throw Error(Failure::unavailable,
                    fmt::format("GPU {} cannot render into an image", device.name()),
                    info.target_reason, {});
    method.target = info.target_reason.empty() ? TargetKind::image : TargetKind::buffer;
    info.target = method.target;
    info.uses_modifiers = method.modifiers && method.target == TargetKind::image;
}

void try_import(const GpuDevice& device, const Heap& heap, const ImportMethod& method) {
    ExposureMeter meter;
    const FrameLayout layout = device_frame_layout(device, method, trial_side, trial_side);
    const Exposure exposure = heap.is_shared_heap() ? Exposure::shared : Exposure::private_memory;
    const DmaBuf slot = heap.allocate(layout.slot_bytes, exposure, meter);
    const ImportedSlot imported(device, method, slot, layout);
}

} // namespace

ImportMethod choose_import(const GpuDevice& device, const Heap& heap, const GpuOptions& options,
                           GpuInfo& info) {
    std::string reasons = options.import == ImportKind::host_pointer ? "asked for" : "";
    for (const HandleType handle : handle_types(heap.makes_dma_bufs(), options.import)) {
        std::string reason = import_refusal(device, heap.name(), heap.makes_dma_bufs(), handle);
        if (reason.empty()) {
            ImportMethod method{.handle = handle};
            choose_target(device, options.target, method, info);
            try {
                try_import(device, heap, method);
                info.import = import_kind(handle);
                info.import_reason = reasons;
                return method;
            } catch (const Error& error) {
                reason = error.what();
            }
        }
        reasons += fmt::format("{}{}", reasons.empty() ? "" : "; ", reason);
    }
    throw Error(Failure::unavailable,
                fmt::format("GPU {} cannot use memory of heap {}", device.name(), heap.name()),
                reasons, {});
}

Candidate no_device() {
    const std::string mend = "On Debian: apt install mesa-vulkan-drivers draws on the CPU";
    return {.name = "vulkan", .refusal = "no Vulkan driver has a device. " + mend, .mend = mend};
}

} // namespace clearframe
