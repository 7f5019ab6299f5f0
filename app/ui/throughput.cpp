// Throughput over time, beside what the machine can do.
#include "ui/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace clearframe {
namespace {

constexpr float span_s = static_cast<float>(PathSnapshot::bins * PathSnapshot::bin_s);
constexpr std::size_t longest_gap = 12; // bins without figures that a line goes on across

// A step of 1, 2, 2.5 or 5 times a power of ten that makes at most `most` steps of `value`.
double nice_step(double value, int most) {
    const double least = std::max(value, 1e-3) / most;
    const double power = std::pow(10, std::floor(std::log10(least)));
    for (const double factor : {1.0, 2.0, 2.5, 5.0})
        if (factor * power >= least)
            return factor * power;
    return 10 * power;
}

struct Plot {
    Box box;
    double most = 1; // GB/s at its top

    float x(std::size_t bin) const {
        return box.x + box.width * (static_cast<float>(bin) + 0.5f) / PathSnapshot::bins;
    }
    float y(double rate) const {
        return box.bottom() - box.height * static_cast<float>(std::clamp(rate / most, 0.0, 1.0));
    }
};

double highest(const Snapshot& now) {
    double most = 0;
    for (const PathSnapshot& path : now.paths)
        for (const std::optional<float> rate : path.history)
            most = std::max(most, double{rate.value_or(0)});
    return most;
}

// Decimals that it takes to tell multiples of `step` apart.
int decimals_for(double step) {
    int decimals = 0;
    for (double whole = step; decimals < 6 && std::abs(whole - std::round(whole)) > 1e-6;
         whole *= 10)
        ++decimals;
    return decimals;
}

void draw_axes(const Pen& pen, const Plot& plot, double step) {
    const Theme& theme = pen.theme;
    const int decimals = decimals_for(step);
    const auto lines = static_cast<int>(std::lround(plot.most / step));
    for (int i = 0; i <= lines; ++i) {
        const double rate = i * step;
        const float y = plot.y(rate);
        pen.line({plot.box.x, y}, {plot.box.right(), y}, colours::grid);
        pen.text(theme.mono_small, {plot.box.x - 8, y}, colours::dim,
                 fmt::format("{:.{}f}", rate, decimals), Align::right);
    }
    for (int seconds = 0; seconds <= 30; seconds += 5) {
        const float x = plot.box.right() - plot.box.width * static_cast<float>(seconds) / span_s;
        pen.text(theme.mono_small, {x, plot.box.bottom() + 12}, colours::dim,
                 seconds == 0 ? "now" : fmt::format("-{} s", seconds),
                 seconds == 30  ? Align::left
                 : seconds == 0 ? Align::right
                                : Align::centre);
    }
}

// What the machine can do by itself: a line across the plot, named in the heading.
struct Limit {
    std::string name;
    double rate = 0;
    float dash = 0;
};

std::array<Limit, 2> limits_of(const Snapshot& now) {
    return {{{"plain CPU copy", now.limits.copy_gbytes_per_s, 6},
             {"plain NIC transfer", now.limits.dma_gbytes_per_s, 2}}};
}

void draw_limit(const Pen& pen, const Plot& plot, const Limit& limit) {
    if (limit.rate > 0 && limit.rate <= plot.most)
        pen.dashed({plot.box.x, plot.y(limit.rate)}, {plot.box.right(), plot.y(limit.rate)},
                   colours::dim, limit.dash);
}

// Names of lines, from the right end `x` to the left; "↑" where one lies above the plot.
float draw_legend(const Pen& pen, float x, float y, const Snapshot& now, double most) {
    const Theme& theme = pen.theme;
    for (auto path = now.paths.rbegin(); path != now.paths.rend(); ++path) {
        x -= pen.text(theme.small, {x, y}, colours::text, path->name, Align::right) + 9;
        path_mark(pen, {x, y}, path->name);
        x -= 18;
    }
    for (const Limit& limit : limits_of(now)) {
        if (limit.rate <= 0)
            continue;
        const std::string text = fmt::format("{} {}{}", limit.name, short_number(limit.rate),
                                             limit.rate > most ? " ↑" : "");
        x -= pen.text(theme.small, {x, y}, colours::dim, text, Align::right) + 6;
        pen.dashed({x - 18, y}, {x, y}, colours::dim, limit.dash);
        x -= 18 + 14;
    }
    return x;
}

void draw_line(const Pen& pen, const Plot& plot, const PathSnapshot& path) {
    const Colour colour = path_colour(path.name);
    std::array<Point2, PathSnapshot::bins> points;
    std::size_t count = 0;
    std::size_t last = 0;
    const auto finish = [&] {
        if (count > 1)
            pen.polyline(std::span(points).first(count), colour, 2);
        else if (count == 1)
            pen.disc(points[0], 1.5f, colour);
        count = 0;
    };
    for (std::size_t bin = 0; bin < path.history.size(); ++bin) {
        if (!path.history[bin])
            continue;
        if (count > 0 && bin - last > longest_gap)
            finish();
        points[count++] = {plot.x(bin), plot.y(double{*path.history[bin]})};
        last = bin;
    }
    if (count > 0)
        path_mark(pen, points[count - 1], path.name);
    finish();
}

// What was measured in the bin under the pointer.
void draw_reading(const Pen& pen, const Plot& plot, const Snapshot& now, float pointer_x) {
    const float share = (pointer_x - plot.box.x) / plot.box.width;
    const auto bin = static_cast<std::size_t>(
        std::clamp(share * PathSnapshot::bins, 0.0f, PathSnapshot::bins - 1.0f));
    pen.line({plot.x(bin), plot.box.y}, {plot.x(bin), plot.box.bottom()}, colours::faint);
    std::string text;
    for (const PathSnapshot& path : now.paths)
        text += fmt::format("{}{}: {}", text.empty() ? "" : "\n", path.name,
                            path.history[bin] ? short_number(double{*path.history[bin]}) + " GB/s"
                                              : "did not run");
    const double ago = static_cast<double>(PathSnapshot::bins - 1 - bin) * PathSnapshot::bin_s;
    tooltip(pen.theme, fmt::format("{:.2f} s ago", ago), text);
}

} // namespace

