// `clearframe recv`: the receiver of frames that another process or host sends.
#include "commands/bench_report.h"
#include "commands/command.h"
#include "commands/examination.h"
#include "commands/interrupt.h"
#include "commands/parts.h"
#include "commands/path_run.h"
#include "commands/peer.h"
#include "commands/present_record.h"
#include "commands/received_view.h"
#include "commands/saves.h"
#include "commands/send_options.h"
#include "core/error.h"
#include "core/result_file.h"
#include "core/units.h"
#include "gpu/capture.h"
#include "memory/guest.h"
#include "pipeline/presenter.h"
#include "pipeline/remote_receiver.h"
#include "ui/display.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace clearframe {
namespace {

// What was received of one scene along one path: of this end alone.
PathRecord path_record(const RemoteReceiver& receiver, const ReceivedPath& received) {
    const ReceiveMeter& meter = received.meter;
    PathRecord record = received_record(meter);
    record.path = receiver.hello().paths[received.path];
    record.frames = meter.frames.get();
    record.same_buffer = receiver.same_buffer(received.path);
    record.cpu_ms_per_gbyte = cpu_ms_per_gbyte(meter, receiver.hello().layout.bytes);
    const auto copying = static_cast<double>(meter.cpu_copy_ns.get());
    set_cpu(record, copying, static_cast<double>(meter.cpu_ns.get()) - copying);
    for (const ReceivedPath::Block& block : received.blocks)
        record.blocks.push_back({.index = block.index,
                                 .frames = block.totals.frames,
                                 .seconds = static_cast<double>(block.totals.time) / 1e9,
                                 .gbytes_per_s = block.totals.gbytes_per_s()});
    return record;
}

std::vector<SceneRecord> scene_records(const RemoteReceiver& receiver) {
    std::vector<SceneRecord> scenes;
    for (const auto& received : receiver.received()) {
        const std::string name(scene_name(received->scene));
        if (scenes.empty() || scenes.back().scene != name)
            scenes.push_back({.scene = name, .paths = {}, .comparison = {}});
        scenes.back().paths.push_back(path_record(receiver, *received));
    }
    return scenes;
}

// Standard output, unless a file is written there.
std::FILE* text_stream(const RecvOptions& options) {
    return options.json == "-" || options.capture == "-" || options.screenshot == "-" ? stderr
                                                                                      : stdout;
}

// Takes one sender after the other. serve() belongs to one thread, stop() to any.
class Service {
public:
    // `views`, if any, are where received frames are to be seen, and must outlive it.
    Service(const RecvOptions& options, const RecvPlan& plan, FrameViews* views = nullptr)
        : options_(options),
          plan_(plan),
          out_(text_stream(options)),
          listener_(plan.listen),
          parts_(open_parts({.heap = options.heap,
                             .gpu = "none",
                             .nic = options.nic,
                             .required = options.require})) {
        about_.role = "receiver";
        about_.environment = read_environment();
        about_.environment.guest = detect_guest().kind;
        about_.config = recv_config(options);
        about_.parts = parts_.described;
        std::erase_if(about_.parts, [](const Part& part) { return part.kind == "gpu"; });
        if (views)
            view_.emplace(*views, about_, listener_.address(), options_.keep);
    }

    // Null without views. The display's thread calls what is meant for it.
    ReceivedView* view() noexcept { return view_ ? &*view_ : nullptr; }

    // The exit status.
    int serve() {
        if (!options_.quiet) {
            report_parts(out_, about_.parts);
            out_.line(fmt::format("listening on {} for {}", listener_.address(),
                                  options_.keep ? "senders, one after the other; Ctrl-C ends it"
                                                : "a sender"));
        }
        bool good = true;
        do {
            std::optional<ControlListener::Caller> caller = listener_.wait(stop_);
            if (!caller)
                break;
            const ControlListener::Busy busy(listener_);
            try {
                good &= receive(std::move(*caller));
            } catch (const Error& error) {
                err_.clear_progress();
                if (!options_.keep)
                    throw;
                err_.line(fmt::format("clearframe: {}", error.what()));
                if (view_)
                    view_->say(error.what());
            }
        } while (options_.keep && !stop_.signalled());
        out_.check();
        return good ? 0 : static_cast<int>(Failure::run);
    }

