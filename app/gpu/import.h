// Slot memory as Vulkan sees it. Inside gpu/ only.
#pragma once

#include "gpu/device.h"
#include "gpu/gpu.h"

namespace clearframe {

using HandleType = vk::ExternalMemoryHandleTypeFlagBits;

// How slots of one heap reach one device, and as what.
struct ImportMethod {
    HandleType handle = HandleType::eDmaBufEXT; // or of host memory: ordinary, or mapped foreign
    TargetKind target = TargetKind::image;
    bool modifiers = false; // the image is made with the explicit DRM format modifier LINEAR
};

// The handle types to try for memory that is a dma-buf or stands in for one, best first; only
// those of kind `wanted`, if it is set.
std::vector<HandleType> handle_types(bool is_dma_buf, std::optional<ImportKind> wanted = {});
ImportKind import_kind(HandleType handle);

// Why `device` cannot import memory of this heap in this way, by what it says of itself; empty if
// it can.
std::string import_refusal(const GpuDevice& device, std::string_view heap, bool is_dma_buf,
                           HandleType handle);
// Why `device` cannot render into an image of such memory; empty if it can.
std::string image_refusal(const GpuDevice& device, HandleType handle, bool modifiers);

// The layout of frames that `device` takes. Throws Error: larger than it can.
FrameLayout device_frame_layout(const GpuDevice& device, const ImportMethod& method,
                                std::uint32_t width, std::uint32_t height);

// One slot's memory on the GPU: a buffer over all of it, and the picture in it as an image.
class ImportedSlot {
public:
    // Throws Error.
    ImportedSlot(const GpuDevice& device, const ImportMethod& method, const DmaBuf& slot,
                 const FrameLayout& layout);

    vk::Buffer buffer() const noexcept { return *buffer_; }
    vk::Image image() const noexcept { return *image_; } // null for TargetKind::buffer
    const BufferIdentity& identity() const noexcept { return identity_; }

private:
    // `types`: bits of the memory types that buffer and image allow.
    void import_fd(const GpuDevice& device, const DmaBuf& slot, std::uint32_t types);
    void import_mapping(const GpuDevice& device, HandleType handle, const DmaBuf& slot,
                        std::uint32_t types);

    Mapping mapping_; // of a host-pointer import: outlives the memory
    BufferIdentity identity_;
    vk::raii::DeviceMemory memory_{nullptr};
    vk::raii::Buffer buffer_{nullptr};
    vk::raii::Image image_{nullptr};
};

} // namespace clearframe
