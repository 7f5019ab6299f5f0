#include "pipeline/limits.h"

#include "paths/receive_memory.h"

#include <algorithm>
#include <utility>

namespace clearframe {
namespace {

double median(std::vector<double> values) {
    if (values.empty())
        return 0;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

} // namespace

LimitProbe::LimitProbe(Nic& nic, std::vector<const MemoryRegion*> source_regions,
                       std::span<const DmaBuf> source,
                       std::vector<const MemoryRegion*> target_regions,
                       std::span<const DmaBuf> target, std::size_t bytes)
    : LimitProbe([&nic, from = std::move(source_regions), to = std::move(target_regions)](
                     Nanoseconds duration) { return nic.plain_gbytes_per_s(from, to, duration); },
                 source, target, bytes) {}

LimitProbe::LimitProbe(Transfer transfer, std::span<const DmaBuf> source,
                       std::span<const DmaBuf> target, std::size_t bytes)
    : transfer_(std::move(transfer)),
      source_(map_slots(source, Access::read)),
      target_(map_slots(target, Access::read_write)),
      bytes_(bytes),
      copies_(copy_methods().size()) {}

void LimitProbe::measure(Nanoseconds duration) {
    dma_.push_back(transfer_(duration));
    const auto methods = copy_methods();
    for (std::size_t i = 0; i < methods.size(); ++i)
        copies_[i].push_back(
            copy_gbytes_per_s(methods[i], duration / static_cast<Nanoseconds>(methods.size())));
}

double LimitProbe::copy_gbytes_per_s(const CopyMethod& method, Nanoseconds duration) {
    const Nanoseconds start = now();
    Nanoseconds time = 0;
    std::size_t bytes = 0;
    do {
        const std::size_t slot = next_++;
        method.copy(target_[slot % target_.size()].bytes().data(),
                    source_[slot % source_.size()].bytes().data(), bytes_);
        bytes += bytes_;
        time = now() - start;
    } while (time < duration);
    return static_cast<double>(bytes) / static_cast<double>(time);
}

Limits LimitProbe::result() const {
    Limits limits;
    limits.dma_gbytes_per_s = median(dma_);
    const auto methods = copy_methods();
    for (std::size_t i = 0; i < methods.size(); ++i) {
        const double rate = median(copies_[i]);
        if (rate > limits.copy_gbytes_per_s) {
            limits.copy_gbytes_per_s = rate;
            limits.copy_method = methods[i].name;
        }
    }
    return limits;
}

} // namespace clearframe
