#include "gpu/pipelines.h"

#include "shaders/fullscreen.vert.h"
#include "shaders/picture.comp.h"
#include "shaders/picture.frag.h"
#include "shaders/stamp.comp.h"

#include <array>

namespace clearframe {
namespace {

// A shader for one scene: the scene is a constant of its pipeline, so that the compiler drops the
// others.
class Shader {
public:
    Shader(const GpuDevice& device, std::span<const std::uint32_t> words, Scene scene)
        : scene_(static_cast<std::uint32_t>(scene)), module_(make_shader(device, words)) {}
    Shader(const Shader&) = delete;
    Shader& operator=(const Shader&) = delete;

    vk::ShaderModule module() const noexcept { return *module_; }
    const vk::SpecializationInfo& specialization() const noexcept { return specialization_; }

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
                                       const vk::raii::PipelineLayout& layout, Scene scene) {
    const Shader vertex(device, spirv::fullscreen_vert, scene);
    const Shader fragment(device, spirv::picture_frag, scene);
    TriangleState state(frame_format, vertex.module(), fragment.module());
    state.fragment.pSpecializationInfo = &fragment.specialization();
    return make_triangle_pipeline(device, layout, state);
}

vk::raii::ShaderModule make_shader(const GpuDevice& device, std::span<const std::uint32_t> words) {
    return {device.device(), {{}, words.size_bytes(), words.data()}};
}

TriangleState::TriangleState(vk::Format target_, vk::ShaderModule vertex_,
                             vk::ShaderModule fragment_)
    : target(target_),
      vertex({}, vk::ShaderStageFlagBits::eVertex, vertex_, "main"),
      fragment({}, vk::ShaderStageFlagBits::eFragment, fragment_, "main") {
    using Channel = vk::ColorComponentFlagBits;
    blend.colorWriteMask = Channel::eR | Channel::eG | Channel::eB | Channel::eA;
}

vk::raii::Pipeline make_triangle_pipeline(const GpuDevice& device,
                                          const vk::raii::PipelineLayout& layout,
                                          const TriangleState& state) {
    const std::array stages = {state.vertex, state.fragment};
    const vk::PipelineInputAssemblyStateCreateInfo triangles({},
                                                             vk::PrimitiveTopology::eTriangleList);
    const vk::PipelineViewportStateCreateInfo one_area({}, 1, nullptr, 1, nullptr);
    vk::PipelineRasterizationStateCreateInfo rasterization;
    rasterization.lineWidth = 1;
    const vk::PipelineMultisampleStateCreateInfo one_sample;
    const vk::PipelineColorBlendStateCreateInfo blend({}, false, {}, state.blend);
    const std::array changing = {vk::DynamicState::eViewport, vk::DynamicState::eScissor};
    const vk::PipelineDynamicStateCreateInfo dynamic({}, changing);
    const vk::PipelineRenderingCreateInfo target(0, state.target);
    return {device.device(), nullptr,
            vk::GraphicsPipelineCreateInfo({}, stages, &state.vertices, &triangles, nullptr,
                                           &one_area, &rasterization, &one_sample, nullptr, &blend,
                                           &dynamic, *layout, {}, 0, {}, 0, &target)};
}

void set_drawing_area(const vk::raii::CommandBuffer& commands, const vk::Rect2D& area) {
    commands.setViewport(0, vk::Viewport(static_cast<float>(area.offset.x),
                                         static_cast<float>(area.offset.y),
                                         static_cast<float>(area.extent.width),
                                         static_cast<float>(area.extent.height), 0, 1));
    commands.setScissor(0, area);
}

} // namespace clearframe
