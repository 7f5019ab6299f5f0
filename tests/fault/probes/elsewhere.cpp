// A library that calls the C library on its own behalf, as a Vulkan driver does.
#include <sys/mman.h>

extern "C" int memfd_of_another_library() {
    // Not a tail call, which would return straight to the program.
    const volatile int fd = ::memfd_create("elsewhere", 0);
    return fd;
}
