#include "gpu/commands.h"

#include <utility>

namespace clearframe {

Commands::Commands(const GpuDevice& device)
    : device_(device),
      pool_(device.device(), {vk::CommandPoolCreateFlagBits::eTransient, device.queue_family()}),
      buffer_(std::move(vk::raii::CommandBuffers(
          device.device(), {*pool_, vk::CommandBufferLevel::ePrimary, 1})[0])),
      fence_(device.device(), vk::FenceCreateInfo()) {}

Commands::~Commands() { abandon(); }

const vk::raii::CommandBuffer& Commands::begin() {
    finish();
    pool_.reset();
    buffer_.begin({vk::CommandBufferUsageFlagBits::eOneTimeSubmit});
    return buffer_;
}

void Commands::submit(vk::Semaphore wait, vk::Semaphore signal) {
    buffer_.end();
    const auto everything = vk::PipelineStageFlagBits2::eAllCommands;
    const vk::SemaphoreSubmitInfo waits(wait, 0, everything);
    const vk::SemaphoreSubmitInfo signals(signal, 0, everything);
    const vk::CommandBufferSubmitInfo commands(*buffer_);
    vk::SubmitInfo2 info({}, {}, commands);
    if (wait)
        info.setWaitSemaphoreInfos(waits);
    if (signal)
        info.setSignalSemaphoreInfos(signals);
    device_.queue().submit2(info, *fence_);
    in_flight_ = true;
}

void Commands::finish() {
    if (!in_flight_)
        return;
    try {
        const vk::Result result =
            device_.device().waitForFences(*fence_, true, drawing_patience_ns);
        if (result != vk::Result::eSuccess)
            throw vk::SystemError(vk::make_error_code(result));
    } catch (const vk::SystemError&) {
        abandon();
        throw;
    }
    device_.device().resetFences(*fence_);
    in_flight_ = false;
}

void Commands::abandon() noexcept {
    if (!in_flight_)
        return;
    in_flight_ = false;
    try {
        // Whoever is told frees what the device may still use. The kernel ends one that hangs.
        device_.device().waitIdle();
    } catch (const vk::SystemError&) {
        // The device is lost: nothing is in flight any more.
    }
}

DeviceImage::DeviceImage(const GpuDevice& device, vk::Format format, vk::Extent2D extent,
                         vk::ImageUsageFlags usage, const vk::ComponentMapping& mapping)
    : size(extent) {
    image = {device.device(),
             vk::ImageCreateInfo({}, vk::ImageType::e2D, format, {extent.width, extent.height, 1},
                                 1, 1, vk::SampleCountFlagBits::e1, vk::ImageTiling::eOptimal,
                                 usage)};
    const vk::MemoryRequirements needs = image.getMemoryRequirements();
    memory = {device.device(),
              vk::MemoryAllocateInfo(needs.size,
                                     device.memory_type(needs.memoryTypeBits,
                                                        vk::MemoryPropertyFlagBits::eDeviceLocal))};
    image.bindMemory(*memory, 0);
    if (usage & (vk::ImageUsageFlagBits::eColorAttachment | vk::ImageUsageFlagBits::eSampled))
        view = {device.device(), vk::ImageViewCreateInfo({}, *image, vk::ImageViewType::e2D, format,
                                                         mapping, whole_image)};
}

HostBuffer::HostBuffer(const GpuDevice& device, std::uint64_t size, vk::BufferUsageFlags usage,
                       vk::MemoryPropertyFlags preferred) {
    buffer = {device.device(), vk::BufferCreateInfo({}, size, usage)};
    const vk::MemoryRequirements needs = buffer.getMemoryRequirements();
    const vk::MemoryPropertyFlags coherent =
        vk::MemoryPropertyFlagBits::eHostVisible | vk::MemoryPropertyFlagBits::eHostCoherent;
    memory = {device.device(),
              vk::MemoryAllocateInfo(
                  needs.size, device.memory_type(needs.memoryTypeBits, coherent | preferred))};
    buffer.bindMemory(*memory, 0);
    bytes = {static_cast<std::byte*>(memory.mapMemory(0, VK_WHOLE_SIZE)),
             static_cast<std::size_t>(size)};
}

vk::ImageMemoryBarrier2 image_barrier(vk::Image image, const ImageUse& from, const ImageUse& to) {
    return {from.stage,
            from.access,
            to.stage,
            to.access,
            from.layout,
            to.layout,
            VK_QUEUE_FAMILY_IGNORED,
            VK_QUEUE_FAMILY_IGNORED,
            image,
            whole_image};
}

void change_use(const vk::raii::CommandBuffer& commands, vk::Image image, const ImageUse& from,
                const ImageUse& to) {
    const vk::ImageMemoryBarrier2 barrier = image_barrier(image, from, to);
    commands.pipelineBarrier2(vk::DependencyInfo({}, {}, {}, barrier));
}

} // namespace clearframe
