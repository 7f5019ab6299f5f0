#include "gpu/frame_view.h"

#include "core/units.h"
#include "gpu/commands.h"
#include "gpu/import.h"
#include "gpu/pipelines.h"
#include "shaders/fullscreen.vert.h"
#include "shaders/view.frag.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace clearframe {
namespace {

// The push constants of shaders/view.frag.
struct ViewPush {
    std::uint32_t first = 0;
    std::uint32_t stride = 0;
    std::uint32_t frame_width = 0, frame_height = 0;
    std::uint32_t x = 0, y = 0;
    std::uint32_t width = 0, height = 0;
};

// Where a picture of `frame` goes in a view of `view`.
vk::Rect2D fit(vk::Extent2D frame, vk::Extent2D view) {
    vk::Extent2D size;
    if (view.width >= frame.width && view.height >= frame.height) {
        const std::uint32_t times = std::min(view.width / frame.width, view.height / frame.height);
        size = vk::Extent2D(frame.width * times, frame.height * times);
    } else if (std::uint64_t{view.width} * frame.height <=
               std::uint64_t{view.height} * frame.width) {
        size = vk::Extent2D(view.width, std::max(1u, view.width * frame.height / frame.width));
    } else {
        size = vk::Extent2D(std::max(1u, view.height * frame.width / frame.height), view.height);
    }
    return {{static_cast<std::int32_t>((view.width - size.width) / 2),
             static_cast<std::int32_t>((view.height - size.height) / 2)},
            size};
}

} // namespace

struct ViewedSlots::Memory {
    // Throws Error.
    Memory(const GpuDevice& device, const vk::raii::DescriptorSetLayout& set_layout,
           HandleType handle, std::span<const DmaBuf> buffers, const FrameLayout& frame)
        : layout(frame) {
        const std::uint64_t alignment = device.limits().minStorageBufferOffsetAlignment;
        start = frame.pixel_offset / alignment * alignment;
        bytes = frame.pixel_offset + frame.pixel_bytes() - start;
        if (bytes > device.limits().maxStorageBufferRange)
            throw Error(
                Failure::unavailable,
                fmt::format("GPU {} cannot show frames of {}x{}", device.name(), frame.width,
                            frame.height),
                fmt::format("at most {}", bytes_text(device.limits().maxStorageBufferRange)), {});
        const ImportMethod method{.handle = handle, .target = TargetKind::buffer};
        slots.reserve(buffers.size());
        for (const DmaBuf& buffer : buffers)
            slots.emplace_back(device, method, buffer, frame);
        try {
            make_sets(device, set_layout);
        } catch (const vk::SystemError& error) {
            throw_vulkan(error, fmt::format("GPU {}: preparing to show {} slots", device.name(),
                                            slots.size()));
        }
    }

    void make_sets(const GpuDevice& device, const vk::raii::DescriptorSetLayout& set_layout) {
        const auto count = static_cast<std::uint32_t>(slots.size());
        const vk::DescriptorPoolSize size(vk::DescriptorType::eStorageBuffer, count);
        pool = {device.device(),
                vk::DescriptorPoolCreateInfo(vk::DescriptorPoolCreateFlagBits::eFreeDescriptorSet,
                                             count, size)};
        const std::vector layouts(count, *set_layout);
        sets = vk::raii::DescriptorSets(device.device(), {*pool, layouts});
        for (std::uint32_t i = 0; i < count; ++i) {
            const vk::DescriptorBufferInfo pixels(slots[i].buffer(), start, bytes);
            device.device().updateDescriptorSets(
                vk::WriteDescriptorSet(*sets[i], 0, 0, vk::DescriptorType::eStorageBuffer, {},
                                       pixels),
                {});
        }
    }

    FrameLayout layout;
    std::uint64_t start = 0; // of what is bound of each slot: at or before its pixels
    std::uint64_t bytes = 0;
    std::vector<ImportedSlot> slots;
    vk::raii::DescriptorPool pool{nullptr};
    std::vector<vk::raii::DescriptorSet> sets;
};

ViewedSlots::ViewedSlots(std::unique_ptr<const Memory> memory, ImportKind import,
                         std::string reason, std::vector<BufferIdentity> imported)
    : memory_(std::move(memory)),
      import_(import),
      import_reason_(std::move(reason)),
      imported_(std::move(imported)) {}

ViewedSlots::~ViewedSlots() = default;

struct FrameViews::View {
    vk::Extent2D wanted; // size of the next picture
    DeviceImage picture;
};

struct FrameViews::Drawing {
    explicit Drawing(const GpuDevice& device) : commands(device) {
        const vk::DescriptorSetLayoutBinding binding(0, vk::DescriptorType::eStorageBuffer, 1,
                                                     vk::ShaderStageFlagBits::eFragment);
        set_layout = {device.device(), vk::DescriptorSetLayoutCreateInfo({}, binding)};
        const vk::PushConstantRange push(vk::ShaderStageFlagBits::eFragment, 0, sizeof(ViewPush));
        layout = {device.device(), vk::PipelineLayoutCreateInfo({}, *set_layout, push)};
        const auto vertex = make_shader(device, spirv::fullscreen_vert);
        const auto fragment = make_shader(device, spirv::view_frag);
        pipeline =
            make_triangle_pipeline(device, layout, TriangleState(frame_format, *vertex, *fragment));
    }

    vk::raii::DescriptorSetLayout set_layout{nullptr};
    vk::raii::PipelineLayout layout{nullptr};
    vk::raii::Pipeline pipeline{nullptr};
    Commands commands;
};

FrameViews::FrameViews(const GpuDevice& device) : device_(device) {
    try {
        drawing_ = std::make_unique<Drawing>(device);
    } catch (const vk::SystemError& error) {
        throw_vulkan(error, fmt::format("GPU {}: preparing to show frames", device.name()));
    }
}

