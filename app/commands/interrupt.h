// Waiting for something to end, or for Ctrl-C.
#pragma once

#include "core/clock.h"
#include "core/event.h"
#include "core/unique_fd.h"

#include <functional>

namespace clearframe {

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

// Runs `body` on a thread of that name and returns when it has ended. The first signal calls
// `on_interrupt`; `tick`, if any, is called about five times a second. Both on the calling thread.
// True if there was a signal. Throws what the body threw.
bool run_interruptible(Interrupts& interrupts, const char* name, std::function<void()> body,
                       const std::function<void()>& on_interrupt,
                       const std::function<void()>& tick = {});

} // namespace clearframe
