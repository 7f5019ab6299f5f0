// What laying out the panel costs the CPU, without drawing it: a frame of a healthy run.
#include "support/snapshots.h"
#include "ui/imgui_adapter.h"
#include "ui/panel.h"

#include <benchmark/benchmark.h>

namespace clearframe {
namespace {

void lay_out(benchmark::State& state, std::uint32_t width, std::uint32_t height) {
    const Snapshot snapshot =
        snapshot_from_json(test::state_json(CLEARFRAME_STATES, "running").dump(), "running.json");
    ImGuiAdapter adapter;
    adapter.load_fonts(panel_scale(width, height, 1));
    Panel panel;
    for (auto _ : state) {
        adapter.begin_frame(width, height, 1.0f / 30, {});
        benchmark::DoNotOptimize(panel.draw(snapshot, adapter.theme(), {}));
        benchmark::DoNotOptimize(&adapter.end_frame());
    }
}

BENCHMARK_CAPTURE(lay_out, 1280x720, 1280u, 720u)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(lay_out, 1440x900, 1440u, 900u)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(lay_out, 2560x1440, 2560u, 1440u)->Unit(benchmark::kMillisecond);

} // namespace
} // namespace clearframe

BENCHMARK_MAIN();
