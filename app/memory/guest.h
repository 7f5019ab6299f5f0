// What this machine is: a confidential guest or not, and which kernel it runs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace clearframe {

struct ConfidentialGuest {
    // "SEV", "SEV-ES", "SEV-SNP", "TDX", "unknown" (the kernel hands out shared memory, but does
    // not show for whom) or "none" (nothing says that this is one).
    std::string kind = "none";
    std::string evidence; // what says so: "/dev/tdx_guest"; empty for "none"

    bool confidential() const { return kind != "none"; }
};

// Reads files below `root` ("/" but in tests). Does not throw for a file that is missing.
ConfidentialGuest detect_guest(const std::filesystem::path& root = "/");

// The kernel's release, "6.1.0-18-amd64"; empty if it does not say.
std::string kernel_release(const std::filesystem::path& root = "/");

// Whether `release` is of Linux major.minor or later; one that cannot be read counts as later.
bool kernel_at_least(std::string_view release, int major, int minor);

// How the running kernel was built, as far as it says: /proc/config.gz, /boot/config-RELEASE or
// /lib/modules/RELEASE/config, the first of them that can be read.
class KernelConfig {
public:
    explicit KernelConfig(const std::filesystem::path& root = "/");

    // The file that was read; empty where none could be.
    const std::string& source() const noexcept { return source_; }
    // Whether it was built with `symbol` ("CONFIG_UDMABUF"), as a module or not; empty where no
    // readable file says so.
    std::optional<bool> has(std::string_view symbol) const;

private:
    std::string source_;
    std::string text_;
};

} // namespace clearframe