    void stop() {
        stop_.signal();
        const std::lock_guard lock(mutex_);
        if (present_)
            present_->end();
    }

private:
    // stop() reaches the receiver for as long as this exists.
    class Reachable {
    public:
        Reachable(Service& service, RemoteReceiver& receiver) : service_(service) {
            const std::lock_guard lock(service_.mutex_);
            service_.present_ = &receiver;
            if (service_.stop_.signalled())
                receiver.end();
        }
        ~Reachable() {
            const std::lock_guard lock(service_.mutex_);
            service_.present_ = nullptr;
        }
        Reachable(const Reachable&) = delete;
        Reachable& operator=(const Reachable&) = delete;

    private:
        Service& service_;
    };

    // The window shows the receiver's frames for as long as this exists.
    class Seen {
    public:
        Seen(Service& service, const RemoteReceiver& receiver, const std::vector<Part>& sender,
             const ExposureMeter& exposure)
            : view_(service.view()) {
            if (view_)
                view_->begin(receiver, sender, exposure);
        }
        ~Seen() {
            if (view_)
                view_->end();
        }
        Seen(const Seen&) = delete;
        Seen& operator=(const Seen&) = delete;

    private:
        ReceivedView* view_;
    };

    // True if every frame was good.
    bool receive(ControlListener::Caller caller) {
        RunRecord record = about_;
        ExposureMeter exposure;
        std::vector<FrameFault> faults;
        std::vector<std::byte> picture;
        FrameLayout layout;
        {
            RemoteReceiver receiver(std::move(caller),
                                    {.shared_heap = *parts_.shared_heap,
                                     .private_heap = *parts_.private_heap,
                                     .gpu = nullptr,
                                     .nic = *parts_.nic,
                                     .exposure = exposure},
                                    introduction_of(about_),
                                    {.patience = plan_.patience,
                                     .most_memory = plan_.most_memory,
                                     .least_ring = plan_.screen ? least_presented_ring
                                                   : view_      ? least_seen_ring
                                                                : 1},
                                    stop_);
            layout = receiver.hello().layout;
            record.latency = receiver.same_host() ? LatencyOf::one_way : LatencyOf::nothing;
            record.peer = {.role = "sender",
                           .address = receiver.sender(),
                           .program = receiver.hello().program,
                           .parts = peer_parts({"heap", "gpu", "nic"}, receiver.hello().parts)};
            if (!options_.quiet)
                report_peer(out_, *record.peer);

            const FrameViewer keep_first = [&](FrameView frame, std::uint64_t) {
                if (picture.empty())
                    picture.assign(frame.begin(), frame.end());
            };
            const std::unique_ptr<Presenter> presenter = make_presenter(receiver);
            const Seen seen(*this, receiver, record.peer->parts, exposure);
            receiver.set_look([&](const std::shared_ptr<const ReceivedPath>& block,
                                  const FrameViewer*& viewer, FrameTap*& tap) {
                viewer = options_.capture ? &keep_first : nullptr;
                tap = presenter ? presenter->tap_for(block->path)
                      : view_   ? view_->begin_block(block)
                                : nullptr;
            });
            receiver.set_on_block([&] {
                if (view_)
                    view_->end_block();
                show_progress(receiver);
            });
            {
                const Reachable reachable(*this, receiver);
                receiver.serve();
            }
            err_.clear_progress();
            if (presenter)
                record.presented = present_record(*presenter);
            record.results = scene_records(receiver);
            record.ended_early = stop_.signalled();
            faults.assign(receiver.faults().faults().begin(), receiver.faults().faults().end());
        }
        record.host_readable_bytes = exposure.peak_bytes();
        report(record, faults);
        if (options_.capture)
            save(picture, layout);
        return !record.any_bad_frame();
    }

    // Null where nothing is to be shown.
    std::unique_ptr<Presenter> make_presenter(RemoteReceiver& receiver) {
        if (!plan_.screen)
            return nullptr;
        const Hello& hello = receiver.hello();
        auto screen = Screen::open(*plan_.screen, hello.layout.width, hello.layout.height);
        if (!options_.quiet)
            report_screen(out_, screen->info(), hello.layout.width, hello.layout.height);
        std::vector<std::span<const DmaBuf>> frames;
        for (std::size_t path = 0; path < hello.paths.size(); ++path)
            frames.push_back(receiver.frames(path));
        return std::make_unique<Presenter>(std::move(screen), hello.layout, frames,
                                           [&receiver] { receiver.end(); });
    }

    void show_progress(const RemoteReceiver& receiver) {
        std::string text = receiver.sender();
        for (const auto& path : receiver.received())
            text += fmt::format("  {}: {} {} GB/s", scene_name(path->scene),
                                receiver.hello().paths[path->path],
                                rate_text(path->meter.throughput.total().gbytes_per_s()));
        err_.progress(text);
    }

