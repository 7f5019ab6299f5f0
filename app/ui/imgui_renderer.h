// Draws what Dear ImGui has laid out. The renderer that libimgui brings goes on after a call that
// failed, frees twice what it could not make again, and names Vulkan's functions, without whose
// library the program could then not be started at all.
#pragma once

#include "gpu/commands.h"
#include "ui/imgui_adapter.h"

namespace clearframe {

// Used by one thread. `device` must outlive it. All throw vk::SystemError.
class ImGuiRenderer {
public:
    // For images of format `target`.
    ImGuiRenderer(const GpuDevice& device, vk::Format target);

    // Takes the fonts' texture, in place of the one before. Returns when the device has it.
    void set_fonts(const FontAtlas& atlas);

    // Between beginRendering() and endRendering() on an image of data.DisplaySize pixels. What was
    // recorded before must be done. Draws triangles in the fonts' texture; there are no callbacks.
    void record(const vk::raii::CommandBuffer& commands, const ImDrawData& data);

private:
    void upload(const ImDrawData& data);

    const GpuDevice& device_;
    vk::raii::Sampler sampler_;
    vk::raii::DescriptorSetLayout set_layout_{nullptr};
    vk::raii::DescriptorPool pool_{nullptr};
    vk::raii::DescriptorSet set_{nullptr};
    vk::raii::PipelineLayout layout_{nullptr};
    vk::raii::Pipeline pipeline_{nullptr};
    DeviceImage atlas_;
    HostBuffer vertices_; // grow, and never shrink
    HostBuffer indices_;
};

} // namespace clearframe
