// DRM nodes: finding them, opening them, and whose they are.
#pragma once

#include "core/unique_fd.h"

#include <filesystem>
#include <string>
#include <vector>

namespace clearframe {

// The nodes in `folder` (/dev/dri), card2 before card10; none where there is no such folder.
std::vector<std::string> drm_node_names(const std::filesystem::path& folder);

// Opens a node for reading and writing. Whoever opens a card that nobody shows pictures on becomes
// its master. Throws Error of availability, with what would let this user in.
UniqueFd open_drm_node(const std::filesystem::path& node);

// "vkms", "bochs-drm", …; `path` is for the message. Throws Error of availability.
std::string drm_driver(const UniqueFd& node, const std::filesystem::path& path);

} // namespace clearframe
