#include "commands/measuring.h"

#include "commands/bench_report.h"
#include "core/error.h"
#include "memory/guest.h"

#include <fmt/format.h>

namespace clearframe {
namespace {

std::optional<ResultFile> result_file(const std::optional<std::string>& path) {
    return path ? std::optional<ResultFile>(*path) : std::nullopt;
}

bool stdout_taken(const BenchOptions& options) {
    return options.json == "-" || options.csv == "-" || options.capture == "-";
}

bool any_block(const RunRecord& record) {
    for (const SceneRecord& scene : record.results)
        for (const PathRecord& path : scene.paths)
            if (!path.blocks.empty())
                return true;
    return false;
}

} // namespace

Measuring::Measuring(const BenchOptions& wanted)
    : options(wanted),
      plan(make_bench_plan(wanted)),
      out(stdout_taken(wanted) ? stderr : stdout),
      err(stderr),
      json_(result_file(wanted.json)),
      csv_(result_file(wanted.csv)) {
    record.environment = read_environment();
    record.environment.guest = detect_guest().kind;
}

Parts Measuring::open() {
    Parts parts = open_parts(part_requests(options.stream));
    record.parts = parts.described;
    if (!parts.gpu) {
        for (const Scene scene : plan.scenes)
            if (plan.scenes_by_name)
                check_scene(scene, parts.described[1]);
        plan.scenes = {Scene::none};
        record.warnings.emplace_back(
            "no GPU: the transport alone was measured, nothing was rendered");
    }
    record.config = bench_config(options, plan);
    if (!options.quiet)
        report_parts(out, record.parts);
    return parts;
}

void Measuring::run(BenchRun& run, Stream& stream) {
    const auto show_progress = [&] {
        const BenchRun::Progress progress = run.progress();
        err.progress(fmt::format("{} {:3.0f} %  {}", bar(progress.fraction, 24),
                                 progress.fraction * 100, progress.text));
    };
    record.ended_early = run_interruptible(
        interrupts, "cf-sender", [&] { run.run(stream); }, [&] { stream.stop(); }, show_progress);
    err.clear_progress();
    if (record.ended_early)
        record.warnings.emplace_back("ended early by a signal");
}

int Measuring::finish(const BenchRun& run, const Parts& parts, std::span<const FrameFault> faults) {
    record.limits = run.limits();
    record.results = scene_records(run, options.stream.seed);
    if (const std::uint64_t bad = run.warmup_bad_frames())
        record.warnings.push_back(
            fmt::format("in the warm-up {} frames were lost, corrupt or rejected", bad));
    if (!any_block(record))
        throw Error(Failure::run, "the run ended before anything was measured", {}, {});
    if (!options.quiet)
        report_results(out, record);
    report_faults(err, record, faults);
    if (json_)
        std::move(*json_).commit(to_json(record));
    if (csv_)
        std::move(*csv_).commit(to_csv(record));
    const std::uint64_t complaints = parts.gpu ? parts.gpu->validation_messages() : 0;
    if (complaints > 0)
        throw Error(
            Failure::run,
            fmt::format("the validation layers had {} complaints about Vulkan calls", complaints),
            {}, {});
    if (record.any_bad_frame() || run.warmup_bad_frames() > 0)
        return static_cast<int>(Failure::run);
    out.check();
    return 0;
}

} // namespace clearframe
