#include "core/event.h"

#include "core/error.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace clearframe {

Event::Event() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!fd_)
        throw_errno(errno, "making an event", "Raise the limit of open files: ulimit -n");
}

void Event::signal() noexcept {
    signalled_.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    // Should it fail, the waiter sees the flag when its time is up.
    [[maybe_unused]] const ssize_t written = write(fd_.get(), &one, sizeof(one));
}

} // namespace clearframe
