// Preloaded, makes calls of the C library fail: CLEARFRAME_FAIL="mmap:3:ENOMEM,write:1+:ENOSPC"
// (plan.h). Only calls made by the program itself count, through the C++ library or not; those of
// Mesa and the Vulkan loader do not. Of the requests to a DRM device, which libdrm makes, those
// that show pictures have names of their own: DRM_IOCTL_MODE_SETCRTC:1:EINVAL. The value IGNORED:
// the call succeeds, and nothing happens; SIGINT, SIGTERM: the process is sent that, and the call
// is made. CLEARFRAME_COUNT=FILE tells at the end how many there were.

#include "plan.h"

#include <drm.h>

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace {

using namespace clearframe;

#define CALLS(X)                                                                                   \
    X(open)                                                                                        \
    X(openat)                                                                                      \
    X(ioctl)                                                                                       \
    X(mmap)                                                                                        \
    X(memfd_create)                                                                                \
    X(ftruncate)                                                                                   \
    X(fallocate)                                                                                   \
    X(fcntl)                                                                                       \
    X(dup)                                                                                         \
    X(pread)                                                                                       \
    X(read)                                                                                        \
    X(write)                                                                                       \
    X(fsync)                                                                                       \
    X(rename)                                                                                      \
    X(pthread_create)                                                                              \
    X(eventfd)                                                                                     \
    X(DRM_IOCTL_MODE_ADDFB2)                                                                       \
    X(DRM_IOCTL_MODE_SETCRTC)                                                                      \
    X(DRM_IOCTL_MODE_PAGE_FLIP)
#define ENUMERATOR(name) name##_call,
#define NAME(name) std::string_view(#name),
enum Call : std::size_t { CALLS(ENUMERATOR) calls_count };

constinit faults::Plan<calls_count> plan{{CALLS(NAME)}};

struct Range {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;

    bool holds(const void* address) const {
        const auto at = reinterpret_cast<std::uintptr_t>(address);
        return begin <= at && at < end;
    }
};

// The program, and the libraries that call the C library on behalf of who calls them.
constinit Range program;
constinit std::array<Range, 8> go_betweens;
constinit std::size_t go_betweens_count = 0;

int take_object(dl_phdr_info* object, std::size_t, void*) {
    Range range{.begin = UINTPTR_MAX, .end = 0};
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const auto& segment = object->dlpi_phdr[i];
        if (segment.p_type == PT_LOAD) {
            const std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
            range.begin = std::min(range.begin, begin);
            range.end = std::max(range.end, begin + segment.p_memsz);
        }
    }
    const char* name = std::strrchr(object->dlpi_name, '/');
    if (object->dlpi_name[0] == '\0' && program.end == 0) {
        program = range; // the first object
    } else if (range.holds(&program) || (name && (std::strncmp(name, "/libstdc++.", 11) == 0 ||
                                                  std::strncmp(name, "/libasan.", 9) == 0 ||
                                                  std::strncmp(name, "/libtsan.", 9) == 0))) {
        if (go_betweens_count < go_betweens.size())
            go_betweens[go_betweens_count++] = range;
    }
    return 0;
}

bool is_go_between(const void* address) {
    return std::any_of(go_betweens.begin(), go_betweens.begin() + go_betweens_count,
                       [address](const Range& range) { return range.holds(address); });
}

bool comes_from_program(const void* caller) {
    if (program.holds(caller) || !is_go_between(caller))
        return program.holds(caller);
    std::array<void*, 16> stack{};
    const int depth = ::backtrace(stack.data(), static_cast<int>(stack.size()));
    const auto first = std::find_if_not(stack.begin(), stack.begin() + depth,
                                        [](void* f) { return is_go_between(f); });
    return first != stack.begin() + depth && program.holds(*first);
}

// Of an ioctl(): the call that its request is, whoever makes it.
std::optional<Call> drm_call(unsigned long request) {
    switch (request) {
    case DRM_IOCTL_MODE_ADDFB2:
        return DRM_IOCTL_MODE_ADDFB2_call;
    case DRM_IOCTL_MODE_SETCRTC:
        return DRM_IOCTL_MODE_SETCRTC_call;
    case DRM_IOCTL_MODE_PAGE_FLIP:
        return DRM_IOCTL_MODE_PAGE_FLIP_call;
    default:
        return std::nullopt;
    }
}

// An errno; 0: no error, but nothing happens either; a signal's number, negated.
std::optional<int> value_of(std::string_view name) {
    if (name == "IGNORED")
        return 0;
    if (name == "SIGINT" || name == "SIGTERM")
        return name == "SIGINT" ? -SIGINT : -SIGTERM;
    for (int error = 1; error < 200; ++error) {
        const char* known = ::strerrorname_np(error);
        if (known && name == known)
            return error;
    }
    return std::nullopt;
}

[[gnu::constructor]] void start() {
    void* warm_up = nullptr;
    ::backtrace(&warm_up, 1); // loads what it needs now
    plan.read("CLEARFRAME_FAIL", value_of);
    ::dl_iterate_phdr(take_object, nullptr);
}

[[gnu::destructor]] void end() { plan.report("CLEARFRAME_COUNT"); }

} // namespace

// Every one of these calls passes at most six words, all in registers, variadic or not.
#define WRAP_IF(condition, symbol, call, failed)                                                   \
    extern "C" long clearframe_##symbol(long, long, long, long, long, long) __asm__(#symbol);      \
    extern "C" long clearframe_##symbol(long a, long b, long c, long d, long e, long f) {          \
        static const auto next =                                                                   \
            reinterpret_cast<decltype(&clearframe_##symbol)>(::dlsym(RTLD_NEXT, #symbol));         \
        if (condition) {                                                                           \
            if (const auto error = plan.next(call)) {                                              \
                if (*error == 0)                                                                   \
                    return 0;                                                                      \
                if (*error > 0) {                                                                  \
                    errno = *error;                                                                \
                    return failed;                                                                 \
                }                                                                                  \
                ::kill(::getpid(), -*error);                                                       \
            }                                                                                      \
        }                                                                                          \
        return next(a, b, c, d, e, f);                                                             \
    }
#define WRAP(symbol, call, failed)                                                                 \
    WRAP_IF(comes_from_program(__builtin_return_address(0)), symbol, call##_call, failed)

WRAP(open, open, -1)
WRAP(open64, open, -1)
WRAP(openat, openat, -1)
WRAP(openat64, openat, -1)
WRAP_IF(drm_call(static_cast<unsigned long>(b)) || comes_from_program(__builtin_return_address(0)),
        ioctl, drm_call(static_cast<unsigned long>(b)).value_or(ioctl_call), -1)
WRAP(mmap, mmap, -1)
WRAP(mmap64, mmap, -1)
WRAP(memfd_create, memfd_create, -1)
WRAP(ftruncate, ftruncate, -1)
WRAP(ftruncate64, ftruncate, -1)
WRAP(fallocate, fallocate, -1)
WRAP(fallocate64, fallocate, -1)
WRAP(fcntl, fcntl, -1)
WRAP(fcntl64, fcntl, -1)
WRAP(dup, dup, -1)
WRAP(read, read, -1)
WRAP(pread, pread, -1)
WRAP(pread64, pread, -1)
WRAP(write, write, -1)
WRAP(fsync, fsync, -1)
WRAP(rename, rename, -1)
WRAP(pthread_create, pthread_create, *error)
WRAP(eventfd, eventfd, -1)
