#include "gpu/renderer.h"

#include "core/units.h"
#include "gpu/pipelines.h"

#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

using Stage = vk::PipelineStageFlagBits2;
using Use = vk::AccessFlagBits2;

// Adds what this thread computes in its scope to `total`.
class CpuMeter {
public:
    explicit CpuMeter(Nanoseconds& total) : total_(total), start_(thread_cpu()) {}
    ~CpuMeter() { total_ += thread_cpu() - start_; }
    CpuMeter(const CpuMeter&) = delete;
    CpuMeter& operator=(const CpuMeter&) = delete;

private:
    Nanoseconds& total_;
    const Nanoseconds start_;
};

constexpr std::string_view lost_advice =
    "The driver or the device failed, and dmesg may say why. --gpu takes another device, or none";

} // namespace

Renderer::Renderer(const GpuDevice& device, const ImportMethod& method,
                   std::span<const DmaBuf> slots, const FrameLayout& layout, Scene scene,
                   std::uint32_t seed)
    : device_(device), method_(method), layout_(layout), scene_(scene), seed_(seed) {
    try {
        std::byte* const constants = make_constants(slots.size());
        make_pipelines(slots.size());
        commands_ = {device_.device(), vk::CommandPoolCreateInfo({}, device_.queue_family())};
        slots_.reserve(slots.size());
        for (std::size_t i = 0; i < slots.size(); ++i)
            make_slot(slots[i], i * constants_stride_, constants + i * constants_stride_);
    } catch (const vk::SystemError& error) {
        throw_vulkan(error,
                     fmt::format("GPU {}: preparing scene {} for {} slots of {}x{}", device_.name(),
                                 scene_name(scene), slots.size(), layout.width, layout.height));
    }
}

Renderer::~Renderer() {
    try {
        device_.device().waitIdle();
    } catch (const vk::SystemError&) {
        // The device is lost: nothing is in flight any more.
    }
}

std::byte* Renderer::make_constants(std::size_t slots) {
    constants_stride_ =
        align_up(sizeof(glsl::CfFrame), device_.limits().minUniformBufferOffsetAlignment);
    constants_ = {device_.device(), vk::BufferCreateInfo({}, slots * constants_stride_,
                                                         vk::BufferUsageFlagBits::eUniformBuffer)};
    const vk::MemoryRequirements needs = constants_.getMemoryRequirements();
    const std::uint32_t type =
        device_.memory_type(needs.memoryTypeBits, vk::MemoryPropertyFlagBits::eHostVisible |
                                                      vk::MemoryPropertyFlagBits::eHostCoherent);
    constants_memory_ = {device_.device(), vk::MemoryAllocateInfo(needs.size, type)};
    constants_.bindMemory(*constants_memory_, 0);
    return static_cast<std::byte*>(constants_memory_.mapMemory(0, VK_WHOLE_SIZE));
}

void Renderer::make_pipelines(std::size_t slots) {
    const auto count = static_cast<std::uint32_t>(slots * 3);
    const vk::DescriptorPoolSize sizes[] = {{vk::DescriptorType::eUniformBuffer, count},
                                            {vk::DescriptorType::eStorageBuffer, count}};
    set_layout_ = make_set_layout(device_);
    descriptors_ = {device_.device(),
                    vk::DescriptorPoolCreateInfo(
                        vk::DescriptorPoolCreateFlagBits::eFreeDescriptorSet, count, sizes)};
    const std::uint64_t alignment = device_.limits().minStorageBufferOffsetAlignment;
    trailer_start_ = layout_.trailer_offset / alignment * alignment;

    pipeline_layout_ = make_pipeline_layout(device_, set_layout_);
    stamp_ = make_stamp_pipeline(device_, pipeline_layout_, scene_);
    picture_ = draws_image() ? make_image_pipeline(device_, pipeline_layout_, scene_)
                             : make_buffer_pipeline(device_, pipeline_layout_, scene_);
}

