// Fonts, colours and sizes of the panel.
#pragma once

#include <string>

struct ImFont;
struct ImFontAtlas;

namespace clearframe {

// Everything is laid out in units of 1/96 inch, as on a 1440x900 desktop; `scale` pixels are one.
// The fonts belong to the atlas that they were loaded into.
struct Theme {
    float scale = 1;
    ImFont* text = nullptr;   // 14 units
    ImFont* small = nullptr;  // 12
    ImFont* strong = nullptr; // 14, semi-bold: headings
    ImFont* title = nullptr;  // 19, semi-bold
    ImFont* huge = nullptr;   // 52, bold: the ratio
    ImFont* mono = nullptr;   // 13, digits of one width: figures
    std::string fallback;     // which fonts are missing, and what to install; empty when none is
};

// Loads the fonts into `atlas`, which must be empty: Inter and JetBrains Mono where they are
// installed, else DejaVu, else the one inside Dear ImGui.
Theme load_theme(ImFontAtlas& atlas, float scale);

} // namespace clearframe
