// A window on the desktop, X11 or Wayland, by GLFW: its size, and what the user does in it.
#pragma once

#include "core/clock.h"
#include "gpu/vulkan.h"
#include "ui/imgui_adapter.h"
#include "ui/panel.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace clearframe {

// Used by the main thread; one at a time.
class Window {
public:
    // Opens it, `width` x `height` units large as far as the monitor has room. `scale`: pixels a
    // unit, 0 for the monitor's. Throws Error: unavailable, with what is missing and what to do.
    Window(std::uint32_t width, std::uint32_t height, double scale);
    ~Window();
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;

    std::string system() const; // "X11", "Wayland"

    // Vulkan extensions that showing pictures in it takes. Throws Error: unavailable.
    std::span<const char* const> vulkan_extensions() const;
    // To be destroyed before the window. Throws Error: unavailable.
    vk::raii::SurfaceKHR make_surface(const vk::raii::Instance& instance) const;

    // Handles what has happened, waiting for it until `deadline` (of clearframe::now()).
    void handle_events(Nanoseconds deadline);
    // The user or the desktop asks for its end, or the display has gone away.
    bool is_closing() const;
    // The display has gone away, or someone else has destroyed the window: asked of the display
    // now.
    bool is_gone() const;

    struct Size {
        std::uint32_t width = 0, height = 0; // pixels; 0 while it is minimised
    };
    Size size() const;
    double scale() const; // pixels a unit

    // Since the last call: what was pressed, and what the pointer did.
    Pointer take_pointer();
    std::vector<Key> take_keys();

    void set_pointer_shape(PointerShape shape);

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

} // namespace clearframe
