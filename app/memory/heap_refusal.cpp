#include "memory/heap_refusal.h"

#include "memory/guest.h"
#include "memory/shortage.h"

#include <fmt/format.h>

#include <errno.h>
#include <sys/stat.h>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

std::string not_permitted(std::string_view heap, const fs::path& node) {
    struct stat status {};
    std::string owner;
    if (::stat(node.c_str(), &status) == 0)
        owner = fmt::format("It belongs to uid {}, gid {}, mode {:04o}; ", status.st_uid,
                            status.st_gid, status.st_mode & 07777);
    const std::string_view subsystem = heap == "udmabuf" ? "misc" : "dma_heap";
    return fmt::format("{}run as root, or let a group in by a udev rule: SUBSYSTEM==\"{}\", "
                       "KERNEL==\"{}\", GROUP=\"video\", MODE=\"0660\"",
                       owner, subsystem, heap);
}

// The node is not there although this machine should have the heap: what the kernel's build says.
std::string not_built(std::string_view symbol, const fs::path& root) {
    const std::optional<bool> built = KernelConfig(root).has(symbol);
    if (!built)
        return fmt::format("The kernel may lack {}=y (neither /proc/config.gz nor a file in /boot "
                           "says), or a container may hide the node",
                           symbol);
    if (*built)
        return fmt::format("The kernel has {}: in a container, start it with this device", symbol);
    return fmt::format("The kernel was built without it: needs {}=y", symbol);
}

std::string no_cc_node(std::string_view heap, const fs::path& root) {
    if (!detect_guest(root).confidential())
        return "This machine does not look like a confidential guest (CPU flags sev, sev_es, "
               "sev_snp, tdx_guest; /dev/sev-guest, /dev/tdx_guest): start it as SEV-SNP or TDX";
    if (heap == "system_cc_decrypted")
        return "Only kernels patched before Linux 7.1 call it so; later ones have system_cc_shared";
    const std::string release = kernel_release(root);
    if (!kernel_at_least(release, 7, 1))
        return fmt::format("Linux {} is too old: the heap came with 7.1", release);
    return not_built(kernel_at_least(release, 7, 2) ? "CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED"
                                                    : "CONFIG_DMABUF_HEAPS_SYSTEM",
                     root);
}

} // namespace

std::string heap_refusal(std::string_view heap, const fs::path& node, int error,
                         const fs::path& root) {
    if (error == EACCES || error == EPERM)
        return not_permitted(heap, node);
    if (error != ENOENT && error != ENXIO && error != ENODEV)
        return std::string(shortage_advice(error));
    if (heap.starts_with("system_cc"))
        return no_cc_node(heap, root);
    return not_built(heap == "udmabuf" ? "CONFIG_UDMABUF" : "CONFIG_DMABUF_HEAPS_SYSTEM", root);
}

} // namespace clearframe
