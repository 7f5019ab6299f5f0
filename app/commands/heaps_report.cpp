#include "commands/heaps_report.h"

#include "commands/text.h"
#include "core/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace clearframe {
namespace {

constexpr std::size_t heap_column = 22; // after "  system_cc_decrypted "

// Whether the others need not play it.
bool has_shared_heap(const HeapsRecord& record) {
    for (const HeapEntry& heap : record.heaps)
        if (heap.candidate.usable && !heap.candidate.emulated)
            return true;
    return false;
}

std::string limits_text(const HeapEntry& heap, const HeapsRecord& record) {
    std::string text = fmt::format(
        "a buffer is whole pages of {}, and now {} at most", binary_bytes_text(record.page_bytes),
        bytes_text(std::min(record.free_bytes, heap.largest_buffer.value_or(UINT64_MAX))));
    if (heap.largest_buffer.value_or(UINT64_MAX) < record.environment.memory_bytes)
        text +=
            fmt::format(" (the heap's own limit is {})", binary_bytes_text(*heap.largest_buffer));
    return text;
}

void report_wrapped(Terminal& out, std::string before, std::size_t indent, std::string_view text,
                    std::size_t width, Style style) {
    for (const std::string& line : wrapped(text, width - indent)) {
        out.line(before + out.styled(line, style));
        before = std::string(indent, ' ');
    }
}

// "+12.3 us", "-850 ns".
std::string difference_text(Nanoseconds time) {
    return (time < 0 ? "-" : "+") + duration_text(std::abs(static_cast<double>(time)));
}

std::string rate_text(std::uint64_t bytes, Nanoseconds time) {
    const double rate = gbytes_per_s(bytes, time);
    return rate > 0 ? fmt::format("{:.2f}", rate) : "-";
}

std::vector<std::string> heap_names(const HeapsRecord& record) {
    std::vector<std::string> names;
    for (const HeapTimings& timings : record.timings)
        if (std::find(names.begin(), names.end(), timings.heap) == names.end())
            names.push_back(timings.heap);
    return names;
}

void report_table(Terminal& out, const HeapsRecord& record, const std::string& heap,
                  std::size_t width) {
    constexpr auto row = "  {:>10} {:>10} {:>7} {:>11} {:>7} {:>10} {:>7} {:>7}";
    out.line("");
    std::string title = heap;
    for (const HeapEntry& entry : record.heaps)
        if (entry.candidate.name == heap && entry.candidate.emulated)
            title += has_shared_heap(record) ? ", ordinary memory"
                                             : ", playing shared memory (emulated)";
    out.line(out.styled(title, Style::bold));
    out.line(out.styled(fmt::format(row, "size", "allocate", "GB/s", "first touch", "GB/s", "free",
                                    "GB/s", "rounds"),
                        Style::dim));
    for (const HeapTimings& timings : record.timings) {
        if (timings.heap != heap)
            continue;
        if (timings.rounds() > 0) {
            const Nanoseconds allocate = median(timings.allocate);
            const Nanoseconds touch = median(timings.first_touch);
            const Nanoseconds free = median(timings.free);
            out.line(fmt::format(row, binary_bytes_text(timings.bytes),
                                 duration_text(double(allocate)),
                                 rate_text(timings.bytes, allocate), duration_text(double(touch)),
                                 rate_text(timings.bytes, touch), duration_text(double(free)),
                                 rate_text(timings.bytes, free), timings.rounds()));
        }
        if (!timings.error.empty())
            report_wrapped(out, fmt::format("  {:>10} ", binary_bytes_text(timings.bytes)), 13,
                           timings.error, width, Style::attention);
    }
}

void report_conversions(Terminal& out, const HeapsRecord& record, std::size_t width) {
    constexpr auto row = "  {:>10} {:>12} {:>12} {:>14} {:>7}";
    const std::vector<Conversion> conversions = record.conversions();
    out.line("");
    out.line(out.styled("page conversion", Style::bold));
    if (conversions.empty()) {
        report_wrapped(out, "  ", 2,
                       "not measured: it is how much longer system_cc_shared takes than system, "
                       "and that takes both",
                       width, Style::attention);
        return;
    }
    report_wrapped(out, "  ", 2,
                   fmt::format("how much longer {} takes than {}, round by round (medians)",
                               conversions.front().heap, conversions.front().baseline),
                   width, Style::plain);
    out.line(out.styled(fmt::format(row, "size", "allocate", "free", "both, a GiB", "rounds"),
                        Style::dim));
    for (const Conversion& conversion : conversions) {
        const double both = static_cast<double>(conversion.allocate + conversion.free) *
                            (double(GiB) / static_cast<double>(conversion.bytes));
        out.line(fmt::format(row, binary_bytes_text(conversion.bytes),
                             difference_text(conversion.allocate), difference_text(conversion.free),
                             difference_text(static_cast<Nanoseconds>(both)), conversion.rounds));
    }
}

} // namespace

std::string binary_bytes_text(std::uint64_t bytes) {
    if (bytes >= GiB && bytes % GiB == 0)
        return fmt::format("{} GiB", bytes / GiB);
    if (bytes >= MiB && bytes % MiB == 0)
        return fmt::format("{} MiB", bytes / MiB);
    if (bytes >= KiB && bytes % KiB == 0)
        return fmt::format("{} KiB", bytes / KiB);
    return fmt::format("{} bytes", bytes);
}

void report_heap_list(Terminal& out, const HeapsRecord& record, std::size_t width) {
    for (const HeapEntry& heap : record.heaps) {
        const Candidate& its = heap.candidate;
        const std::string name =
            "  " + out.styled(its.name, Style::bold) +
            std::string(heap_column - 2 - std::min(its.name.size(), heap_column - 3), ' ');
        const std::string next(heap_column, ' ');
        if (!its.usable) {
            report_wrapped(out, name, heap_column, its.refusal, width, Style::dim);
            continue;
        }
        report_wrapped(out, name, heap_column, its.detail, width,
                       its.emulated ? Style::plain : Style::good);
        if (its.emulated && !has_shared_heap(record))
            report_wrapped(out, next, heap_column, "emulated: " + its.emulation, width,
                           Style::attention);
        report_wrapped(out, next, heap_column, limits_text(heap, record), width, Style::plain);
    }
}

void report_heap_times(Terminal& out, const HeapsRecord& record, std::size_t width) {
    for (const std::string& heap : heap_names(record))
        report_table(out, record, heap, width);
    report_conversions(out, record, width);
    for (const std::string& warning : record.warnings)
        report_wrapped(out, "", 0, warning, width, Style::attention);
}

} // namespace clearframe
