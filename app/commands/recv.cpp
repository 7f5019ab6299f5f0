// `clearframe recv`: the receiver of frames that another process or host sends.
#include "commands/bench_report.h"
#include "commands/command.h"
#include "commands/interrupt.h"
#include "commands/parts.h"
#include "commands/path_run.h"
#include "commands/peer.h"
#include "commands/present_record.h"
#include "commands/send_options.h"
#include "core/error.h"
#include "core/result_file.h"
#include "core/units.h"
#include "gpu/capture.h"
#include "memory/guest.h"
#include "pipeline/presenter.h"
#include "pipeline/remote_receiver.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>

namespace clearframe {
namespace {

// What was received of one scene along one path.
PathRecord path_record(const RemoteReceiver& receiver, const ReceivedPath& received) {
    const ReceiveMeter& meter = received.meter;
    const ThroughputMeter::Totals total = meter.throughput.total();
    const ThroughputMeter::Floor floor = meter.throughput.floor();
    PathRecord record;
    record.path = receiver.hello().paths[received.path];
    record.frames = meter.frames.get();
    record.lost = meter.lost.get();
    record.corrupt = meter.corrupt.get();
    record.rejected = meter.rejected.get();
    record.verified_pixels = meter.verified_pixels.get();
    record.mean_gbytes_per_s = total.gbytes_per_s();
    record.min_gbytes_per_s = floor.min;
    record.p5_gbytes_per_s = floor.p5;
    record.frames_per_s = total.frames_per_s();
    record.latency_us = quantiles(meter.latency);
    record.stages_us = receive_stages(meter);
    record.cpu_copied_bytes = meter.copied_bytes.get();
    record.same_buffer = receiver.same_buffer(received.path);
    const auto cpu = static_cast<double>(meter.cpu_ns.get());
    const auto copying = static_cast<double>(meter.cpu_copy_ns.get());
    if (record.frames > 0) {
        const double bytes =
            static_cast<double>(record.frames) * static_cast<double>(receiver.hello().layout.bytes);
        record.cpu_ms_per_gbyte = cpu / 1e6 / (bytes / 1e9);
        record.cpu_us_per_frame_own = (cpu - copying) / 1e3 / static_cast<double>(record.frames);
    }
    if (copying > 0)
        record.copy_gbytes_per_s = static_cast<double>(record.cpu_copied_bytes) / copying;
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

// Takes one sender after the other. serve() belongs to one thread, stop() to any.
class Service {
public:
    Service(const RecvOptions& options, const RecvPlan& plan)
        : options_(options),
          plan_(plan),
          out_(options.json == "-" || options.capture == "-" ? stderr : stdout),
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
    }

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
            const std::string name = caller->connection.peer();
            try {
                good &= receive(std::move(*caller));
            } catch (const Error& error) {
                err_.clear_progress();
                if (!options_.keep)
                    throw;
                err_.line(fmt::format("clearframe: {}", error.what()));
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
                                    {.patience = plan_.patience, .most_memory = plan_.most_memory},
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
            receiver.set_look([&](std::size_t path, const FrameViewer*& viewer, FrameTap*& tap) {
                viewer = options_.capture ? &keep_first : nullptr;
                tap = presenter ? presenter->tap_for(path) : nullptr;
            });
            receiver.set_on_block([&] { show_progress(receiver); });
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
        if (hello.ring < least_presented_ring)
            throw Error(Failure::run, "showing frames on a screen",
                        fmt::format("the sender has a ring of {}", hello.ring),
                        fmt::format("It takes {}: send --ring {}", least_presented_ring,
                                    least_presented_ring));
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
            text += fmt::format("  {}: {} {:.2f} GB/s", scene_name(path->scene),
                                receiver.hello().paths[path->path],
                                path->meter.throughput.total().gbytes_per_s());
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
    Event stop_;
    std::mutex mutex_;
    RemoteReceiver* present_ = nullptr; // guarded by it
};

int recv(const RecvOptions& options) {
    const RecvPlan plan = make_recv_plan(options);
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
