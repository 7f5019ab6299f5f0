#include "memory/exposure.h"

namespace clearframe {

ExposureRecord::ExposureRecord(ExposureMeter& meter, std::size_t bytes, Exposure exposure) {
    if (exposure != Exposure::shared)
        return;
    meter_ = &meter;
    bytes_ = bytes;
    const std::uint64_t now = meter.now_.fetch_add(bytes_, std::memory_order_relaxed) + bytes_;
    std::uint64_t peak = meter.peak_.load(std::memory_order_relaxed);
    while (peak < now && !meter.peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
    }
}

ExposureRecord::~ExposureRecord() {
    if (meter_)
        meter_->now_.fetch_sub(bytes_, std::memory_order_relaxed);
}

void ExposureRecord::not_zeroed() noexcept {
    if (meter_)
        meter_->unzeroed_.fetch_add(bytes_, std::memory_order_relaxed);
}

} // namespace clearframe
