#include "measure/histogram.h"

#include "measure/rank.h"
#include "measure/single_writer.h"

#include <algorithm>
#include <bit>

namespace clearframe {

std::size_t Histogram::index_of(std::uint64_t value) noexcept {
    value = std::min(value, (std::uint64_t{1} << top_bit) - 1);
    const int shift = std::max(static_cast<int>(std::bit_width(value)) - (sub_bits + 1), 0);
    return (static_cast<std::size_t>(shift) << sub_bits) + (value >> shift);
}

std::uint64_t Histogram::lowest_in(std::size_t index) noexcept {
    const std::size_t group = index >> sub_bits;
    const std::size_t shift = group > 1 ? group - 1 : 0;
    return static_cast<std::uint64_t>(index - (shift << sub_bits)) << shift;
}

void Histogram::record(Nanoseconds value) noexcept {
    value = std::max<Nanoseconds>(value, 0);
    add_single_writer(counts_[index_of(static_cast<std::uint64_t>(value))], std::uint64_t{1});
    add_single_writer(count_, std::uint64_t{1});
    add_single_writer(sum_, static_cast<std::uint64_t>(value));
    max_.store(std::max(max(), value), std::memory_order_relaxed);
}

void Histogram::add(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < buckets; ++i)
        add_single_writer(counts_[i], other.counts_[i].load(std::memory_order_relaxed));
    add_single_writer(count_, other.count());
    add_single_writer(sum_, other.sum_.load(std::memory_order_relaxed));
    max_.store(std::max(max(), other.max()), std::memory_order_relaxed);
}

void Histogram::reset() noexcept {
    for (std::atomic<std::uint64_t>& bucket : counts_)
        bucket.store(0, std::memory_order_relaxed);
    count_.store(0, std::memory_order_relaxed);
    sum_.store(0, std::memory_order_relaxed);
    max_.store(0, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const noexcept { return count_.load(std::memory_order_relaxed); }

Nanoseconds Histogram::max() const noexcept { return max_.load(std::memory_order_relaxed); }

double Histogram::mean() const noexcept {
    const std::uint64_t n = count();
    return n ? static_cast<double>(sum_.load(std::memory_order_relaxed)) / static_cast<double>(n)
             : 0;
}

Nanoseconds Histogram::quantile(double q) const noexcept {
    // Not count(): it need not agree with the buckets while a value is being recorded.
    std::uint64_t n = 0;
    for (const std::atomic<std::uint64_t>& bucket : counts_)
        n += bucket.load(std::memory_order_relaxed);
    if (n == 0)
        return 0;

    const std::uint64_t rank = nearest_rank(q, n);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
        below += counts_[i].load(std::memory_order_relaxed);
        if (below >= rank)
            return std::clamp(max(), static_cast<Nanoseconds>(lowest_in(i)),
                              static_cast<Nanoseconds>(lowest_in(i + 1) - 1));
    }
    return max(); // reset meanwhile
}

} // namespace clearframe
