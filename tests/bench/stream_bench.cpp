// How close the streams come to this machine's limits: each figure is a ratio to a limit that is
// measured in the same run, between the blocks. docs/performance.md says how to read them.
#include "core/thread.h"
#include "measure/timer.h"
#include "pipeline/session.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace clearframe {
namespace {

constexpr Nanoseconds ms = 1'000'000;

struct Size {
    const char* name;
    std::uint32_t width, height;
};
constexpr Size sizes[] = {{"720p", 1280, 720},
                          {"1080p", 1920, 1080},
                          {"1440p", 2560, 1440},
                          {"4K", 3840, 2160},
                          {"8K", 7680, 4320}};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[values.size() / 2];
}

// A thread that does nothing but sleep on a condition variable and be woken, by one that copies a
// frame in between as the engine does: what waking costs on this machine at this moment.
class BareWake {
public:
    explicit BareWake(std::size_t frame_bytes)
        : source_(frame_bytes), target_(frame_bytes), thread_(start_thread("cf-woken", [this] {
              CpuTimer timer(cpu_ns_);
              std::unique_lock lock(mutex_);
              while (!stopping_) {
                  woken_.wait(lock, [this] { return due_ || stopping_; });
                  due_ = false;
              }
          })) {}
    ~BareWake() { stop(); }

    void measure(int wakes) {
        for (int i = 0; i < wakes; ++i, ++wakes_) {
            streaming_copy().copy(target_.data(), source_.data(), source_.size());
            wake(due_);
        }
    }
    // Ends the thread. CPU time for one waking, in microseconds.
    double stop() {
        if (thread_.joinable()) {
            wake(stopping_);
            thread_.join();
        }
        return static_cast<double>(cpu_ns_.get()) / 1e3 / static_cast<double>(std::max(1, wakes_));
    }

private:
    void wake(bool& reason) {
        {
            const std::lock_guard lock(mutex_);
            reason = true;
        }
        woken_.notify_one();
    }

    std::vector<std::byte> source_, target_;
    Counter cpu_ns_;
    int wakes_ = 0;
    std::mutex mutex_;
    std::condition_variable woken_;
    bool due_ = false, stopping_ = false; // guarded by mutex_
    std::jthread thread_;
};

// Blocks of the transport alone, each followed by a slice of the limits.
void stream(benchmark::State& state, const char* path_name, const Size& size) {
    const auto heap = open_heap("memfd");
    ExposureMeter exposure;
    const auto nic = open_nic("emulated");
    SendMeter sent;
    ReceiveMeter received(3'600'000 * ms);
    Session session(
        {.width = size.width,
         .height = size.height,
         .ring = 8,
         .seed = 1,
         .verify = Verify::sampled,
         .patience = 10'000 * ms,
         .paths = {find_path(path_name)}},
        {.shared_heap = *heap, .private_heap = *heap, .nic = *nic, .exposure = exposure});
    session.set_scene(Scene::none);
    LimitProbe limits = session.make_limit_probe();
    BareWake bare(session.layout().bytes);
    const auto block = [&] {
        session.run_block(0, {.frames = 1'000'000, .until = now() + 100 * ms}, sent, received);
        limits.measure(30 * ms);
        bare.measure(8);
    };
    block(); // warm-up
    const std::uint64_t frames_before = sent.frames.get();
    const std::uint64_t own_before = sent.cpu_ns.get() - sent.cpu_copy_ns.get() +
                                     received.cpu_ns.get() - received.cpu_copy_ns.get();
    std::vector<double> rates;
    for ([[maybe_unused]] auto unused : state) {
        block();
        rates.push_back(received.throughput.block().gbytes_per_s());
    }
    const Limits limit = limits.result();
    const double rate = median(rates);
    const double copied = double(sent.copied_bytes.get() + received.copied_bytes.get());
    const double copy_ns = double(sent.cpu_copy_ns.get() + received.cpu_copy_ns.get());
    const double frames = double(sent.frames.get() - frames_before);
    const double own = double(sent.cpu_ns.get() - sent.cpu_copy_ns.get() + received.cpu_ns.get() -
                              received.cpu_copy_ns.get() - own_before);
    state.counters["GB/s"] = rate;
    state.counters["of_dma_limit"] = rate / limit.dma_gbytes_per_s;
    if (copy_ns > 0)
        state.counters["copy_of_copy_limit"] = copied / copy_ns / limit.copy_gbytes_per_s;
    state.counters["own_us_per_frame"] = own / 1e3 / frames;
    state.counters["bare_wake_us"] = bare.stop();
}

[[maybe_unused]] const bool registered = [] {
    for (const char* path : {"zero-copy", "staging"})
        for (const Size& size : sizes)
            benchmark::RegisterBenchmark(
                (std::string(path) + "/" + size.name).c_str(),
                [path, size](benchmark::State& state) { stream(state, path, size); })
                ->Unit(benchmark::kMillisecond);
    return true;
}();

} // namespace
} // namespace clearframe

BENCHMARK_MAIN();
