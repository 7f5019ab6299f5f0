#include "ui/window.h"

#include "core/error.h"
#include "ui/x11.h"

#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

namespace clearframe {
namespace {

// Below this size in units the panel has no room.
constexpr double least_width = 1280;
constexpr double least_height = 720;

constexpr const char* no_display_advice = "Start it on a desktop or with DISPLAY or "
                                          "WAYLAND_DISPLAY set, or without a window: --offscreen";

// What GLFW says of its last error: "GLFW error 0x10008: X11: Failed to open display :7".
std::string glfw_text() {
    const char* text = nullptr;
    const int code = ::glfwGetError(&text);
    return code == GLFW_NO_ERROR ? std::string()
                                 : fmt::format("GLFW error {:#x}: {}", code, text ? text : "");
}

std::string display_text() {
    std::string text;
    for (const char* name : {"WAYLAND_DISPLAY", "DISPLAY"}) {
        const char* value = std::getenv(name);
        text += fmt::format("{}{} is {}", text.empty() ? "" : ", ", name,
                            value ? fmt::format("'{}'", value) : "not set");
    }
    return text;
}

// GLFW itself, as long as this lives.
class Glfw {
public:
    Glfw() {
#ifdef GLFW_PLATFORM // GLFW 3.4, which looks for both; libwayland complains where there is none
        if (!std::getenv("WAYLAND_DISPLAY"))
            ::glfwInitHint(GLFW_PLATFORM, GLFW_PLATFORM_X11);
#endif
        if (!::glfwInit())
            throw Error(Failure::unavailable,
                        fmt::format("no display can be opened ({})", display_text()), glfw_text(),
                        no_display_advice);
    }
    ~Glfw() { ::glfwTerminate(); }
    Glfw(const Glfw&) = delete;
    Glfw& operator=(const Glfw&) = delete;
};

struct DestroyWindow {
    void operator()(GLFWwindow* window) const { ::glfwDestroyWindow(window); }
};

struct DestroyCursor {
    void operator()(GLFWcursor* cursor) const { ::glfwDestroyCursor(cursor); }
};
using Cursor = std::unique_ptr<GLFWcursor, DestroyCursor>;

std::unique_ptr<GLFWwindow, DestroyWindow> open_window(std::uint32_t width, std::uint32_t height) {
    ::glfwWindowHint(GLFW_CLIENT_API, GLFW_NO_API);
    ::glfwWindowHint(GLFW_VISIBLE, GLFW_FALSE); // until it has its size
    ::glfwWindowHintString(GLFW_X11_CLASS_NAME, "clearframe");
    ::glfwWindowHintString(GLFW_X11_INSTANCE_NAME, "clearframe");
#ifdef GLFW_WAYLAND_APP_ID // GLFW 3.4
    ::glfwWindowHintString(GLFW_WAYLAND_APP_ID, "clearframe");
#endif
    std::unique_ptr<GLFWwindow, DestroyWindow> window(::glfwCreateWindow(
        static_cast<int>(width), static_cast<int>(height), "clearframe", nullptr, nullptr));
    if (!window)
        throw Error(Failure::unavailable,
                    fmt::format("no window can be opened ({})", display_text()), glfw_text(),
                    no_display_advice);
    return window;
}

} // namespace

struct Window::Parts {
    Parts(std::uint32_t width, std::uint32_t height, double scale) : forced_scale(scale) {
        x11.watch();
        window = open_window(width, height);
        ask_sizes();
    }

    void ask_sizes() {
        int wide = 0;
        int high = 0;
        ::glfwGetWindowSize(window.get(), &wide, &high);
        size = size_of(wide, high);
        ::glfwGetFramebufferSize(window.get(), &wide, &high);
        pixels = size_of(wide, high);
    }

    static Size size_of(int width, int height) {
        return {static_cast<std::uint32_t>(std::max(width, 0)),
                static_cast<std::uint32_t>(std::max(height, 0))};
    }

    double pixels_a_window_unit() const {
        return size.width > 0 && pixels.width > 0 ? double{1} * pixels.width / size.width : 1;
    }

    double scale() const {
        if (forced_scale > 0)
            return forced_scale;
        float x = 1;
        float y = 1;
        ::glfwGetWindowContentScale(window.get(), &x, &y);
        return std::max({double{x}, pixels_a_window_unit(), 0.5});
    }

