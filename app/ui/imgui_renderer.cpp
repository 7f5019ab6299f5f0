#include "ui/imgui_renderer.h"

#include "gpu/pipelines.h"
#include "shaders/panel.frag.h"
#include "shaders/panel.vert.h"

#include <imgui.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <utility>

namespace clearframe {
namespace {

static_assert(sizeof(ImDrawIdx) == 2);
static_assert(sizeof(ImDrawVert::col) == 4);

vk::raii::Pipeline make_pipeline(const GpuDevice& device, const vk::raii::PipelineLayout& layout,
                                 vk::Format target) {
    const auto vertex = make_shader(device, spirv::panel_vert);
    const auto fragment = make_shader(device, spirv::panel_frag);
    const vk::VertexInputBindingDescription binding(0, sizeof(ImDrawVert));
    const std::array attributes = {
        vk::VertexInputAttributeDescription(0, 0, vk::Format::eR32G32Sfloat,
                                            offsetof(ImDrawVert, pos)),
        vk::VertexInputAttributeDescription(1, 0, vk::Format::eR32G32Sfloat,
                                            offsetof(ImDrawVert, uv)),
        vk::VertexInputAttributeDescription(2, 0, vk::Format::eR8G8B8A8Unorm,
                                            offsetof(ImDrawVert, col)),
    };
    TriangleState state(target, *vertex, *fragment);
    state.vertices = vk::PipelineVertexInputStateCreateInfo({}, binding, attributes);
    using Factor = vk::BlendFactor;
    state.blend.blendEnable = true;
    state.blend.srcColorBlendFactor = Factor::eSrcAlpha;
    state.blend.dstColorBlendFactor = Factor::eOneMinusSrcAlpha;
    state.blend.srcAlphaBlendFactor = Factor::eOne;
    state.blend.dstAlphaBlendFactor = Factor::eOneMinusSrcAlpha;
    return make_triangle_pipeline(device, layout, state);
}

// A buffer of at least `bytes`, with room to grow; what it held is lost when it is made anew.
void grow(const GpuDevice& device, HostBuffer& buffer, std::size_t bytes,
          vk::BufferUsageFlags usage) {
    constexpr std::size_t least = 65536;
    if (buffer.bytes.size() < bytes)
        buffer = HostBuffer(device, std::max(std::bit_ceil(bytes), least), usage);
}

// The part of the canvas that a command draws in.
vk::Rect2D scissor_of(const ImVec4& clip, const ImVec2& canvas) {
    const float left = std::clamp(clip.x, 0.0f, canvas.x);
    const float top = std::clamp(clip.y, 0.0f, canvas.y);
    const float right = std::clamp(clip.z, left, canvas.x);
    const float bottom = std::clamp(clip.w, top, canvas.y);
    const vk::Offset2D start(static_cast<std::int32_t>(left), static_cast<std::int32_t>(top));
    return {start, vk::Extent2D(static_cast<std::uint32_t>(right) - start.x,
                                static_cast<std::uint32_t>(bottom) - start.y)};
}

} // namespace

ImGuiRenderer::ImGuiRenderer(const GpuDevice& device, vk::Format target)
    : device_(device),
      sampler_(device.device(),
               vk::SamplerCreateInfo({}, vk::Filter::eLinear, vk::Filter::eLinear)) {
    const vk::DescriptorSetLayoutBinding binding(0, vk::DescriptorType::eCombinedImageSampler,
                                                 vk::ShaderStageFlagBits::eFragment, *sampler_);
    set_layout_ = {device.device(), vk::DescriptorSetLayoutCreateInfo({}, binding)};
    const vk::DescriptorPoolSize one(vk::DescriptorType::eCombinedImageSampler, 1);
    pool_ = {device.device(), vk::DescriptorPoolCreateInfo(
                                  vk::DescriptorPoolCreateFlagBits::eFreeDescriptorSet, 1, one)};
    set_ = std::move(vk::raii::DescriptorSets(device.device(), {*pool_, *set_layout_})[0]);
    const vk::PushConstantRange push(vk::ShaderStageFlagBits::eVertex, 0, sizeof(ImVec2));
    layout_ = {device.device(), vk::PipelineLayoutCreateInfo({}, *set_layout_, push)};
    pipeline_ = make_pipeline(device, layout_, target);
}

void ImGuiRenderer::set_fonts(const FontAtlas& fonts) {
    const HostBuffer staging(device_, fonts.coverage.size(), vk::BufferUsageFlagBits::eTransferSrc);
    std::memcpy(staging.bytes.data(), fonts.coverage.data(), fonts.coverage.size());
    atlas_ = DeviceImage(device_, vk::Format::eR8Unorm, {fonts.width, fonts.height},
                         vk::ImageUsageFlagBits::eSampled | vk::ImageUsageFlagBits::eTransferDst);
    Commands upload(device_);
    const vk::raii::CommandBuffer& commands = upload.begin();
    change_use(commands, *atlas_.image, unused, copied_to);
    commands.copyBufferToImage(
        *staging.buffer, *atlas_.image, copied_to.layout,
        vk::BufferImageCopy(0, 0, 0, image_layer, {}, {fonts.width, fonts.height, 1}));
    change_use(commands, *atlas_.image, copied_to, sampled);
    upload.submit();
    upload.finish();

    const vk::DescriptorImageInfo image({}, *atlas_.view, sampled.layout);
    device_.device().updateDescriptorSets(
        vk::WriteDescriptorSet(*set_, 0, 0, vk::DescriptorType::eCombinedImageSampler, image), {});
}

void ImGuiRenderer::upload(const ImDrawData& data) {
    grow(device_, vertices_, static_cast<std::size_t>(data.TotalVtxCount) * sizeof(ImDrawVert),
         vk::BufferUsageFlagBits::eVertexBuffer);
    grow(device_, indices_, static_cast<std::size_t>(data.TotalIdxCount) * sizeof(ImDrawIdx),
         vk::BufferUsageFlagBits::eIndexBuffer);
    std::byte* vertex = vertices_.bytes.data();
    std::byte* index = indices_.bytes.data();
    for (int i = 0; i < data.CmdListsCount; ++i) {
        const ImDrawList& list = *data.CmdLists[i];
        vertex = std::copy_n(reinterpret_cast<const std::byte*>(list.VtxBuffer.Data),
                             static_cast<std::size_t>(list.VtxBuffer.size_in_bytes()), vertex);
        index = std::copy_n(reinterpret_cast<const std::byte*>(list.IdxBuffer.Data),
                            static_cast<std::size_t>(list.IdxBuffer.size_in_bytes()), index);
    }
}

void ImGuiRenderer::record(const vk::raii::CommandBuffer& commands, const ImDrawData& data) {
    if (data.TotalIdxCount == 0)
        return;
    upload(data);
    const ImVec2 size = data.DisplaySize;
    set_drawing_area(
        commands, {{}, {static_cast<std::uint32_t>(size.x), static_cast<std::uint32_t>(size.y)}});
    commands.bindPipeline(vk::PipelineBindPoint::eGraphics, *pipeline_);
    commands.bindDescriptorSets(vk::PipelineBindPoint::eGraphics, *layout_, 0, *set_, {});
    commands.bindVertexBuffers(0, *vertices_.buffer, vk::DeviceSize{0});
    commands.bindIndexBuffer(*indices_.buffer, 0, vk::IndexType::eUint16);
    commands.pushConstants<ImVec2>(*layout_, vk::ShaderStageFlagBits::eVertex, 0, size);

    std::uint32_t first_index = 0; // of the list
    std::uint32_t first_vertex = 0;
    for (int i = 0; i < data.CmdListsCount; ++i) {
        const ImDrawList& list = *data.CmdLists[i];
        for (const ImDrawCmd& command : list.CmdBuffer) {
            const vk::Rect2D scissor = scissor_of(command.ClipRect, size);
            if (command.UserCallback || scissor.extent.width == 0 || scissor.extent.height == 0)
                continue;
            commands.setScissor(0, scissor);
            commands.drawIndexed(command.ElemCount, 1, first_index + command.IdxOffset,
                                 static_cast<std::int32_t>(first_vertex + command.VtxOffset), 0);
        }
        first_index += static_cast<std::uint32_t>(list.IdxBuffer.Size);
        first_vertex += static_cast<std::uint32_t>(list.VtxBuffer.Size);
    }
}

} // namespace clearframe
