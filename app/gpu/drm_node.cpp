#include "gpu/drm_node.h"

#include "core/error.h"

#include <fmt/format.h>
#include <xf86drm.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

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

} // namespace

std::vector<std::string> drm_node_names(const fs::path& folder) {
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

UniqueFd open_drm_node(const fs::path& node) {
    UniqueFd fd(::open(node.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) {
        const int error = errno;
        throw_errno(error, fmt::format("opening {}", node.native()), open_advice(error, node),
                    Failure::unavailable);
    }
    return fd;
}

std::string drm_driver(const UniqueFd& node, const fs::path& path) {
    const std::unique_ptr<drmVersion, decltype(&drmFreeVersion)> version(drmGetVersion(node.get()),
                                                                         drmFreeVersion);
    if (!version)
        throw_errno(errno, fmt::format("{}: DRM_IOCTL_VERSION", path.native()),
                    "It is no DRM device", Failure::unavailable);
    return {version->name, static_cast<std::size_t>(version->name_len)};
}

} // namespace clearframe
