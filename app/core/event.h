// Something that happens once, and that is waited for together with other descriptors.
#pragma once

#include "core/unique_fd.h"

#include <atomic>

namespace clearframe {

// An event that one thread signals and another waits for. Thread-safe.
class Event {
public:
    Event(); // Throws Error.
    void signal() noexcept;
    bool signalled() const noexcept { return signalled_.load(std::memory_order_acquire); }
    int fd() const noexcept { return fd_.get(); } // readable once signalled

private:
    std::atomic<bool> signalled_{false};
    UniqueFd fd_;
};

} // namespace clearframe
