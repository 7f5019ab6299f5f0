#include "ui/panel.h"

#include <fmt/format.h>
#include <imgui.h>

namespace clearframe {

PanelActions Panel::draw(const Snapshot& snapshot, const Theme& theme, std::span<const Key> keys) {
    PanelActions actions;
    for (const Key key : keys) {
        actions.quit |= key == U'q';
        actions.screenshot |= key == key_f12;
        if (key == key_f1 || key == U'?')
            help_open_ = !help_open_;
    }
    const ImVec2 size = ImGui::GetIO().DisplaySize;
    const float u = theme.scale;
    ImGui::SetNextWindowPos(ImVec2(0, 0));
    ImGui::SetNextWindowSize(size);
    ImGui::Begin("panel", nullptr,
                 ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoBackground |
                     ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings);
    ImDrawList* list = ImGui::GetWindowDrawList();
    list->AddText(theme.huge, 52 * u, ImVec2(20 * u, 10 * u), 0xffffffff, "clearframe 2.26x");
    list->AddText(theme.mono, 13 * u, ImVec2(20 * u, 70 * u), 0xffb0b0b0,
                  fmt::format("{:.3f} s, {:.0f}x{:.0f}, pointer {:.0f},{:.0f}", snapshot.time_s,
                              size.x, size.y, ImGui::GetIO().MousePos.x, ImGui::GetIO().MousePos.y)
                      .c_str());
    views_.clear();
    const auto width = static_cast<std::uint32_t>(410 * u);
    for (std::size_t i = 0; i < snapshot.paths.size(); ++i) {
        const auto x = static_cast<std::uint32_t>(20 * u) +
                       static_cast<std::uint32_t>(i) * (width + static_cast<std::uint32_t>(20 * u));
        views_.push_back({x, static_cast<std::uint32_t>(100 * u), width, width * 9 / 16});
    }
    ImGui::SetCursorPos(ImVec2(20 * u, 500 * u));
    if (ImGui::Button("Quit", ImVec2(100 * u, 30 * u)))
        actions.quit = true;
    if (ImGui::IsItemHovered())
        ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
    if (help_open_)
        list->AddText(theme.title, 19 * u, ImVec2(20 * u, 450 * u), 0xff00ffff, "help is open");
    ImGui::End();
    return actions;
}

} // namespace clearframe
