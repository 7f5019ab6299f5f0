// How much memory the host can read: said in words wherever the program shows itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace clearframe {

// Whether the host of a confidential VM can read a piece of memory.
enum class Exposure { private_memory, shared };

// Counts the bytes now in shared memory. Thread-safe.
class ExposureMeter {
public:
    std::uint64_t now_bytes() const noexcept { return now_.load(std::memory_order_relaxed); }
    std::uint64_t peak_bytes() const noexcept { return peak_.load(std::memory_order_relaxed); }
    // Shared memory that was given back without having been zeroed, because mapping it for that
    // failed. 0 in a healthy run.
    std::uint64_t unzeroed_bytes() const noexcept {
        return unzeroed_.load(std::memory_order_relaxed);
    }

private:
    friend class ExposureRecord;
    std::atomic<std::uint64_t> now_{0};
    std::atomic<std::uint64_t> peak_{0};
    std::atomic<std::uint64_t> unzeroed_{0};
};

// One buffer's entry in the meter, for as long as the buffer exists. Move-only.
class ExposureRecord {
public:
    ExposureRecord(ExposureMeter& meter, std::size_t bytes, Exposure exposure);
    ExposureRecord(ExposureRecord&& other) noexcept
        : meter_(std::exchange(other.meter_, nullptr)), bytes_(other.bytes_) {}
    ExposureRecord& operator=(ExposureRecord&&) = delete;
    ~ExposureRecord();

    void not_zeroed() noexcept; // the buffer is given back as it is

private:
    ExposureMeter* meter_ = nullptr; // null for private memory
    std::uint64_t bytes_ = 0;
};

} // namespace clearframe