    void report(const RunRecord& record, std::span<const FrameFault> faults) {
        if (!options_.quiet)
            report_results(out_, record);
        report_faults(err_, record, faults);
        if (options_.json)
            ResultFile(*options_.json).commit(to_json(record));
    }

    void save(const std::vector<std::byte>& picture, const FrameLayout& layout) {
        if (picture.empty())
            throw Error(Failure::run, "no good frame was received to capture", {}, {});
        ResultFile(*options_.capture).commit(encode_png(picture, layout));
    }

    const RecvOptions& options_;
    const RecvPlan& plan_;
    Terminal out_;
    Terminal err_{stderr};
    ControlListener listener_;
    Parts parts_;
    RunRecord about_; // this end
    std::optional<ReceivedView> view_;
    Event stop_;
    std::mutex mutex_;
    RemoteReceiver* present_ = nullptr; // guarded by it
};

// The window's user, while the service serves: draws what it tells.
class Watching {
public:
    Watching(Display& display, ReceivedView& view) : display_(display), view_(view) {}

    // Until the service has ended, the window is closed, or a signal comes. `say` is told the name
    // of a path when its first frame is seen.
    void watch(const Event& ended, Interrupts& interrupts,
               const std::function<void(const std::string&)>& say) {
        while (display_.next_frame()) {
            if (interrupts.wait(ended, 0) != Interrupts::Woken::by_time || draw())
                return;
            for (const PathSnapshot& path : snapshot_.paths)
                if (path.shown && seen_.insert(path.name).second)
                    say(path.name);
        }
    }
    // What there is to see in the end.
    Picture last() {
        for (int drawn = 0; drawn < least_drawn; ++drawn) {
            display_.next_frame();
            draw();
        }
        return display_.read();
    }

private:
    // True if the user asked for the end.
    bool draw() {
        snapshot_ = view_.snapshot();
        view_.draw_frames(snapshot_);
        snapshot_.cost = display_.cost();
        snapshot_.notice = notice_.at(snapshot_.time_s);
        snapshot_.doctor = examination_.view();
        const PanelActions actions = display_.draw(panel_, snapshot_);
        if (actions.examine)
            examination_.start();
        if (actions.screenshot)
            notice_.say(saves_.save("picture", ".png", encode(display_.read())), snapshot_.time_s);
        return actions.quit;
    }

    Display& display_;
    ReceivedView& view_;
    Panel panel_;
    Snapshot snapshot_; // as last drawn
    Saves saves_{std::nullopt};
    Notice notice_;
    Examination examination_;
    std::set<std::string> seen_; // paths
};

// The main thread is the window's: GLFW demands it.
int recv_and_show(const RecvOptions& options, const RecvPlan& plan) {
    Interrupts interrupts;
    std::optional<ResultFile> picture;
    if (options.screenshot)
        picture.emplace(*options.screenshot);
    DisplayOptions wanted = *plan.display;
    wanted.validation = validation_wanted();
    Display display(wanted);
    Terminal out(text_stream(options));
    const auto say = [&](const std::string& text) {
        if (!options.quiet)
            out.line(text);
    };
    say(fmt::format("window drawn by {}", display.describe()));
    Service service(options, plan, &display.views());
    Watching watching(display, *service.view());
    int status = 0;
    Background serving(
        "cf-recv", [&] { status = service.serve(); }, [&] { service.stop(); });
    watching.watch(serving.ended(), interrupts, [&](const std::string& path) {
        say(fmt::format("showing {} as received", path));
    });
    constexpr Nanoseconds beat = 200'000'000;
    if (!serving.ended().signalled())
        service.stop();
    while (interrupts.wait(serving.ended(), beat) != Interrupts::Woken::by_event)
        ;
    serving.finish();
    if (picture)
        std::move(*picture).commit(encode(watching.last()));
    check_validation(display.validation_messages());
    return status;
}

int recv(const RecvOptions& options) {
    const RecvPlan plan = make_recv_plan(options);
    if (plan.display)
        return recv_and_show(options, plan);
    Interrupts interrupts;
    Service service(options, plan);
    int status = 0;
    run_interruptible(
        interrupts, "cf-recv", [&] { status = service.serve(); }, [&] { service.stop(); });
    return status;
}

} // namespace

std::function<int()> declare_recv(CLI::App& app) {
    const auto options = std::make_shared<RecvOptions>();
    declare_recv_options(app, *options);
    return [options] { return recv(*options); };
}

} // namespace clearframe
