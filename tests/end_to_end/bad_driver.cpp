// A Vulkan driver that does what $BAD_DRIVER says as soon as it is loaded: "hang" or "crash".
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

__attribute__((constructor)) static void misbehave() {
    const char* what = std::getenv("BAD_DRIVER");
    if (what && std::string_view(what) == "crash")
        kill(getpid(), SIGKILL); // no sanitizer stands in its way
    while (what && std::string_view(what) == "hang")
        pause();
}
