#include "gpu/import.h"

#include "core/units.h"

#include <drm_fourcc.h>
#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

constexpr vk::BufferUsageFlags buffer_usage = vk::BufferUsageFlagBits::eStorageBuffer;
constexpr vk::ImageUsageFlags image_usage = vk::ImageUsageFlagBits::eColorAttachment;
constexpr std::uint64_t modifier = DRM_FORMAT_MOD_LINEAR;

constexpr vk::MemoryPropertyFlags coherent =
    vk::MemoryPropertyFlagBits::eHostVisible | vk::MemoryPropertyFlagBits::eHostCoherent;

vk::ImageTiling tiling(bool modifiers) {
    return modifiers ? vk::ImageTiling::eDrmFormatModifierEXT : vk::ImageTiling::eLinear;
}

struct ImageSupport {
    vk::ImageFormatProperties limits;
    vk::ExternalMemoryFeatureFlags features;
};

// Throws vk::SystemError where there are no such images.
ImageSupport query_image(const GpuDevice& device, HandleType handle, bool modifiers) {
    vk::PhysicalDeviceImageDrmFormatModifierInfoEXT modifier_info(modifier);
    vk::PhysicalDeviceExternalImageFormatInfo external(handle,
                                                       modifiers ? &modifier_info : nullptr);
    const vk::PhysicalDeviceImageFormatInfo2 info(frame_format, vk::ImageType::e2D,
                                                  tiling(modifiers), image_usage, {}, &external);
    const auto chain = device.physical()
                           .getImageFormatProperties2<vk::ImageFormatProperties2,
                                                      vk::ExternalImageFormatProperties>(info);
    return {chain.get<vk::ImageFormatProperties2>().imageFormatProperties,
            chain.get<vk::ExternalImageFormatProperties>()
                .externalMemoryProperties.externalMemoryFeatures};
}

// An image of memory that is yet to be bound. A stride of 0 leaves it to the driver.
vk::raii::Image make_image(const GpuDevice& device, const ImportMethod& method, std::uint32_t width,
                           std::uint32_t height, std::uint32_t stride) {
    const vk::SubresourceLayout plane(0, 0, stride);
    vk::ImageDrmFormatModifierListCreateInfoEXT any_stride(modifier);
    vk::ImageDrmFormatModifierExplicitCreateInfoEXT this_stride(modifier, plane);
    vk::ExternalMemoryImageCreateInfo external(method.handle);
    if (method.modifiers)
        external.pNext = stride == 0 ? static_cast<void*>(&any_stride) : &this_stride;
    return {device.device(),
            vk::ImageCreateInfo({}, vk::ImageType::e2D, frame_format, {width, height, 1}, 1, 1,
                                vk::SampleCountFlagBits::e1, tiling(method.modifiers), image_usage,
                                vk::SharingMode::eExclusive, {}, vk::ImageLayout::eUndefined,
                                &external)};
}

std::uint64_t row_pitch(const vk::raii::Image& image, bool modifiers) {
    const auto aspect =
        modifiers ? vk::ImageAspectFlagBits::eMemoryPlane0EXT : vk::ImageAspectFlagBits::eColor;
    return image.getSubresourceLayout({aspect, 0, 0}).rowPitch;
}

[[noreturn]] void refuse_size(const GpuDevice& device, std::uint32_t width, std::uint32_t height,
                              std::string_view limit) {
    throw Error(Failure::unavailable,
                fmt::format("GPU {} cannot make frames of {}x{}", device.name(), width, height),
                limit, "Take a smaller --size");
}

