// Vulkan: choosing a device, importing slots, rendering scenes straight into them.
#pragma once

#include "core/choice.h"
#include "gpu/frame_source.h"
#include "memory/heap.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace clearframe {

// How slot memory reaches the GPU.
enum class ImportKind {
    dma_buf,      // VK_EXT_external_memory_dma_buf
    host_pointer, // VK_EXT_external_memory_host, of the slot's mapping: a fallback, always labelled
};
// What is rendered into: a LINEAR image over the slot's pixels, or, where the device cannot render
// into one, a storage buffer that a compute shader fills.
enum class TargetKind { image, buffer };

struct GpuOptions {
    bool validation = false; // VK_LAYER_KHRONOS_validation with synchronization validation
    // This way or none: a device that cannot is refused. Unset, the device's best is found out.
    std::optional<ImportKind> import;
    std::optional<TargetKind> target;
};

struct GpuInfo {
    std::string name;      // "llvmpipe (LLVM 15.0.6, 256 bits)"
    std::string driver;    // "llvmpipe Mesa 25.0.7 (Vulkan 1.4.305)"
    bool emulated = false; // software rendering
    std::string emulation; // if emulated: in what way; as the Candidate says it
    ImportKind import = ImportKind::dma_buf;
    std::string import_reason; // why not dma_buf, if not
    TargetKind target = TargetKind::image;
    std::string target_reason;   // why not an image, if not
    bool uses_modifiers = false; // images made through VK_EXT_image_drm_format_modifier
    bool validated = false;      // validation layers are on
};

// A GPU opened for slots of one heap. Thread-safe except that frame sources of one GPU are used by
// one thread at a time. Outlives its frame sources.
class Gpu {
public:
    // Every Vulkan device, best first (discrete, integrated, virtual, software), usable for slots
    // of `heap` or with the reason why not, by its device name; then "none". Finds out by really
    // importing a buffer of `heap`. Never throws for a machine without Vulkan: then "none" alone
    // is usable, and the refusal of a candidate "vulkan" says what is missing.
    static std::vector<Candidate> probe(const Heap& heap, const GpuOptions& options);

    // The last of them, which needs no Vulkan.
    static Candidate none();

    // Opens the device that probe() listed at `index`, with the same options. Throws Error.
    Gpu(std::size_t index, const Heap& heap, const GpuOptions& options);
    ~Gpu();
    Gpu(const Gpu&) = delete;
    Gpu& operator=(const Gpu&) = delete;

    const GpuInfo& info() const noexcept { return info_; }

    // The layout of frames of this size that this device can render into. Throws Error when the
    // device cannot make an image that large.
    FrameLayout frame_layout(std::uint32_t width, std::uint32_t height) const;

    // Imports every slot and prepares everything to draw `scene` into it. For Scene::none fills
    // the slots once, now. The buffers must outlive the source. Throws Error.
    std::unique_ptr<FrameSource> make_source(std::span<const DmaBuf> slots,
                                             const FrameLayout& layout, Scene scene,
                                             std::uint32_t seed);

    // Identities of the fds that the last make_source() imported, in slot order: asked of the
    // kernel at the moment of import. For a host-pointer import, of the fd whose mapping it was.
    std::span<const BufferIdentity> imported() const noexcept { return imported_; }

    // Warnings and errors of the validation layers so far; 0 when they are off.
    std::uint64_t validation_messages() const noexcept;
    std::string first_validation_message() const; // empty when there is none

private:
    struct Opened; // the Vulkan device, and how slots reach it

    std::unique_ptr<const Opened> opened_;
    GpuInfo info_;
    std::vector<BufferIdentity> imported_;
};

// Scene::none on a machine without a GPU: the CPU fills the slots once, and then stamps sequence
// and time at both ends of each frame. Keeps the slots mapped, whole. Throws Error.
std::unique_ptr<FrameSource> make_static_source(std::span<const DmaBuf> slots,
                                                const FrameLayout& layout, std::uint32_t seed);
// The layout where no GPU has a say: rows of 64-byte multiples.
FrameLayout plain_frame_layout(std::uint32_t width, std::uint32_t height);

} // namespace clearframe
