// Waiting for something to end, or for Ctrl-C.
#pragma once

#include "core/clock.h"
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

// While it exists, SIGINT and SIGTERM do not end the process but are waited for. Make it before
// any thread: the threads inherit that the signals are blocked. The second signal is left to its
// default action, so that a program which does not end can be ended.
class Interrupts {
public:
    Interrupts(); // Throws Error.
    ~Interrupts();
    Interrupts(const Interrupts&) = delete;
    Interrupts& operator=(const Interrupts&) = delete;

    enum class Woken { by_event, by_interrupt, by_time };
    // Waits for the event, the first signal, or until `timeout` has passed.
    Woken wait(const Event& event, Nanoseconds timeout);

private:
    UniqueFd signals_;
};

} // namespace clearframe
