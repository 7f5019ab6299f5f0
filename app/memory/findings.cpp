#include "memory/findings.h"

#include "core/units.h"
#include "memory/guest.h"

#include <fmt/format.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <span>
#include <sstream>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

bool any_shared(const std::vector<Candidate>& heaps) {
    for (const Candidate& heap : heaps)
        if (heap.usable && !heap.emulated)
            return true;
    return false;
}

// `heap` as it is, and as what frames are to be of.
Finding heap_finding(const Candidate& heap, const Candidate& for_frames, bool shared_is_there) {
    if (heap.usable && !heap.emulated)
        return {.subject = heap.name, .sentence = heap.detail};
    if (heap.usable && shared_is_there)
        return {.subject = heap.name,
                .sentence =
                    heap.detail + ", " +
                    (for_frames.usable ? "for private frames"
                                       : not_usable(for_frames, Health::attention).sentence)};
    if (heap.emulated && !shared_is_there && !for_frames.usable)
        return not_usable(for_frames, Health::attention);
    if (heap.usable)
        return {.subject = heap.name,
                .health = Health::attention,
                .sentence = fmt::format("{}, emulated: {}", heap.detail, for_frames.emulation),
                .mend = "See system_cc_shared"};
    if (!heap.emulated && shared_is_there)
        return {.subject = heap.name, .sentence = "not there, and not needed"};
    if (heap.emulated)
        return not_usable(heap, Health::attention);
    Finding finding = not_usable(heap, Health::missing);
    if (heap.name == "system_cc_decrypted") { // of the two names one is enough
        finding.health = Health::attention;
        finding.mend = "It is the older name of system_cc_shared: see there";
    }
    return finding;
}

std::string error_of(auto&& step) {
    try {
        step();
    } catch (const Error& error) {
        return std::string(error.reason());
    }
    return {};
}

void map_and_touch(const DmaBuf& buffer) {
    const Mapping mapping = buffer.map(Access::read_write);
    const CpuAccess access(buffer, Access::read_write);
    std::memset(mapping.bytes().data(), 1, mapping.bytes().size());
}

// What was written outside the brackets, as GPUs and NICs write, has to be there at the next one.
// It is not where the kernel gives the CPU a bounce buffer of its own: that one is copied back.
void keep_writes(const DmaBuf& buffer) {
    const Mapping mapping = buffer.map(Access::read_write);
    const std::span<std::byte> bytes = mapping.bytes();
    {
        const CpuAccess access(buffer, Access::read_write);
        std::ranges::fill(bytes, std::byte{1});
    }
    std::ranges::fill(bytes, std::byte{2});
    const CpuAccess access(buffer, Access::read);
    if (std::ranges::count(bytes, std::byte{2}) != std::ssize(bytes))
        throw Error(Failure::run, "DMA_BUF_IOCTL_SYNC",
                    "the kernel bounces it, and copied older "
                    "bytes over what was written",
                    {});
}

// Has the kernel take the pages behind the mapping as it does for O_DIRECT and for ibv_reg_mr():
// by get_user_pages(), which refuses a mapping made of page frames alone (VM_PFNMAP).
void pin(const DmaBuf& buffer) {
    const Mapping mapping = buffer.map(Access::read_write);
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        throw_errno(errno, "making a pipe");
    const UniqueFd out(ends[0]), in(ends[1]);
    const iovec pages{.iov_base = mapping.bytes().data(), .iov_len = mapping.bytes().size()};
    if (::vmsplice(in.get(), &pages, 1, SPLICE_F_NONBLOCK) < 0)
        throw_errno(errno, "vmsplice");
}

void try_heap(const Heap& heap, Report& report) {
    ExposureMeter meter;
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    std::optional<DmaBuf> buffer;
    std::string error = error_of([&] { buffer.emplace(trial_buffer(heap, page, meter)); });
    const auto attempt = [&](std::string importer, auto&& step) {
        report.trials.push_back(
            {heap.name(), std::move(importer), buffer ? error_of([&] { step(*buffer); }) : error});
    };
    attempt("mmap", map_and_touch);
    attempt("writes kept over DMA_BUF_IOCTL_SYNC", keep_writes);
    attempt("pages pinned (vmsplice)", pin);
}

struct Option {
    const char* symbol;
    Health health;
    std::string_view gives;
};

Finding kernel_finding(const std::string& release) {
    const std::string name = release.empty() ? "Linux" : "Linux " + release;
    if (release.empty())
        return {"version", Health::attention, "the kernel does not say which one it is",
                "Mount /proc"};
    if (!kernel_at_least(release, 7, 1))
        return {"version", Health::missing,
                fmt::format("{} is too old: the heap of shared memory came with 7.1", name),
                "Boot Linux 7.1 or later, better 7.2, where RDMA devices say what they can reach"};
    if (!kernel_at_least(release, 7, 2))
        return {"version", Health::attention,
                fmt::format("{} has the heap of shared memory, but RDMA devices do not say yet "
                            "whether they reach private memory",
                            name),
                "Boot Linux 7.2 or later"};
    return {.subject = "version", .sentence = name};
}

