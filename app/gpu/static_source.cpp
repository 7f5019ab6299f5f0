#include "gpu/static_source.h"

#include "core/units.h"
#include "gpu/gpu.h"
#include "gpu/scene.h"

#include <cstring>

namespace clearframe {
namespace {

class StaticSource final : public FrameSource {
public:
    StaticSource(std::span<const DmaBuf> slots, const FrameLayout& layout, std::uint32_t seed)
        : layout_(layout), seed_(seed) {
        slots_.reserve(slots.size());
        for (const DmaBuf& slot : slots)
            slots_.push_back({&slot, slot.map(Access::read_write)});
    }

    void fill() {
        for (std::uint32_t i = 0; i < slots_.size(); ++i) {
            const CpuAccess access(*slots_[i].buffer, Access::write);
            std::byte* row = slots_[i].mapping.bytes().data() + layout_.pixel_offset;
            for (std::uint32_t y = 0; y < layout_.height; ++y, row += layout_.stride)
                scene_row(Scene::none, seed_, 0, layout_.height, y,
                          {reinterpret_cast<std::uint32_t*>(row), layout_.width});
        }
    }

    Scene scene() const override { return Scene::none; }

    void begin(std::uint32_t index, const FrameStamp& stamp) override {
        const Slot& slot = slots_.at(index);
        const CpuAccess access(*slot.buffer, Access::write);
        std::byte* const frame = slot.mapping.bytes().data();
        const FrameHeader header = make_header(layout_, Scene::none, seed_, stamp);
        const FrameTrailer trailer = make_trailer(Scene::none, seed_, stamp.sequence);
        std::memcpy(frame, &header, sizeof header);
        std::memcpy(frame + layout_.trailer_offset, &trailer, sizeof trailer);
    }

    bool wait(std::uint32_t, Nanoseconds) override { return true; }

private:
    struct Slot {
        const DmaBuf* buffer;
        Mapping mapping;
    };

    const FrameLayout layout_;
    const std::uint32_t seed_;
    std::vector<Slot> slots_;
};

} // namespace

std::unique_ptr<FrameSource> make_stamping_source(std::span<const DmaBuf> slots,
                                                  const FrameLayout& layout, std::uint32_t seed) {
    return std::make_unique<StaticSource>(slots, layout, seed);
}

std::unique_ptr<FrameSource> make_static_source(std::span<const DmaBuf> slots,
                                                const FrameLayout& layout, std::uint32_t seed) {
    auto source = std::make_unique<StaticSource>(slots, layout, seed);
    source->fill();
    return source;
}

FrameLayout plain_frame_layout(std::uint32_t width, std::uint32_t height) {
    return make_frame_layout(
        width, height,
        static_cast<std::uint32_t>(align_up(std::size_t{width} * bytes_per_pixel, 64)), 64);
}

} // namespace clearframe
