#include "gpu/gpu.h"

#include "core/units.h"
#include "gpu/choose_import.h"
#include "gpu/renderer.h"
#include "gpu/static_source.h"

#include <fmt/format.h>

namespace clearframe {
namespace {

constexpr Nanoseconds fill_patience = 30'000'000'000; // one slot, on the slowest of devices

GpuInfo describe(const GpuDevice& device, const Heap& heap, bool validation) {
    GpuInfo info;
    info.name = device.name();
    info.driver = device.driver_text();
    info.emulated = device.is_software();
    if (info.emulated)
        info.emulation = heap.makes_dma_bufs()
                             ? "the CPU draws"
                             : "the CPU draws, and takes ordinary memory for a dma-buf";
    info.validated = validation;
    return info;
}

} // namespace

struct Gpu::Opened {
    // Throws Error: unavailable, with the reason. Fills `info`.
    Opened(const std::shared_ptr<const VulkanInstance>& instance, std::size_t index,
           const Heap& heap, const GpuOptions& options, GpuInfo& info)
        : device(instance, instance->devices().at(index)) {
        info = describe(device, heap, options.validation);
        method = choose_import(device, heap, options, info);
    }

    GpuDevice device;
    ImportMethod method;
};

std::vector<Candidate> Gpu::probe(const Heap& heap, const GpuOptions& options) {
    std::vector<Candidate> candidates;
    try {
        const auto instance = std::make_shared<const VulkanInstance>(options.validation);
        for (std::size_t i = 0; i < instance->devices().size(); ++i) {
            Candidate& candidate = candidates.emplace_back();
            candidate.name = device_name(instance->devices()[i]);
            try {
                GpuInfo info;
                const Opened opened(instance, i, heap, options, info);
                candidate.usable = true;
                candidate.detail = info.driver;
                candidate.emulated = info.emulated;
                candidate.emulation = info.emulation;
            } catch (const Error& error) {
                candidate.refusal = error.what();
                candidate.mend = error.advice();
            }
        }
        if (candidates.empty())
            candidates.push_back(no_device());
    } catch (const Error& error) {
        candidates.push_back(
            {.name = "vulkan", .refusal = error.what(), .mend = std::string(error.advice())});
    }
    candidates.push_back(none());
    return candidates;
}

Candidate Gpu::none() {
    return {.name = "none",
            .detail = "no GPU",
            .usable = true,
            .emulated = true,
            .emulation = "no GPU: the CPU fills the slots once"};
}

Gpu::Gpu(std::size_t index, const Heap& heap, const GpuOptions& options) {
    const auto instance = std::make_shared<const VulkanInstance>(options.validation);
    if (index >= instance->devices().size())
        throw Error(Failure::unavailable, fmt::format("there is no Vulkan device {}", index), {},
                    instance->devices().empty() ? no_device().refusal : std::string_view{});
    opened_ = std::make_unique<const Opened>(instance, index, heap, options, info_);
}

Gpu::~Gpu() = default;

FrameLayout Gpu::frame_layout(std::uint32_t width, std::uint32_t height) const {
    return device_frame_layout(opened_->device, opened_->method, width, height);
}

std::unique_ptr<FrameSource> Gpu::make_source(std::span<const DmaBuf> slots,
                                              const FrameLayout& layout, Scene scene,
                                              std::uint32_t seed) {
    auto renderer =
        std::make_unique<Renderer>(opened_->device, opened_->method, slots, layout, scene, seed);
    imported_ = renderer->identities();
    if (scene != Scene::none)
        return renderer;

    for (std::uint32_t i = 0; i < slots.size(); ++i)
        renderer->begin(i, {});
    for (std::uint32_t i = 0; i < slots.size(); ++i)
        if (!renderer->wait(i, fill_patience))
            throw Error(Failure::run, fmt::format("GPU {}: filling slot {}", info_.name, i),
                        fmt::format("not done in {}", duration_text(fill_patience)),
                        "The device hangs, and dmesg may say why");
    return make_stamping_source(slots, layout, seed);
}

std::uint64_t Gpu::validation_messages() const noexcept {
    return opened_->device.instance().validation().count();
}

std::string Gpu::first_validation_message() const {
    return opened_->device.instance().validation().first();
}

} // namespace clearframe
