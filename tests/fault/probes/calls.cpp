// Makes a few calls of the C library and prints what became of each.
#include <fcntl.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

extern "C" int memfd_of_another_library();
extern "C" bool page_flip_of_another_library(int fd);

namespace {

void tell(const char* call, bool good) {
    std::printf("%s %s\n", call, good ? "good" : ::strerrorname_np(errno));
}

} // namespace

int main() {
    tell("open", ::open("/dev/null", O_RDWR | O_CLOEXEC) >= 0);
    tell("elsewhere", memfd_of_another_library() >= 0);
    const int memory = ::memfd_create("probe", MFD_CLOEXEC);
    tell("memfd_create", memory >= 0);
    tell("ftruncate", ::ftruncate(memory, 4096) == 0);
    for (int i = 0; i < 3; ++i)
        tell("mmap", ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, memory, 0) != MAP_FAILED);
    tell("fcntl", ::fcntl(memory, F_DUPFD_CLOEXEC, 0) >= 0);
    tell("write", ::write(memory, "x", 1) == 1);
    tell("flip", page_flip_of_another_library(memory));
    try {
        std::thread([] {}).join();
        std::puts("thread good");
    } catch (const std::system_error& error) {
        std::printf("thread %s\n", ::strerrorname_np(error.code().value()));
    }
    return 0;
}
