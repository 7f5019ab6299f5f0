// An X11 connection that may break.
#pragma once

#include <atomic>

struct GLFWwindow;

namespace clearframe {

// Xlib ends the program when its server goes away, or answers a request with an error: for the
// connection that GLFW has opened, this takes note of it instead. On other window systems it does
// nothing. Outlives the connection; one at a time; used by the main thread.
class X11Connection {
public:
    X11Connection() = default;
    ~X11Connection();
    X11Connection(const X11Connection&) = delete;
    X11Connection& operator=(const X11Connection&) = delete;

    void watch();                                   // from now on; after glfwInit()
    bool is_open() const noexcept { return open_; } // GLFW uses X11
    bool is_lost() const noexcept { return lost_.load(std::memory_order_relaxed); }
    // Whether the server, asked now, still has that window: others may destroy it, of which GLFW
    // says nothing. True on other window systems.
    bool has(GLFWwindow* window) const;

private:
    bool open_ = false;
    std::atomic<bool> lost_{false};
};

} // namespace clearframe
