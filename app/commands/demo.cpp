// `clearframe demo`: a window that shows the frames as received, and what the path without a copy
// saves, while it runs.
#include "commands/bench_report.h"
#include "commands/command.h"
#include "commands/demo_options.h"
#include "commands/examination.h"
#include "commands/interrupt.h"
#include "commands/live_run.h"
#include "commands/parts.h"
#include "commands/replay.h"
#include "commands/saves.h"
#include "commands/terminal.h"
#include "core/error.h"
#include "core/result_file.h"
#include "ui/display.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <vector>

namespace clearframe {
namespace {

// What the window is about: a stream that runs, or the recording of one.
class Subject {
public:
    virtual ~Subject() = default;
    virtual Snapshot snapshot(const Display& display) = 0;
    virtual std::optional<ViewedFrame> take_frame(const std::string& path) = 0;
    // Does what was asked for, but for pictures and the end; what to say about it, or nothing.
    virtual std::string act(const PanelActions& actions) = 0;
};

class LiveSubject final : public Subject {
public:
    LiveSubject(LiveRun& run, const Saves& saves) : run_(run), saves_(saves) {}

    Snapshot snapshot(const Display& display) override {
        Snapshot snapshot = run_.snapshot();
        snapshot.cost = display.cost();
        snapshot.doctor = examination_.view();
        return snapshot;
    }
    std::optional<ViewedFrame> take_frame(const std::string& path) override {
        return run_.take_frame(path);
    }
    std::string act(const PanelActions& actions) override {
        if (actions.settings)
            run_.apply(*actions.settings);
        if (actions.restart)
            run_.restart();
        if (actions.examine)
            examination_.start();
        if (!actions.save_results)
            return {};
        RunRecord record = run_.record();
        if (record.results.empty())
            return "there are no results yet";
        record.warnings.emplace_back("measured by clearframe demo, which drew beside it");
        return saves_.save("results", ".json", to_json(record));
    }

private:
    LiveRun& run_;
    const Saves& saves_;
    Examination examination_;
};

class RecordedSubject final : public Subject {
public:
    RecordedSubject(const Snapshot& snapshot, const FrameViews& views)
        : snapshot_(snapshot), frames_(snapshot, views) {}

    Snapshot snapshot(const Display&) override { return snapshot_; }
    std::optional<ViewedFrame> take_frame(const std::string& path) override {
        const auto slots = frames_.find(path);
        if (!slots)
            return std::nullopt;
        return ViewedFrame{.slots = slots, .frame = {}};
    }
    std::string act(const PanelActions& actions) override {
        return actions.settings || actions.restart || actions.save_results
                   ? "this is a recording: nothing runs"
                   : "";
    }

private:
    const Snapshot& snapshot_;
    ReplayedFrames frames_;
};

// The files that are asked for on the command line. Opened at the start, so that a place that
// cannot be written is known then.
struct Files {
    explicit Files(const DemoOptions& options) {
        if (options.screenshot)
            screenshot.emplace(*options.screenshot);
        if (options.record)
            record.emplace(*options.record);
    }
    void write(const Display& display, const Snapshot& snapshot) {
        if (screenshot)
            std::move(*screenshot).commit(encode(display.read()));
        if (record)
            std::move(*record).commit(to_json(snapshot));
    }

