// The figures: the ratio, the table of paths, where a frame's time goes.
#include "core/units.h"
#include "ui/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace clearframe {
namespace {

constexpr std::uint32_t few_pairs = 5; // too few to say anything

const PathSnapshot* find(const Snapshot& now, std::string_view name) {
    const auto found = std::find_if(now.paths.begin(), now.paths.end(),
                                    [&](const PathSnapshot& path) { return path.name == name; });
    return found == now.paths.end() ? nullptr : &*found;
}

std::string cpu_sentence(const PathSnapshot& path, const PathSnapshot& baseline) {
    return fmt::format("CPU time per GB: {} ms instead of {} ms",
                       short_number(path.cpu_ms_per_gbyte),
                       short_number(baseline.cpu_ms_per_gbyte));
}

struct Stage {
    const char* name;
    const char* key; // of PathSnapshot::stages_us
    Colour colour;
};
constexpr std::array<Stage, 6> stages = {{{"render", "render", colours::render},
                                          {"CPU copy in", "copy", colours::copy},
                                          {"post", "post", colours::post},
                                          {"wire", "wire", colours::wire},
                                          {"CPU copy out", "copy_out", colours::copy},
                                          {"verify", "verify", colours::verify}}};

double stage_of(const PathSnapshot& path, const char* key) {
    const auto found = path.stages_us.find(key);
    return found == path.stages_us.end() ? 0 : found->second;
}

double sum_of(const PathSnapshot& path) {
    double sum = 0;
    for (const Stage& stage : stages)
        sum += stage_of(path, stage.key);
    return sum;
}

} // namespace

Headline headline(const Snapshot& now) {
    Headline result;
    if (now.receiving) {
        result.sentence = now.state == DemoState::waiting
                              ? "nothing is being received"
                              : fmt::format("receiving from {}", now.receiving->sender);
        result.sure = now.state == DemoState::waiting
                          ? now.progress
                          : "The sender compares the paths; what stands here is this end's";
        result.what = "figures";
        return result;
    }
    if (now.state == DemoState::starting) {
        result.sentence = "starting";
        result.sure = "nothing has been measured yet";
        return result;
    }
    if (now.settings.paths.size() < 2) {
        result.sentence = "one path alone: nothing to compare";
        result.sure = "Switch another one on: keys 1 and 2";
        return result;
    }
    if (!now.comparison || now.comparison->paths.empty() ||
        now.comparison->paths.begin()->second.pairs < few_pairs) {
        const std::uint32_t pairs = now.comparison && !now.comparison->paths.empty()
                                        ? now.comparison->paths.begin()->second.pairs
                                        : 0;
        result.sentence = "comparing: too few blocks so far";
        result.sure = fmt::format("{} of {} pairs of interleaved blocks", pairs, few_pairs);
        return result;
    }
    const auto& [name, interval] = *now.comparison->paths.begin();
    result.ratio = fmt::format("{}×", short_number(interval.ratio));
    result.sentence = "the frames per second without the copy";
    result.sure =
        fmt::format("95 % between {}× and {}×, {} pairs of blocks", short_number(interval.low),
                    short_number(interval.high), interval.pairs);
    result.colour = colours::text;
    if (interval.low <= 1 && interval.high >= 1) {
        result.colour = colours::dim;
        result.sentence = "no difference shown so far";
    } else if (interval.high < 1) {
        result.sentence = "slower without the copy";
    }
    if (result.colour == colours::text && interval.high - interval.low > 0.25 * interval.ratio) {
        result.colour = colours::dim;
        result.sure += ": still wide";
    }
    const PathSnapshot* path = find(now, name);
    const PathSnapshot* baseline = find(now, now.comparison->baseline);
    if (path && baseline && path->cpu_ms_per_gbyte > 0 && baseline->cpu_ms_per_gbyte > 0)
        result.cpu = cpu_sentence(*path, *baseline);
    return result;
}

void draw_headline(const Pen& pen, const Box& box, const Snapshot& now) {
    const Theme& theme = pen.theme;
    const Box inside = pen.card(box, "");
    const Headline says = headline(now);
    float x = inside.x + 2;
    if (!says.ratio.empty())
        x += std::max(120.0f,
                      pen.text(theme.huge, {x, inside.middle_y() - 4}, says.colour, says.ratio)) +
             18;
    const float room = inside.right() - x;
    const std::string emulated = emulated_parts(now);
    const float lines = says.cpu.empty() ? 2 : 3;
    const float step = std::min(23.0f, inside.height / (lines + (emulated.empty() ? 0.0f : 1.0f)));
    float y = inside.middle_y() - step * (lines - (emulated.empty() ? 1 : 0)) / 2;
    const bool short_enough = pen.width(theme.lead, says.sentence) <= room;
    pen.fitted(short_enough ? theme.lead : theme.text, {x, y}, colours::text, says.sentence, room);
    y += step;
    pen.fitted(theme.small, {x, y}, colours::dim, says.sure, room);
    y += step;
    if (!says.cpu.empty()) {
        pen.fitted(theme.small, {x, y}, colours::dim, says.cpu, room);
        y += step;
    }
    if (!emulated.empty())
        pen.fitted(theme.small, {x, y}, colours::attention,
                   fmt::format("{} emulated: this machine's {}", emulated, says.what), room);
}

