// `clearframe bench`: what the zero-copy path saves against the staging copy, in figures.
#include "commands/bench_report.h"
#include "commands/command.h"
#include "commands/measuring.h"
#include "commands/present_record.h"
#include "core/error.h"
#include "gpu/capture.h"
#include "gpu/kms.h"
#include "pipeline/presenter.h"
#include "pipeline/session.h"

#include <CLI/CLI.hpp>

#include <memory>
#include <optional>
#include <span>
#include <vector>

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

// Shows what the session receives, for as long as `presenter` exists.
void present(Session& session, std::size_t paths, std::unique_ptr<Screen> screen,
             std::optional<Presenter>& presenter) {
    std::vector<std::span<const DmaBuf>> frames;
    for (std::size_t path = 0; path < paths; ++path)
        frames.push_back(session.frames(path));
    presenter.emplace(std::move(screen), session.layout(), frames, [&session] { session.stop(); });
    session.set_taps([&presenter](std::size_t path) { return presenter->tap_for(path); });
}

int bench(const BenchOptions& options) {
    Measuring measuring(options);
    std::optional<ResultFile> picture;
    if (options.capture)
        picture.emplace(*options.capture);
    const BenchPlan& plan = measuring.plan;
    ExposureMeter exposure;
    std::unique_ptr<Screen> screen;
    if (plan.screen)
        screen = Screen::open(*plan.screen, plan.session.width, plan.session.height);
    const Parts parts = measuring.open();
    if (screen && !options.quiet)
        report_screen(measuring.out, screen->info(), plan.session.width, plan.session.height);

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
        measuring.run(run, session);
        if (presenter)
            measuring.record.presented = present_record(*presenter);
        session.set_taps({});
        if (picture && !measuring.record.ended_early)
            std::move(*picture).commit(capture(session, capture_sent, capture_received));
        faults.assign(session.faults().faults().begin(), session.faults().faults().end());
    }
    measuring.record.host_readable_bytes = exposure.peak_bytes();
    return measuring.finish(run, parts, faults);
}

} // namespace

std::function<int()> declare_bench(CLI::App& app) {
    const auto options = std::make_shared<BenchOptions>();
    declare_bench_options(app, *options);
    return [options] { return bench(*options); };
}

} // namespace clearframe
