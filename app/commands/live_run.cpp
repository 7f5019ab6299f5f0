#include "commands/live_run.h"

#include "core/thread.h"
#include "core/units.h"
#include "memory/guest.h"
#include "nic/emulated/options.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace clearframe {
namespace {

constexpr Nanoseconds ms = 1'000'000;

// Short, so that paths compared run close to each other; a rate needs two arrivals.
constexpr Nanoseconds block_time = 100 * ms;
constexpr std::uint64_t most_frames = 10'000;
constexpr Nanoseconds turn_time = 5 * one_second; // of a path, one at a time

// Running time that the throughput meters have room for, and blocks that are kept of each path.
constexpr Nanoseconds longest = one_hour;
constexpr std::size_t most_blocks = 4096;

constexpr std::size_t most_faults = 8;

// The interval is for looking at: few enough pairs to follow what happens, and less than 1 % of
// the time spent on it.
constexpr Nanoseconds comparison_every = one_second;
constexpr std::size_t compared_pairs = 120;
constexpr std::uint32_t comparison_resamples = 1000;

// The limits are measured in slices that take at most a twentieth of the time.
constexpr Nanoseconds limits_slice = 2 * ms;
constexpr int limits_part = 20;

Nanoseconds earliest_next(Nanoseconds begun, Nanoseconds ended) {
    return ended + limits_part * (ended - begun);
}

std::size_t index_of(const PathType& type) {
    return static_cast<std::size_t>(&type - path_types().data());
}

// The NIC as it was asked for, at another rate.
std::string nic_at_rate(std::string_view nic, double gbits_per_s) {
    const std::size_t colon = nic.find(':');
    std::string text(nic.substr(0, colon));
    char separator = ':';
    const auto add = [&](std::string_view option) {
        text.append(1, separator).append(option);
        separator = ',';
    };
    if (gbits_per_s > 0)
        add(fmt::format("rate={}Gbps", gbits_per_s));
    std::string_view rest = colon == nic.npos ? "" : nic.substr(colon + 1);
    while (!rest.empty()) {
        const std::string_view option = rest.substr(0, rest.find(','));
        if (!option.starts_with("rate="))
            add(option);
        rest.remove_prefix(std::min(option.size() + 1, rest.size()));
    }
    return text;
}

Environment environment_of_this_machine() {
    Environment environment = read_environment();
    environment.guest = detect_guest().kind;
    return environment;
}

bool only_pauses(DemoSettings a, const DemoSettings& b) {
    a.paused = b.paused;
    return a == b;
}

// "--paths staging,zero-copy" is the same as the other way round.
void put_in_order(std::vector<std::string>& paths) {
    std::stable_sort(paths.begin(), paths.end(), [](const std::string& a, const std::string& b) {
        const PathType* const left = find_path(a);
        const PathType* const right = find_path(b);
        return left && right && left < right;
    });
}

bool any_bad_frame_of(std::span<const PathRun> paths) {
    return std::any_of(paths.begin(), paths.end(), [](const PathRun& path) {
        return path.received->lost.get() || path.received->corrupt.get() ||
               path.received->rejected.get();
    });
}

} // namespace

double nic_rate(std::string_view nic) {
    const std::size_t colon = nic.find(':');
    if (nic.substr(0, colon) != "emulated" || colon == nic.npos)
        return 0;
    return parse_emulated_options(nic.substr(colon + 1)).gbits_per_s;
}

// A session, and what goes with it. The taps outlive it: the receiver holds them.
struct LiveRun::Stream {
    Stream(const SessionOptions& wanted, const SessionParts& parts)
        : options(wanted), session(wanted, parts), limits(session.make_limit_probe()) {}

    std::size_t index_of(const PathType* type) const {
        return static_cast<std::size_t>(
            std::find(options.paths.begin(), options.paths.end(), type) - options.paths.begin());
    }
    // Whether it can run these without being built anew.
    bool serves(const SessionOptions& wanted) const {
        const auto has = [&](const PathType* type) {
            return index_of(type) < options.paths.size();
        };
        return wanted.width == options.width && wanted.height == options.height &&
               wanted.ring == options.ring &&
               std::all_of(wanted.paths.begin(), wanted.paths.end(), has);
    }

