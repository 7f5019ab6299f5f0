#include "ui/theme.h"

#include <imgui.h>

namespace clearframe {

Theme load_theme(ImFontAtlas& atlas, float scale) {
    Theme theme;
    theme.scale = scale;
    const auto load = [&](const char* file, float size) {
        return atlas.AddFontFromFileTTF(file, size * scale);
    };
    theme.text = load("/usr/share/fonts/opentype/inter/Inter-Regular.otf", 14);
    theme.small = load("/usr/share/fonts/opentype/inter/Inter-Regular.otf", 12);
    theme.strong = load("/usr/share/fonts/opentype/inter/Inter-SemiBold.otf", 14);
    theme.title = load("/usr/share/fonts/opentype/inter/Inter-SemiBold.otf", 19);
    theme.huge = load("/usr/share/fonts/opentype/inter/Inter-Bold.otf", 52);
    theme.mono = load("/usr/share/fonts/truetype/jetbrains-mono/JetBrainsMono-Regular.ttf", 13);
    return theme;
}

} // namespace clearframe
