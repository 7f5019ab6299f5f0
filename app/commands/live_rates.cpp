#include "commands/live_rates.h"

#include <algorithm>
#include <functional>

namespace clearframe {
namespace {

constexpr auto bin_ns = static_cast<Nanoseconds>(PathSnapshot::bin_s * 1e9);
constexpr Nanoseconds recent_ns = 3'000'000'000;

} // namespace

void RateHistory::add(Nanoseconds begin, Nanoseconds end, const Totals& moved) {
    if (end <= begin || moved.time <= 0)
        return;
    // Of a block longer than the history its last part is enough.
    const Nanoseconds first = std::max(begin, end - Nanoseconds{PathSnapshot::bins} * bin_ns);
    for (std::int64_t number = first / bin_ns; number * bin_ns < end; ++number) {
        const Nanoseconds from = std::max(begin, number * bin_ns);
        const Nanoseconds to = std::min(end, (number + 1) * bin_ns);
        const double share = static_cast<double>(to - from) / static_cast<double>(end - begin);
        Bin& bin = bins_[static_cast<std::size_t>(number) % bins_.size()];
        if (bin.number != number)
            bin = {.number = number};
        bin.bytes += static_cast<double>(moved.bytes) * share;
        bin.ns += static_cast<double>(moved.time) * share;
    }
}

std::array<std::optional<float>, PathSnapshot::bins> RateHistory::rates(Nanoseconds time) const {
    std::array<std::optional<float>, PathSnapshot::bins> rates;
    const std::int64_t present = time / bin_ns;
    for (std::size_t i = 0; i < rates.size(); ++i) {
        const std::int64_t number = present - static_cast<std::int64_t>(rates.size() - i);
        if (number < 0)
            continue;
        const Bin& bin = bins_[static_cast<std::size_t>(number) % bins_.size()];
        if (bin.number == number && bin.ns > 0)
            rates[i] = static_cast<float>(bin.bytes / bin.ns);
    }
    return rates;
}

void RecentTotals::add(const Totals& block) {
    const auto change = [&](const Totals& totals, auto operation) {
        sum_.frames = operation(sum_.frames, totals.frames);
        sum_.bytes = operation(sum_.bytes, totals.bytes);
        sum_.time = operation(sum_.time, totals.time);
    };
    blocks_.push_back(block);
    change(block, std::plus<>());
    while (sum_.time - blocks_.front().time >= recent_ns) {
        change(blocks_.front(), std::minus<>());
        blocks_.pop_front();
    }
}

} // namespace clearframe