    SessionOptions options; // as it was built
    std::vector<std::shared_ptr<FrameTap>> taps;
    Scene scene = Scene::none;
    bool has_scene = false;
    std::size_t faults_noted = 0;
    Session session;
    LimitProbe limits;
};

// The figures since the settings were last changed. What is no meter is guarded by mutex_ where
// another thread than the run's reads it; only the run's changes it.
struct LiveRun::Measured {
    DemoSettings settings;
    StreamOptions options; // with the settings in them
    SessionOptions session;
    FrameLayout layout;
    std::uint64_t pool_bytes = 0;
    std::vector<PathRun> paths;
    std::vector<std::size_t> in_session; // which path of the session each of them is
    std::vector<RecentTotals> recent;
    std::vector<double> cpu_ms_per_gbyte; // of whole blocks: CPU time is known at their end
    std::optional<Comparison> comparison;
};

LiveRun::LiveRun(const StreamOptions& options, const DemoSettings& settings, Parts parts,
                 ImportFrames import)
    : options_(options),
      import_(std::move(import)),
      environment_(environment_of_this_machine()),
      parts_(std::make_unique<Parts>(std::move(parts))),
      open_rate_(nic_rate(options.nic)),
      wanted_(settings),
      settings_(settings),
      histories_(path_types().size()) {
    make_session_options(effective(settings));
    const Scene scene = parse_scene(settings.scene);
    described_ = parts_->described;
    if (!parts_->gpu)
        check_scene(scene, described_[1]);
    for (const PathType& type : path_types())
        choices_.paths.emplace_back(type.name);
    for (const Scene each : {Scene::waves, Scene::test_card, Scene::noise, Scene::none})
        if (parts_->gpu || each == Scene::none)
            choices_.scenes.emplace_back(scene_name(each));
    choices_.most_ring = max_slots;
    choices_.nic_rate = parts_->nic->info().emulated;
    request_ = Request{.settings = settings};
    thread_ = start_thread("cf-live", [this] { run(); });
}

LiveRun::~LiveRun() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        cut_ = true;
    }
    asked_.notify_one();
    thread_.join();
}

// ------------------------------------------------------------------------------------------------
// Asking, on any thread.

void LiveRun::apply(const DemoSettings& settings) {
    {
        const std::lock_guard lock(mutex_);
        wanted_ = settings;
        request_ = Request{.settings = settings, .restart = request_ && request_->restart};
        cut_ = true;
    }
    asked_.notify_one();
}

void LiveRun::restart() {
    {
        const std::lock_guard lock(mutex_);
        request_ = Request{.settings = wanted_, .restart = true};
        cut_ = true;
    }
    asked_.notify_one();
}

std::optional<ViewedFrame> LiveRun::take_frame(std::string_view path) {
    const std::lock_guard lock(mutex_);
    for (View& view : views_) {
        if (view.path != path || (import_ && !view.slots))
            continue;
        HeldFrame frame = view.tap->take();
        if (!frame)
            return std::nullopt;
        view.shown = frame.sequence();
        return ViewedFrame{.slots = view.slots, .frame = std::move(frame)};
    }
    return std::nullopt;
}

std::optional<Error> LiveRun::failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
}

bool LiveRun::any_bad_frame() const {
    const std::lock_guard lock(mutex_);
    return bad_frames_ || (measured_ && any_bad_frame_of(measured_->paths));
}

std::vector<FrameFault> LiveRun::faults() const {
    const std::lock_guard lock(mutex_);
    return faults_;
}

