// Waiting for something to end, or for Ctrl-C.
#pragma once

#include "core/clock.h"
#include "core/event.h"
#include "core/unique_fd.h"

#include <exception>
#include <functional>
#include <thread>

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

// Runs `body` on a thread of that name, for as long as it exists.
class Background {
public:
    // `stop` makes the body end soon; any thread may call it, and more than once. Throws Error.
    Background(const char* name, std::function<void()> body, std::function<void()> stop);
    // Stops it. Blocks until it has ended.
    ~Background();
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;

    const Event& ended() const noexcept { return ended_; }
    // Blocks until it has ended. Throws what the body threw.
    void finish();

private:
    std::function<void()> body_, stop_;
    Event ended_;
    std::exception_ptr failure_;
    std::jthread thread_;
};

// Runs `body` on a thread of that name and returns when it has ended. The first signal calls
// `on_interrupt`; `tick`, if any, is called about five times a second. Both on the calling thread.
// True if there was a signal. Throws what the body threw.
bool run_interruptible(Interrupts& interrupts, const char* name, std::function<void()> body,
                       const std::function<void()>& on_interrupt,
                       const std::function<void()>& tick = {});

} // namespace clearframe
