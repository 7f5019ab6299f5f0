#include "commands/bench_report.h"

#include "core/units.h"

#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

// Under so many the interval contains the truth clearly less often than it says (docs/results.md).
constexpr std::uint32_t few_pairs = 5;

// A reason without the name of whom it is about.
std::string nameless(const Refusal& refusal) {
    std::string reason = refusal.reason;
    for (std::size_t at; (at = reason.find(refusal.name)) != std::string::npos;)
        reason.replace(at, refusal.name.size(), "…");
    return reason;
}

// "not a, b: opening /dev/dma_heap/a: …": a line for each reason, with all whom it keeps out.
void report_refusals(Terminal& out, std::span<const Refusal> refused) {
    for (std::size_t i = 0; i < refused.size();) {
        std::string names = refused[i].name;
        std::size_t next = i + 1;
        for (; next < refused.size() && nameless(refused[next]) == nameless(refused[i]); ++next)
            names += ", " + refused[next].name;
        out.line(out.styled(fmt::format("     not {}: {}", names, refused[i].reason), Style::dim));
        i = next;
    }
}

std::string part_line(const Terminal& out, const Part& part) {
    std::string line = fmt::format("{:<4} {}", part.kind, part.name);
    if (!part.detail.empty())
        line += fmt::format(" ({})", part.detail);
    if (part.emulated)
        line += ", " + out.styled(fmt::format("emulated: {}", part.emulation), Style::attention);
    return line;
}

std::string scene_title(const SceneRecord& scene) {
    return scene.scene == "none" ? "none: the transport alone, no rendering"
                                 : fmt::format("{}: every frame rendered", scene.scene);
}

// Milliseconds; a dash where there was no clock to take it with.
std::string latency_text(const PathRecord& path, double us) {
    return path.latency_us.max > 0 ? fmt::format("{:.2f}", us / 1e3) : "-";
}

void report_table(Terminal& out, const SceneRecord& scene) {
    constexpr auto row = "  {:<10} {:>7} {:>7} {:>7} {:>9} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9}";
    out.line(out.styled(scene_title(scene), Style::bold));
    out.line(out.styled(fmt::format(row, "path", "GB/s", "min", "p5", "frames/s", "p50 ms", "p99",
                                    "p99.9", "CPU ms/GB", "copied", "frames"),
                        Style::dim));
    for (const PathRecord& path : scene.paths)
        out.line(fmt::format(
            row, path.path, rate_text(path.mean_gbytes_per_s), rate_text(path.min_gbytes_per_s),
            rate_text(path.p5_gbytes_per_s), fmt::format("{:.1f}", path.frames_per_s),
            latency_text(path, path.latency_us.p50), latency_text(path, path.latency_us.p99),
            latency_text(path, path.latency_us.p99_9), fmt::format("{:.2f}", path.cpu_ms_per_gbyte),
            path.cpu_copied_bytes == 0 ? "0" : bytes_text(path.cpu_copied_bytes), path.frames));
}

const PathRecord& find(const SceneRecord& scene, std::string_view path) {
    return *std::find_if(scene.paths.begin(), scene.paths.end(),
                         [&](const PathRecord& record) { return record.path == path; });
}

void report_comparison(Terminal& out, const SceneRecord& scene) {
    if (!scene.comparison)
        return;
    for (const auto& [name, interval] : scene.comparison->paths) {
        const PathRecord& path = find(scene, name);
        const std::string sure =
            interval.pairs < few_pairs
                ? fmt::format("{} pairs of blocks: too few to be sure", interval.pairs)
                : fmt::format("95 %: {:.2f}–{:.2f}, {} pairs of blocks", interval.low,
                              interval.high, interval.pairs);
        out.line(fmt::format(
            "  {}", out.styled(fmt::format("{} moved {:.2f}× the frames of the {} copy ({}), with "
                                           "{} copied by the CPU",
                                           name, interval.ratio, scene.comparison->baseline, sure,
                                           bytes_text(path.cpu_copied_bytes)),
                               Style::good)));
    }
}

void report_presented(Terminal& out, const PresentRecord& shown) {
    out.line(fmt::format("{} frames were shown on {} ({}{}) while it was measured, {}",
                         shown.frames, shown.card, shown.driver,
                         shown.emulation.empty() ? "" : ", a virtual screen",
                         shown.same_buffer ? "in the buffers they were received in: no copy"
                                           : "in buffers that the card does not name as those "
                                             "they were received in"));
}

} // namespace

void report_parts(Terminal& out, std::span<const Part> parts) {
    for (const Part& part : parts) {
        out.line(part_line(out, part));
        report_refusals(out, part.refused);
    }
}

void report_peer(Terminal& out, const PeerRecord& peer) {
    out.line(fmt::format("{} {} ({})", peer.role, peer.address, peer.program));
    for (const Part& part : peer.parts)
        out.line("     " + part_line(out, part));
}

void report_screen(Terminal& out, const ScreenInfo& screen, std::uint32_t frame_width,
                   std::uint32_t frame_height) {
    const ScreenMode& mode = screen.mode;
    const bool whole = mode.width == frame_width && mode.height == frame_height;
    std::string line =
        fmt::format("show {} ({}), {} at {}x{}, {} Hz: {} of each frame", screen.card,
                    screen.driver, screen.connector, mode.width, mode.height, mode.hz,
                    whole ? "the whole" : "the upper left corner");
    if (!screen.emulation.empty())
        line += ", " + out.styled(fmt::format("emulated: {}", screen.emulation), Style::attention);
    out.line(line);
}

void report_results(Terminal& out, const RunRecord& record) {
    for (const SceneRecord& scene : record.results) {
        out.line("");
        report_table(out, scene);
        report_comparison(out, scene);
    }
    out.line("");
    if (record.limits.dma_gbytes_per_s > 0)
        out.line(fmt::format("limits measured beside it: the NIC's plain transfer {} GB/s, the "
                             "CPU's plain copy {} GB/s ({})",
                             rate_text(record.limits.dma_gbytes_per_s),
                             rate_text(record.limits.copy_gbytes_per_s),
                             record.limits.copy_method));
    if (record.latency == LatencyOf::round_trip)
        out.line("latency: from a frame's beginning to the receiver's credit, a round trip");
    else if (record.latency == LatencyOf::nothing)
        out.line("latency: not measured: the sender's clock is another one");
    out.line(
        fmt::format("memory that the host could read: {}", bytes_text(record.host_readable_bytes)));
    if (record.presented)
        report_presented(out, *record.presented);
    const std::vector<std::string> emulated = record.emulated();
    if (!emulated.empty())
        out.line(out.styled(fmt::format("emulated here: {}. The figures are this machine's, not a "
                                        "confidential VM's",
                                        fmt::join(emulated, ", ")),
                            Style::attention));
    for (const std::string& warning : record.warnings)
        out.line(out.styled(warning, Style::attention));
}

void report_faults(Terminal& out, const RunRecord& record, std::span<const FrameFault> faults) {
    std::uint64_t lost = 0, corrupt = 0, rejected = 0;
    for (const SceneRecord& scene : record.results)
        for (const PathRecord& path : scene.paths) {
            lost += path.lost;
            corrupt += path.corrupt;
            rejected += path.rejected;
        }
    for (const FrameFault& fault : faults)
        out.line(out.styled(fault_text(fault), Style::bad));
    if (lost + corrupt + rejected > 0)
        out.line(out.styled(fmt::format("{} frames lost, {} corrupt, {} completions rejected", lost,
                                        corrupt, rejected),
                            Style::bad));
}

} // namespace clearframe