std::vector<Finding> option_findings(const fs::path& root, const std::string& release) {
    const KernelConfig config(root);
    if (config.source().empty())
        return {
            {"Kconfig", Health::attention, "no file that can be read says how it was built",
             fmt::format("/proc/config.gz (CONFIG_IKCONFIG_PROC=y) or /boot/config-{} would say it",
                         release.empty() ? "RELEASE" : release)}};
    // The heap of shared memory came in 7.1 with the heap system, and got a symbol of its own
    // in 7.2.
    const bool own_symbol = kernel_at_least(release, 7, 2);
    const bool comes_along = !own_symbol && kernel_at_least(release, 7, 1);
    std::vector<Option> options = {
        {"CONFIG_DMABUF_HEAPS_SYSTEM", comes_along ? Health::missing : Health::attention,
         comes_along ? "heaps system and system_cc_shared" : "heap system"},
        {"CONFIG_UDMABUF", Health::attention, "heap udmabuf"},
        {"CONFIG_INFINIBAND_USER_ACCESS", Health::missing, "RDMA from user space"},
        {"CONFIG_RDMA_RXE", Health::attention, "soft-RoCE to try RDMA without a NIC"},
    };
    if (own_symbol)
        options.insert(options.begin(), {"CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED", Health::missing,
                                         "heap system_cc_shared"});
    std::vector<Finding> findings;
    std::string has;
    for (const Option& option : options) {
        if (config.has(option.symbol) == true)
            has += fmt::format("{}{}", has.empty() ? "" : ", ", option.symbol);
        else
            findings.push_back({option.symbol, option.health,
                                fmt::format("off, so there is no {}", option.gives),
                                fmt::format("Build the kernel with {}=y", option.symbol)});
    }
    if (!has.empty())
        findings.insert(
            findings.begin(),
            {.subject = "Kconfig", .sentence = fmt::format("{} has {}", config.source(), has)});
    return findings;
}

// The number in a file, or the errno of reading it (EINVAL: it holds no number).
struct Number {
    std::uint64_t value = 0;
    int error = 0;
};
Number read_number(const fs::path& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 32> text{};
    const ssize_t got = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
    if (got < 0)
        return {.error = errno};
    Number number;
    if (std::from_chars(text.data(), text.data() + got, number.value).ec != std::errc{})
        number.error = EINVAL;
    return number;
}

// "Max open files   1024   4096   files": the soft limit; empty if the file does not say,
// the largest number if there is no limit.
std::optional<std::uint64_t> soft_limit(const fs::path& root, std::string_view name) {
    std::ifstream file(root / "proc/self/limits");
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(name))
            continue;
        std::istringstream rest(line.substr(name.size()));
        if (std::uint64_t limit = 0; rest >> limit)
            return limit;
        return UINT64_MAX;
    }
    return std::nullopt;
}

// CAP_IPC_LOCK, which lifts the limit of locked memory.
bool may_lock(const fs::path& root) {
    constexpr unsigned cap_ipc_lock = 14;
    std::ifstream file(root / "proc/self/status");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("CapEff:"))
            return std::strtoull(line.c_str() + std::strlen("CapEff:"), nullptr, 16) >>
                       cap_ipc_lock &
                   1;
    return false;
}

Finding unknown_limit(std::string subject) {
    return {std::move(subject), Health::attention, "/proc/self/limits does not say", "Mount /proc"};
}

} // namespace

std::vector<std::unique_ptr<Heap>> usable_heaps(const fs::path& root) {
    std::vector<std::unique_ptr<Heap>> heaps;
    for (const Candidate& candidate : probe_heaps(root))
        if (candidate.usable)
            heaps.push_back(open_heap(candidate.name, root));
    return heaps;
}

DmaBuf trial_buffer(const Heap& heap, std::size_t bytes, ExposureMeter& meter) {
    return heap.allocate(bytes, heap.is_shared_heap() ? Exposure::shared : Exposure::private_memory,
                         meter);
}

Report report_guest(const fs::path& root) {
    const ConfidentialGuest guest = detect_guest(root);
    if (!guest.confidential())
        return {{{"kind", Health::missing,
                  "nothing says that this is a confidential guest (CPU flags sev, sev_es, sev_snp, "
                  "tdx_guest; /dev/sev-guest, /dev/tdx_guest)",
                  "Start it as SEV-SNP or TDX. Elsewhere the host reads all memory, and the "
                  "figures are not those of a confidential VM"}}};
    if (guest.kind == "unknown")
        return {{{"kind", Health::attention,
                  fmt::format("confidential, kind unknown: {} is there, and nothing says for whom",
                              guest.evidence),
                  "As root, and after `modprobe msr`, MSR_AMD64_SEV may say it"}}};
    return {{{.subject = "kind", .sentence = fmt::format("{} ({})", guest.kind, guest.evidence)}}};
}