void draw_paths_table(const Pen& pen, const Box& box, const Snapshot& now) {
    const Theme& theme = pen.theme;
    Box inside = pen.card(box, "Paths");
    constexpr std::array columns = {"GB/s", "p50 ms", "p99", "p99.9", "CPU ms/GB", "copied"};
    constexpr std::array<float, 6> rights = {0.33f, 0.475f, 0.59f, 0.71f, 0.87f, 1.0f};
    const Box heads = inside.take_top(20);
    for (std::size_t i = 0; i < columns.size(); ++i)
        pen.text(theme.small, {inside.x + rights[i] * inside.width, heads.middle_y()},
                 colours::faint, columns[i], Align::right);
    const float row_height =
        (inside.height + 4) / static_cast<float>(std::max<std::size_t>(1, now.paths.size()));
    for (const PathSnapshot& path : now.paths) {
        const Box row = inside.take_top(row_height);
        pen.line({row.x, row.y}, {row.right(), row.y}, colours::border);
        path_mark(pen, {row.x + 5, row.middle_y()}, path.name);
        pen.text(theme.text, {row.x + 16, row.middle_y()}, colours::text, path.name);
        const double copies =
            path.frames > 0 && now.frame_bytes > 0
                ? static_cast<double>(path.cpu_copied_bytes) /
                      (static_cast<double>(path.frames) * static_cast<double>(now.frame_bytes))
                : 0;
        const bool ran = path.frames > 0;
        const bool timed = path.latency_us.max > 0; // not by the clocks of two hosts
        const auto figure = [&](double value) { return ran ? short_number(value) : "–"; };
        const auto latency = [&](double us) { return timed ? figure(us / 1000) : "–"; };
        const std::array<std::string, 6> cells = {
            figure(path.gbytes_per_s),
            latency(path.latency_us.p50),
            latency(path.latency_us.p99),
            latency(path.latency_us.p99_9),
            path.cpu_ms_per_gbyte > 0 ? short_number(path.cpu_ms_per_gbyte) : "–", // no block yet
            path.cpu_copied_bytes == 0 ? "0" : fmt::format("{:.2f}×", copies),
        };
        for (std::size_t i = 0; i < cells.size(); ++i)
            pen.fitted(theme.mono, {inside.x + rights[i] * inside.width, row.middle_y()},
                       i == 5 && path.cpu_copied_bytes > 0 ? colours::copy : colours::text,
                       cells[i], (rights[i] - (i == 0 ? 0.2f : rights[i - 1])) * inside.width - 6,
                       Align::right);
        if (touch(theme, row, path.name.c_str()).hovered)
            tooltip(
                theme, path.name,
                fmt::format("{} frames arrived. GB/s: of the last seconds, while this path ran. "
                            "Latency: from the start of rendering until the receiver can use "
                            "the frame. CPU ms/GB: both threads of this program, without the "
                            "GPU's driver. Copied: bytes that this program's CPU code copied, "
                            "per byte of frames{}.",
                            grouped(path.frames),
                            path.cpu_copied_bytes == 0
                                ? " (0, by counter)"
                                : fmt::format(" ({} in all)", bytes_text(path.cpu_copied_bytes))));
    }
}

void draw_stages(const Pen& pen, const Box& box, const Snapshot& now) {
    const Theme& theme = pen.theme;
    Box inside = pen.card(box, "Where a frame's time goes");
    pen.text(theme.small, {inside.right(), inside.y - 11}, colours::faint, "ms, medians",
             Align::right);
    const Box legend = inside.take_bottom(20);
    const float label_width = 74;
    const float total_width = 46;
    double longest = 0;
    for (const PathSnapshot& path : now.paths)
        longest = std::max(longest, sum_of(path));
    const float row_height =
        inside.height / static_cast<float>(std::max<std::size_t>(1, now.paths.size()));
    for (const PathSnapshot& path : now.paths) {
        const Box row = inside.take_top(row_height);
        pen.text(theme.small, {row.x, row.middle_y()}, colours::text, path.name);
        const double sum = sum_of(path);
        float x = row.x + label_width;
        const float room = row.width - label_width - total_width;
        for (const Stage& stage : stages) {
            const double time = stage_of(path, stage.key);
            if (time <= 0 || longest <= 0)
                continue;
            const float wide = std::max(1.0f, static_cast<float>(time / longest) * room);
            const Box bar{x, row.middle_y() - 7, wide - (wide > 3 ? 1.0f : 0.0f), 14};
            pen.fill(bar, stage.colour, wide > 6 ? 2.0f : 0.0f);
            if (touch(theme, bar, (path.name + stage.key).c_str()).hovered)
                tooltip(
                    theme, fmt::format("{}: {}", stage.name, ms_text(time)),
                    "Median over the frames of this path. Several frames are under way at "
                    "once, so that stages of different frames overlap; wire is from the first "
                    "write posted to the last completed, the wait in the NIC's queue included.");
            x += wide;
        }
        if (sum > 0)
            pen.text(theme.mono_small, {x + 6, row.middle_y()}, colours::dim,
                     short_number(sum / 1000));
    }
    struct Entry {
        const char* name;
        Colour colour;
    };
    constexpr std::array<Entry, 5> entries = {{{"render", colours::render},
                                               {"CPU copy", colours::copy},
                                               {"post", colours::post},
                                               {"wire", colours::wire},
                                               {"verify", colours::verify}}};
    float x = legend.x;
    for (const Entry& entry : entries) {
        pen.fill({x, legend.middle_y() - 4, 9, 9}, entry.colour, 2);
        x += 14 + pen.text(theme.small, {x + 14, legend.middle_y()}, colours::dim, entry.name) + 18;
    }
}

} // namespace clearframe
