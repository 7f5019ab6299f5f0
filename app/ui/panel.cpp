#include "ui/panel.h"

#include "ui/parts.h"

#include <algorithm>
#include <cmath>

namespace clearframe {
namespace {

constexpr float margin = 20;
constexpr float gap = 14;
constexpr float header_height = 48;
constexpr float footer_height = 26;

// Over the whole display, without anything that Dear ImGui would draw of its own.
void begin_window() {
    const ImGuiIO& io = ImGui::GetIO();
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {0, 0});
    ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 0);
    ImGui::SetNextWindowPos({0, 0});
    ImGui::SetNextWindowSize(io.DisplaySize);
    ImGui::Begin("panel", nullptr,
                 ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoBackground |
                     ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings |
                     ImGuiWindowFlags_NoNav | ImGuiWindowFlags_NoBringToFrontOnFocus |
                     ImGuiWindowFlags_NoScrollWithMouse);
}

void end_window() {
    ImGui::End();
    ImGui::PopStyleVar(2);
}

ViewArea pixels_of(const Box& box, float scale) {
    const auto whole = [&](float units) {
        return static_cast<std::uint32_t>(std::lround(std::max(0.0f, units * scale)));
    };
    const std::uint32_t x = whole(box.x), y = whole(box.y);
    return {x, y, whole(box.right()) - x, whole(box.bottom()) - y};
}

// The heights of the parts that have a natural one, where there is ample room or little.
struct Heights {
    float headline, table, stages, data_path;
};

Heights heights(float roomy, std::size_t paths) {
    const auto between = [&](float least, float ample) { return least + (ample - least) * roomy; };
    const auto rows = static_cast<float>(paths);
    return {.headline = between(104, 130),
            .table = between(58, 66) + rows * between(22, 30),
            .stages = between(66, 78) + rows * between(19, 25),
            .data_path = between(40, 46) + rows * between(52, 66)};
}

} // namespace

PanelActions Panel::draw(const Snapshot& now, const Theme& theme, std::span<const Key> keys) {
    PanelActions actions;
    // What is changed now goes on from what was asked for before, though it may not be in force
    // yet.
    DemoSettings wanted = now.asked;
    const Overlay before = overlay_;
    for (const Key key : keys)
        press_key(key, now, wanted, actions, overlay_);

    begin_window();
    // What lies under the doctor's view is not to be clicked through it.
    ImGui::BeginDisabled(before == Overlay::doctor);
    const Pen pen(theme, *ImGui::GetWindowDrawList());
    const ImVec2 display = ImGui::GetIO().DisplaySize;
    const Box window{0, 0, display.x / theme.scale, display.y / theme.scale};
    const std::size_t rows = std::max<std::size_t>(1, now.paths.size());
    const float roomy = std::clamp((window.height - least_panel_height) / 160, 0.0f, 1.0f);
    const Heights high = heights(roomy, rows);

    Box rest = window;
    draw_header(pen, rest.take_top(header_height), now, overlay_);
    rest.take_top(12);
    rest = rest.inset(margin, 0);
    draw_footer(pen, rest.take_bottom(footer_height), now);
    Box right = rest.take_right(std::clamp(window.width * 0.376f, 470.0f, 600.0f));
    rest.take_right(gap + 4);
    Box left = rest;

    // The views: all of one width, as high as 16:9 asks, as far as the charts leave room.
    const auto columns = static_cast<float>(rows);
    const float view_width = (left.width - (columns - 1) * (gap + 4)) / columns;
    const float least_chart = (rows == 1 ? 210.0f : 150.0f) + 60 * roomy;
    const float room = left.height - high.data_path - least_chart - 2 * gap;
    Box views = left.take_top(std::min(view_width * 9 / 16 + view_lines, room));
    views_.assign(now.paths.size(), {});
    if (now.state == DemoState::failed || now.paths.empty()) {
        draw_trouble(pen, views, now, actions);
    } else {
        for (std::size_t i = 0; i < now.paths.size(); ++i) {
            const Box view = views.take_left(view_width);
            views.take_left(gap + 4);
            views_[i] = pixels_of(draw_view(pen, view, now, now.paths[i]), theme.scale);
        }
    }
    left.take_top(gap);
    draw_data_path(pen, left.take_top(high.data_path), now);
    left.take_top(gap);
    draw_throughput(pen, left, now);

    draw_headline(pen, right.take_top(high.headline), now);
    right.take_top(gap);
    draw_paths_table(pen, right.take_top(high.table), now);
    right.take_top(gap);
    draw_stages(pen, right.take_top(high.stages), now);
    right.take_top(gap);
    if (now.receiving)
        draw_receiving_end(pen, right, now, *now.receiving, actions, overlay_);
    else
        draw_controls(pen, right, now, wanted, actions, overlay_);
    ImGui::EndDisabled();
    if (overlay_ == Overlay::doctor && before != Overlay::doctor) {
        actions.examine = true;
        scroll_ = 0;
    }
    const Pen over(theme, *ImGui::GetForegroundDrawList());
    if (overlay_ == Overlay::help)
        draw_help(over, window);
    else if (overlay_ == Overlay::doctor)
        draw_doctor(over, window, now, keys, scroll_);
    end_window();

    if (wanted != now.asked)
        actions.settings = std::move(wanted);
    return actions;
}

} // namespace clearframe
