// Fonts and colours of the panel.
#pragma once

#include <cstdint>
#include <string>

struct ImFont;
struct ImFontAtlas;

namespace clearframe {

// A font at the size that it is drawn at.
struct Face {
    ImFont* font = nullptr;
    float pixels = 0;
};

// Everything is laid out in units: 1/96 inch on a small window, more on a large one; `scale`
// pixels are one. The fonts belong to the atlas that they were loaded into.
struct Theme {
    float scale = 1;
    Face tiny;        // 11 units
    Face small;       // 12
    Face text;        // 14
    Face strong;      // 14, semi-bold: headings
    Face lead;        // 17: the sentence that matters
    Face title;       // 19, semi-bold
    Face huge;        // 62, bold; the characters of a ratio alone
    Face mono;        // 13: figures, digits of one width
    Face mono_small;  // 11.5
    std::string lack; // which fonts are missing and what installs them; empty when none is
};

// The least window that the panel fits, in units.
inline constexpr std::uint32_t least_panel_width = 1280;
inline constexpr std::uint32_t least_panel_height = 720;

// Pixels a unit on a canvas of this size, where a monitor asks for `monitor` (1 on an ordinary
// desktop): more on a canvas that is large for it, so that a picture that fills a projector's
// screen is read from the back row; less where the panel would not fit. In steps, since every
// other scale loads the fonts again.
float panel_scale(std::uint32_t width, std::uint32_t height, float monitor);

// Loads the fonts into `atlas`, which must be empty: Inter and JetBrains Mono where they are
// installed, else DejaVu, else the one inside Dear ImGui.
Theme load_theme(ImFontAtlas& atlas, float scale);

// 0xRRGGBB.
using Colour = std::uint32_t;

namespace colours {
inline constexpr Colour background = 0x0d1117;
inline constexpr Colour bar = 0x161b22; // the header
inline constexpr Colour card = 0x161b22;
inline constexpr Colour raised = 0x1f262f; // a control that is off
inline constexpr Colour border = 0x2b323c;
inline constexpr Colour grid = 0x272e38;
inline constexpr Colour text = 0xe8edf3;
inline constexpr Colour dim = 0x9aa4b0;
inline constexpr Colour faint = 0x727c88;
inline constexpr Colour good = 0x3fb950;
inline constexpr Colour attention = 0xe0ae35;
inline constexpr Colour bad = 0xf2605a;
inline constexpr Colour on = 0x1b6e66; // a control that is on
inline constexpr Colour on_border = 0x2f9d92;
// Stages of a frame. Copies are red wherever they are shown.
inline constexpr Colour render = 0x4c88dd;
inline constexpr Colour copy = bad;
inline constexpr Colour post = 0x8b95a1;
inline constexpr Colour wire = 0x3bbcae;
inline constexpr Colour verify = 0x6fbf5e;
} // namespace colours

} // namespace clearframe
