#include "ui/swapchain.h"

#include <algorithm>
#include <array>
#include <utility>

namespace clearframe {
namespace {

// A hidden window may have no image free for as long as it is hidden.
constexpr std::uint64_t image_patience_ns = 100'000'000;

constexpr std::uint32_t any_extent = 0xffffffff;

// 8 bits a channel, stored as they are.
vk::SurfaceFormatKHR choose_format(const std::vector<vk::SurfaceFormatKHR>& formats) {
    for (const vk::SurfaceFormatKHR& format : formats)
        if (format.format == vk::Format::eB8G8R8A8Unorm ||
            format.format == vk::Format::eR8G8B8A8Unorm)
            return format;
    return formats.front();
}

// MAILBOX first: the program paces itself, and FIFO may hold a hidden window's present for good.
vk::PresentModeKHR choose_mode(const std::vector<vk::PresentModeKHR>& modes) {
    const auto mailbox = vk::PresentModeKHR::eMailbox;
    return std::find(modes.begin(), modes.end(), mailbox) != modes.end()
               ? mailbox
               : vk::PresentModeKHR::eFifo;
}

vk::CompositeAlphaFlagBitsKHR choose_alpha(vk::CompositeAlphaFlagsKHR supported) {
    using Alpha = vk::CompositeAlphaFlagBitsKHR;
    for (const Alpha alpha : {Alpha::eOpaque, Alpha::eInherit, Alpha::ePreMultiplied})
        if (supported & alpha)
            return alpha;
    return Alpha::ePostMultiplied;
}

} // namespace

Swapchain::Swapchain(const GpuDevice& device, vk::raii::SurfaceKHR surface)
    : device_(device),
      surface_(std::move(surface)),
      commands_(device),
      acquired_(device.device(), vk::SemaphoreCreateInfo()) {}

Swapchain::~Swapchain() {
    try {
        device_.device().waitIdle();
    } catch (const vk::SystemError&) {
        // The device is lost: nothing is in flight any more.
    }
}

bool Swapchain::make(vk::Extent2D size) {
    const vk::raii::PhysicalDevice& physical = device_.physical();
    const vk::SurfaceCapabilitiesKHR can = physical.getSurfaceCapabilitiesKHR(*surface_);
    if (can.currentExtent.width != any_extent)
        size = can.currentExtent;
    size.width = std::clamp(size.width, can.minImageExtent.width, can.maxImageExtent.width);
    size.height = std::clamp(size.height, can.minImageExtent.height, can.maxImageExtent.height);
    if (size.width == 0 || size.height == 0)
        return false;
    const vk::SurfaceFormatKHR format = choose_format(physical.getSurfaceFormatsKHR(*surface_));
    std::uint32_t count = std::max(can.minImageCount + 1, 3u);
    if (can.maxImageCount > 0)
        count = std::min(count, can.maxImageCount);
    device_.device().waitIdle();
    swapchain_ = {device_.device(),
                  vk::SwapchainCreateInfoKHR(
                      {}, *surface_, count, format.format, format.colorSpace, size, 1,
                      vk::ImageUsageFlagBits::eTransferDst, vk::SharingMode::eExclusive, {},
                      can.currentTransform, choose_alpha(can.supportedCompositeAlpha),
                      choose_mode(physical.getSurfacePresentModesKHR(*surface_)), true,
                      *swapchain_)};
    size_ = size;
    images_.clear();
    for (const auto& image : swapchain_.getImages())
        images_.emplace_back(image);
    drawn_.clear();
    for (std::size_t i = 0; i < images_.size(); ++i)
        drawn_.emplace_back(device_.device(), vk::SemaphoreCreateInfo());
    outdated_ = false;
    return true;
}

std::optional<std::uint32_t> Swapchain::acquire() {
    const auto [result, image] = swapchain_.acquireNextImage(image_patience_ns, *acquired_);
    if (result != vk::Result::eSuccess && result != vk::Result::eSuboptimalKHR)
        return std::nullopt;
    outdated_ = result == vk::Result::eSuboptimalKHR;
    return image;
}

void Swapchain::record(vk::Image canvas, vk::Extent2D size, std::uint32_t index) {
    const vk::Image image = images_[index];
    const auto width = static_cast<std::int32_t>(std::min(size.width, size_.width));
    const auto height = static_cast<std::int32_t>(std::min(size.height, size_.height));
    const std::array corners = {vk::Offset3D(), vk::Offset3D(width, height, 1)};
    const ImageUse shown{{}, {}, vk::ImageLayout::ePresentSrcKHR};
    const ImageUse acquired{
        vk::PipelineStageFlagBits2::eAllCommands, {}, vk::ImageLayout::eUndefined};
    const vk::raii::CommandBuffer& commands = commands_.begin();
    change_use(commands, image, acquired, copied_to);
    if (size != size_) {
        commands.clearColorImage(image, copied_to.layout, vk::ClearColorValue(), whole_image);
        change_use(commands, image, copied_to, copied_to);
    }
    commands.blitImage(canvas, copied_from.layout, image, copied_to.layout,
                       vk::ImageBlit(image_layer, corners, image_layer, corners),
                       vk::Filter::eNearest);
    change_use(commands, image, copied_to, shown);
}

void Swapchain::present(std::uint32_t image) {
    const vk::PresentInfoKHR info(*drawn_[image], *swapchain_, image);
    if (device_.queue().presentKHR(info) == vk::Result::eSuboptimalKHR)
        outdated_ = true;
}

bool Swapchain::show(vk::Image canvas, vk::Extent2D size) {
    try {
        finish();
        if ((outdated_ || size != size_) && !make(size))
            return true;
        if (const auto image = acquire()) {
            record(canvas, size, *image);
            commands_.submit(*acquired_, *drawn_[*image]);
            present(*image);
        }
    } catch (const vk::OutOfDateKHRError&) {
        outdated_ = true;
    } catch (const vk::SurfaceLostKHRError&) {
        return false;
    }
    return true;
}

} // namespace clearframe
