#include "memory/heap.h"

#include "core/error.h"
#include "core/units.h"
#include "memory/guest.h"
#include "memory/heap_kinds.h"
#include "memory/shortage.h"

#include <fmt/format.h>

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <limits>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

struct KnownHeap {
    std::string_view name;
    std::string_view detail;
    std::string_view emulation; // how it plays shared memory; empty for a shared heap

    bool is_shared_heap() const { return emulation.empty(); }
};

// Best first.
constexpr std::array known_heaps = {
    KnownHeap{"system_cc_shared", "dma-bufs that the host can read", {}},
    KnownHeap{"system_cc_decrypted", "dma-bufs that the host can read; older name", {}},
    KnownHeap{"system", "dma-bufs of ordinary memory",
              "system plays shared memory: nothing changes what the host can read"},
    KnownHeap{"udmabuf", "dma-bufs made of memfds",
              "udmabuf plays shared memory: nothing changes what the host can read"},
    KnownHeap{"memfd", "memfds, no dma-bufs",
              "memfd plays shared memory: nothing changes what the host can read, and the fd is no "
              "dma-buf"},
};

std::unique_ptr<Heap> open_known(const KnownHeap& known, const fs::path& root) {
    if (known.name == "memfd")
        return std::make_unique<MemfdHeap>();
    if (known.name == "udmabuf")
        return std::make_unique<UdmabufHeap>(root);
    return std::make_unique<DmaHeap>(known.name, known.is_shared_heap(), root);
}

} // namespace

std::uint64_t free_memory() {
    std::ifstream file("/proc/meminfo");
    std::uint64_t total = 0;
    std::string name, unit;
    for (std::uint64_t kibibytes; file >> name >> kibibytes; std::getline(file, unit)) {
        if (name == "MemTotal:")
            total = kibibytes * KiB;
        if (name == "MemAvailable:")
            return kibibytes * KiB - std::min(kibibytes * KiB, total / 16);
    }
    return std::numeric_limits<std::uint64_t>::max();
}

void check_memory(std::string_view what, std::uint64_t bytes, Failure failure) {
    if (const std::uint64_t free = free_memory(); bytes > free)
        throw_errno(ENOMEM, fmt::format("{} of {} free", what, bytes_text(free)),
                    shortage_advice(ENOMEM), failure);
}

DmaBuf Heap::allocate(std::size_t bytes, Exposure exposure, ExposureMeter& meter) const {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    if (bytes == 0 || bytes > PTRDIFF_MAX - page)
        throw Error(Failure::usage, fmt::format("heap {}: allocating {} bytes", name_, bytes), {},
                    "A buffer has at least 1 byte and fits the address space");
    if (is_shared_heap_ && exposure != Exposure::shared)
        throw Error(Failure::usage, fmt::format("heap {}: allocating private memory", name_), {},
                    "It gives memory that the host can read; take system, udmabuf or memfd");
    const std::size_t size = align_up(bytes, page);
    check_memory(fmt::format("heap {}: allocating {}", name_, bytes_text(size)), size,
                 Failure::run);
    Pages pages = do_allocate(size);
    return DmaBuf(std::move(pages.fd), size, exposure, makes_dma_bufs_, name_, meter,
                  std::move(pages.pinnable));
}

std::vector<Candidate> probe_heaps(const fs::path& root) {
    const std::string kind = detect_guest(root).kind;
    std::vector<Candidate> candidates;
    for (const KnownHeap& known : known_heaps) {
        Candidate candidate;
        candidate.name = known.name;
        candidate.detail = known.detail;
        if (known.is_shared_heap())
            candidate.detail += fmt::format(" (guest: {})", kind);
        candidate.emulated = !known.is_shared_heap();
        candidate.emulation = known.emulation;
        try {
            ExposureMeter meter;
            open_known(known, root)->allocate(1, Exposure::shared, meter);
            candidate.usable = true;
        } catch (const Error& error) {
            candidate.refusal = error.what();
            candidate.mend = error.advice();
        }
        candidates.push_back(std::move(candidate));
    }
    return candidates;
}

std::vector<Candidate> frame_heaps(std::vector<Candidate> heaps, const ConfidentialGuest& guest) {
    if (!guest.confidential())
        return heaps;
    for (Candidate& heap : heaps) {
        if (!heap.emulated)
            continue;
        if (heap.name == "udmabuf") {
            heap.usable = false;
            heap.mend = "Take system_cc_shared";
            heap.refusal =
                fmt::format("it is not for frames: in a confidential guest the kernel "
                            "bounces it at DMA_BUF_IOCTL_SYNC, which fails (EIO) or loses what was "
                            "written. {}",
                            heap.mend);
        } else {
            heap.emulation =
                fmt::format("{} plays shared memory: in this guest it is private, and emulated "
                            "parts alone reach it{}",
                            heap.name, heap.name == "memfd" ? "; the fd is no dma-buf" : "");
        }
    }
    return heaps;
}

std::vector<Candidate> probe_frame_heaps(const fs::path& root) {
    return frame_heaps(probe_heaps(root), detect_guest(root));
}

std::unique_ptr<Heap> open_heap(std::string_view name, const fs::path& root) {
    std::string names;
    for (const KnownHeap& known : known_heaps) {
        if (known.name == name)
            return open_known(known, root);
        names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
    }
    throw Error(Failure::usage, fmt::format("there is no heap '{}'", name), {},
                fmt::format("Known: {}", names));
}

Choice choose_private_heap(std::span<const Candidate> heaps) {
    std::vector<Candidate> ordinary;
    std::vector<std::size_t> index;
    for (std::size_t i = 0; i < heaps.size(); ++i) {
        if (!heaps[i].emulated) // a shared heap gives no private memory
            continue;
        ordinary.push_back(heaps[i]);
        index.push_back(i);
    }
    Choice choice = choose("heap for private frames", "auto", ordinary);
    choice.index = index[choice.index];
    return choice;
}

} // namespace clearframe
