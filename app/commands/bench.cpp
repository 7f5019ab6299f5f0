// `clearframe bench`: what the zero-copy path saves against the staging copy, in figures.
#include "commands/bench_options.h"
#include "commands/bench_report.h"
#include "commands/bench_run.h"
#include "commands/command.h"
#include "commands/interrupt.h"
#include "commands/parts.h"
#include "commands/terminal.h"
#include "core/error.h"
#include "core/result_file.h"
#include "core/thread.h"
#include "gpu/capture.h"
#include "gpu/kms.h"
#include "memory/guest.h"
#include "pipeline/presenter.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <exception>
#include <memory>
#include <optional>
#include <thread>

namespace clearframe {
namespace {

// Sends one more frame, outside the measurement: the picture of it as it was received.
std::string capture(Session& session, SendMeter& sent, ReceiveMeter& received) {
    std::vector<std::byte> copy;
    const FrameViewer keep = [&](FrameView frame, std::uint64_t) {
        copy.assign(frame.begin(), frame.end());
    };
    session.run_block(0, {.frames = 1, .until = now() + 60'000'000'000}, sent, received, &keep);
    if (copy.empty())
        throw Error(Failure::run, "no good frame was received to capture", {}, {});
    return encode_png(copy, session.layout());
}

// The measurement on a thread of its own, which can be waited for together with Ctrl-C.
class Measurement {
public:
    Measurement(BenchRun& run, Stream& stream)
        : stream_(stream), thread_(start_thread("cf-sender", [this, &run] {
              try {
                  run.run(stream_);
              } catch (...) {
                  failure_ = std::current_exception();
              }
              ended_.signal();
          })) {}

    // Shows progress until the measurement has ended; true if Ctrl-C ended it. Throws what it
    // threw.
    bool wait(Interrupts& interrupts, const BenchRun& run, Terminal& terminal) {
        constexpr Nanoseconds redraw = 200'000'000;
        bool interrupted = false;
        while (true) {
            const Interrupts::Woken woken = interrupts.wait(ended_, redraw);
            if (woken == Interrupts::Woken::by_event)
                break;
            if (woken == Interrupts::Woken::by_interrupt) {
                interrupted = true;
                stream_.stop();
            }
            const BenchRun::Progress progress = run.progress();
            terminal.progress(fmt::format("{} {:3.0f} %  {}", bar(progress.fraction, 24),
                                          progress.fraction * 100, progress.text));
        }
        terminal.clear_progress();
        thread_.join();
        if (failure_)
            std::rethrow_exception(failure_);
        return interrupted;
    }

private:
    Stream& stream_;
    Event ended_;
    std::exception_ptr failure_;
    std::jthread thread_;
};

std::optional<ResultFile> result_file(const std::optional<std::string>& path) {
    return path ? std::optional<ResultFile>(*path) : std::nullopt;
}

// Without a GPU only the transport can be measured: aloud, and not if a scene was asked for.
void drop_rendered_scenes(BenchPlan& plan, const Part& gpu, RunRecord& record) {
    for (const Scene scene : plan.scenes)
        if (plan.scenes_by_name)
            check_scene(scene, gpu);
    plan.scenes = {Scene::none};
    record.warnings.emplace_back("no GPU: the transport alone was measured, nothing was rendered");
}

// Shows what the session receives, for as long as `presenter` exists.
void present(Session& session, std::size_t paths, std::unique_ptr<Screen> screen,
             std::optional<Presenter>& presenter) {
    std::vector<std::span<const DmaBuf>> frames;
    for (std::size_t path = 0; path < paths; ++path)
        frames.push_back(session.frames(path));
    presenter.emplace(std::move(screen), session.layout(), frames, [&session] { session.stop(); });
    session.set_taps([&presenter](std::size_t path) { return presenter->tap_for(path); });
}

// What was shown, once nothing more is to be. Throws what showing it ended with.
PresentRecord finish(Presenter& presenter) {
    const std::uint64_t frames = presenter.finish();
    const ScreenInfo& screen = presenter.screen();
    return {.card = screen.card,
            .driver = screen.driver,
            .connector = screen.connector,
            .width = screen.mode.width,
            .height = screen.mode.height,
            .hz = screen.mode.hz,
            .emulation = screen.emulation,
            .frames = frames,
            .same_buffer = presenter.same_buffers()};
}

bool any_block(const RunRecord& record) {
    for (const SceneRecord& scene : record.results)
        for (const PathRecord& path : scene.paths)
            if (!path.blocks.empty())
                return true;
    return false;
}

int bench(const BenchOptions& options) {
    BenchPlan plan = make_bench_plan(options);
    std::optional<ResultFile> json = result_file(options.json);
    std::optional<ResultFile> csv = result_file(options.csv);
    std::optional<ResultFile> picture = result_file(options.capture);
    const bool stdout_taken = options.json == "-" || options.csv == "-" || options.capture == "-";
    Terminal out(stdout_taken ? stderr : stdout);
    Terminal err(stderr);

    Interrupts interrupts;
    RunRecord record;
    record.environment = read_environment();
    record.environment.guest = detect_guest().kind;
    ExposureMeter exposure;
    std::unique_ptr<Screen> screen;
    if (plan.screen)
        screen = Screen::open(*plan.screen, plan.session.width, plan.session.height);
    const Parts parts = open_parts(part_requests(options.stream));
    record.parts = parts.described;
    if (!parts.gpu)
        drop_rendered_scenes(plan, parts.described[1], record);
    record.config = bench_config(options, plan);
    if (!options.quiet)
        report_parts(out, record.parts);
    if (screen && !options.quiet)
        report_screen(out, screen->info(), plan.session.width, plan.session.height);

    BenchRun run(plan);
    SendMeter capture_sent;
    ReceiveMeter capture_received(0);
    std::vector<FrameFault> faults;
    {
        Session session(plan.session, {.shared_heap = *parts.shared_heap,
                                       .private_heap = *parts.private_heap,
                                       .gpu = parts.gpu.get(),
                                       .nic = *parts.nic,
                                       .exposure = exposure});
        std::optional<Presenter> presenter;
        if (screen)
            present(session, plan.session.paths.size(), std::move(screen), presenter);
        record.ended_early = Measurement(run, session).wait(interrupts, run, err);
        if (presenter)
            record.presented = finish(*presenter);
        session.set_taps({});
        if (picture && !record.ended_early)
            std::move(*picture).commit(capture(session, capture_sent, capture_received));
        faults.assign(session.faults().faults().begin(), session.faults().faults().end());
    }
    record.host_readable_bytes = exposure.peak_bytes();
    record.limits = run.limits();
    record.results = scene_records(run, options.stream.seed);
    if (const std::uint64_t bad = run.warmup_bad_frames())
        record.warnings.push_back(
            fmt::format("in the warm-up {} frames were lost, corrupt or rejected", bad));
    if (record.ended_early)
        record.warnings.emplace_back("ended early by a signal");

    if (!any_block(record))
        throw Error(Failure::run, "the run ended before anything was measured", {}, {});
    if (!options.quiet)
        report_results(out, record);
    report_faults(err, record, faults);
    if (json)
        std::move(*json).commit(to_json(record));
    if (csv)
        std::move(*csv).commit(to_csv(record));
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

} // namespace

std::function<int()> declare_bench(CLI::App& app) {
    const auto options = std::make_shared<BenchOptions>();
    declare_bench_options(app, *options);
    return [options] { return bench(*options); };
}

} // namespace clearframe
