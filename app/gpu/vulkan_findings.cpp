#include "gpu/choose_import.h"
#include "gpu/findings.h"
#include "memory/findings.h"

#include <fmt/format.h>

namespace clearframe {
namespace {

using Heaps = std::vector<std::unique_ptr<Heap>>;

Finding device_finding(const GpuDevice& device) {
    if (device.is_software())
        return {device.name(), Health::attention,
                fmt::format("emulated, the CPU draws ({})", device.driver_text()),
                "Give the machine a GPU, and install its Vulkan driver"};
    return {.subject = device.name(), .sentence = device.driver_text()};
}

// What the heaps that make dma-bufs say, or, where there are none, all of them.
std::vector<ImportTrial> telling(const std::vector<ImportTrial>& trials, const Heaps& heaps) {
    std::vector<ImportTrial> dma_bufs;
    for (std::size_t i = 0; i < heaps.size(); ++i)
        if (heaps[i]->makes_dma_bufs())
            dma_bufs.push_back(trials[i]);
    return dma_bufs.empty() ? trials : dma_bufs;
}

struct TargetText {
    TargetKind target;
    std::string_view importer;
    std::string_view subject;
    std::string_view does;
};
constexpr TargetText target_texts[] = {
    {TargetKind::buffer, "as buffer", "import as buffer", "imported"},
    {TargetKind::image, "as image", "import as LINEAR image", "imported and drawn into"},
};

void try_device(const GpuDevice& device, const Heaps& heaps, Report& report) {
    bool modifiers = false;
    std::vector<std::string> imported;
    for (const TargetText& text : target_texts) {
        std::vector<ImportTrial> trials;
        for (const std::unique_ptr<Heap>& heap : heaps) {
            ImportTrial& trial = trials.emplace_back();
            trial.heap = heap->name();
            trial.importer = fmt::format("{}, {}", device.name(), text.importer);
            try {
                GpuInfo info;
                choose_import(device, *heap, {.import = ImportKind::dma_buf, .target = text.target},
                              info);
                modifiers |= info.uses_modifiers;
                if (!device.is_software() && text.target == TargetKind::buffer)
                    report.real.push_back({heap->name(), device.name()});
            } catch (const Error& error) {
                trial.error = error.reason();
            }
        }
        report.findings.push_back(summary(fmt::format("{}, {}", device.name(), text.subject),
                                          text.does, telling(trials, heaps),
                                          "Another driver, or a newer one, may take them"));
        report.trials.insert(report.trials.end(), trials.begin(), trials.end());
    }
    Finding& finding = report.findings.emplace_back();
    finding.subject = device.name() + ", modifiers";
    if (modifiers) {
        finding.sentence = "images are made with the DRM format modifier LINEAR";
    } else {
        finding.health = Health::attention;
        finding.sentence = device.has_extension(VK_EXT_IMAGE_DRM_FORMAT_MODIFIER_EXTENSION_NAME)
                               ? "the driver takes no images with the DRM format modifier LINEAR"
                               : fmt::format("the driver lacks {}",
                                             VK_EXT_IMAGE_DRM_FORMAT_MODIFIER_EXTENSION_NAME);
        finding.mend = "A newer driver may have them; LINEAR tiling does without";
    }
}

} // namespace

Report report_vulkan(const std::filesystem::path& root) {
    Report report;
    if (root != "/") {
        report.findings.push_back({"devices", Health::attention,
                                   "not tried: drivers belong to a running machine",
                                   "Run the doctor there, without --root"});
        return report;
    }
    const Heaps heaps = usable_heaps(root);
    try {
        const auto instance = std::make_shared<const VulkanInstance>(false);
        if (instance->devices().empty())
            report.findings.push_back(not_usable(no_device(), Health::missing));
        for (const vk::raii::PhysicalDevice& physical : instance->devices()) {
            try {
                const GpuDevice device(instance, physical);
                report.findings.push_back(device_finding(device));
                try_device(device, heaps, report);
            } catch (const Error& error) {
                report.findings.push_back(failed(device_name(physical), Health::missing, error));
            }
        }
    } catch (const Error& error) {
        report.findings.push_back(failed("vulkan", Health::missing, error));
    }
    return report;
}

} // namespace clearframe