// Under the lock values are copied; what takes longer comes after it.
Snapshot LiveRun::snapshot() const {
    Snapshot snapshot;
    std::shared_ptr<const Measured> measured;
    std::vector<View> views;
    std::vector<RateHistory> histories;
    std::vector<Totals> recent;
    std::vector<double> cpu;
    std::optional<Present> present;
    {
        const std::lock_guard lock(mutex_);
        snapshot.state = state_;
        snapshot.trouble = failure_ ? failure_->what() : view_trouble_;
        snapshot.progress = progress_;
        snapshot.parts = described_;
        snapshot.choices = choices_;
        snapshot.settings = settings_;
        snapshot.asked = wanted_;
        snapshot.limits = limits_;
        views = views_;
        present = present_;
        measured = measured_;
        if (measured) {
            snapshot.comparison = measured->comparison;
            cpu = measured->cpu_ms_per_gbyte;
            for (std::size_t i = 0; i < measured->paths.size(); ++i) {
                recent.push_back(measured->recent[i].sum());
                histories.push_back(histories_[index_of(*measured->paths[i].type)]);
            }
        }
    }
    const Nanoseconds time = now();
    snapshot.time_s = static_cast<double>(time - started_) / 1e9;
    snapshot.environment = environment_;
    snapshot.host_readable_bytes = exposure_.now_bytes();
    snapshot.seed = options_.seed;
    if (!measured)
        return snapshot;

    snapshot.stride = measured->layout.stride;
    snapshot.frame_bytes = measured->layout.bytes;
    for (std::size_t i = 0; i < measured->paths.size(); ++i) {
        const PathRun& run = measured->paths[i];
        const ReceiveMeter& received = *run.received;
        PathSnapshot& path = snapshot.paths.emplace_back();
        path.name = run.type->name;
        path.running = present && present->path == i;
        if (path.running) {
            const Totals so_far = received.throughput.total() - present->before;
            histories[i].add(present->begun, time, so_far);
            recent[i] = recent[i] + so_far;
        }
        path.frames = received.frames.get();
        path.lost = received.lost.get();
        path.corrupt = received.corrupt.get();
        path.rejected = received.rejected.get();
        if (measured->session.verify != Verify::off)
            path.verified = path.frames - std::min(path.frames, path.corrupt);
        path.cpu_copied_bytes = run.sent->copied_bytes.get() + received.copied_bytes.get();
        path.same_buffer = run.same_buffer;
        path.gbytes_per_s = recent[i].gbytes_per_s();
        path.frames_per_s = recent[i].frames_per_s();
        path.latency_us = quantiles(received.latency);
        path.stages_us = stages(run);
        path.cpu_ms_per_gbyte = cpu[i];
        if (path.name == baseline_path)
            path.pool_bytes = measured->pool_bytes;
        path.history = histories[i].rates(time);
        for (const View& view : views)
            if (view.path == path.name)
                path.shown = view.shown;
    }
    return snapshot;
}

RunRecord LiveRun::record() const {
    RunRecord record;
    record.environment = environment_;
    std::shared_ptr<const Measured> measured;
    std::vector<PathRun> paths;
    {
        const std::lock_guard lock(mutex_);
        record.parts = described_;
        record.limits = limits_;
        measured = measured_;
        if (measured)
            paths = measured->paths;
        if (failure_)
            record.warnings.emplace_back(failure_->what());
    }
    record.host_readable_bytes = exposure_.peak_bytes();
    if (!measured)
        return record;
    record.config = stream_config(measured->options, measured->session);
    record.config["scenes"] = nlohmann::json::array({measured->settings.scene}).dump();
    record.config["interleaved"] = nlohmann::json(measured->settings.interleaved).dump();
    SceneRecord scene{.scene = measured->settings.scene};
    for (const PathRun& path : paths)
        scene.paths.push_back(path_record(path));
    scene.comparison = compare(paths, options_.seed);
    record.results.push_back(std::move(scene));
    return record;
}

// ------------------------------------------------------------------------------------------------
// The thread.

void LiveRun::run() noexcept {
    while (const std::optional<Request> request = next_request()) {
        try {
            follow(*request);
            run_blocks();
        } catch (const Error& error) {
            fail(error);
        } catch (const std::bad_alloc&) {
            fail(Error(Failure::run, "out of memory", {}, "A smaller --size or --ring needs less"));
        } catch (const std::exception& error) {
            fail(Error(Failure::run, error.what(), {}, {}));
        }
    }
    close_stream();
    close_parts();
}

std::optional<LiveRun::Request> LiveRun::next_request() {
    std::unique_lock lock(mutex_);
    asked_.wait(lock, [&] { return stopping_ || request_; });
    if (stopping_)
        return std::nullopt;
    cut_ = false;
    return std::exchange(request_, std::nullopt);
}

StreamOptions LiveRun::effective(const DemoSettings& settings) const {
    StreamOptions options = options_;
    options.size = fmt::format("{}x{}", settings.width, settings.height);
    options.paths = settings.paths;
    options.ring = settings.ring;
    options.verify = settings.verify;
    if (settings.nic_gbits_per_s != nic_rate(options.nic))
        options.nic =
            nic_at_rate(options.nic == "auto" && parts_ ? parts_->nic->info().name : options.nic,
                        settings.nic_gbits_per_s);
    return options;
}

