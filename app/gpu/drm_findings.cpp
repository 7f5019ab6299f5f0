#include "core/unique_fd.h"
#include "gpu/drm_node.h"
#include "gpu/findings.h"
#include "memory/findings.h"

#include <fmt/format.h>
#include <xf86drm.h>

#include <errno.h>

#include <memory>
#include <string>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t trial_bytes = 65536; // a page of any kind

// Empty, or why the node does not import the heap's memory.
std::string import_error(const UniqueFd& node, const Heap& heap) {
    try {
        ExposureMeter meter;
        const DmaBuf buffer = trial_buffer(heap, trial_bytes, meter);
        std::uint32_t handle = 0;
        if (drmPrimeFDToHandle(node.get(), buffer.fd(), &handle) != 0)
            throw_errno(errno, "drmPrimeFDToHandle");
        drmCloseBufferHandle(node.get(), handle);
    } catch (const Error& error) {
        return std::string(error.reason());
    }
    return {};
}

void try_node(const fs::path& path, const std::vector<std::unique_ptr<Heap>>& heaps,
              Report& report) {
    const std::string name = path.filename();
    try {
        const UniqueFd node = open_drm_node(path);
        if (drmIsMaster(node.get()))
            drmDropMaster(node.get());
        const std::string driver = drm_driver(node, path);
        std::vector<ImportTrial> trials, telling;
        for (const std::unique_ptr<Heap>& heap : heaps) {
            trials.push_back(
                {heap->name(), fmt::format("{} ({})", name, driver), import_error(node, *heap)});
            if (heap->makes_dma_bufs())
                telling.push_back(trials.back());
        }
        Finding finding = summary(fmt::format("{} ({})", name, driver), "imported (PRIME)", telling,
                                  "Another driver may take them: see the import matrix");
        // Showing frames is not what the path needs.
        if (finding.health == Health::missing)
            finding.health = Health::attention;
        if (telling.empty())
            finding.mend = "See the heaps: it takes dma-bufs, and system or udmabuf would do";
        report.findings.push_back(std::move(finding));
        report.trials.insert(report.trials.end(), trials.begin(), trials.end());
    } catch (const Error& error) {
        report.findings.push_back(failed(name, Health::attention, error));
    }
}

} // namespace

Report report_drm(const fs::path& root) {
    Report report;
    const std::vector<std::unique_ptr<Heap>> heaps = usable_heaps(root);
    const std::vector<std::string> names = drm_node_names(root / "dev/dri");
    for (const std::string& name : names)
        try_node(root / "dev/dri" / name, heaps, report);
    if (names.empty())
        report.findings.push_back(
            {"nodes", Health::attention, "/dev/dri has none: no screen to show frames on",
             "Load a driver (modprobe vkms makes a screen to try), and give a container /dev/dri"});
    return report;
}

} // namespace clearframe
