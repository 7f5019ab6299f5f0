#include "ui/theme.h"

#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

namespace clearframe {
namespace {

// The window that the sizes of text were chosen for, in units.
constexpr float comfortable_width = 1440;
constexpr float comfortable_height = 900;

struct FontFile {
    const char* family; // as a fallback is named
    const char* path;
};
using FontFiles = std::array<FontFile, 3>; // best first

constexpr FontFiles regular = {
    {{"Inter", "/usr/share/fonts/opentype/inter/Inter-Regular.otf"},
     {"Inter", "/usr/share/fonts/truetype/inter/Inter-Regular.ttf"},
     {"DejaVu Sans", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"}}};
constexpr FontFiles semi_bold = {
    {{"Inter", "/usr/share/fonts/opentype/inter/Inter-SemiBold.otf"},
     {"Inter", "/usr/share/fonts/truetype/inter/Inter-SemiBold.ttf"},
     {"DejaVu Sans", "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"}}};
constexpr FontFiles bold = {
    {{"Inter", "/usr/share/fonts/opentype/inter/Inter-Bold.otf"},
     {"Inter", "/usr/share/fonts/truetype/inter/Inter-Bold.ttf"},
     {"DejaVu Sans", "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"}}};
constexpr FontFiles mono = {
    {{"JetBrains Mono", "/usr/share/fonts/truetype/jetbrains-mono/JetBrainsMono-Regular.ttf"},
     {"JetBrains Mono", "/usr/share/fonts/opentype/jetbrains-mono/JetBrainsMono-Regular.otf"},
     {"DejaVu Sans Mono", "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"}}};

// Pairs of first and last, ended by 0. Latin, dashes and quotes, arrows, what figures need.
constexpr ImWchar all_glyphs[] = {0x20,   0x17f,  0x2010, 0x2026, 0x2190, 0x2193, 0x221e,
                                  0x221e, 0x2248, 0x2248, 0x2264, 0x2265, 0};
constexpr ImWchar ratio_glyphs[] = {'.', '9', 0xd7, 0xd7, 0x2013, 0x2013, 0x221e, 0x221e, 0};

class Loader {
public:
    Loader(ImFontAtlas& atlas, float scale) : atlas_(atlas), scale_(scale) {}

    Face load(const FontFiles& files, float units, const ImWchar* glyphs = all_glyphs) {
        const float pixels = std::round(units * scale_ * 2) / 2;
        ImFontConfig config;
        config.OversampleH = 2;
        config.OversampleV = 1;
        config.PixelSnapH = true;
        for (const FontFile& file : files) {
            if (!std::filesystem::exists(file.path))
                continue;
            if (ImFont* font = atlas_.AddFontFromFileTTF(file.path, pixels, &config, glyphs)) {
                if (std::string_view(file.family) != files.front().family)
                    note(files.front().family, file.family);
                return {font, pixels};
            }
        }
        note(files.front().family, "the font inside Dear ImGui");
        config.SizePixels = pixels;
        return {atlas_.AddFontDefault(&config), pixels};
    }

    std::string lack() const {
        return lack_.empty()
                   ? ""
                   : fmt::format("{}. On Debian: apt install fonts-inter fonts-jetbrains-mono",
                                 lack_);
    }

private:
    void note(std::string_view wanted, std::string_view taken) {
        if (lack_.find(wanted) == std::string::npos)
            lack_ += fmt::format("{}{} for the font {}", lack_.empty() ? "" : ", ", taken, wanted);
    }

    ImFontAtlas& atlas_;
    float scale_;
    std::string lack_;
};

} // namespace

float panel_scale(std::uint32_t width, std::uint32_t height, float monitor) {
    const auto w = static_cast<float>(width);
    const auto h = static_cast<float>(height);
    const float room =
        std::min(w / (monitor * comfortable_width), h / (monitor * comfortable_height));
    const float fits = std::min(w / static_cast<float>(least_panel_width),
                                h / static_cast<float>(least_panel_height));
    constexpr float steps = 8; // to a scale of 1
    const float wanted = monitor * std::max(1.0f, std::floor(room * steps) / steps);
    return std::min(wanted, fits);
}

Theme load_theme(ImFontAtlas& atlas, float scale) {
    Loader loader(atlas, scale);
    Theme theme{
        .scale = scale,
        .tiny = loader.load(regular, 11),
        .small = loader.load(regular, 12),
        .text = loader.load(regular, 14),
        .strong = loader.load(semi_bold, 14),
        .lead = loader.load(regular, 17),
        .title = loader.load(semi_bold, 19),
        .huge = loader.load(bold, 62, ratio_glyphs),
        .mono = loader.load(mono, 13),
        .mono_small = loader.load(mono, 11.5f),
    };
    theme.lack = loader.lack();
    return theme;
}

} // namespace clearframe