void draw_throughput(const Pen& pen, const Box& box, const Snapshot& now) {
    const Theme& theme = pen.theme;
    Box inside = pen.card(box, "Throughput");
    const float heading = inside.y - 11;
    constexpr float axis_width = 34;
    inside.take_top(8);
    inside.take_left(axis_width);
    inside.take_bottom(20);
    // The copy's limit belongs in the picture; but where frames are slow to draw it would press
    // the lines down to the axis.
    const double top = highest(now);
    double most = top > 0 ? top * 1.12 : 1;
    if (now.limits.copy_gbytes_per_s < 3 * top)
        most = std::max(most, now.limits.copy_gbytes_per_s * 1.1);
    if (now.limits.dma_gbytes_per_s < 3 * top)
        most = std::max(most, now.limits.dma_gbytes_per_s * 1.1);
    const double step = nice_step(most, inside.height > 200 ? 6 : 4);
    const Plot plot{inside, std::ceil(most / step) * step};
    draw_axes(pen, plot, step);
    const float left = inside.x - axis_width + pen.width(theme.strong, "Throughput") + 10;
    const float right = draw_legend(pen, inside.right(), heading, now, plot.most);
    pen.fitted(theme.small, {left, heading}, colours::faint, "GB/s while it ran", right - left);
    for (const Limit& limit : limits_of(now))
        draw_limit(pen, plot, limit);
    for (const PathSnapshot& path : now.paths)
        draw_line(pen, plot, path);
    const Touch pointed = touch(theme, inside, "throughput");
    if (pointed.hovered && top > 0)
        draw_reading(pen, plot, now, pointed.pointer.x);
}

} // namespace clearframe
