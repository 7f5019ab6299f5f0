#include "ui/x11.h"

#include <X11/Xlib.h>

#include <dlfcn.h>

#include <xcb/xcb.h>

// Takes what comes before it.
#include <vulkan/vulkan_xcb.h>

namespace clearframe {
namespace {

// GLFW's builds for Wayland have no such function, and bring no Xlib: nothing of either is linked.
Display* glfw_connection() {
    const auto get = reinterpret_cast<Display* (*)()>(::dlsym(RTLD_DEFAULT, "glfwGetX11Display"));
    return get ? get() : nullptr;
}

::Window glfw_window(GLFWwindow* window) {
    const auto get =
        reinterpret_cast<::Window (*)(GLFWwindow*)>(::dlsym(RTLD_DEFAULT, "glfwGetX11Window"));
    return get ? get(window) : None;
}

// From a library that is loaded already; null where it is not.
template <typename Function>
Function* loaded(const char* library_name, const char* name) {
    void* const library = ::dlopen(library_name, RTLD_LAZY | RTLD_NOLOAD);
    if (!library)
        return nullptr;
    auto* const function = reinterpret_cast<Function*>(::dlsym(library, name));
    ::dlclose(library); // still loaded
    return function;
}

template <typename Function>
Function* xlib(const char* name) {
    return loaded<Function>("libX11.so.6", name);
}

template <typename Function>
Function* xcb(const char* name) {
    return loaded<Function>("libxcb.so.1", name);
}

int ignore_error(Display*, XErrorEvent*) { return 0; } // of a window that was closed by others
int ignore_loss(Display*) { return 0; }                // the connection's own handler comes next
void note_loss(Display*, void* lost) { static_cast<std::atomic<bool>*>(lost)->store(true); }

} // namespace

void X11Connection::watch() {
    Display* const connection = glfw_connection();
    open_ = connection != nullptr;
    if (!open_)
        return;
    if (auto* set = xlib<decltype(XSetErrorHandler)>("XSetErrorHandler"))
        set(ignore_error);
    // Xlib 1.7 and newer go on after this; an older one ends the program.
    if (auto* set = xlib<decltype(XSetIOErrorExitHandler)>("XSetIOErrorExitHandler")) {
        set(connection, note_loss, &lost_);
        if (auto* quiet = xlib<decltype(XSetIOErrorHandler)>("XSetIOErrorHandler"))
            quiet(ignore_loss);
    }
}

bool X11Connection::has(GLFWwindow* window) const {
    if (!open_)
        return true;
    if (is_lost())
        return false;
    auto* const ask = xlib<decltype(XGetWindowAttributes)>("XGetWindowAttributes");
    XWindowAttributes attributes;
    return !ask || ask(glfw_connection(), glfw_window(window), &attributes) != 0;
}

X11Connection::~X11Connection() {
    if (!open_)
        return;
    if (auto* set = xlib<decltype(XSetErrorHandler)>("XSetErrorHandler"))
        set(nullptr);
    if (auto* set = xlib<decltype(XSetIOErrorHandler)>("XSetIOErrorHandler"))
        set(nullptr);
}

std::optional<vk::raii::SurfaceKHR> X11Presenting::make_surface(const vk::raii::Instance& instance,
                                                                GLFWwindow* window) {
    const auto create =
        reinterpret_cast<PFN_vkCreateXcbSurfaceKHR>(instance.getProcAddr("vkCreateXcbSurfaceKHR"));
    auto* const connect = xcb<decltype(xcb_connect)>("xcb_connect");
    auto* const has_error = xcb<decltype(xcb_connection_has_error)>("xcb_connection_has_error");
    if (!glfw_connection() || !create || !connect || !has_error)
        return std::nullopt;
    if (!connection_)
        connection_.reset(connect(nullptr, nullptr));
    if (has_error(connection_.get()))
        return std::nullopt;
    VkXcbSurfaceCreateInfoKHR info{.sType = VK_STRUCTURE_TYPE_XCB_SURFACE_CREATE_INFO_KHR,
                                   .pNext = nullptr,
                                   .flags = 0,
                                   .connection = connection_.get(),
                                   .window = static_cast<xcb_window_t>(glfw_window(window))};
    VkSurfaceKHR surface = VK_NULL_HANDLE;
    const VkResult result = create(*instance, &info, nullptr, &surface);
    if (result != VK_SUCCESS)
        return std::nullopt;
    return vk::raii::SurfaceKHR(instance, surface);
}

void X11Presenting::Disconnect::operator()(xcb_connection_t* connection) const {
    if (auto* const disconnect = xcb<decltype(xcb_disconnect)>("xcb_disconnect"))
        disconnect(connection);
}

} // namespace clearframe