FrameViews::~FrameViews() = default;

std::shared_ptr<const ViewedSlots> FrameViews::import(std::span<const DmaBuf> slots,
                                                      const FrameLayout& layout,
                                                      std::optional<ImportKind> wanted) const {
    const std::string& heap = slots.front().heap();
    const bool is_dma_buf = slots.front().is_dma_buf();
    std::string reasons = wanted == ImportKind::host_pointer ? "asked for" : "";
    for (const HandleType handle : handle_types(is_dma_buf, wanted)) {
        std::string reason = import_refusal(device_, heap, is_dma_buf, handle);
        if (reason.empty()) {
            try {
                auto memory = std::make_unique<const ViewedSlots::Memory>(
                    device_, drawing_->set_layout, handle, slots, layout);
                std::vector<BufferIdentity> identities;
                for (const ImportedSlot& slot : memory->slots)
                    identities.push_back(slot.identity());
                return std::shared_ptr<const ViewedSlots>(
                    new ViewedSlots(std::move(memory), import_kind(handle), std::move(reasons),
                                    std::move(identities)));
            } catch (const Error& error) {
                reason = error.what();
            }
        }
        reasons += fmt::format("{}{}", reasons.empty() ? "" : "; ", reason);
    }
    throw Error(Failure::unavailable,
                fmt::format("GPU {} cannot show memory of heap {}", device_.name(), heap), reasons,
                {});
}

void FrameViews::resize(std::size_t view, std::uint32_t width, std::uint32_t height) {
    const std::uint32_t most = device_.limits().maxImageDimension2D;
    if (views_.size() <= view)
        views_.resize(view + 1);
    views_[view].wanted = vk::Extent2D(std::min(width, most), std::min(height, most));
}

void FrameViews::draw(std::size_t index, const ViewedSlots& viewed, std::uint32_t slot) {
    if (index >= views_.size() || views_[index].wanted.width == 0 ||
        views_[index].wanted.height == 0)
        return;
    const Nanoseconds start = now();
    View& view = views_[index];
    const ViewedSlots::Memory& memory = *viewed.memory_;
    const ImportedSlot& frame = memory.slots.at(slot);
    const FrameLayout& layout = memory.layout;
    const vk::Rect2D area = fit({layout.width, layout.height}, view.wanted);
    const ViewPush push{
        .first = static_cast<std::uint32_t>((layout.pixel_offset - memory.start) / bytes_per_pixel),
        .stride = layout.stride / bytes_per_pixel,
        .frame_width = layout.width,
        .frame_height = layout.height,
        .x = static_cast<std::uint32_t>(area.offset.x),
        .y = static_cast<std::uint32_t>(area.offset.y),
        .width = area.extent.width,
        .height = area.extent.height,
    };
    using Stage = vk::PipelineStageFlagBits2;
    const std::uint32_t ours = device_.queue_family();
    const std::uint32_t foreign = device_.foreign_family();
    const vk::BufferMemoryBarrier2 acquire({}, {}, Stage::eFragmentShader,
                                           vk::AccessFlagBits2::eShaderStorageRead, foreign, ours,
                                           frame.buffer(), 0, VK_WHOLE_SIZE);
    const vk::BufferMemoryBarrier2 release(Stage::eFragmentShader, {}, {}, {}, ours, foreign,
                                           frame.buffer(), 0, VK_WHOLE_SIZE);
    try {
        if (view.picture.size != view.wanted)
            view.picture = {device_, frame_format, view.wanted,
                            vk::ImageUsageFlagBits::eColorAttachment |
                                vk::ImageUsageFlagBits::eTransferSrc};
        const vk::Image image = *view.picture.image;
        const vk::ImageMemoryBarrier2 to_draw =
            image_barrier(image, {copied_from.stage, {}, vk::ImageLayout::eUndefined}, drawn_on);
        const vk::ImageMemoryBarrier2 to_show = image_barrier(image, drawn_on, copied_from);
        const vk::RenderingAttachmentInfo attachment(
            *view.picture.view, drawn_on.layout, {}, {}, {}, vk::AttachmentLoadOp::eClear,
            vk::AttachmentStoreOp::eStore, vk::ClearColorValue(std::array{0.0f, 0.0f, 0.0f, 1.0f}));

        const vk::raii::CommandBuffer& commands = drawing_->commands.begin();
        commands.pipelineBarrier2(vk::DependencyInfo({}, {}, acquire, to_draw));
        commands.beginRendering(vk::RenderingInfo({}, {{}, view.wanted}, 1, 0, attachment));
        commands.bindPipeline(vk::PipelineBindPoint::eGraphics, *drawing_->pipeline);
        set_drawing_area(commands, area);
        commands.bindDescriptorSets(vk::PipelineBindPoint::eGraphics, *drawing_->layout, 0,
                                    *memory.sets[slot], {});
        commands.pushConstants<ViewPush>(*drawing_->layout, vk::ShaderStageFlagBits::eFragment, 0,
                                         push);
        commands.draw(3, 1, 0, 0);
        commands.endRendering();
        commands.pipelineBarrier2(vk::DependencyInfo({}, {}, release, to_show));
        drawing_->commands.submit();
        drawing_->commands.finish();
    } catch (const vk::SystemError& error) {
        throw_vulkan(error, fmt::format("GPU {}: showing a received frame", device_.name()),
                     "The driver or the device failed, and dmesg may say why");
    }
    time_ += now() - start;
}

FrameViews::Picture FrameViews::picture(std::size_t index) const {
    if (index >= views_.size())
        return {};
    const DeviceImage& picture = views_[index].picture;
    return {*picture.image, picture.size.width, picture.size.height};
}

} // namespace clearframe
