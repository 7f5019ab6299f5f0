// The measurement: interleaved blocks of every path, scene by scene.
#pragma once

#include "commands/bench_options.h"
#include "commands/path_run.h"
#include "measure/record.h"
#include "pipeline/stream.h"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace clearframe {

struct SceneRun {
    Scene scene = Scene::none;
    std::vector<PathRun> paths;
};

// Measures a stream. run() belongs to one thread; progress() and stop() to any.
class BenchRun {
public:
    // The stream must be destroyed before this.
    explicit BenchRun(const BenchPlan& plan);

    // Measures everything. Blocks until done or stopped. Throws Error.
    void run(Stream& stream);

    struct Progress {
        double fraction = 0; // of the whole measurement
        std::string text;    // "waves: zero-copy 12.5 GB/s, staging 5.5 GB/s"
    };
    Progress progress() const;

    // After run() has returned:
    const std::vector<SceneRun>& scenes() const noexcept { return scenes_; }
    Limits limits() const { return limits_; }
    // Lost, corrupt or rejected before the measurement: in no figure, and no less wrong.
    std::uint64_t warmup_bad_frames() const {
        return warmup_received_.lost.get() + warmup_received_.corrupt.get() +
               warmup_received_.rejected.get();
    }

private:
    void run_scene(Stream& stream, SceneRun& scene, LimitProbe& limits);
    void run_round(Stream& stream, SceneRun& scene, std::uint64_t frames);
    void warm_up(Stream& stream);
    Nanoseconds time_for(Nanoseconds part) const;
    void set_progress(const SceneRun& scene, double done);

    const BenchPlan& plan_;
    std::vector<SceneRun> scenes_;
    SendMeter warmup_sent_;
    ReceiveMeter warmup_received_;
    Limits limits_;
    std::uint32_t next_block_index_ = 0;

    mutable std::mutex mutex_;
    Progress progress_; // guarded by it
};

// What was measured, in the form that is stored.
std::vector<SceneRecord> scene_records(const BenchRun& run, std::uint32_t seed);

} // namespace clearframe
