// The image that everything is drawn on, with a window or without.
#pragma once

#include "gpu/commands.h"
#include "gpu/frame_view.h"
#include "ui/imgui_renderer.h"
#include "ui/panel.h"
#include "ui/picture.h"

#include <span>

namespace clearframe {

// A view's picture, and where it goes; scaled if the two differ in size.
struct PlacedPicture {
    FrameViews::Picture picture;
    ViewArea area;
};

// Used by one thread. `device` must outlive it.
class Canvas {
public:
    static constexpr vk::Format format = vk::Format::eR8G8B8A8Unorm;

    // Throws Error.
    explicit Canvas(const GpuDevice& device);

    // Clears an image of this size, puts the pictures on it and draws the panel over them. Returns
    // when the device has drawn it. Throws vk::SystemError.
    void draw(vk::Extent2D size, std::span<const PlacedPicture> pictures, ImGuiRenderer& renderer,
              const ImDrawData& panel);

    // What the last draw() made, in layout TRANSFER_SRC_OPTIMAL; null before it.
    vk::Image image() const noexcept { return *image_.image; }
    vk::Extent2D size() const noexcept { return image_.size; }
    // The same, in memory. Throws vk::SystemError.
    Picture read();

private:
    const GpuDevice& device_;
    Commands commands_;
    DeviceImage image_;
    HostBuffer read_; // of the size that the canvas had when it was read
};

} // namespace clearframe
