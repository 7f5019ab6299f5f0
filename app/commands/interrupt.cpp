#include "commands/interrupt.h"

#include "core/error.h"
#include "core/thread.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <thread>
#include <utility>

namespace clearframe {
namespace {

sigset_t ending_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

} // namespace

Interrupts::Interrupts() {
    const sigset_t set = ending_signals();
    signals_.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_)
        throw_errno(errno, "waiting for signals", "Raise the limit of open files: ulimit -n");
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Interrupts::~Interrupts() {
    const sigset_t set = ending_signals();
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

Interrupts::Woken Interrupts::wait(const Event& event, Nanoseconds timeout) {
    pollfd fds[] = {{.fd = event.fd(), .events = POLLIN}, {.fd = signals_.get(), .events = POLLIN}};
    const int ready = poll(fds, 2, static_cast<int>(timeout / 1'000'000));
    if (event.signalled())
        return Woken::by_event;
    if (ready <= 0 || fds[1].revents == 0)
        return Woken::by_time;
    signalfd_siginfo info;
    [[maybe_unused]] const ssize_t got = read(signals_.get(), &info, sizeof(info));
    const sigset_t set = ending_signals();
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    return Woken::by_interrupt;
}

bool run_interruptible(Interrupts& interrupts, const char* name, std::function<void()> body,
                       const std::function<void()>& on_interrupt,
                       const std::function<void()>& tick) {
    constexpr Nanoseconds beat = 200'000'000;
    Event ended;
    std::exception_ptr failure;
    std::jthread thread = start_thread(name, [&] {
        try {
            body();
        } catch (...) {
            failure = std::current_exception();
        }
        ended.signal();
    });
    bool interrupted = false;
    while (true) {
        const Interrupts::Woken woken = interrupts.wait(ended, beat);
        if (woken == Interrupts::Woken::by_event)
            break;
        if (woken == Interrupts::Woken::by_interrupt) {
            interrupted = true;
            on_interrupt();
        }
        if (tick)
            tick();
    }
    thread.join();
    if (failure)
        std::rethrow_exception(failure);
    return interrupted;
}

} // namespace clearframe
