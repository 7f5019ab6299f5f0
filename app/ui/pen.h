// Drawing in units (ui/theme.h), with Dear ImGui's draw lists. Inside ui/ only.
#pragma once

#include "ui/theme.h"

#include <imgui.h>

#include <span>
#include <string>
#include <string_view>

namespace clearframe {

struct Point2 {
    float x = 0, y = 0;
};

// A rectangle in units. take_…() cuts a strip off and gives it.
struct Box {
    float x = 0, y = 0, width = 0, height = 0;

    float right() const { return x + width; }
    float bottom() const { return y + height; }
    float middle_x() const { return x + width / 2; }
    float middle_y() const { return y + height / 2; }
    Box inset(float horizontal, float vertical) const {
        return {x + horizontal, y + vertical, width - 2 * horizontal, height - 2 * vertical};
    }
    Box take_top(float amount) {
        const Box top{x, y, width, amount};
        y += amount;
        height -= amount;
        return top;
    }
    Box take_bottom(float amount) {
        height -= amount;
        return {x, bottom(), width, amount};
    }
    Box take_left(float amount) {
        const Box left{x, y, amount, height};
        x += amount;
        width -= amount;
        return left;
    }
    Box take_right(float amount) {
        width -= amount;
        return {right(), y, amount, height};
    }
};

enum class Align { left, centre, right };

// Draws on one list. Cheap to make; valid for one frame.
class Pen {
public:
    Pen(const Theme& with, ImDrawList& list) : theme(with), list_(list) {}

    void fill(const Box& box, Colour colour, float radius = 0, float opacity = 1) const;
    void outline(const Box& box, Colour colour, float radius = 0, float thickness = 1) const;
    void line(Point2 from, Point2 to, Colour colour, float thickness = 1, float opacity = 1) const;
    void dashed(Point2 from, Point2 to, Colour colour, float dash) const; // horizontal
    void polyline(std::span<const Point2> points, Colour colour, float thickness) const;
    void disc(Point2 centre, float radius, Colour colour) const;
    void triangle(Point2 a, Point2 b, Point2 c, Colour colour) const;

    // One line of text, centred vertically on `y`; returns its width.
    float text(const Face& face, Point2 at, Colour colour, std::string_view text,
               Align align = Align::left) const;
    // The same, cut with "…" where it is wider than `most`.
    float fitted(const Face& face, Point2 at, Colour colour, std::string_view text, float most,
                 Align align = Align::left) const;
    // Several lines, broken at spaces to `width`, from the top `at.y` down; returns their height.
    float wrapped(const Face& face, Point2 at, Colour colour, std::string_view text,
                  float width) const;
    float width(const Face& face, std::string_view text) const;
    float wrapped_height(const Face& face, std::string_view text, float width) const;

    // A card with its heading; gives what is left for its contents.
    Box card(const Box& box, std::string_view heading) const;

    const Theme& theme;

private:
    friend class Clip;
    ImVec2 pixels(Point2 point) const; // whole ones
    float pixels(float units) const { return units * theme.scale; }

    ImDrawList& list_;
};

// Until the end of the scope nothing is drawn outside of a box.
class Clip {
public:
    Clip(const Pen& pen, const Box& box);
    Clip(const Clip&) = delete;
    Clip& operator=(const Clip&) = delete;
    ~Clip();

private:
    const Pen& pen_;
};

// What the pointer does in a rectangle.
struct Touch {
    bool hovered = false;
    bool held = false;    // the button is down, since it went down in there
    bool clicked = false; // it went up in there
    Point2 pointer;       // in units
};
// `name` is unique in the window.
Touch touch(const Theme& theme, const Box& box, const char* name);

// A few lines beside the pointer, over everything else, inside the display.
void tooltip(const Theme& theme, std::string_view heading, std::string_view body);

// "48,213".
std::string grouped(std::uint64_t number);
// Three significant digits or so, as they are read: "0.013", "0.66", "12.5", "119".
std::string short_number(double value);
// "0.66 ms" of microseconds.
std::string ms_text(double microseconds);

// Of the path of that name: the same wherever it is shown. Told apart by shape, too.
Colour path_colour(std::string_view path);
void path_mark(const Pen& pen, Point2 centre, std::string_view path);

} // namespace clearframe