void Renderer::make_slot(const DmaBuf& buffer, std::uint64_t constants_offset,
                         std::byte* constants) {
    Slot& slot = slots_.emplace_back(Slot{
        .memory = ImportedSlot(device_, method_, buffer, layout_),
        .constants = reinterpret_cast<glsl::CfFrame*>(constants),
    });
    const vk::raii::Device& device = device_.device();
    if (draws_image())
        slot.view = {device, vk::ImageViewCreateInfo(
                                 {}, slot.memory.image(), vk::ImageViewType::e2D, frame_format, {},
                                 {vk::ImageAspectFlagBits::eColor, 0, 1, 0, 1})};
    else
        slot.pixels = make_set(slot, constants_offset, layout_.pixel_offset, layout_.pixel_bytes());
    slot.header = make_set(slot, constants_offset, 0, sizeof(FrameHeader));
    slot.trailer = make_set(slot, constants_offset, trailer_start_, layout_.bytes - trailer_start_);
    slot.commands = std::move(
        vk::raii::CommandBuffers(device, {*commands_, vk::CommandBufferLevel::ePrimary, 1})[0]);
    slot.fence = {device, vk::FenceCreateInfo(vk::FenceCreateFlagBits::eSignaled)};
    record(slot);
}

vk::raii::DescriptorSet Renderer::make_set(const Slot& slot, std::uint64_t constants_offset,
                                           std::uint64_t offset, std::uint64_t bytes) const {
    vk::raii::DescriptorSet set =
        std::move(vk::raii::DescriptorSets(device_.device(), {*descriptors_, *set_layout_})[0]);
    const vk::DescriptorBufferInfo constants(*constants_, constants_offset, sizeof(glsl::CfFrame));
    const vk::DescriptorBufferInfo target(slot.memory.buffer(), offset, bytes);
    device_.device().updateDescriptorSets(
        {vk::WriteDescriptorSet(*set, 0, 0, vk::DescriptorType::eUniformBuffer, {}, constants),
         vk::WriteDescriptorSet(*set, 1, 0, vk::DescriptorType::eStorageBuffer, {}, target)},
        {});
    return set;
}

void Renderer::record(const Slot& slot) const {
    // Each step is whole in memory before the next one begins: the trailer tells that the picture
    // is there, the header that it is being drawn.
    const auto written = Use::eShaderWrite | Use::eColorAttachmentWrite;
    const auto stages = Stage::eComputeShader | Stage::eColorAttachmentOutput;
    const vk::MemoryBarrier2 step(stages, written, stages, written);
    const vk::DependencyInfo then({}, step);

    slot.commands.begin({});
    record_acquire(slot);
    record_stamp(slot, false);
    slot.commands.pipelineBarrier2(then);
    record_picture(slot);
    slot.commands.pipelineBarrier2(then);
    record_stamp(slot, true);
    record_release(slot);
    slot.commands.end();
}

void Renderer::record_acquire(const Slot& slot) const {
    const std::uint32_t from = device_.foreign_family();
    const std::uint32_t to = device_.queue_family();
    const vk::BufferMemoryBarrier2 buffer({}, {}, Stage::eComputeShader, Use::eShaderWrite, from,
                                          to, slot.memory.buffer(), 0, VK_WHOLE_SIZE);
    // What the picture was does not matter: every pixel is drawn.
    const vk::ImageMemoryBarrier2 image({}, {}, Stage::eColorAttachmentOutput,
                                        Use::eColorAttachmentWrite, vk::ImageLayout::eUndefined,
                                        vk::ImageLayout::eGeneral, from, to, slot.memory.image(),
                                        {vk::ImageAspectFlagBits::eColor, 0, 1, 0, 1});
    vk::DependencyInfo info({}, {}, buffer);
    if (draws_image())
        info.setImageMemoryBarriers(image);
    slot.commands.pipelineBarrier2(info);
}

void Renderer::record_release(const Slot& slot) const {
    const std::uint32_t from = device_.queue_family();
    const std::uint32_t to = device_.foreign_family();
    const vk::MemoryBarrier2 host(Stage::eComputeShader | Stage::eColorAttachmentOutput,
                                  Use::eShaderWrite | Use::eColorAttachmentWrite, Stage::eHost,
                                  Use::eHostRead);
    const vk::BufferMemoryBarrier2 buffer(Stage::eComputeShader, Use::eShaderWrite, {}, {}, from,
                                          to, slot.memory.buffer(), 0, VK_WHOLE_SIZE);
    const vk::ImageMemoryBarrier2 image(Stage::eColorAttachmentOutput, Use::eColorAttachmentWrite,
                                        {}, {}, vk::ImageLayout::eGeneral,
                                        vk::ImageLayout::eGeneral, from, to, slot.memory.image(),
                                        {vk::ImageAspectFlagBits::eColor, 0, 1, 0, 1});
    vk::DependencyInfo info({}, host, buffer);
    if (draws_image())
        info.setImageMemoryBarriers(image);
    slot.commands.pipelineBarrier2(info);
}

