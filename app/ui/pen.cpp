#include "ui/pen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>

namespace clearframe {
namespace {

ImU32 packed(Colour colour, float opacity = 1) {
    return IM_COL32(colour >> 16 & 0xff, colour >> 8 & 0xff, colour & 0xff,
                    static_cast<int>(std::lround(opacity * 255)));
}

const char* end_of(std::string_view text) { return text.data() + text.size(); }

} // namespace

ImVec2 Pen::pixels(Point2 point) const {
    return {std::round(point.x * theme.scale), std::round(point.y * theme.scale)};
}

void Pen::fill(const Box& box, Colour colour, float radius, float opacity) const {
    list_.AddRectFilled(pixels(Point2{box.x, box.y}), pixels(Point2{box.right(), box.bottom()}),
                        packed(colour, opacity), pixels(radius));
}

void Pen::outline(const Box& box, Colour colour, float radius, float thickness) const {
    list_.AddRect(pixels(Point2{box.x, box.y}), pixels(Point2{box.right(), box.bottom()}),
                  packed(colour), pixels(radius), 0, std::max(1.0f, pixels(thickness)));
}

void Pen::line(Point2 from, Point2 to, Colour colour, float thickness, float opacity) const {
    list_.AddLine(pixels(from), pixels(to), packed(colour, opacity),
                  std::max(1.0f, pixels(thickness)));
}

void Pen::dashed(Point2 from, Point2 to, Colour colour, float dash) const {
    const float step = dash + 4;
    const int dashes = static_cast<int>(std::ceil((to.x - from.x) / step));
    for (int i = 0; i < dashes; ++i) {
        const float x = from.x + static_cast<float>(i) * step;
        line({x, from.y}, {std::min(x + dash, to.x), from.y}, colour);
    }
}

void Pen::polyline(std::span<const Point2> points, Colour colour, float thickness) const {
    std::array<ImVec2, 128> corners;
    const std::size_t count = std::min(points.size(), corners.size());
    for (std::size_t i = 0; i < count; ++i)
        corners[i] = {points[i].x * theme.scale, points[i].y * theme.scale};
    list_.AddPolyline(corners.data(), static_cast<int>(count), packed(colour), 0,
                      pixels(thickness));
}

void Pen::disc(Point2 centre, float radius, Colour colour) const {
    list_.AddCircleFilled({centre.x * theme.scale, centre.y * theme.scale}, pixels(radius),
                          packed(colour), 24);
}

void Pen::triangle(Point2 a, Point2 b, Point2 c, Colour colour) const {
    const auto exact = [&](Point2 p) { return ImVec2(p.x * theme.scale, p.y * theme.scale); };
    list_.AddTriangleFilled(exact(a), exact(b), exact(c), packed(colour));
}

float Pen::width(const Face& face, std::string_view text) const {
    return face.font->CalcTextSizeA(face.pixels, FLT_MAX, 0, text.data(), end_of(text)).x /
           theme.scale;
}

float Pen::text(const Face& face, Point2 at, Colour colour, std::string_view text,
                Align align) const {
    const float wide = width(face, text);
    const float left = align == Align::left     ? at.x
                       : align == Align::centre ? at.x - wide / 2
                                                : at.x - wide;
    ImVec2 corner = pixels(Point2{left, at.y});
    corner.y = std::round(at.y * theme.scale - face.pixels / 2);
    list_.AddText(face.font, face.pixels, corner, packed(colour), text.data(), end_of(text));
    return wide;
}

float Pen::fitted(const Face& face, Point2 at, Colour colour, std::string_view whole, float most,
                  Align align) const {
    if (width(face, whole) <= most)
        return text(face, at, colour, whole, align);
    std::string cut;
    for (std::size_t length = whole.size(); length > 0; --length) {
        if ((static_cast<unsigned char>(whole[length]) & 0xc0) == 0x80)
            continue; // inside a character
        cut.assign(whole.substr(0, length)).append("…");
        if (width(face, cut) <= most)
            return text(face, at, colour, cut, align);
    }
    return 0;
}

float Pen::wrapped(const Face& face, Point2 at, Colour colour, std::string_view text,
                   float wide) const {
    list_.AddText(face.font, face.pixels, pixels(at), packed(colour), text.data(), end_of(text),
                  pixels(wide));
    return wrapped_height(face, text, wide);
}

float Pen::wrapped_height(const Face& face, std::string_view text, float wide) const {
    return face.font->CalcTextSizeA(face.pixels, FLT_MAX, pixels(wide), text.data(), end_of(text))
               .y /
           theme.scale;
}

Box Pen::card(const Box& box, std::string_view heading) const {
    fill(box, colours::card, 8);
    outline(box, colours::border, 8);
    Box inside = box.inset(16, 10);
    if (!heading.empty()) {
        const Box top = inside.take_top(22);
        text(theme.strong, {top.x, top.middle_y()}, colours::text, heading);
    }
    return inside;
}

Clip::Clip(const Pen& pen, const Box& box) : pen_(pen) {
    pen_.list_.PushClipRect(pen_.pixels(Point2{box.x, box.y}),
                            pen_.pixels(Point2{box.right(), box.bottom()}), true);
}

Clip::~Clip() { pen_.list_.PopClipRect(); }

Touch touch(const Theme& theme, const Box& box, const char* name) {
    ImGui::SetCursorScreenPos({box.x * theme.scale, box.y * theme.scale});
    const bool clicked = ImGui::InvisibleButton(
        name, {std::max(1.0f, box.width * theme.scale), std::max(1.0f, box.height * theme.scale)});
    const ImVec2 pointer = ImGui::GetIO().MousePos;
    return {.hovered = ImGui::IsItemHovered(),
            .held = ImGui::IsItemActive(),
            .clicked = clicked,
            .pointer = {pointer.x / theme.scale, pointer.y / theme.scale}};
}

void tooltip(const Theme& theme, std::string_view heading, std::string_view body) {
    const Pen pen(theme, *ImGui::GetForegroundDrawList());
    constexpr float most = 520, margin = 12;
    const float wide = std::min(
        most, std::max(pen.width(theme.strong, heading), pen.width(theme.small, body)) + 1);
    const float heading_height =
        heading.empty() ? 0 : pen.wrapped_height(theme.strong, heading, wide) + 4;
    const float high = heading_height + pen.wrapped_height(theme.small, body, wide);
    const ImVec2 display = ImGui::GetIO().DisplaySize;
    const ImVec2 pointer = ImGui::GetIO().MousePos;
    Box box{pointer.x / theme.scale + 14, pointer.y / theme.scale + 18, wide + 2 * margin,
            high + 2 * margin};
    box.x = std::max(4.0f, std::min(box.x, display.x / theme.scale - box.width - 8));
    if (box.bottom() > display.y / theme.scale - 8)
        box.y = std::max(4.0f, pointer.y / theme.scale - box.height - 10);
    pen.fill(box, 0x05080c, 8, 0.35f);
    pen.fill(box, 0x242c37, 6);
    pen.outline(box, 0x46505d, 6);
    if (!heading.empty())
        pen.wrapped(theme.strong, {box.x + margin, box.y + margin}, colours::text, heading, wide);
    pen.wrapped(theme.small, {box.x + margin, box.y + margin + heading_height}, colours::dim, body,
                wide);
}

std::string grouped(std::uint64_t number) {
    std::string text = fmt::format("{}", number);
    for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
        text.insert(static_cast<std::size_t>(at), 1, ',');
    return text;
}

std::string short_number(double value) {
    if (!std::isfinite(value))
        return "–";
    if (value >= 99.95)
        return value < 1e18 ? grouped(static_cast<std::uint64_t>(std::llround(value))) : "–";
    if (value >= 9.995)
        return fmt::format("{:.1f}", value);
    if (value >= 0.0995 || value <= 0)
        return fmt::format("{:.2f}", value);
    return fmt::format("{:.3f}", value);
}

std::string ms_text(double microseconds) { return short_number(microseconds / 1000) + " ms"; }

Colour path_colour(std::string_view path) {
    return path == "zero-copy" ? 0x3fc1b1 : path == "staging" ? 0xf0984b : 0xa98bf5;
}

void path_mark(const Pen& pen, Point2 centre, std::string_view path) {
    const Colour colour = path_colour(path);
    constexpr float r = 4;
    if (path == "zero-copy")
        pen.disc(centre, r, colour);
    else if (path == "staging")
        pen.fill({centre.x - r, centre.y - r, 2 * r, 2 * r}, colour, 1);
    else
        pen.triangle({centre.x - r, centre.y + r}, {centre.x + r, centre.y + r},
                     {centre.x, centre.y - r}, colour);
}

} // namespace clearframe
