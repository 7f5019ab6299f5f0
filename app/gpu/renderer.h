// Draws a scene into imported slots. Inside gpu/ only.
#pragma once

#include "gpu/frame_source.h"
#include "gpu/import.h"
#include "gpu/scene_frame.h"

#include <span>
#include <vector>

namespace clearframe {

// One command buffer a slot, recorded once; a frame costs a few hundred bytes of constants and one
// submission. Its slots and `device` must outlive it.
class Renderer final : public FrameSource {
public:
    // Imports the slots. Throws Error.
    Renderer(const GpuDevice& device, const ImportMethod& method, std::span<const DmaBuf> slots,
             const FrameLayout& layout, Scene scene, std::uint32_t seed);
    // Waits for what is in flight.
    ~Renderer() override;

    Scene scene() const override { return scene_; }
    void begin(std::uint32_t slot, const FrameStamp& stamp) override;
    bool wait(std::uint32_t slot, Nanoseconds timeout) override;
    Nanoseconds driver_cpu() const override { return driver_cpu_; }

    std::vector<BufferIdentity> identities() const;

private:
    struct Slot {
        ImportedSlot memory;
        glsl::CfFrame* constants; // in constants_memory_
        vk::raii::ImageView view{nullptr};
        vk::raii::DescriptorSet header{nullptr};
        vk::raii::DescriptorSet pixels{nullptr};
        vk::raii::DescriptorSet trailer{nullptr};
        vk::raii::CommandBuffer commands{nullptr};
        vk::raii::Fence fence{nullptr};
    };

    bool draws_image() const noexcept { return method_.target == TargetKind::image; }
    std::byte* make_constants(std::size_t slots);
    void make_pipelines(std::size_t slots);
    void make_slot(const DmaBuf& buffer, std::uint64_t constants_offset, std::byte* constants);
    vk::raii::DescriptorSet make_set(const Slot& slot, std::uint64_t constants_offset,
                                     std::uint64_t offset, std::uint64_t bytes) const;
    void record(const Slot& slot) const;
    void record_acquire(const Slot& slot) const;
    void record_stamp(const Slot& slot, bool trailer) const;
    void record_picture(const Slot& slot) const;
    void record_release(const Slot& slot) const;

    const GpuDevice& device_;
    const ImportMethod method_;
    const FrameLayout layout_;
    const Scene scene_;
    const std::uint32_t seed_;

    vk::raii::DeviceMemory constants_memory_{nullptr};
    vk::raii::Buffer constants_{nullptr};
    std::uint64_t constants_stride_ = 0; // from one slot's to the next
    std::uint64_t trailer_start_ = 0;    // what is bound for the trailer starts at or before it
    vk::raii::DescriptorSetLayout set_layout_{nullptr};
    vk::raii::DescriptorPool descriptors_{nullptr};
    vk::raii::PipelineLayout pipeline_layout_{nullptr};
    vk::raii::Pipeline stamp_{nullptr};
    vk::raii::Pipeline picture_{nullptr};
    vk::raii::CommandPool commands_{nullptr};
    std::vector<Slot> slots_;
    Nanoseconds driver_cpu_ = 0;
};

} // namespace clearframe
