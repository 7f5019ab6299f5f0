// The pipelines that draw scenes. Inside gpu/ only.
#pragma once

#include "gpu/device.h"
#include "wire/frame.h"

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
                                       const vk::raii::PipelineLayout& layout, Scene scene,
                                       vk::Extent2D size);

} // namespace clearframe