// Brings about what was asked for: with as little as possible built anew.
void LiveRun::follow(const Request& request) {
    following_ = request.settings;
    put_in_order(following_.paths);
    DemoSettings before;
    bool failed = false;
    {
        const std::lock_guard lock(mutex_);
        before = settings_;
        failed = std::exchange(failure_, std::nullopt).has_value();
        if (failed)
            state_ = DemoState::starting;
    }
    const StreamOptions options = effective(following_);
    const SessionOptions session = make_session_options(options);
    const Scene scene = parse_scene(following_.scene);
    if (request.restart) {
        close_stream();
        close_parts();
    }
    if (!parts_) {
        show(DemoState::starting, "opening heap, GPU and NIC");
        parts_ = std::make_unique<Parts>(open_parts(part_requests(options)));
        open_rate_ = following_.nic_gbits_per_s;
    }
    if (!parts_->gpu)
        check_scene(scene, parts_->described[1]);
    if (following_.nic_gbits_per_s != open_rate_)
        open_nic_at(following_.nic_gbits_per_s, options.nic);
    const bool keeps = stream_ && stream_->serves(session);
    if (!keeps)
        build(session, scene);
    if (!stream_->has_scene || stream_->scene != scene) {
        stream_->session.set_scene(scene);
        stream_->scene = scene;
        stream_->has_scene = true;
    }
    stream_->session.set_verify(session.verify);
    const bool anew = !keeps || failed || !measured_ || !only_pauses(before, following_);
    std::shared_ptr<Measured> measured = anew ? start_measuring(session) : measured_;
    const std::lock_guard lock(mutex_);
    settings_ = following_;
    described_ = parts_->described;
    state_ = following_.paused ? DemoState::paused : DemoState::running;
    progress_.clear();
    if (!anew)
        return;
    if (measured_) {
        bad_frames_ |= any_bad_frame_of(measured_->paths);
        retired_.push_back(std::exchange(measured_, nullptr));
    }
    measured_ = std::move(measured);
    for (View& view : views_)
        view.shown.reset();
}

void LiveRun::open_nic_at(double gbits_per_s, const std::string& nic) {
    if (!parts_->nic->info().emulated)
        throw Error(Failure::usage, "only the emulated NIC has a rate that can be set", {}, {});
    std::unique_ptr<Nic> opened = open_nic(nic);
    close_stream();
    parts_->nic = std::move(opened);
    parts_->described[2].detail = parts_->nic->info().detail;
    open_rate_ = gbits_per_s;
}

void LiveRun::build(const SessionOptions& session, Scene scene) {
    close_stream();
    show(DemoState::starting, fmt::format("allocating {} slots for frames of {}x{} at each end",
                                          session.ring, session.width, session.height));
    auto stream =
        std::make_unique<Stream>(session, SessionParts{.shared_heap = *parts_->shared_heap,
                                                       .private_heap = *parts_->private_heap,
                                                       .gpu = parts_->gpu.get(),
                                                       .nic = *parts_->nic,
                                                       .exposure = exposure_});
    show(DemoState::starting, fmt::format("preparing the scene {}", scene_name(scene)));
    std::vector<View> views;
    std::string trouble;
    for (std::size_t i = 0; i < session.paths.size(); ++i) {
        stream->taps.push_back(std::make_shared<FrameTap>());
        View& view = views.emplace_back(
            View{.path = std::string(session.paths[i]->name), .tap = stream->taps.back()});
        if (!import_)
            continue;
        try {
            view.slots = import_(stream->session.frames(i), stream->session.layout());
        } catch (const Error& error) {
            trouble = fmt::format("received frames cannot be shown: {}", error.what());
        }
    }
    stream_ = std::move(stream);
    next_limits_ = 0;
    const std::lock_guard lock(mutex_);
    views_ = std::move(views);
    view_trouble_ = std::move(trouble);
    limits_ = {};
}

