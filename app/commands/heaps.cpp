// `clearframe heaps`: where frame memory can come from, and what it costs.
#include "commands/command.h"
#include "commands/heaps_report.h"
#include "commands/interrupt.h"
#include "commands/terminal.h"
#include "core/error.h"
#include "core/result_file.h"
#include "core/units.h"
#include "memory/guest.h"
#include "memory/heap.h"
#include "memory/heap_timing.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t fewest_rounds = 3;
constexpr std::size_t most_rounds = 1000;

struct HeapsOptions {
    bool time = false;
    std::vector<std::string> sizes;
    std::vector<std::string> heaps; // empty: all
    double seconds = 5;
    std::string root = "/";
    std::optional<std::string> json;
    bool quiet = false;
};

[[noreturn]] void refuse(std::string_view option, std::string_view value,
                         std::string_view expected) {
    throw Error(Failure::usage, fmt::format("{} '{}' makes no sense", option, value), {},
                fmt::format("Expected {}", expected));
}

// "64KiB", "64K", "65536".
std::size_t parse_bytes(const std::string& text) {
    constexpr std::string_view expected = "bytes, like 4KiB, 8MiB or 1GiB, up to 64GiB, each once";
    std::size_t value = 0;
    const char* const end = text.data() + text.size();
    const auto number = std::from_chars(text.data(), end, value);
    const std::string_view unit(number.ptr, static_cast<std::size_t>(end - number.ptr));
    const std::size_t factor = unit.empty()                   ? 1
                               : unit == "K" || unit == "KiB" ? KiB
                               : unit == "M" || unit == "MiB" ? MiB
                               : unit == "G" || unit == "GiB" ? GiB
                                                              : 0;
    if (number.ec != std::errc{} || factor == 0 || value == 0 || value > 64 * GiB / factor)
        refuse("--sizes", text, expected);
    return value * factor;
}

std::vector<std::size_t> parse_sizes(const std::vector<std::string>& texts) {
    std::vector<std::size_t> sizes;
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    for (const std::string& text : texts) {
        const std::size_t bytes = align_up(parse_bytes(text), page);
        if (std::find(sizes.begin(), sizes.end(), bytes) != sizes.end())
            refuse("--sizes", text, "each size once, in whole pages");
        sizes.push_back(bytes);
    }
    if (sizes.empty())
        for (std::size_t bytes = 4 * KiB; bytes <= 256 * MiB; bytes *= 4)
            sizes.push_back(bytes);
    return sizes;
}

// Which of the candidates were named, or all.
std::vector<Candidate> wanted_heaps(const HeapsOptions& options) {
    std::vector<Candidate> all = probe_heaps(options.root);
    if (options.heaps.empty())
        return all;
    std::vector<Candidate> wanted;
    for (const std::string& name : options.heaps)
        wanted.push_back(all[choose("heap", name, all).index]);
    return wanted;
}

// Every heap in turn, round by round, so that a machine that gets slower gets slower for all.
class Timing {
public:
    Timing(const std::vector<std::unique_ptr<Heap>>& heaps, HeapsRecord& record)
        : heaps_(heaps), record_(record) {}

    // Throws Error if nothing at all could be measured.
    void run(const std::vector<std::size_t>& sizes, Nanoseconds duration, Terminal& terminal) {
        const Nanoseconds end = now() + duration;
        for (std::size_t i = 0; i < sizes.size() && !record_.ended_early; ++i) {
            // What small sizes leave over is for the larger ones.
            const Nanoseconds start = now();
            const Nanoseconds share =
                std::max<Nanoseconds>(end - start, 0) / static_cast<Nanoseconds>(sizes.size() - i);
            run_size(sizes[i], start + share, [&] {
                const double done =
                    (double(i) + std::min(1.0, double(now() - start + 1) / double(share + 1))) /
                    double(sizes.size());
                terminal.progress(fmt::format("{} {:3.0f} %  {}", bar(done, 24), done * 100,
                                              binary_bytes_text(sizes[i])));
            });
        }
        terminal.clear_progress();
        for (const HeapTimings& timings : record_.timings)
            if (timings.rounds() > 0)
                return;
        throw Error(Failure::run, "nothing was measured",
                    record_.timings.empty() ? "" : record_.timings[0].error, {});
    }

private:
    void run_size(std::size_t bytes, Nanoseconds end, const std::function<void()>& progress) {
        constexpr Nanoseconds redraw = 200'000'000;
        const std::size_t first = record_.timings.size();
        for (const std::unique_ptr<Heap>& heap : heaps_)
            record_.timings.push_back({.heap = heap->name(), .bytes = bytes});
        Nanoseconds next_redraw = 0;
        for (std::size_t round = 0; round < fewest_rounds || (round < most_rounds && now() < end);
             ++round) {
            for (std::size_t i = 0; i < heaps_.size(); ++i) {
                if (interrupts_.wait(never_, 0) == Interrupts::Woken::by_interrupt) {
                    record_.ended_early = true;
                    return;
                }
                run_round(*heaps_[i], record_.timings[first + i]);
            }
            if (now() >= next_redraw) {
                progress();
                next_redraw = now() + redraw;
            }
        }
    }

