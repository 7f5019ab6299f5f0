// Dear ImGui, from 1.86 to 1.92: all that its versions differ in is in imgui_adapter.cpp.
#pragma once

#include "ui/theme.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct ImDrawData;
struct ImGuiContext;

namespace clearframe {

// What the pointer does, as one frame sees it.
struct Pointer {
    bool inside = false;            // the window; if not, x and y mean nothing
    float x = 0, y = 0;             // pixels of the canvas
    std::array<bool, 3> down{};     // left, right, middle: held, or pressed since the last frame
    float wheel_x = 0, wheel_y = 0; // since the last frame, in notches
};

enum class PointerShape { arrow, hand, text };

// How much each pixel of the fonts' texture covers, 0 to 255, row after row.
struct FontAtlas {
    std::span<const std::byte> coverage;
    std::uint32_t width = 0, height = 0;
};

// A context of Dear ImGui that keeps no files. Used by one thread; several may take turns. What
// it draws follows from what it is given alone.
class ImGuiAdapter {
public:
    ImGuiAdapter();
    ~ImGuiAdapter();
    ImGuiAdapter(const ImGuiAdapter&) = delete;
    ImGuiAdapter& operator=(const ImGuiAdapter&) = delete;

    // Loads the fonts for this many pixels a unit, in place of those before. Valid until the next
    // call.
    FontAtlas load_fonts(float scale);
    const Theme& theme() const noexcept { return theme_; }

    // A frame on a canvas of this size in pixels, `seconds` after the one before. Between the two,
    // this is the context that Dear ImGui's functions work on.
    void begin_frame(std::uint32_t width, std::uint32_t height, float seconds,
                     const Pointer& pointer);
    // Valid until the next begin_frame().
    const ImDrawData& end_frame();
    PointerShape pointer_shape() const; // that the frame asks for

    static const char* version();

private:
    struct Destroy {
        void operator()(ImGuiContext* context) const;
    };
    std::unique_ptr<ImGuiContext, Destroy> context_;
    Theme theme_;
};

} // namespace clearframe