void Renderer::record_stamp(const Slot& slot, bool trailer) const {
    const StampPush push{
        .trailer = trailer,
        .at =
            trailer ? static_cast<std::uint32_t>(layout_.trailer_offset - trailer_start_) / 4 : 0};
    slot.commands.bindPipeline(vk::PipelineBindPoint::eCompute, *stamp_);
    slot.commands.bindDescriptorSets(vk::PipelineBindPoint::eCompute, *pipeline_layout_, 0,
                                     trailer ? *slot.trailer : *slot.header, {});
    slot.commands.pushConstants<StampPush>(*pipeline_layout_, vk::ShaderStageFlagBits::eCompute, 0,
                                           push);
    slot.commands.dispatch(1, 1, 1);
}

void Renderer::record_picture(const Slot& slot) const {
    const auto point =
        draws_image() ? vk::PipelineBindPoint::eGraphics : vk::PipelineBindPoint::eCompute;
    slot.commands.bindPipeline(point, *picture_);
    slot.commands.bindDescriptorSets(point, *pipeline_layout_, 0,
                                     draws_image() ? *slot.header : *slot.pixels, {});
    if (!draws_image()) {
        slot.commands.dispatch((layout_.width + picture_group - 1) / picture_group,
                               (layout_.height + picture_group - 1) / picture_group, 1);
        return;
    }
    const vk::RenderingAttachmentInfo attachment(*slot.view, vk::ImageLayout::eGeneral, {}, {}, {},
                                                 vk::AttachmentLoadOp::eDontCare,
                                                 vk::AttachmentStoreOp::eStore);
    const vk::Rect2D whole({}, {layout_.width, layout_.height});
    slot.commands.beginRendering(vk::RenderingInfo({}, whole, 1, 0, attachment));
    set_drawing_area(slot.commands, whole);
    slot.commands.draw(3, 1, 0, 0);
    slot.commands.endRendering();
}

void Renderer::begin(std::uint32_t index, const FrameStamp& stamp) {
    Slot& slot = slots_.at(index);
    glsl::CfFrame frame =
        make_scene_frame(scene_, seed_, stamp.sequence, layout_.width, layout_.height);
    frame.stride = layout_.stride;
    frame.time_low = static_cast<std::uint32_t>(stamp.time_ns);
    frame.time_high = static_cast<std::uint32_t>(stamp.time_ns >> 32);
    *slot.constants = frame;
    try {
        const CpuMeter meter(driver_cpu_);
        device_.device().resetFences(*slot.fence);
        const vk::CommandBufferSubmitInfo commands(*slot.commands);
        device_.queue().submit2(vk::SubmitInfo2({}, {}, commands), *slot.fence);
    } catch (const vk::SystemError& error) {
        throw_vulkan(error,
                     fmt::format("GPU {}: submitting frame {}", device_.name(), stamp.sequence),
                     lost_advice);
    }
}

bool Renderer::wait(std::uint32_t index, Nanoseconds timeout) {
    try {
        const CpuMeter meter(driver_cpu_);
        const vk::Result result = device_.device().waitForFences(
            *slots_.at(index).fence, true,
            static_cast<std::uint64_t>(std::max<Nanoseconds>(timeout, 0)));
        return result == vk::Result::eSuccess;
    } catch (const vk::SystemError& error) {
        throw_vulkan(error,
                     fmt::format("GPU {}: drawing the frame in slot {}", device_.name(), index),
                     lost_advice);
    }
}

std::vector<BufferIdentity> Renderer::identities() const {
    std::vector<BufferIdentity> identities;
    for (const Slot& slot : slots_)
        identities.push_back(slot.memory.identity());
    return identities;
}

} // namespace clearframe
