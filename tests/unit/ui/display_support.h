// What the tests of the display share: frames to show, and a snapshot that shows them.
#pragma once

#include "gpu/scene.h"
#include "memory/heap.h"
#include "ui/display.h"

#include <gtest/gtest.h>

#include <dlfcn.h>

#include <cstring>
#include <vector>

namespace clearframe {

// The slots of two paths, each with one frame.
class ShownFrames {
public:
    ShownFrames() {
        for (std::uint64_t i = 0; i < 2; ++i) {
            slots_.push_back(
                open_heap("memfd")->allocate(layout_.slot_bytes, Exposure::private_memory, meter_));
            const Mapping mapping = slots_.back().map(Access::write);
            std::vector<std::uint32_t> row(layout_.width);
            for (std::uint32_t y = 0; y < layout_.height; ++y) {
                scene_row(Scene::test_card, 1, 40 + i, layout_.height, y, row);
                std::memcpy(mapping.bytes().data() + layout_.pixel_offset +
                                std::size_t{y} * layout_.stride,
                            row.data(), row.size() * bytes_per_pixel);
            }
        }
    }

    void draw(Display& display) {
        const auto viewed = display.views().import(slots_, layout_);
        for (std::uint32_t i = 0; i < slots_.size(); ++i)
            display.views().draw(i, *viewed, i);
    }

private:
    const FrameLayout layout_ = plain_frame_layout(640, 360);
    ExposureMeter meter_;
    std::vector<DmaBuf> slots_;
};

inline Snapshot make_snapshot() {
    Snapshot snapshot;
    snapshot.state = DemoState::running;
    snapshot.time_s = 1.5;
    snapshot.parts = {{.kind = "heap", .name = "memfd", .emulated = true},
                      {.kind = "gpu", .name = "llvmpipe", .emulated = true},
                      {.kind = "nic", .name = "emulated", .emulated = true}};
    snapshot.settings.paths = snapshot.choices.paths = {"zero-copy", "staging"};
    snapshot.choices.scenes = {"waves", "test-card"};
    snapshot.choices.most_ring = 32;
    for (const std::string& name : snapshot.settings.paths) {
        PathSnapshot& path = snapshot.paths.emplace_back();
        path.name = name;
        path.frames = path.verified = 40;
        path.shown = 40;
    }
    return snapshot;
}

// A frame or two: Dear ImGui knows the size of what it draws after the first.
inline Picture draw_settled(Display& display, Panel& panel, const Snapshot& snapshot,
                            ShownFrames* frames = nullptr) {
    for (int i = 0; i < 3; ++i) {
        if (frames)
            frames->draw(display);
        display.draw(panel, snapshot);
    }
    return display.read();
}

// The validation layer leaks when it is unloaded. Kept loaded, it can be named in a suppression.
inline void keep_validation_loaded() {
    ::dlopen("libVkLayer_khronos_validation.so", RTLD_LAZY | RTLD_NODELETE);
}

inline bool has_vulkan() {
    try {
        return !VulkanInstance(false).devices().empty();
    } catch (const Error&) {
        return false;
    }
}

} // namespace clearframe
