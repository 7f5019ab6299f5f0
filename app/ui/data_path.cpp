// The way of a frame as a diagram. The paths' boxes stand below each other, so that what a path
// does without is an empty place.
#include "core/units.h"
#include "ui/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace clearframe {
namespace {

// Columns: GPU, frame, staging pool, NIC, the receiver's slot, the receiver's private copy.
constexpr std::size_t columns = 6;
constexpr std::array<float, columns> widths = {44, 80, 82, 62, 78, 82};
constexpr float label_width = 80;

constexpr std::size_t mapping = 256 * KiB; // the most that swiotlb maps in one piece

struct Station {
    std::size_t column = 0;
    std::string title;
    std::string detail;
    bool shared = false; // the host can read it
};

struct Hop {
    const char* name;
    const char* short_name;      // where there is little room
    const char* stage = nullptr; // of PathSnapshot::stages_us
    bool copy = false;
};

struct Way {
    std::vector<Station> stations;
    std::vector<Hop> hops; // one fewer
};

Way way_of(const Snapshot& now, const PathSnapshot& path) {
    const bool confidential = now.environment.guest != "none" && !now.environment.guest.empty();
    const std::string shared = confidential ? "host reads it" : "plays shared";
    const std::string hidden = !confidential                        ? "plays private"
                               : now.environment.guest == "unknown" ? "private"
                                                                    : "encrypted";
    const Part* nic = now.part("nic");
    const Part* gpu = now.part("gpu");
    const bool draws = now.settings.scene != "none";
    const Station gpu_box{0, gpu && gpu->name == "none" ? "CPU" : "GPU", draws ? "draws" : "idle",
                          false};
    const Station nic_box{3, "NIC", !nic ? "" : nic->emulated ? "emulated" : nic->name, false};
    const Hop render{draws ? "render" : "once", draws ? "render" : "once", "render"};
    const Hop post{"post", "post", "post"}, wire{"wire", "wire", "wire"};
    if (path.name != "staging")
        return {{gpu_box,
                 {1, "shared frame", shared, true},
                 nic_box,
                 {4, "shared slot", "shown above", true}},
                {render, post, wire}};
    const std::uint64_t pieces = (now.frame_bytes + mapping - 1) / mapping;
    return {{gpu_box,
             {1, "private frame", hidden, false},
             {2, "staging pool", fmt::format("{} × {}", pieces, "256 KiB"), true},
             nic_box,
             {4, "shared slot", shared, true},
             {5, "private copy", "shown above", false}},
            {render,
             {"CPU copy", "copy", "copy", true},
             post,
             wire,
             {"CPU copy", "copy", "copy_out", true}}};
}

void draw_station(const Pen& pen, const Box& box, const Station& station, Colour path) {
    const Theme& theme = pen.theme;
    pen.fill(box, colours::background, 6);
    pen.outline(box, station.shared ? path : 0x4a5461, 6, station.shared ? 1.5f : 1.0f);
    pen.fitted(theme.small, {box.middle_x(), box.middle_y() - 7.5f}, colours::text, station.title,
               box.width - 6, Align::centre);
    pen.fitted(theme.tiny, {box.middle_x(), box.middle_y() + 8}, colours::dim, station.detail,
               box.width - 4, Align::centre);
}

// An arrow with its name above and its median time below, and frames that move along it.
void draw_hop(const Pen& pen, float from, float to, float y, const Hop& hop, Colour path,
              std::optional<double> time_us, double phase) {
    const Theme& theme = pen.theme;
    const Colour colour = hop.copy ? colours::copy : path;
    const float thickness = hop.copy ? 6 : 2;
    const float head = hop.copy ? 9 : 6;
    pen.line({from, y}, {to - head, y}, colour, thickness);
    // A hair more than 3/4: a tip on a pixel's very middle is drawn or not as a CPU's approximate
    // square root, which Dear ImGui smooths by, happens to round.
    const float half = head * 0.75f + 1.0f / 128;
    pen.triangle({to - head - 1, y - half}, {to - head - 1, y + half}, {to, y}, colour);
    const float length = to - from - head - 8;
    if (phase >= 0 && length > 4) {
        const auto at = static_cast<float>(phase - std::floor(phase));
        pen.fill({from + 1 + at * length, y - 4, 7, 8}, colours::text, 2);
    }
    const float middle = (from + to) / 2 - 1;
    const bool narrow = pen.width(theme.small, hop.name) > to - from + 4;
    pen.text(theme.small, {middle, y - 14}, hop.copy ? colours::copy : colours::dim,
             narrow ? hop.short_name : hop.name, Align::centre);
    if (time_us)
        pen.text(theme.mono_small, {middle, y + 14}, hop.copy ? colours::copy : colours::text,
                 short_number(*time_us / 1000), Align::centre);
}

} // namespace

void draw_data_path(const Pen& pen, const Box& box, const Snapshot& now) {
    const Theme& theme = pen.theme;
    Box inside = pen.card(box, "Data path");
    if (now.frame_bytes > 0) {
        const std::string format =
            fmt::format("one frame: {} × {} BGRA8, {}, stride {}; ms, medians", now.settings.width,
                        now.settings.height, bytes_text(now.frame_bytes), now.stride);
        pen.fitted(theme.small, {inside.right(), inside.y - 11}, colours::faint, format,
                   inside.width - 90, Align::right);
    }

    float boxes = label_width;
    for (const float width : widths)
        boxes += width;
    const float hop = (inside.width - boxes) / (columns - 1);
    std::array<float, columns> lefts{};
    float x = inside.x + label_width;
    for (std::size_t i = 0; i < columns; ++i) {
        lefts[i] = x;
        x += widths[i] + hop;
    }

    inside.take_top(4);
    const float row_height =
        inside.height / static_cast<float>(std::max<std::size_t>(1, now.paths.size()));
    for (const PathSnapshot& path : now.paths) {
        const Box row = inside.take_top(row_height);
        const Colour colour = path_colour(path.name);
        path_mark(pen, {row.x + 4, row.middle_y()}, path.name);
        pen.fitted(theme.strong, {row.x + 13, row.middle_y()}, colour, path.name, label_width - 17);
        const Way way = way_of(now, path);
        const float high = std::min(42.0f, row.height - 8);
        const auto station_box = [&](const Station& station) {
            return Box{lefts[station.column], row.middle_y() - high / 2, widths[station.column],
                       high};
        };
        for (std::size_t i = 0; i < way.stations.size(); ++i) {
            const Box here = station_box(way.stations[i]);
            draw_station(pen, here, way.stations[i], colour);
            if (i == way.hops.size())
                break;
            const auto time = path.stages_us.find(way.hops[i].stage);
            // A frame every second and a quarter on each arrow: to be followed, not counted.
            const double phase = now.state == DemoState::running
                                     ? now.time_s * 0.8 + static_cast<double>(i) * 0.37
                                     : -1;
            draw_hop(pen, here.right() + 2, station_box(way.stations[i + 1]).x - 2, row.middle_y(),
                     way.hops[i], colour,
                     time == path.stages_us.end() ? std::nullopt : std::optional(time->second),
                     phase);
        }
    }
}

} // namespace clearframe
