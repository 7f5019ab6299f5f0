#include "core/unique_fd.h"
#include "gpu/findings.h"
#include "memory/findings.h"

#include <fmt/format.h>
#include <xf86drm.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <string>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t trial_bytes = 65536; // a page of any kind

std::vector<std::string> node_names(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator i(folder, error), end; !error && i != end; i.increment(error)) {
        const std::string name = i->path().filename();
        if (name.starts_with("card") || name.starts_with("renderD"))
            names.push_back(name);
    }
    // card2 before card10.
    std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
        return std::pair(a.size(), a) < std::pair(b.size(), b);
    });
    return names;
}

std::string not_permitted(const fs::path& node) {
    const std::string name = node.filename();
    struct stat status {};
    const bool for_group = ::stat(node.c_str(), &status) == 0 && status.st_gid != 0 &&
                           (status.st_mode & (S_IRGRP | S_IWGRP)) == (S_IRGRP | S_IWGRP);
    if (for_group)
        return fmt::format("Run as root, or join group {}, whose it is", status.st_gid);
    return fmt::format("Run as root, or let a group in by a udev rule: SUBSYSTEM==\"drm\", "
                       "KERNEL==\"{}\", GROUP=\"{}\", MODE=\"0660\"",
                       name, name.starts_with("render") ? "render" : "video");
}

std::string open_advice(int error, const fs::path& node) {
    if (error == EACCES || error == EPERM)
        return not_permitted(node);
    if (error == ENXIO || error == ENODEV)
        return "No driver is behind it: modprobe the device's";
    return {};
}

UniqueFd open_node(const fs::path& node) {
    UniqueFd fd(::open(node.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) {
        const int error = errno;
        throw_errno(error, fmt::format("opening {}", node.native()), open_advice(error, node),
                    Failure::unavailable);
    }
    // Whoever opens a card that nobody shows pictures on becomes its master.
    if (drmIsMaster(fd.get()))
        drmDropMaster(fd.get());
    return fd;
}

std::string driver_name(const UniqueFd& node, const fs::path& path) {
    const std::unique_ptr<drmVersion, decltype(&drmFreeVersion)> version(drmGetVersion(node.get()),
                                                                         drmFreeVersion);
    if (!version)
        throw_errno(errno, fmt::format("{}: DRM_IOCTL_VERSION", path.native()),
                    "It is no DRM device", Failure::unavailable);
    return {version->name, static_cast<std::size_t>(version->name_len)};
}

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
        const UniqueFd node = open_node(path);
        const std::string driver = driver_name(node, path);
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
    const std::vector<std::string> names = node_names(root / "dev/dri");
    for (const std::string& name : names)
        try_node(root / "dev/dri" / name, heaps, report);
    if (names.empty())
        report.findings.push_back(
            {"nodes", Health::attention, "/dev/dri has none: no screen to show frames on",
             "Load a driver (modprobe vkms makes a screen to try), and give a container /dev/dri"});
    return report;
}

} // namespace clearframe
