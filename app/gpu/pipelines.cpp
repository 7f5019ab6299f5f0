#include "gpu/pipelines.h"

#include "shaders/fullscreen.vert.h"
#include "shaders/picture.comp.h"
#include "shaders/picture.frag.h"
#include "shaders/stamp.comp.h"

#include <span>

namespace clearframe {
namespace {

// A shader for one scene: the scene is a constant of its pipeline, so that the compiler drops the
// others.
class Shader {
public:
    Shader(const GpuDevice& device, std::span<const std::uint32_t> words, Scene scene)
        : scene_(static_cast<std::uint32_t>(scene)),
          module_(device.device(), {{}, words.size_bytes(), words.data()}) {}
    Shader(const Shader&) = delete;
    Shader& operator=(const Shader&) = delete;

    // Valid as long as this.
    vk::PipelineShaderStageCreateInfo stage(vk::ShaderStageFlagBits stage) const {
        return {{}, stage, *module_, "main", &specialization_};
    }

private:
    std::uint32_t scene_;
    vk::SpecializationMapEntry entry_{0, 0, sizeof(scene_)};
    vk::SpecializationInfo specialization_{1, &entry_, sizeof(scene_), &scene_};
    vk::raii::ShaderModule module_;
};

vk::raii::Pipeline make_compute_pipeline(const GpuDevice& device,
                                         const vk::raii::PipelineLayout& layout,
                                         std::span<const std::uint32_t> words, Scene scene) {
    const Shader shader(device, words, scene);
    return {device.device(), nullptr,
            vk::ComputePipelineCreateInfo({}, shader.stage(vk::ShaderStageFlagBits::eCompute),
                                          *layout)};
}

} // namespace

vk::raii::DescriptorSetLayout make_set_layout(const GpuDevice& device) {
    using Stages = vk::ShaderStageFlagBits;
    const vk::DescriptorSetLayoutBinding bindings[] = {
        {0, vk::DescriptorType::eUniformBuffer, 1, Stages::eCompute | Stages::eFragment},
        {1, vk::DescriptorType::eStorageBuffer, 1, Stages::eCompute},
    };
    return {device.device(), vk::DescriptorSetLayoutCreateInfo({}, bindings)};
}

vk::raii::PipelineLayout make_pipeline_layout(const GpuDevice& device,
                                              const vk::raii::DescriptorSetLayout& sets) {
    const vk::PushConstantRange push(vk::ShaderStageFlagBits::eCompute, 0, sizeof(StampPush));
    return {device.device(), vk::PipelineLayoutCreateInfo({}, *sets, push)};
}

vk::raii::Pipeline make_stamp_pipeline(const GpuDevice& device,
                                       const vk::raii::PipelineLayout& layout, Scene scene) {
    return make_compute_pipeline(device, layout, spirv::stamp_comp, scene);
}

vk::raii::Pipeline make_buffer_pipeline(const GpuDevice& device,
                                        const vk::raii::PipelineLayout& layout, Scene scene) {
    return make_compute_pipeline(device, layout, spirv::picture_comp, scene);
}

vk::raii::Pipeline make_image_pipeline(const GpuDevice& device,
                                       const vk::raii::PipelineLayout& layout, Scene scene,
                                       vk::Extent2D size) {
    const Shader vertex(device, spirv::fullscreen_vert, scene);
    const Shader fragment(device, spirv::picture_frag, scene);
    const vk::PipelineShaderStageCreateInfo stages[] = {
        vertex.stage(vk::ShaderStageFlagBits::eVertex),
        fragment.stage(vk::ShaderStageFlagBits::eFragment)};
    const vk::PipelineVertexInputStateCreateInfo no_vertices;
    const vk::PipelineInputAssemblyStateCreateInfo triangle({},
                                                            vk::PrimitiveTopology::eTriangleList);
    const vk::Viewport viewport(0, 0, static_cast<float>(size.width),
                                static_cast<float>(size.height), 0, 1);
    const vk::Rect2D scissor({}, size);
    const vk::PipelineViewportStateCreateInfo view({}, viewport, scissor);
    vk::PipelineRasterizationStateCreateInfo rasterization;
    rasterization.lineWidth = 1;
    const vk::PipelineMultisampleStateCreateInfo one_sample;
    using Channel = vk::ColorComponentFlagBits;
    vk::PipelineColorBlendAttachmentState overwrite;
    overwrite.colorWriteMask = Channel::eR | Channel::eG | Channel::eB | Channel::eA;
    const vk::PipelineColorBlendStateCreateInfo blend({}, false, {}, overwrite);
    const vk::PipelineRenderingCreateInfo target(0, frame_format);
    return {device.device(), nullptr,
            vk::GraphicsPipelineCreateInfo({}, stages, &no_vertices, &triangle, nullptr, &view,
                                           &rasterization, &one_sample, nullptr, &blend, nullptr,
                                           *layout, {}, 0, {}, 0, &target)};
}

} // namespace clearframe