std::shared_ptr<LiveRun::Measured> LiveRun::start_measuring(const SessionOptions& session) {
    auto measured = std::make_shared<Measured>();
    measured->settings = following_;
    measured->options = effective(following_);
    measured->session = session;
    measured->layout = stream_->session.layout();
    measured->pool_bytes = stream_->session.staging_pool_bytes();
    for (const PathType* type : session.paths) {
        measured->in_session.push_back(stream_->index_of(type));
        PathRun& path = measured->paths.emplace_back(*type, longest);
        path.same_buffer = stream_->session.same_buffer(measured->in_session.back());
    }
    measured->recent.resize(measured->paths.size());
    measured->cpu_ms_per_gbyte.resize(measured->paths.size());
    next_block_ = 0;
    next_comparison_ = 0;
    return measured;
}

// Until something is asked for.
void LiveRun::run_blocks() {
    const bool interleaved = following_.interleaved;
    while (!following_.paused && !cut_)
        for (std::size_t path = 0; path < measured_->paths.size() && !cut_; ++path) {
            const Nanoseconds turn_ends = interleaved ? 0 : now() + turn_time;
            do {
                run_block(path);
                // Of a round the paths stay next to each other.
                if (!interleaved || path + 1 == measured_->paths.size())
                    between_blocks();
            } while (!cut_ && now() < turn_ends);
        }
}

void LiveRun::run_block(std::size_t index) {
    PathRun& path = measured_->paths[index];
    const std::size_t in_session = measured_->in_session[index];
    const Nanoseconds begun = now();
    {
        const std::lock_guard lock(mutex_);
        present_ =
            Present{.path = index, .begun = begun, .before = path.received->throughput.total()};
    }
    stream_->session.run_block(
        in_session, {.frames = most_frames, .until = begun + block_time, .cut = &cut_}, *path.sent,
        *path.received, nullptr, stream_->taps[in_session].get());
    retired_.clear();
    const Nanoseconds ended = now();
    const std::lock_guard lock(mutex_);
    const Totals moved = path.received->throughput.total() - present_->before;
    path.add_block(next_block_++, most_blocks);
    measured_->recent[index].add(moved);
    measured_->cpu_ms_per_gbyte[index] = cpu_ms_per_gbyte(path);
    histories_[index_of(*path.type)].add(begun, ended, moved);
    present_.reset();
    note_faults();
}

// While no frame is in flight.
void LiveRun::between_blocks() {
    const Nanoseconds begun = now();
    if (begun >= next_limits_) {
        stream_->limits.measure(limits_slice);
        next_limits_ = earliest_next(begun, now());
        const Limits limits = stream_->limits.result();
        const std::lock_guard lock(mutex_);
        limits_ = limits;
    }
    if (now() >= next_comparison_) {
        std::optional<Comparison> comparison =
            compare(measured_->paths, options_.seed, comparison_resamples, compared_pairs);
        next_comparison_ = now() + comparison_every;
        const std::lock_guard lock(mutex_);
        measured_->comparison = std::move(comparison);
    }
    if (parts_->gpu)
        complaints_ = old_complaints_ + parts_->gpu->validation_messages();
}

// The first few, of all sessions.
void LiveRun::note_faults() {
    const auto found = stream_->session.faults().faults();
    for (; stream_->faults_noted < found.size(); ++stream_->faults_noted)
        if (faults_.size() < most_faults)
            faults_.push_back(found[stream_->faults_noted]);
}

// The stream is of no use after that, and what it is made of may not be either.
void LiveRun::fail(const Error& error) {
    if (stream_) {
        {
            const std::lock_guard lock(mutex_);
            note_faults();
        }
        close_stream();
        close_parts();
    }
    const std::lock_guard lock(mutex_);
    failure_ = error;
    settings_ = following_;
    state_ = DemoState::failed;
    progress_.clear();
    present_.reset();
}

void LiveRun::close_stream() {
    {
        // Frames that are looked at keep their slots; no others can be taken.
        const std::lock_guard lock(mutex_);
        views_.clear();
    }
    stream_.reset();
    retired_.clear();
}

void LiveRun::close_parts() {
    if (!parts_)
        return;
    if (parts_->gpu)
        complaints_ = old_complaints_ += parts_->gpu->validation_messages();
    parts_.reset();
}

void LiveRun::show(DemoState state, std::string progress) {
    const std::lock_guard lock(mutex_);
    state_ = state;
    progress_ = std::move(progress);
}

} // namespace clearframe
