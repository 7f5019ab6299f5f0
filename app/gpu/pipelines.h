// The pipelines that draw: scenes (inside gpu/ only), and what the display draws with.
#pragma once

#include "gpu/device.h"
#include "wire/frame.h"

#include <span>

namespace clearframe {

// What all shaders are given: binding 0 the frame's constants, binding 1 what a compute shader
// writes; and the push constants of the stamp.
struct StampPush {
    std::uint32_t trailer; // 0: the header, 1: the trailer
    std::uint32_t at;      // its first word
};
vk::raii::DescriptorSetLayout make_set_layout(const GpuDevice& device);
vk::raii::PipelineLayout make_pipeline_layout(const GpuDevice& device,
                                              const vk::raii::DescriptorSetLayout& sets);

// Each throws vk::SystemError.
vk::raii::Pipeline make_stamp_pipeline(const GpuDevice& device,
                                       const vk::raii::PipelineLayout& layout, Scene scene);
// Draws the picture by a compute shader, in groups of picture_group pixels a side.
inline constexpr std::uint32_t picture_group = 16;
vk::raii::Pipeline make_buffer_pipeline(const GpuDevice& device,
                                        const vk::raii::PipelineLayout& layout, Scene scene);
// Draws the picture by a triangle over the whole of an image.
vk::raii::Pipeline make_image_pipeline(const GpuDevice& device,
                                       const vk::raii::PipelineLayout& layout, Scene scene);

vk::raii::ShaderModule make_shader(const GpuDevice& device, std::span<const std::uint32_t> words);

// Draws triangles on images of format `target`, inside the viewport and scissor that the commands
// set. The rest is left as Vulkan has it: no vertices read, colours written over what was there.
struct TriangleState {
    TriangleState(vk::Format target_, vk::ShaderModule vertex_, vk::ShaderModule fragment_);

    vk::Format target;
    vk::PipelineShaderStageCreateInfo vertex;
    vk::PipelineShaderStageCreateInfo fragment;
    vk::PipelineVertexInputStateCreateInfo vertices;
    vk::PipelineColorBlendAttachmentState blend;
};
vk::raii::Pipeline make_triangle_pipeline(const GpuDevice& device,
                                          const vk::raii::PipelineLayout& layout,
                                          const TriangleState& state);

// Viewport and scissor of what is drawn next.
void set_drawing_area(const vk::raii::CommandBuffer& commands, const vk::Rect2D& area);

} // namespace clearframe
