// An X11 connection that may break.
#pragma once

#include "gpu/vulkan.h"

#include <atomic>
#include <memory>
#include <optional>

struct GLFWwindow;
struct xcb_connection_t;

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

// What Vulkan presents by: a connection of its own to GLFW's server. Where it shares GLFW's and
// learns first that the server is gone, Xlib crashes with its next request. Is to go before GLFW.
class X11Presenting {
public:
    // Must not outlive this object. Empty where the window system is another one, or `instance` has
    // no VK_KHR_xcb_surface, or will not: then GLFW makes one, or says why not.
    std::optional<vk::raii::SurfaceKHR> make_surface(const vk::raii::Instance& instance,
                                                     GLFWwindow* window);

private:
    struct Disconnect {
        void operator()(xcb_connection_t* connection) const;
    };
    std::unique_ptr<xcb_connection_t, Disconnect> connection_;
};

} // namespace clearframe
