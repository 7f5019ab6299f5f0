#include "commands/interrupt.h"

#include "core/error.h"
#include "core/thread.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
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

Background::Background(const char* name, std::function<void()> body, std::function<void()> stop)
    : body_(std::move(body)), stop_(std::move(stop)), thread_(start_thread(name, [this] {
          try {
              body_();
          } catch (...) {
              failure_ = std::current_exception();
          }
          ended_.signal();
      })) {}

Background::~Background() { stop_(); }

void Background::finish() {
    if (thread_.joinable())
        thread_.join();
    if (failure_)
        std::rethrow_exception(std::exchange(failure_, nullptr));
}

bool run_interruptible(Interrupts& interrupts, const char* name, std::function<void()> body,
                       const std::function<void()>& on_interrupt,
                       const std::function<void()>& tick) {
    constexpr Nanoseconds beat = 200'000'000;
    Background background(name, std::move(body), [] {});
    bool interrupted = false;
    while (true) {
        const Interrupts::Woken woken = interrupts.wait(background.ended(), beat);
        if (woken == Interrupts::Woken::by_event)
            break;
        if (woken == Interrupts::Woken::by_interrupt) {
            interrupted = true;
            on_interrupt();
        }
        if (tick)
            tick();
    }
    background.finish();
    return interrupted;
}

} // namespace clearframe
