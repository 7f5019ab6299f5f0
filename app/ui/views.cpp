// The frames as received.
#include "core/units.h"
#include "ui/parts.h"

#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

// The largest box of the frame's shape inside `box`, in the middle of it.
Box fit(const Box& box, const DemoSettings& settings) {
    const float shape =
        static_cast<float>(settings.width) / static_cast<float>(std::max(1u, settings.height));
    float width = box.width, height = box.width / shape;
    if (height > box.height) {
        height = box.height;
        width = height * shape;
    }
    return {box.middle_x() - width / 2, box.middle_y() - height / 2, width, height};
}

// The state of a path's frames in one line. Red when something is wrong.
void draw_counts(const Pen& pen, const Box& picture, const Box& room, const Snapshot& now,
                 const PathSnapshot& path) {
    const Theme& theme = pen.theme;
    const std::string frame =
        path.shown ? fmt::format("frame {}", grouped(*path.shown)) : std::string("no frame yet");
    const std::string verified = now.settings.verify == "off"
                                     ? std::string("not verified")
                                     : fmt::format("verified {}", grouped(path.verified));
    const std::uint64_t wrong = path.lost + path.corrupt + path.rejected;
    std::string losses = fmt::format("lost {}", grouped(path.lost));
    if (path.corrupt + path.rejected > 0)
        losses += fmt::format("  corrupt {}", grouped(path.corrupt + path.rejected));
    const float space = 14;
    const Face& face = theme.mono_small;
    const float wide =
        pen.width(face, frame) + pen.width(face, verified) + pen.width(face, losses) + 2 * space;
    // Beside a narrow picture it goes on.
    const float most = std::max(picture.width, room.width) - 16;
    const float label_width = std::min(wide + 16, most);
    const float left =
        label_width <= picture.width - 16 ? picture.x + 8 : picture.middle_x() - label_width / 2;
    const Box label{std::max(left, room.x + 8), picture.bottom() - 30, label_width, 22};
    pen.fill(label, 0x06090d, 4, 0.8f);
    float x = label.x + 8;
    const float end = label.right() - 8;
    const auto part = [&](const std::string& text, Colour colour) {
        if (x < end)
            x += pen.fitted(face, {x, label.middle_y()}, colour, text, end - x) + space;
    };
    part(frame, colours::text);
    part(verified, now.settings.verify == "off" ? colours::attention : colours::text);
    part(losses, wrong > 0 ? colours::bad : colours::text);
}

} // namespace

Box draw_view(const Pen& pen, const Box& box, const Snapshot& now, const PathSnapshot& path) {
    const Theme& theme = pen.theme;
    Box rest = box;
    const Box title = rest.take_top(26);
    const Box caption = rest.take_bottom(24);
    const Box picture = fit(rest, now.settings);

    const std::string rate = path.frames_per_s > 0 ? fmt::format("{} frames/s · {} GB/s",
                                                                 short_number(path.frames_per_s),
                                                                 short_number(path.gbytes_per_s))
                                                   : std::string();
    const float rate_width =
        pen.text(theme.mono, {title.right(), title.middle_y()}, colours::text, rate, Align::right);
    const std::string name = path.name == "staging" ? "staging copy" : path.name;
    path_mark(pen, {title.x + 5, title.middle_y()}, path.name);
    pen.fitted(theme.strong, {title.x + 15, title.middle_y()}, path_colour(path.name),
               fmt::format("{}, as received", name), title.width - rate_width - 27);

    pen.outline({picture.x - 1, picture.y - 1, picture.width + 2, picture.height + 2},
                path.running && now.state == DemoState::running ? path_colour(path.name)
                                                                : colours::border);
    draw_counts(pen, picture, rest, now, path);
    if (now.state == DemoState::paused || now.state == DemoState::waiting)
        pen.text(theme.strong, {picture.right() - 12, picture.y + 18}, colours::text,
                 now.state == DemoState::paused ? "paused" : "ended", Align::right);

    const bool none = path.cpu_copied_bytes == 0;
    float x = caption.x;
    x += pen.text(theme.small, {x, caption.middle_y()}, colours::dim,
                  now.receiving ? "copied by the CPU here: " : "copied by the CPU: ");
    x += pen.text(theme.strong, {x, caption.middle_y()},
                  none ? path_colour(path.name) : colours::copy,
                  none ? "0 bytes" : bytes_text(path.cpu_copied_bytes));
    if (path.same_buffer)
        pen.fitted(theme.small, {caption.right(), caption.middle_y()}, colours::dim,
                   now.receiving ? "the NIC's own buffer, by inode"
                                 : "the GPU's buffer is the NIC's, by inode",
                   caption.right() - x - 16, Align::right);
    return picture;
}

void draw_trouble(const Pen& pen, const Box& box, const Snapshot& now, PanelActions& actions) {
    const Theme& theme = pen.theme;
    pen.fill(box, colours::card, 8);
    if (now.state != DemoState::failed) {
        pen.outline(box, colours::border, 8);
        pen.text(theme.strong, {box.middle_x(), box.middle_y()}, colours::dim,
                 now.state == DemoState::waiting ? now.progress
                 : now.state == DemoState::starting
                     ? fmt::format("starting: {}", now.progress.empty() ? "…" : now.progress)
                     : "no path takes part: switch one on",
                 Align::centre);
        return;
    }
    pen.outline(box, colours::bad, 8, 1.5f);
    Box inside = box.inset(22, 20);
    const Box heading = inside.take_top(28);
    pen.text(theme.title, {heading.x, heading.middle_y()}, colours::bad, "The stream has ended");
    inside.take_top(8);
    const float used =
        pen.wrapped(theme.text, {inside.x, inside.y}, colours::text, now.trouble, inside.width);
    inside.take_top(used + 18);
    const Box button{inside.x, std::min(inside.y, box.bottom() - 46), 150, 32};
    const Touch pressed = touch(theme, button, "start again");
    pen.fill(button, pressed.hovered ? colours::on_border : colours::on, 6);
    pen.text(theme.strong, {button.middle_x(), button.middle_y()}, colours::text, "Start again  R",
             Align::centre);
    if (pressed.clicked)
        actions.restart = true;
    pen.fitted(theme.small, {button.right() + 14, button.middle_y()}, colours::dim,
               "or change a setting: the window goes on", inside.right() - button.right() - 14);
}

} // namespace clearframe
