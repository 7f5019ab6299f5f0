#include "measure/throughput.h"

#include "measure/rank.h"
#include "measure/single_writer.h"

#include <algorithm>

namespace clearframe {
namespace {

constexpr Nanoseconds longest_kept = 24 * one_hour;

std::size_t bins_for(Nanoseconds longest) {
    const Nanoseconds kept = std::clamp<Nanoseconds>(longest, 0, longest_kept);
    return static_cast<std::size_t>((kept + ThroughputMeter::bin_ns - 1) / ThroughputMeter::bin_ns);
}

} // namespace

ThroughputMeter::ThroughputMeter(Nanoseconds longest) : bins_(bins_for(longest)) {}

void ThroughputMeter::start_block() noexcept {
    block_frames_.store(0, std::memory_order_relaxed);
    block_bytes_.store(0, std::memory_order_relaxed);
    block_time_.store(0, std::memory_order_relaxed);
    last_ = -1;
}

void ThroughputMeter::arrived(std::uint64_t bytes, Nanoseconds at) noexcept {
    const Nanoseconds before = last_;
    if (before < 0) {
        last_ = at;
        return;
    }
    const Nanoseconds took = std::max<Nanoseconds>(at - before, 0);
    last_ = before + took;
    spread(bytes, time_.load(std::memory_order_relaxed), took);

    add_single_writer(frames_, std::uint64_t{1});
    add_single_writer(bytes_, bytes);
    add_single_writer(block_frames_, std::uint64_t{1});
    add_single_writer(block_bytes_, bytes);
    add_single_writer(block_time_, took);
    // Whoever sees this time sees the bins that it completes.
    time_.store(time_.load(std::memory_order_relaxed) + took, std::memory_order_release);
}

void ThroughputMeter::spread(std::uint64_t bytes, Nanoseconds begin, Nanoseconds took) noexcept {
    const Nanoseconds end = begin + took;
    do {
        const auto bin = static_cast<std::size_t>(begin / bin_ns);
        if (bin >= bins_.size())
            return;
        const Nanoseconds stop = std::min(end, (begin / bin_ns + 1) * bin_ns);
        const double share =
            took > 0 ? static_cast<double>(stop - begin) / static_cast<double>(took) : 1;
        add_single_writer(bins_[bin], static_cast<double>(bytes) * share);
        begin = stop;
    } while (begin < end);
}

ThroughputMeter::Totals ThroughputMeter::block() const noexcept {
    return {block_frames_.load(std::memory_order_relaxed),
            block_bytes_.load(std::memory_order_relaxed),
            block_time_.load(std::memory_order_relaxed)};
}

ThroughputMeter::Totals ThroughputMeter::total() const noexcept {
    return {frames_.load(std::memory_order_relaxed), bytes_.load(std::memory_order_relaxed),
            time_.load(std::memory_order_relaxed)};
}

ThroughputMeter::Floor ThroughputMeter::floor() const {
    const auto whole = static_cast<std::size_t>(time_.load(std::memory_order_acquire) / bin_ns);
    std::vector<double> rates(std::min(whole, bins_.size()));
    if (rates.empty()) {
        const double mean = total().gbytes_per_s();
        return {mean, mean, 0};
    }
    std::transform(bins_.begin(), bins_.begin() + static_cast<std::ptrdiff_t>(rates.size()),
                   rates.begin(), [](const std::atomic<double>& bytes) {
                       return bytes.load(std::memory_order_relaxed) / double{bin_ns};
                   });
    std::sort(rates.begin(), rates.end());
    return {rates.front(), rates[nearest_rank(0.05, rates.size()) - 1], rates.size()};
}

} // namespace clearframe
