#include "ui/canvas.h"

#include <algorithm>
#include <array>

namespace clearframe {
namespace {

const vk::ClearColorValue background(std::array{13 / 255.0f, 17 / 255.0f, 23 / 255.0f, 1.0f});

// The area as far as it lies on the canvas.
vk::Rect2D clip(const ViewArea& area, vk::Extent2D canvas) {
    const std::uint32_t x = std::min(area.x, canvas.width);
    const std::uint32_t y = std::min(area.y, canvas.height);
    return {{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)},
            {std::min(area.width, canvas.width - x), std::min(area.height, canvas.height - y)}};
}

std::array<vk::Offset3D, 2> corners(const vk::Rect2D& area) {
    return {vk::Offset3D(area.offset.x, area.offset.y, 0),
            vk::Offset3D(area.offset.x + static_cast<std::int32_t>(area.extent.width),
                         area.offset.y + static_cast<std::int32_t>(area.extent.height), 1)};
}

} // namespace

Canvas::Canvas(const GpuDevice& device) : device_(device), commands_(device) {}

void Canvas::draw(vk::Extent2D size, std::span<const PlacedPicture> pictures,
                  ImGuiRenderer& renderer, const ImDrawData& panel) {
    using Usage = vk::ImageUsageFlagBits;
    if (image_.size != size)
        image_ = DeviceImage(device_, format, size,
                             Usage::eColorAttachment | Usage::eTransferSrc | Usage::eTransferDst);
    const vk::raii::CommandBuffer& commands = commands_.begin();
    const ImageUse before{copied_from.stage, {}, vk::ImageLayout::eUndefined};
    change_use(commands, image(), before, copied_to);
    commands.clearColorImage(image(), copied_to.layout, background, whole_image);
    change_use(commands, image(), copied_to, copied_to);
    for (const PlacedPicture& placed : pictures) {
        const vk::Rect2D from({}, {placed.picture.width, placed.picture.height});
        const vk::Rect2D to = clip(placed.area, size);
        const bool same_size = from.extent == to.extent;
        const vk::ImageBlit blit(image_layer, corners(from), image_layer, corners(to));
        if (to.extent.width > 0 && to.extent.height > 0)
            commands.blitImage(placed.picture.image, copied_from.layout, image(), copied_to.layout,
                               blit, same_size ? vk::Filter::eNearest : vk::Filter::eLinear);
    }
    change_use(commands, image(), copied_to, drawn_on);
    const vk::RenderingAttachmentInfo attachment(*image_.view, drawn_on.layout, {}, {}, {},
                                                 vk::AttachmentLoadOp::eLoad,
                                                 vk::AttachmentStoreOp::eStore);
    commands.beginRendering(vk::RenderingInfo({}, {{}, size}, 1, 0, attachment));
    renderer.record(commands, panel);
    commands.endRendering();
    change_use(commands, image(), drawn_on, copied_from);
    commands_.submit();
    commands_.finish();
}

Picture Canvas::read() {
    const vk::Extent2D size = image_.size;
    const std::size_t bytes = std::size_t{4} * size.width * size.height;
    if (bytes == 0)
        return {};
    if (read_.bytes.size() != bytes)
        read_ = HostBuffer(device_, bytes, vk::BufferUsageFlagBits::eTransferDst,
                           vk::MemoryPropertyFlagBits::eHostCached);
    const vk::raii::CommandBuffer& commands = commands_.begin();
    commands.copyImageToBuffer(
        image(), copied_from.layout, *read_.buffer,
        vk::BufferImageCopy(0, 0, 0, image_layer, {}, {size.width, size.height, 1}));
    const vk::MemoryBarrier2 to_host(copied_to.stage, copied_to.access,
                                     vk::PipelineStageFlagBits2::eHost,
                                     vk::AccessFlagBits2::eHostRead);
    commands.pipelineBarrier2(vk::DependencyInfo({}, to_host));
    commands_.submit();
    commands_.finish();
    return {.width = size.width,
            .height = size.height,
            .rgba = {read_.bytes.begin(), read_.bytes.end()}};
}

} // namespace clearframe
