// How fast this machine could go: measured beside a run, on the buffers of that run.
#pragma once

#include "core/clock.h"
#include "measure/record.h"
#include "memory/copy.h"
#include "nic/nic.h"

#include <functional>
#include <span>
#include <vector>

namespace clearframe {

// Measures in slices between blocks, so that what slows the machine for a while slows limit and
// figure alike. Used by one thread, only while no frame is in flight; the contents of the target
// are lost. The buffers must outlive it.
class LimitProbe {
public:
    // Frames of `bytes` bytes go from `source` to `target`, both as the NIC and as the CPU knows
    // them. Throws Error.
    LimitProbe(Nic& nic, std::vector<const MemoryRegion*> source_regions,
               std::span<const DmaBuf> source, std::vector<const MemoryRegion*> target_regions,
               std::span<const DmaBuf> target, std::size_t bytes);

    // The NIC's plain transfer for about so long, GB/s. Throws Error.
    using Transfer = std::function<double(Nanoseconds duration)>;
    // Likewise, with a transfer to somewhere else than `target`.
    LimitProbe(Transfer transfer, std::span<const DmaBuf> source, std::span<const DmaBuf> target,
               std::size_t bytes);

    // Spends about `duration` on the NIC's plain transfer, and as much on the CPU's plain copy by
    // each method in turn. Blocks.
    void measure(Nanoseconds duration);

    // The medians over all slices; of the CPU's methods, the fastest.
    Limits result() const;

private:
    double copy_gbytes_per_s(const CopyMethod& method, Nanoseconds duration);

    Transfer transfer_;
    std::vector<Mapping> source_;
    std::vector<Mapping> target_;
    std::size_t bytes_;
    std::size_t next_ = 0; // slot

    std::vector<double> dma_;
    std::vector<std::vector<double>> copies_; // a list for each of copy_methods()
};

} // namespace clearframe