FrameLayout image_layout(const GpuDevice& device, const ImportMethod& method, std::uint32_t width,
                         std::uint32_t height) {
    const vk::ImageFormatProperties most =
        query_image(device, method.handle, method.modifiers).limits;
    if (width > most.maxExtent.width || height > most.maxExtent.height)
        refuse_size(device, width, height,
                    fmt::format("at most {}x{}", most.maxExtent.width, most.maxExtent.height));
    if (std::uint64_t{width} * height * bytes_per_pixel > most.maxResourceSize)
        refuse_size(device, width, height,
                    fmt::format("at most {}", bytes_text(most.maxResourceSize)));
    const vk::raii::Image image = make_image(device, method, width, height, 0);
    const vk::MemoryRequirements needs = image.getMemoryRequirements();
    return make_frame_layout(width, height,
                             static_cast<std::uint32_t>(row_pitch(image, method.modifiers)),
                             needs.alignment, needs.size);
}

FrameLayout buffer_layout(const GpuDevice& device, std::uint32_t width, std::uint32_t height) {
    const FrameLayout layout = plain_frame_layout(width, height);
    const std::uint32_t most = device.limits().maxStorageBufferRange;
    if (layout.pixel_bytes() > most)
        refuse_size(device, width, height, fmt::format("at most {}", bytes_text(most)));
    return layout;
}

std::string import_text(const GpuDevice& device, const DmaBuf& slot) {
    return fmt::format("GPU {}: importing a slot of heap {} ({})", device.name(), slot.heap(),
                       bytes_text(slot.size()));
}

} // namespace

std::vector<HandleType> handle_types(bool is_dma_buf, std::optional<ImportKind> wanted) {
    std::vector<HandleType> handles = {HandleType::eDmaBufEXT};
    // A dma-buf's mapping is a device's memory, not pages of this process.
    if (is_dma_buf)
        handles.push_back(HandleType::eHostMappedForeignMemoryEXT);
    handles.push_back(HandleType::eHostAllocationEXT);
    if (wanted)
        std::erase_if(handles, [&](HandleType handle) { return import_kind(handle) != *wanted; });
    return handles;
}

ImportKind import_kind(HandleType handle) {
    return handle == HandleType::eDmaBufEXT ? ImportKind::dma_buf : ImportKind::host_pointer;
}

std::string import_refusal(const GpuDevice& device, std::string_view heap, bool is_dma_buf,
                           HandleType handle) {
    if (handle == HandleType::eDmaBufEXT && !is_dma_buf &&
        device.driver() != vk::DriverId::eMesaLlvmpipe)
        return fmt::format("heap {} makes no dma-bufs, and only llvmpipe takes its memory for one",
                           heap);
    const auto extensions = handle == HandleType::eDmaBufEXT
                                ? std::vector{VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME,
                                              VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME}
                                : std::vector{VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME};
    for (const char* extension : extensions)
        if (!device.has_extension(extension))
            return fmt::format("the driver lacks {}", extension);
    const vk::ExternalMemoryFeatureFlags features =
        device.physical()
            .getExternalBufferProperties({{}, buffer_usage, handle})
            .externalMemoryProperties.externalMemoryFeatures;
    if (!(features & vk::ExternalMemoryFeatureFlagBits::eImportable))
        return fmt::format("the driver imports no buffers of {}", vk::to_string(handle));
    return {};
}

std::string image_refusal(const GpuDevice& device, HandleType handle, bool modifiers) {
    if (!device.has_graphics())
        return "the device has no graphics queue";
    try {
        const vk::ExternalMemoryFeatureFlags features =
            query_image(device, handle, modifiers).features;
        if (!(features & vk::ExternalMemoryFeatureFlagBits::eImportable))
            return "the driver imports no LINEAR images that can be rendered to";
        // The stamps are written through a buffer that shares the image's memory.
        if (features & vk::ExternalMemoryFeatureFlagBits::eDedicatedOnly)
            return "the driver imports LINEAR images only into memory of their own";
    } catch (const vk::SystemError& error) {
        return fmt::format("the driver cannot render into LINEAR BGRA8 images: {}",
                           vk_result_text(static_cast<vk::Result>(error.code().value())));
    }
    return {};
}