    static void run_round(const Heap& heap, HeapTimings& timings) {
        if (!timings.error.empty())
            return;
        try {
            const BufferTimes times = time_buffer(heap, timings.bytes);
            timings.allocate.push_back(times.allocate);
            timings.first_touch.push_back(times.first_touch);
            timings.free.push_back(times.free);
        } catch (const Error& error) {
            timings.error = error.reason();
        }
    }

    const std::vector<std::unique_ptr<Heap>>& heaps_;
    HeapsRecord& record_;
    Interrupts interrupts_;
    Event never_;
};

void add_warnings(HeapsRecord& record) {
    const std::string& guest = record.environment.guest;
    if (guest == "none")
        record.warnings.emplace_back(
            "not a confidential guest: no memory is encrypted, and no page is converted");
    if (guest == "unknown")
        record.warnings.emplace_back(
            "nothing says what protects this guest: if nothing is encrypted, as in a test guest, "
            "converting pages is the kernel's own part of it alone, without the hypervisor's");
    if (record.ended_early)
        record.warnings.emplace_back("ended early by a signal");
}

int heaps(const HeapsOptions& options) {
    const std::vector<std::size_t> sizes = parse_sizes(options.sizes);
    if (!std::isfinite(options.seconds) || options.seconds <= 0 || options.seconds > 3600)
        refuse("--seconds", fmt::format("{}", options.seconds),
               "seconds, more than 0 and at most 3600");
    std::error_code error;
    if (!fs::is_directory(options.root, error))
        refuse("--root", options.root, "a directory that holds another machine's /dev and /proc");
    std::optional<ResultFile> json;
    if (options.json)
        json.emplace(*options.json);
    Terminal out(options.json == "-" ? stderr : stdout);
    Terminal err(stderr);

    HeapsRecord record;
    record.environment = read_environment(options.root);
    record.environment.guest = detect_guest(options.root).kind;
    record.page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    record.free_bytes = free_memory();
    const std::vector<Candidate> wanted = wanted_heaps(options);
    if (options.time)
        choose("heap", "auto", wanted); // one at least
    std::vector<std::unique_ptr<Heap>> usable;
    for (const Candidate& candidate : wanted) {
        HeapEntry& entry = record.heaps.emplace_back(HeapEntry{candidate, {}});
        if (candidate.usable) {
            usable.push_back(open_heap(candidate.name, options.root));
            entry.largest_buffer = usable.back()->largest_buffer();
        }
    }
    if (!options.quiet)
        report_heap_list(out, record, out.width());
    if (options.time) {
        record.timed = true;
        Timing(usable, record).run(sizes, static_cast<Nanoseconds>(options.seconds * 1e9), err);
        add_warnings(record);
        if (!options.quiet)
            report_heap_times(out, record, out.width());
    }
    if (json)
        std::move(*json).commit(to_json(record));
    out.check();
    return 0;
}

} // namespace

std::function<int()> declare_heaps(CLI::App& app) {
    const auto options = std::make_shared<HeapsOptions>();
    app.add_flag("--time", options->time,
                 "measure allocating, first touch and freeing by size, and what converting pages "
                 "costs");
    app.add_option("--sizes", options->sizes, "of the buffers to time [4KiB,16KiB … 256MiB]")
        ->delimiter(',')
        ->option_text("LIST");
    app.add_option("--heap", options->heaps, "these alone, by name")
        ->delimiter(',')
        ->option_text("LIST");
    app.add_option("--seconds", options->seconds,
                   "how long to time, shared by the sizes; each has three rounds at least")
        ->option_text("S [5]");
    app.add_option("--json", options->json, "write the results there; - is standard output")
        ->option_text("FILE");
    app.add_option("--root", options->root,
                   "look at the picture of another machine: a directory with its /dev and /proc")
        ->option_text("DIR [/]");
    app.add_flag("--quiet", options->quiet, "print errors only");
    return [options] { return heaps(*options); };
}

} // namespace clearframe
