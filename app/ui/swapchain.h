// How a window shows the canvas.
#pragma once

#include "gpu/commands.h"

#include <optional>
#include <vector>

namespace clearframe {

// The images of a window's surface. Used by one thread. `device` must outlive it.
class Swapchain {
public:
    Swapchain(const GpuDevice& device, vk::raii::SurfaceKHR surface);
    // Waits for what is in flight.
    ~Swapchain();
    Swapchain(const Swapchain&) = delete;
    Swapchain& operator=(const Swapchain&) = delete;

    // Shows a copy of `canvas`, which is in layout TRANSFER_SRC_OPTIMAL; its top left corner where
    // the window has another size by now. Returns without waiting for it: finish() does. A window
    // that takes no pictures at the moment (resized, hidden) gets the next one. False when there is
    // no window any more. Throws vk::SystemError.
    bool show(vk::Image canvas, vk::Extent2D size);

    // Returns when `canvas` may be drawn on again. Throws vk::SystemError.
    void finish() { commands_.finish(); }

private:
    // False when the window has no pixels now. `size`: where the surface leaves it to the program.
    bool make(vk::Extent2D size);
    std::optional<std::uint32_t> acquire();
    void record(vk::Image canvas, vk::Extent2D size, std::uint32_t image);
    void present(std::uint32_t image);

    const GpuDevice& device_;
    vk::raii::SurfaceKHR surface_;
    Commands commands_;
    vk::raii::Semaphore acquired_;
    vk::raii::SwapchainKHR swapchain_{nullptr};
    vk::Extent2D size_;
    std::vector<vk::Image> images_;
    std::vector<vk::raii::Semaphore> drawn_; // one for each image
    bool outdated_ = true;
};

} // namespace clearframe
