// Numbers that one thread changes and any thread reads.
#pragma once

#include <atomic>

namespace clearframe {

// By the one writing thread. Load and store are enough there; an atomic addition would lock the
// bus for nothing.
template <typename T>
void add_single_writer(std::atomic<T>& number, T amount) noexcept {
    number.store(number.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

} // namespace clearframe
