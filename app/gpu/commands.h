// What drawing on a picture takes: commands that are waited for, images and buffers.
#pragma once

#include "gpu/device.h"

#include <cstddef>
#include <span>
#include <string_view>

namespace clearframe {

// How long the device may take for what a person is to see; past it, it hangs.
inline constexpr std::uint64_t drawing_patience_ns = 60'000'000'000;

// One command buffer, recorded anew each time. Used by one thread. `device` must outlive it.
class Commands {
public:
    // Throws vk::SystemError.
    explicit Commands(const GpuDevice& device);
    // Waits for what is in flight.
    ~Commands();
    Commands(const Commands&) = delete;
    Commands& operator=(const Commands&) = delete;

    // Starts recording, once what was submitted before is done. Throws as finish() does.
    const vk::raii::CommandBuffer& begin();
    // Submits what has been recorded, after `wait` (if there is one), signalling `signal`. Throws
    // vk::SystemError.
    void submit(vk::Semaphore wait = {}, vk::Semaphore signal = {});
    // Returns when the device has done what was submitted. Throws vk::SystemError (also after a
    // minute), once nothing is in flight any more.
    void finish();

private:
    void abandon() noexcept;

    const GpuDevice& device_;
    vk::raii::CommandPool pool_;
    vk::raii::CommandBuffer buffer_{nullptr};
    vk::raii::Fence fence_;
    bool in_flight_ = false;
};

// An image in the device's memory, with its one level and layer as a view.
struct DeviceImage {
    DeviceImage() = default;
    // Throws vk::SystemError.
    DeviceImage(const GpuDevice& device, vk::Format format, vk::Extent2D size,
                vk::ImageUsageFlags usage, const vk::ComponentMapping& mapping = {});

    vk::Extent2D size;
    vk::raii::DeviceMemory memory{nullptr};
    vk::raii::Image image{nullptr};
    vk::raii::ImageView view{nullptr};
};

// A buffer that the CPU sees too, coherent.
struct HostBuffer {
    HostBuffer() = default;
    // Throws vk::SystemError.
    HostBuffer(const GpuDevice& device, std::uint64_t size, vk::BufferUsageFlags usage,
               vk::MemoryPropertyFlags preferred = {});

    std::span<std::byte> bytes; // mapped as long as this lives
    vk::raii::DeviceMemory memory{nullptr};
    vk::raii::Buffer buffer{nullptr};
};

inline constexpr vk::ImageSubresourceRange whole_image{vk::ImageAspectFlagBits::eColor, 0, 1, 0, 1};
inline constexpr vk::ImageSubresourceLayers image_layer{vk::ImageAspectFlagBits::eColor, 0, 0, 1};

// How an image was used, or is going to be.
struct ImageUse {
    vk::PipelineStageFlags2 stage;
    vk::AccessFlags2 access;
    vk::ImageLayout layout;
};
inline constexpr ImageUse unused{{}, {}, vk::ImageLayout::eUndefined};
inline constexpr ImageUse drawn_on{vk::PipelineStageFlagBits2::eColorAttachmentOutput,
                                   vk::AccessFlagBits2::eColorAttachmentRead |
                                       vk::AccessFlagBits2::eColorAttachmentWrite,
                                   vk::ImageLayout::eColorAttachmentOptimal};
inline constexpr ImageUse copied_from{vk::PipelineStageFlagBits2::eAllTransfer,
                                      vk::AccessFlagBits2::eTransferRead,
                                      vk::ImageLayout::eTransferSrcOptimal};
inline constexpr ImageUse copied_to{vk::PipelineStageFlagBits2::eAllTransfer,
                                    vk::AccessFlagBits2::eTransferWrite,
                                    vk::ImageLayout::eTransferDstOptimal};
inline constexpr ImageUse sampled{vk::PipelineStageFlagBits2::eFragmentShader,
                                  vk::AccessFlagBits2::eShaderSampledRead,
                                  vk::ImageLayout::eShaderReadOnlyOptimal};

vk::ImageMemoryBarrier2 image_barrier(vk::Image image, const ImageUse& from, const ImageUse& to);
void change_use(const vk::raii::CommandBuffer& commands, vk::Image image, const ImageUse& from,
                const ImageUse& to);

} // namespace clearframe