    std::optional<ResultFile> screenshot;
    std::optional<ResultFile> record;
};

// Draws until the window is closed, a signal comes, or it is time for the files, which are then
// written. Throws Error if a signal comes before that.
void show(Display& display, Panel& panel, Subject& subject, const Saves& saves, Files& files,
          const DemoPlan& plan, Interrupts& interrupts) {
    const Event never;
    std::optional<Nanoseconds> running_since;
    const auto is_time = [&] {
        return plan.ends_after == 0 ||
               (plan.ends_after && running_since && now() - *running_since >= *plan.ends_after);
    };
    Notice notice;
    for (int drawn = 1; display.next_frame(); ++drawn) {
        if (interrupts.wait(never, 0) == Interrupts::Woken::by_interrupt)
            break;
        Snapshot snapshot = subject.snapshot(display);
        if (const std::string text = notice.at(snapshot.time_s); !text.empty())
            snapshot.notice = text;
        for (std::size_t i = 0; i < snapshot.paths.size(); ++i)
            if (const auto viewed = subject.take_frame(snapshot.paths[i].name)) {
                display.views().draw(i, *viewed->slots, viewed->frame.slot());
                if (viewed->frame)
                    snapshot.paths[i].shown = viewed->frame.sequence();
            }
        const PanelActions actions = display.draw(panel, snapshot);
        if (!running_since && snapshot.state != DemoState::starting)
            running_since = now();
        if (drawn >= least_drawn && is_time())
            return files.write(display, snapshot);
        if (actions.quit)
            break;
        notice.say(subject.act(actions), snapshot.time_s);
        if (actions.screenshot)
            notice.say(saves.save("picture", ".png", encode(display.read())), snapshot.time_s);
    }
    if (plan.ends_after)
        throw Error(Failure::run, "the demo was ended before its files were written", {}, {});
}

// Standard output, unless a file is written there.
std::FILE* text_stream(const DemoOptions& options) {
    return options.screenshot == "-" || options.record == "-" ? stderr : stdout;
}

void report_display(Terminal& out, const Display& display) {
    out.line(fmt::format("demo drawn by {}", display.describe()));
}

// The device that is to draw, where no other part depends on it: its name, or empty for the best.
std::string drawing_gpu(const std::string& request) {
    if (request == "auto" || request == "none")
        return {};
    const auto heap = open_heap("memfd");
    const std::vector<Candidate> gpus = Gpu::probe(*heap, {});
    return gpus[choose("GPU", resolve_gpu(request, gpus), gpus).index].name;
}

int replay(const DemoOptions& options, DemoPlan plan, Interrupts& interrupts) {
    const Recording recording = read_recording(*options.replay);
    plan.display.gpu = drawing_gpu(options.stream.gpu);
    Files files(options);
    const Saves saves(options.save);
    Terminal out(text_stream(options));
    Display display(plan.display);
    report_display(out, display);
    Panel panel;
    panel.open(recording.overlay, recording.scroll);
    if (recording.pointer)
        display.set_pointer(recording.pointer->first, recording.pointer->second);
    RecordedSubject subject(recording.snapshot, display.views());
    show(display, panel, subject, saves, files, plan, interrupts);
    check_validation(display.validation_messages());
    return 0;
}

int live(const DemoOptions& options, DemoPlan plan, Interrupts& interrupts) {
    Files files(options);
    const Saves saves(options.save);
    Terminal out(text_stream(options));
    Terminal err(stderr);

    Parts parts = open_parts(part_requests(options.stream));
    if (parts.gpu)
        plan.display.gpu = parts.gpu->info().name;
    else if (plan.scene_by_name)
        check_scene(parse_scene(plan.settings.scene), parts.described[1]);
    else
        plan.settings.scene = scene_name(Scene::none);
    report_parts(out, parts.described);
    Display display(plan.display);
    report_display(out, display);

    LiveRun run(options.stream, plan.settings, std::move(parts),
                [&](std::span<const DmaBuf> slots, const FrameLayout& layout) {
                    return display.views().import(slots, layout);
                });
    Panel panel;
    LiveSubject subject(run, saves);
    show(display, panel, subject, saves, files, plan, interrupts);

    for (const FrameFault& fault : run.faults())
        err.line(err.styled(fault_text(fault), Style::bad));
    if (const std::optional<Error> failure = run.failure())
        throw Error(*failure);
    check_validation(run.validation_messages() + display.validation_messages());
    return run.any_bad_frame() ? static_cast<int>(Failure::run) : 0;
}

int demo(const DemoOptions& options) {
    DemoPlan plan = make_demo_plan(options);
    plan.display.validation = validation_wanted();
    Interrupts interrupts;
    return options.replay ? replay(options, std::move(plan), interrupts)
                          : live(options, std::move(plan), interrupts);
}

} // namespace

std::function<int()> declare_demo(CLI::App& app) {
    const auto options = std::make_shared<DemoOptions>();
    declare_demo_options(app, *options);
    return [options] { return demo(*options); };
}

} // namespace clearframe
