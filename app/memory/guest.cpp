#include "memory/guest.h"

#include "core/unique_fd.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>
#include <utility>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

bool present(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
}

// The CPU flags that the kernel shows for the first CPU.
std::set<std::string> cpu_flags(const fs::path& root) {
    std::ifstream file(root / "proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string word;
        if (words >> word && word == "flags")
            return {std::istream_iterator<std::string>(words), {}};
    }
    return {};
}

// MSR_AMD64_SEV, which says what protects this guest; 0 where it cannot be read. On a host it is
// 0, unlike the CPU flags and CPUID bits, which say what the CPU could do for its guests.
std::uint64_t sev_status(const fs::path& root) {
    constexpr off_t msr_amd64_sev = 0xc0010131;
    const UniqueFd fd(::open((root / "dev/cpu/0/msr").c_str(), O_RDONLY | O_CLOEXEC));
    std::uint64_t status = 0;
    if (!fd || ::pread(fd.get(), &status, sizeof(status), msr_amd64_sev) != sizeof(status))
        return 0;
    return status;
}

// The whole of a file, which may be compressed; empty where it cannot be read.
std::string read_gzip(const fs::path& path) {
    const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rbe"), gzclose);
    std::string text;
    std::array<char, 65536> piece;
    for (int got = 0; file && (got = gzread(file.get(), piece.data(), piece.size())) > 0;)
        text.append(piece.data(), static_cast<std::size_t>(got));
    return text;
}

} // namespace

ConfidentialGuest detect_guest(const fs::path& root) {
    const std::set<std::string> flags = cpu_flags(root);
    if (flags.contains("tdx_guest"))
        return {"TDX", "CPU flag tdx_guest"};
    if (present(root / "dev/tdx_guest"))
        return {"TDX", "/dev/tdx_guest"};

    const std::uint64_t sev = sev_status(root);
    if (sev & 1)
        return {sev & 4 ? "SEV-SNP" : sev & 2 ? "SEV-ES" : "SEV", "MSR_AMD64_SEV"};
    if (present(root / "dev/sev-guest"))
        return {"SEV-SNP", "/dev/sev-guest"};
    if (present(root / "sys/devices/system/cpu/sev"))
        return {"SEV-SNP", "/sys/devices/system/cpu/sev"};
    // A host shows these flags too.
    if (flags.contains("hypervisor"))
        for (const auto& [flag, kind] :
             {std::pair{"sev_snp", "SEV-SNP"}, {"sev_es", "SEV-ES"}, {"sev", "SEV"}})
            if (flags.contains(flag))
                return {kind, fmt::format("CPU flag {}", flag)};

    for (const char* heap : {"system_cc_shared", "system_cc_decrypted"})
        if (present(root / "dev/dma_heap" / heap))
            return {"unknown", fmt::format("/dev/dma_heap/{}", heap)};
    return {};
}

std::string kernel_release(const fs::path& root) {
    std::ifstream file(root / "proc/sys/kernel/osrelease");
    std::string release;
    std::getline(file, release);
    return release;
}

bool kernel_at_least(std::string_view release, int major, int minor) {
    int its_major = 0, its_minor = 0;
    if (std::sscanf(std::string(release).c_str(), "%d.%d", &its_major, &its_minor) != 2)
        return true;
    return its_major != major ? its_major > major : its_minor >= minor;
}

KernelConfig::KernelConfig(const fs::path& root) {
    const std::string release = kernel_release(root);
    for (const fs::path& path : {fs::path("proc/config.gz"), "boot" / fs::path("config-" + release),
                                 "lib/modules" / fs::path(release) / "config"}) {
        text_ = read_gzip(root / path);
        if (text_.empty())
            continue;
        source_ = "/" + path.string();
        return;
    }
}

std::optional<bool> KernelConfig::has(std::string_view symbol) const {
    if (source_.empty())
        return std::nullopt;
    std::istringstream lines(text_);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with(symbol) && line.substr(symbol.size()).starts_with("="))
            return !line.ends_with("=n");
    return false;
}

} // namespace clearframe
