// A library that calls the C library on its own behalf, as a Vulkan driver does.
#include <drm.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

extern "C" int memfd_of_another_library() {
    // Not a tail call, which would return straight to the program.
    const volatile int fd = ::memfd_create("elsewhere", 0);
    return fd;
}

// As libdrm asks for one.
extern "C" bool page_flip_of_another_library(int fd) {
    drm_mode_crtc_page_flip request{};
    const volatile bool good = ::ioctl(fd, DRM_IOCTL_MODE_PAGE_FLIP, &request) == 0;
    return good;
}