FrameLayout device_frame_layout(const GpuDevice& device, const ImportMethod& method,
                                std::uint32_t width, std::uint32_t height) {
    if (width < 1 || height < 1 || width > max_frame_side || height > max_frame_side)
        throw Error(Failure::usage, fmt::format("a frame of {}x{} cannot be", width, height), {},
                    fmt::format("Each side is 1 to {} pixels", max_frame_side));
    try {
        return method.target == TargetKind::image ? image_layout(device, method, width, height)
                                                  : buffer_layout(device, width, height);
    } catch (const vk::SystemError& error) {
        throw_vulkan(
            error, fmt::format("GPU {}: laying out a frame of {}x{}", device.name(), width, height),
            "Take a smaller --size", Failure::unavailable);
    }
}

ImportedSlot::ImportedSlot(const GpuDevice& device, const ImportMethod& method, const DmaBuf& slot,
                           const FrameLayout& layout) {
    const auto refuse = [&](std::string_view why) {
        throw Error(Failure::run, import_text(device, slot), why, {});
    };
    if (slot.size() < layout.slot_bytes)
        refuse(fmt::format("a frame needs {}", bytes_text(layout.slot_bytes)));
    try {
        const vk::ExternalMemoryBufferCreateInfo external(method.handle);
        buffer_ = {device.device(),
                   vk::BufferCreateInfo({}, layout.slot_bytes, buffer_usage,
                                        vk::SharingMode::eExclusive, {}, &external)};
        std::uint32_t types = buffer_.getMemoryRequirements().memoryTypeBits;
        if (method.target == TargetKind::image) {
            image_ = make_image(device, method, layout.width, layout.height, layout.stride);
            const vk::MemoryRequirements needs = image_.getMemoryRequirements();
            if (row_pitch(image_, method.modifiers) != layout.stride ||
                layout.pixel_offset % needs.alignment != 0 ||
                layout.pixel_offset + needs.size > layout.slot_bytes)
                refuse("the frame's layout is not one of this GPU");
            types &= needs.memoryTypeBits;
        }
        if (method.handle == HandleType::eDmaBufEXT)
            import_fd(device, slot, types);
        else
            import_mapping(device, method.handle, slot, types);
        buffer_.bindMemory(*memory_, 0);
        if (method.target == TargetKind::image)
            image_.bindMemory(*memory_, layout.pixel_offset);
    } catch (const vk::SystemError& error) {
        throw_vulkan(error, import_text(device, slot));
    }
}

void ImportedSlot::import_fd(const GpuDevice& device, const DmaBuf& slot, std::uint32_t types) {
    UniqueFd fd = slot.duplicate();
    identity_ = BufferIdentity::of(fd.get());
    try {
        types &= device.device()
                     .getMemoryFdPropertiesKHR(HandleType::eDmaBufEXT, fd.get())
                     .memoryTypeBits;
    } catch (const vk::SystemError&) {
        // Some drivers answer only for handles of their own; allocating has the last word.
    }
    const vk::ImportMemoryFdInfoKHR import(HandleType::eDmaBufEXT, fd.get());
    memory_ = {device.device(),
               vk::MemoryAllocateInfo(slot.size(), device.memory_type(types, coherent), &import)};
    static_cast<void>(fd.release());
}

void ImportedSlot::import_mapping(const GpuDevice& device, HandleType handle, const DmaBuf& slot,
                                  std::uint32_t types) {
    identity_ = BufferIdentity::of(slot.fd());
    mapping_ = slot.map(Access::read_write);
    void* const address = mapping_.bytes().data();
    types &= device.device().getMemoryHostPointerPropertiesEXT(handle, address).memoryTypeBits;
    const vk::ImportMemoryHostPointerInfoEXT import(handle, address);
    memory_ = {device.device(),
               vk::MemoryAllocateInfo(slot.size(), device.memory_type(types, coherent), &import)};
}

} // namespace clearframe