    // In what the window system counts in, `units` of the panel are this many.
    int window_units(double units) const {
        return static_cast<int>(std::lround(units * scale() / pixels_a_window_unit()));
    }

    void limit_size() {
        limited_scale = scale();
        ::glfwSetWindowSizeLimits(window.get(), window_units(least_width),
                                  window_units(least_height), GLFW_DONT_CARE, GLFW_DONT_CARE);
    }

    static Parts& of_window(GLFWwindow* window) {
        return *static_cast<Parts*>(::glfwGetWindowUserPointer(window));
    }
    void listen();
    void set_size(std::uint32_t width, std::uint32_t height);

    X11Connection x11; // outlives the connection
    Glfw glfw;
    X11Presenting presenting;
    std::unique_ptr<GLFWwindow, DestroyWindow> window;
    double forced_scale;
    double limited_scale = 0; // that the smallest size is set for
    // As last told, in what the window system counts in and in pixels. Asked after a window that
    // others have destroyed, GLFW (3.3) answers with what happens to lie on its stack.
    Size size;
    Size pixels;
    std::array<bool, 3> held{};
    Pointer pointer;
    std::vector<Key> keys;
    bool repeating = false; // the key that comes next is held down
    // Made when first asked for: GLFW 3.3 has none on Wayland before there is a pointer.
    Cursor hand;
    Cursor text;
    PointerShape shape = PointerShape::arrow;
};

void Window::Parts::set_size(std::uint32_t width, std::uint32_t height) {
    int wanted_width = window_units(width);
    int wanted_height = window_units(height);
    if (GLFWmonitor* monitor = ::glfwGetPrimaryMonitor()) {
        int room_width = 0;
        int room_height = 0;
        ::glfwGetMonitorWorkarea(monitor, nullptr, nullptr, &room_width, &room_height);
        if (room_width > 0 && room_height > 0) {
            wanted_width = std::min(wanted_width, room_width);
            wanted_height = std::min(wanted_height, room_height);
        }
    }
    limit_size();
    ::glfwSetWindowSize(window.get(), std::max(wanted_width, window_units(least_width)),
                        std::max(wanted_height, window_units(least_height)));
}

void Window::Parts::listen() {
    ::glfwSetWindowUserPointer(window.get(), this);
    ::glfwSetWindowSizeCallback(window.get(), [](GLFWwindow* of, int width, int height) {
        of_window(of).size = size_of(width, height);
    });
    ::glfwSetFramebufferSizeCallback(window.get(), [](GLFWwindow* of, int width, int height) {
        of_window(of).pixels = size_of(width, height);
    });
    ::glfwSetMouseButtonCallback(window.get(), [](GLFWwindow* of, int button, int action, int) {
        Parts& self = of_window(of);
        if (button < 0 || static_cast<std::size_t>(button) >= self.held.size())
            return;
        self.held[static_cast<std::size_t>(button)] = action == GLFW_PRESS;
        if (action == GLFW_PRESS)
            self.pointer.down[static_cast<std::size_t>(button)] = true;
    });
    ::glfwSetScrollCallback(window.get(), [](GLFWwindow* of, double x, double y) {
        Parts& self = of_window(of);
        self.pointer.wheel_x += static_cast<float>(x);
        self.pointer.wheel_y += static_cast<float>(y);
    });
    ::glfwSetKeyCallback(window.get(), [](GLFWwindow* of, int key, int, int action, int) {
        Parts& self = of_window(of);
        self.repeating = action == GLFW_REPEAT;
        if (action == GLFW_RELEASE)
            return;
        struct Named {
            int code;
            Key key;
            bool repeats = false; // while it is held down
        };
        for (const Named& named :
             {Named{GLFW_KEY_ESCAPE, key_escape}, Named{GLFW_KEY_F1, key_f1},
              Named{GLFW_KEY_F12, key_f12}, Named{GLFW_KEY_UP, key_up, true},
              Named{GLFW_KEY_DOWN, key_down, true}, Named{GLFW_KEY_PAGE_UP, key_page_up, true},
              Named{GLFW_KEY_PAGE_DOWN, key_page_down, true}})
            if (key == named.code && (named.repeats || !self.repeating))
                self.keys.push_back(named.key);
    });
    ::glfwSetCharCallback(window.get(), [](GLFWwindow* of, unsigned int character) {
        Parts& self = of_window(of);
        if (!self.repeating)
            self.keys.push_back(character);
    });
}

Window::Window(std::uint32_t width, std::uint32_t height, double scale)
    : parts_(std::make_unique<Parts>(width, height, scale)) {
    parts_->listen();
    parts_->set_size(width, height);
    ::glfwShowWindow(parts_->window.get());
    parts_->ask_sizes();
}

Window::~Window() = default;

std::string Window::system() const { return parts_->x11.is_open() ? "X11" : "Wayland"; }

std::span<const char* const> Window::vulkan_extensions() const {
    std::uint32_t count = 0;
    const char** const names = ::glfwGetRequiredInstanceExtensions(&count);
    if (!names)
        throw Error(Failure::unavailable, "no Vulkan driver can show pictures in a window",
                    glfw_text(),
                    "On Debian: apt install libvulkan1 mesa-vulkan-drivers. Without a window: "
                    "--offscreen");
    return {names, count};
}

vk::raii::SurfaceKHR Window::make_surface(const vk::raii::Instance& instance) const {
    if (auto surface = parts_->presenting.make_surface(instance, parts_->window.get()))
        return std::move(*surface);
    VkSurfaceKHR surface = VK_NULL_HANDLE;
    const VkResult result =
        ::glfwCreateWindowSurface(*instance, parts_->window.get(), nullptr, &surface);
    if (result != VK_SUCCESS)
        throw Error(
            Failure::unavailable,
            fmt::format("the {} window is not one that Vulkan can show pictures in", system()),
            fmt::format("{}; {}", vk_result_text(static_cast<vk::Result>(result)), glfw_text()),
            "vulkaninfo shows what the driver offers. Without a window: --offscreen");
    return {instance, surface};
}

void Window::handle_events(Nanoseconds deadline) {
    ::glfwPollEvents();
    for (Nanoseconds left = deadline - now(); left > 0 && !is_closing(); left = deadline - now())
        ::glfwWaitEventsTimeout(static_cast<double>(left) / 1e9);
    if (parts_->scale() != parts_->limited_scale)
        parts_->limit_size();
}

bool Window::is_closing() const {
    return ::glfwWindowShouldClose(parts_->window.get()) || parts_->x11.is_lost();
}

bool Window::is_gone() const { return !parts_->x11.has(parts_->window.get()); }

Window::Size Window::size() const {
    return ::glfwGetWindowAttrib(parts_->window.get(), GLFW_ICONIFIED) ? Size() : parts_->pixels;
}

double Window::scale() const { return parts_->scale(); }

Pointer Window::take_pointer() {
    Pointer& pointer = parts_->pointer;
    double x = 0;
    double y = 0;
    ::glfwGetCursorPos(parts_->window.get(), &x, &y);
    const double pixels = parts_->pixels_a_window_unit();
    pointer.inside = ::glfwGetWindowAttrib(parts_->window.get(), GLFW_HOVERED) != 0;
    pointer.x = static_cast<float>(x * pixels);
    pointer.y = static_cast<float>(y * pixels);
    const Pointer taken = pointer;
    pointer.down = parts_->held;
    pointer.wheel_x = pointer.wheel_y = 0;
    return taken;
}

std::vector<Key> Window::take_keys() { return std::exchange(parts_->keys, {}); }

void Window::set_pointer_shape(PointerShape shape) {
    if (shape == parts_->shape)
        return;
    parts_->shape = shape;
    const auto make = [](Cursor& cursor, int standard) {
        if (!cursor)
            cursor.reset(::glfwCreateStandardCursor(standard));
        return cursor.get();
    };
    GLFWcursor* cursor = nullptr; // the arrow
    if (shape == PointerShape::hand)
        cursor = make(parts_->hand, GLFW_HAND_CURSOR);
    else if (shape == PointerShape::text)
        cursor = make(parts_->text, GLFW_IBEAM_CURSOR);
    ::glfwSetCursor(parts_->window.get(), cursor);
}

} // namespace clearframe