Report report_kernel(const fs::path& root) {
    const std::string release = kernel_release(root);
    Report report{{kernel_finding(release)}};
    for (Finding& finding : option_findings(root, release))
        report.findings.push_back(std::move(finding));
    return report;
}

Report report_heaps(const fs::path& root) {
    Report report;
    const std::vector<Candidate> heaps = probe_heaps(root);
    const ConfidentialGuest guest = detect_guest(root);
    const std::vector<Candidate> for_frames = frame_heaps(heaps, guest);
    for (std::size_t i = 0; i < heaps.size(); ++i) {
        const Candidate& heap = heaps[i];
        report.findings.push_back(heap_finding(heap, for_frames[i], any_shared(heaps)));
        if (heap.usable && !heap.emulated && guest.confidential())
            report.real.push_back({heap.name, heap.name});
    }
    for (const std::unique_ptr<Heap>& heap : usable_heaps(root))
        try_heap(*heap, report);
    return report;
}

Report report_swiotlb(const fs::path& root) {
    constexpr std::uint64_t slot = 2 * KiB; // IO_TLB_SIZE of the kernel's swiotlb.h
    const fs::path debugfs = root / "sys/kernel/debug";
    const Number slots = read_number(debugfs / "swiotlb/io_tlb_nslabs");
    const Number used = read_number(debugfs / "swiotlb/io_tlb_used");
    Number most = read_number(debugfs / "swiotlb/io_tlb_used_hiwater");
    most.value = std::max(most.value, used.value); // root can set it back to 0
    std::error_code error;
    if (slots.error == EACCES || slots.error == EPERM)
        return {{{"pool", Health::attention, "its counters are for root alone",
                  "Run `sudo clearframe doctor` to see them"}}};
    if (slots.error == ENOENT && fs::directory_iterator(debugfs, error) == fs::directory_iterator())
        return {{{"pool", Health::attention, "its counters are in debugfs, and that is not mounted",
                  "As root: mount -t debugfs none /sys/kernel/debug"}}};
    if (slots.error == ENOENT || (slots.error == 0 && slots.value == 0))
        return {{{.subject = "pool", .sentence = "none: this kernel bounces nothing"}}};
    if (slots.error != 0)
        return {{{"pool", Health::attention,
                  fmt::format("its counters cannot be read: {}", errno_text(slots.error)),
                  "dmesg may say why"}}};

    std::string text = fmt::format("{}", bytes_text(slots.value * slot));
    if (used.error == 0)
        text += fmt::format(", {} in use", bytes_text(used.value * slot));
    if (most.error == 0)
        text += fmt::format(", {} at most so far", bytes_text(most.value * slot));
    // More than nine tenths: the next burst of I/O may find it full.
    if (most.error == 0 && most.value > slots.value - slots.value / 10)
        return {{{"pool", Health::attention, text + ": it has been nearly full",
                  fmt::format("Boot with swiotlb={}, twice of what it has", slots.value * 2)}}};
    return {{{.subject = "pool", .sentence = text}}};
}

Report report_limits(const fs::path& root) {
    Report report;
    // A staging pool of swiotlb's smallest size, registered.
    constexpr std::uint64_t locked_needed = 64 * MiB;
    const auto locked = soft_limit(root, "Max locked memory");
    if (!locked)
        report.findings.push_back(unknown_limit("locked memory"));
    else if (may_lock(root))
        report.findings.push_back(
            {.subject = "locked memory", .sentence = "no limit: it has CAP_IPC_LOCK"});
    else if (*locked < locked_needed)
        report.findings.push_back(
            {"locked memory", Health::attention,
             fmt::format("at most {}: registering the staging pool takes {} and more",
                         bytes_text(*locked), bytes_text(locked_needed)),
             "ulimit -l unlimited, or a line `* - memlock unlimited` in "
             "/etc/security/limits.conf"});
    else
        report.findings.push_back(
            {.subject = "locked memory",
             .sentence = *locked == UINT64_MAX ? "no limit" : "at most " + bytes_text(*locked)});

    // The largest ring, 256 slots: a descriptor of each at both ends and one that the GPU imports,
    // and what drivers open besides.
    constexpr std::uint64_t files_needed = 1024;
    const auto files = soft_limit(root, "Max open files");
    if (!files)
        report.findings.push_back(unknown_limit("open files"));
    else if (*files < files_needed)
        report.findings.push_back(
            {"open files", Health::attention,
             fmt::format("at most {}: the largest ring takes {}", *files, files_needed),
             fmt::format("ulimit -n {}", files_needed)});
    else
        report.findings.push_back(
            {.subject = "open files",
             .sentence = *files == UINT64_MAX ? "no limit" : fmt::format("at most {}", *files)});
    return report;
}

} // namespace clearframe
