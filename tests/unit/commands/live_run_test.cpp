// A stream that is changed while it runs, over the emulated NIC: no frame is lost for it, and what
// cannot be had ends nothing but the settings that asked for it.
#include "commands/live_run.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <thread>

namespace clearframe {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Nanoseconds patience = 60 * one_second; // longer than anything takes that works

// Stands in for imported slots: none are drawn here.
std::shared_ptr<const ViewedSlots> imported() {
    const auto owner = std::make_shared<int>();
    return {owner, reinterpret_cast<const ViewedSlots*>(owner.get())};
}

StreamOptions options(std::string nic = "emulated") {
    return {.heap = "memfd", .gpu = "none", .nic = std::move(nic), .timeout = 20};
}

Parts parts(const StreamOptions& wanted) { return open_parts(part_requests(wanted)); }

DemoSettings small_settings() {
    return {.paths = {"zero-copy", "staging"},
            .width = 160,
            .height = 90,
            .scene = "none",
            .verify = "full",
            .ring = 4};
}

// Waits until the snapshot is as wanted; the snapshot, then or after too long a time.
template <typename Condition>
Snapshot wait_for(const LiveRun& run, Condition condition) {
    const Nanoseconds deadline = now() + patience;
    while (true) {
        Snapshot snapshot = run.snapshot();
        if (condition(snapshot))
            return snapshot;
        if (now() > deadline) {
            ADD_FAILURE() << "still not so: " << to_json(snapshot);
            return snapshot;
        }
        std::this_thread::yield();
    }
}

bool all_paths_ran(const Snapshot& snapshot) {
    return snapshot.state == DemoState::running && !snapshot.paths.empty() &&
           std::all_of(snapshot.paths.begin(), snapshot.paths.end(),
                       [](const PathSnapshot& path) { return path.frames >= 10; });
}

auto in_force(const DemoSettings& settings) {
    return [settings](const Snapshot& snapshot) {
        return snapshot.settings == settings && all_paths_ran(snapshot);
    };
}

void expect_good(const LiveRun& run) {
    EXPECT_FALSE(run.any_bad_frame());
    EXPECT_THAT(run.faults(), IsEmpty());
    EXPECT_FALSE(run.failure());
}

TEST(LiveRun, MeasuresEveryPathAndSaysOnWhat) {
    const LiveRun run(options(), small_settings(), parts(options()));
    const Snapshot snapshot = wait_for(run, [](const Snapshot& s) {
        return all_paths_ran(s) && s.comparison && s.limits.copy_gbytes_per_s > 0 &&
               s.comparison->paths.at("zero-copy").pairs > 1 && s.paths[1].cpu_ms_per_gbyte > 0;
    });
    EXPECT_EQ(snapshot.trouble, "");
    ASSERT_EQ(snapshot.paths.size(), 2u);
    for (const PathSnapshot& path : snapshot.paths) {
        EXPECT_EQ(path.lost + path.corrupt + path.rejected, 0u);
        EXPECT_EQ(path.verified, path.frames);
        EXPECT_GT(path.gbytes_per_s, 0);
        EXPECT_GT(path.frames_per_s, 0);
        EXPECT_GT(path.latency_us.p50, 0);
        EXPECT_GT(path.cpu_ms_per_gbyte, 0);
        EXPECT_TRUE(path.stages_us.contains("wire"));
    }
    EXPECT_EQ(snapshot.paths[0].name, "zero-copy");
    EXPECT_TRUE(snapshot.paths[0].same_buffer);
    EXPECT_EQ(snapshot.paths[0].cpu_copied_bytes, 0u);
    EXPECT_EQ(snapshot.paths[0].pool_bytes, 0u);
    EXPECT_FALSE(snapshot.paths[1].same_buffer);
    EXPECT_GT(snapshot.paths[1].cpu_copied_bytes, 0u);
    EXPECT_GT(snapshot.paths[1].pool_bytes, 0u);
    EXPECT_GT(snapshot.host_readable_bytes, 0u);
    EXPECT_EQ(snapshot.stride, 640u);
    EXPECT_GT(snapshot.frame_bytes, 640u * 90);
    EXPECT_EQ(snapshot.settings, small_settings());
    EXPECT_THAT(snapshot.choices.paths, ElementsAre("zero-copy", "staging"));
    EXPECT_THAT(snapshot.choices.scenes, ElementsAre("none")) << "without a GPU";
    EXPECT_TRUE(snapshot.choices.nic_rate);
    ASSERT_TRUE(snapshot.part("nic"));
    EXPECT_TRUE(snapshot.part("nic")->emulated);
    EXPECT_NE(snapshot.environment.guest, "");
    const Snapshot again = snapshot_from_json(to_json(snapshot), "it");
    EXPECT_EQ(again.settings, snapshot.settings);
}

TEST(LiveRun, FillsTheHistoryWithWhatItMeasures) {
    const LiveRun run(options(), small_settings(), parts(options()));
    const Snapshot snapshot = wait_for(run, [](const Snapshot& s) {
        return all_paths_ran(s) && s.paths[0].history.back() && s.paths[1].history.back();
    });
    EXPECT_FALSE(snapshot.paths[0].history.front()) << "30 s have not passed";
    EXPECT_GT(*snapshot.paths[0].history.back(), 0);
}

TEST(LiveRun, AChangeLosesNoFrame) {
    LiveRun run(options(), small_settings(), parts(options()));
    wait_for(run, in_force(small_settings()));
    const auto change = [&](auto change_one) {
        DemoSettings wanted = run.snapshot().settings;
        change_one(wanted);
        run.apply(wanted);
        const Snapshot snapshot = wait_for(run, in_force(wanted));
        EXPECT_EQ(snapshot.paths.size(), wanted.paths.size());
        expect_good(run);
    };
    for (int round = 0; round < 3; ++round) {
        change([](DemoSettings& settings) { settings.paths = {"staging"}; });
        change([](DemoSettings& settings) { settings.paths = {"zero-copy"}; });
        change([](DemoSettings& settings) { settings.paths = {"zero-copy", "staging"}; });
        change(
            [&](DemoSettings& settings) { settings.width = 321 + static_cast<unsigned>(round); });
        change([](DemoSettings& settings) { settings.verify = "off"; });
        change([](DemoSettings& settings) { settings.verify = "sampled"; });
        change([](DemoSettings& settings) { settings.ring = 2; });
        change([](DemoSettings& settings) { settings.ring = 7; });
        change([](DemoSettings& settings) { settings.nic_gbits_per_s = 5; });
        change([](DemoSettings& settings) { settings.nic_gbits_per_s = 0; });
        change([](DemoSettings& settings) { settings.interleaved = !settings.interleaved; });
        if (!run.snapshot().settings.interleaved) // the other path's turn would be waited for
            change([](DemoSettings& settings) { settings.interleaved = true; });
    }
}

TEST(LiveRun, RendersEveryScene) {
    StreamOptions wanted = options();
    wanted.gpu = "auto";
    Parts with_gpu = parts(wanted);
    if (!with_gpu.gpu)
        GTEST_SKIP() << "no Vulkan device here: install mesa-vulkan-drivers";
    LiveRun run(wanted, small_settings(), std::move(with_gpu));
    for (const char* scene : {"waves", "test-card", "noise", "none", "waves"}) {
        DemoSettings settings = small_settings();
        settings.scene = scene;
        run.apply(settings);
        const Snapshot snapshot = wait_for(run, in_force(settings));
        EXPECT_EQ(snapshot.paths[0].stages_us.contains("render"), true);
        EXPECT_EQ(snapshot.choices.scenes.size(), 4u);
        expect_good(run);
    }
    DemoSettings larger = small_settings();
    larger.scene = "waves";
    larger.width = 640;
    larger.height = 360;
    run.apply(larger);
    wait_for(run, in_force(larger));
    run.restart(); // and the GPU is opened anew
    wait_for(run, in_force(larger));
    expect_good(run);
}

TEST(LiveRun, KeepsTheSessionWhereItCan) {
    std::atomic<int> sessions{0};
    LiveRun run(options(), small_settings(), parts(options()),
                [&](std::span<const DmaBuf> slots, const FrameLayout&) {
                    sessions += slots.size() == 4 ? 1 : 100;
                    return imported();
                });
    wait_for(run, in_force(small_settings()));
    EXPECT_EQ(sessions, 2) << "one import for each path";
    DemoSettings wanted = small_settings();
    for (const char* verify : {"off", "sampled", "full"}) {
        wanted.verify = verify;
        run.apply(wanted);
        wait_for(run, in_force(wanted));
    }
    wanted.paths = {"staging"};
    run.apply(wanted);
    wait_for(run, in_force(wanted));
    wanted.paths = {"staging", "zero-copy"}; // in any order
    run.apply(wanted);
    wait_for(run, in_force(small_settings()));
    EXPECT_EQ(sessions, 2);
    wanted.ring = 4;
    wanted.nic_gbits_per_s = 10;
    run.apply(wanted);
    wait_for(run,
             [](const Snapshot& s) { return all_paths_ran(s) && s.settings.nic_gbits_per_s > 0; });
    EXPECT_EQ(sessions, 4) << "another NIC is another session";
    expect_good(run);
}

TEST(LiveRun, FiguresStartAnewWithAChange) {
    LiveRun run(options(), small_settings(), parts(options()));
    wait_for(run, [](const Snapshot& s) { return all_paths_ran(s) && s.paths[0].frames > 1000; });
    DemoSettings wanted = small_settings();
    wanted.paths = {"staging"};
    run.apply(wanted);
    wait_for(run, in_force(wanted));
    run.apply(small_settings());
    const Snapshot anew = wait_for(run, [](const Snapshot& s) { return s.paths.size() == 2; });
    EXPECT_LT(anew.paths[0].frames, 1000u);
}

TEST(LiveRun, PausedHasNoFrameInFlightAndGoesOnWhereItWas) {
    LiveRun run(options(), small_settings(), parts(options()));
    wait_for(run, all_paths_ran);
    DemoSettings paused = small_settings();
    paused.paused = true;
    run.apply(paused);
    const Snapshot before =
        wait_for(run, [](const Snapshot& s) { return s.state == DemoState::paused; });
    for (const PathSnapshot& path : before.paths) {
        EXPECT_FALSE(path.running);
        EXPECT_GE(path.frames, 10u) << "the figures stay";
        EXPECT_FALSE(run.take_frame(path.name)) << "every frame has come to rest";
    }
    const RunRecord record = run.record();
    for (const PathRecord& path : record.results.at(0).paths)
        EXPECT_EQ(path.lost, 0u);
    EXPECT_EQ(run.snapshot().paths[0].frames, before.paths[0].frames);
    run.apply(small_settings());
    const Snapshot after = wait_for(run, [&](const Snapshot& s) {
        return s.state == DemoState::running && s.paths[0].frames > before.paths[0].frames;
    });
    EXPECT_GE(after.paths[1].frames, before.paths[1].frames);
    expect_good(run);
}

TEST(LiveRun, CanBeginPaused) {
    DemoSettings paused = small_settings();
    paused.paused = true;
    LiveRun run(options(), paused, parts(options()));
    const Snapshot snapshot =
        wait_for(run, [](const Snapshot& s) { return s.state == DemoState::paused; });
    EXPECT_EQ(snapshot.paths.at(0).frames, 0u);
    run.apply(small_settings());
    wait_for(run, all_paths_ran);
}

TEST(LiveRun, OneAtATimeGivesEachPathATurn) {
    DemoSettings wanted = small_settings();
    wanted.interleaved = false;
    const LiveRun run(options(), wanted, parts(options()));
    wait_for(run, [](const Snapshot& s) {
        return s.state == DemoState::running && s.paths[0].frames > 10 && s.paths[1].frames == 0;
    });
    const Snapshot second_turn = wait_for(run, all_paths_ran);
    EXPECT_TRUE(second_turn.comparison || second_turn.paths[1].frames > 0);
    const RunRecord record = run.record();
    const auto& blocks = record.results.at(0).paths.at(0).blocks;
    ASSERT_GT(blocks.size(), 5u);
    for (std::size_t i = 0; i < blocks.size(); ++i)
        EXPECT_EQ(blocks[i].index, i) << "consecutive";
    expect_good(run);
}

TEST(LiveRun, FramesCanBeLookedAtWhileItRunsAndChanges) {
    const auto slots = imported();
    LiveRun run(options(), small_settings(), parts(options()),
                [&](std::span<const DmaBuf>, const FrameLayout&) { return slots; });
    std::uint64_t looked[2] = {};
    int changes = 0;
    const Nanoseconds deadline = now() + patience;
    while ((changes < 20 || looked[0] < 50 || looked[1] < 50) && now() < deadline) {
        for (const std::size_t path : {0u, 1u})
            if (const auto frame = run.take_frame(path == 0 ? "zero-copy" : "staging")) {
                EXPECT_EQ(frame->slots, slots);
                EXPECT_LT(frame->frame.slot(), 4u);
                ++looked[path];
            }
        // Not before both have had their turn.
        if (std::min(looked[0], looked[1]) > static_cast<std::uint64_t>(changes) * 2) {
            DemoSettings wanted = small_settings();
            wanted.width += static_cast<unsigned>(changes % 3);
            wanted.verify = changes % 2 ? "off" : "full";
            run.apply(wanted);
            ++changes;
        }
        std::this_thread::yield();
    }
    EXPECT_GE(looked[0], 50u);
    EXPECT_GE(looked[1], 50u);
    EXPECT_FALSE(run.take_frame("no such path"));
    expect_good(run);
    const Snapshot snapshot = wait_for(run, all_paths_ran);
    EXPECT_EQ(snapshot.paths[0].lost + snapshot.paths[1].lost, 0u);
}

TEST(LiveRun, TheSnapshotSaysWhichFrameIsShown) {
    LiveRun run(options(), small_settings(), parts(options()),
                [](std::span<const DmaBuf>, const FrameLayout&) { return imported(); });
    std::optional<std::uint64_t> shown;
    const Snapshot snapshot = wait_for(run, [&](const Snapshot&) {
        if (const auto frame = run.take_frame("staging"))
            shown = frame->frame.sequence();
        return shown.has_value();
    });
    EXPECT_EQ(run.snapshot().paths[1].shown, shown);
    EXPECT_EQ(run.snapshot().paths[0].shown, std::nullopt);
}

TEST(LiveRun, WithoutAWayToShowFramesItRunsAndSaysWhy) {
    LiveRun run(
        options(), small_settings(), parts(options()),
        [](std::span<const DmaBuf>, const FrameLayout&) -> std::shared_ptr<const ViewedSlots> {
            throw Error(Failure::unavailable, "importing a slot", "VK_ERROR_UNKNOWN (-13)", "");
        });
    const Snapshot snapshot = wait_for(run, all_paths_ran);
    EXPECT_THAT(snapshot.trouble,
                AllOf(HasSubstr("cannot be shown"), HasSubstr("VK_ERROR_UNKNOWN (-13)")));
    EXPECT_FALSE(run.take_frame("zero-copy"));
    expect_good(run);
}

TEST(LiveRun, AFrameThatIsHeldOutlivesEverything) {
    std::optional<ViewedFrame> frame;
    {
        StreamOptions impatient = options();
        impatient.timeout = 0.05; // the end waits for the frame, so long
        LiveRun run(impatient, small_settings(), parts(impatient));
        wait_for(run, [&](const Snapshot&) {
            return (frame = run.take_frame("zero-copy")).has_value();
        });
    }
    frame.reset();
}

TEST(LiveRun, WhatCannotBeHadIsSaidAndTheNextSettingsWork) {
    LiveRun run(options(), small_settings(), parts(options()));
    wait_for(run, all_paths_ran);
    DemoSettings huge = small_settings();
    huge.width = huge.height = 16384;
    huge.ring = 256;
    run.apply(huge);
    const Snapshot refused =
        wait_for(run, [](const Snapshot& s) { return s.state == DemoState::failed; });
    EXPECT_THAT(refused.trouble,
                AllOf(HasSubstr("frames of 16384x16384 in rings of 256"), HasSubstr("ENOMEM")));
    EXPECT_EQ(refused.settings, huge);
    ASSERT_TRUE(run.failure());
    EXPECT_EQ(run.failure()->failure(), Failure::unavailable);
    EXPECT_EQ(refused.host_readable_bytes, 0u) << "nothing is kept";

    run.apply(small_settings());
    const Snapshot again = wait_for(run, in_force(small_settings()));
    EXPECT_EQ(again.trouble, "");
    expect_good(run);
}

TEST(LiveRun, SettingsThatMakeNoSenseAreRefused) {
    LiveRun run(options(), small_settings(), parts(options()));
    const auto refuses = [&](auto change, const char* says) {
        DemoSettings wanted = small_settings();
        change(wanted);
        run.apply(wanted);
        const Snapshot snapshot = wait_for(run, [&](const Snapshot& s) {
            return s.state == DemoState::failed && s.settings == wanted;
        });
        EXPECT_THAT(snapshot.trouble, HasSubstr(says));
    };
    refuses([](DemoSettings& s) { s.paths = {}; }, "--paths");
    refuses([](DemoSettings& s) { s.paths = {"magic"}; }, "magic");
    refuses([](DemoSettings& s) { s.width = 0; }, "--size");
    refuses([](DemoSettings& s) { s.ring = 0; }, "--ring");
    refuses([](DemoSettings& s) { s.verify = "some"; }, "--verify");
    refuses([](DemoSettings& s) { s.scene = "wave"; }, "--scene");
    refuses([](DemoSettings& s) { s.scene = "waves"; }, "needs a GPU");
    refuses([](DemoSettings& s) { s.nic_gbits_per_s = 1e9; }, "rate");
    run.apply(small_settings());
    wait_for(run, in_force(small_settings()));
    expect_good(run);
}

TEST(LiveRun, RefusesFromTheStartWhatMakesNoSense) {
    const auto refused = [](auto change) {
        DemoSettings settings = small_settings();
        change(settings);
        EXPECT_THROW(LiveRun(options(), settings, parts(options())), Error);
    };
    refused([](DemoSettings& settings) { settings.scene = "waves"; }); // there is no GPU
    refused([](DemoSettings& settings) { settings.scene = "wave"; });
    refused([](DemoSettings& settings) { settings.paths = {}; });
    refused([](DemoSettings& settings) { settings.ring = 257; });
}

struct Breaks {
    const char* nic;
    const char* says;
};

class ANicThatBreaks : public testing::TestWithParam<Breaks> {};

TEST_P(ANicThatBreaks, IsSaidAndARestartRunsAgain) {
    StreamOptions broken = options(GetParam().nic);
    broken.timeout = 0.2;
    LiveRun run(broken, small_settings(), parts(broken));
    for (int round = 0; round < 2; ++round) {
        const Snapshot failed =
            wait_for(run, [](const Snapshot& s) { return s.state == DemoState::failed; });
        EXPECT_THAT(failed.trouble, HasSubstr(GetParam().says));
        EXPECT_EQ(failed.host_readable_bytes, 0u);
        EXPECT_FALSE(failed.paths.at(0).running || failed.paths.at(1).running);
        ASSERT_TRUE(run.failure());
        EXPECT_EQ(run.failure()->failure(), Failure::run);
        EXPECT_THAT(run.record().warnings, testing::Contains(HasSubstr(GetParam().says)));
        run.restart(); // which fails in the same way
        wait_for(run, [&](const Snapshot& s) {
            return s.state != DemoState::failed || s.time_s > failed.time_s + 0.5;
        });
    }
}

INSTANTIATE_TEST_SUITE_P(LiveRun, ANicThatBreaks,
                         testing::Values(Breaks{"emulated:error=@25", "IBV_WC_REM_ACCESS_ERR (10)"},
                                         Breaks{"emulated:stall=@25",
                                                "nothing completed for 200.00 ms"}),
                         [](const auto& breaks) {
                             const std::string_view nic = breaks.param.nic;
                             return nic.find("error") != nic.npos ? "error" : "stall";
                         });

TEST(LiveRun, AChangeEndsAFailureToo) {
    LiveRun run(options("emulated:error=@25"), small_settings(),
                parts(options("emulated:error=@25")));
    wait_for(run, [](const Snapshot& s) { return s.state == DemoState::failed; });
    DemoSettings wanted = small_settings();
    wanted.paused = true;
    run.apply(wanted);
    const Snapshot snapshot =
        wait_for(run, [](const Snapshot& s) { return s.state == DemoState::paused; });
    EXPECT_EQ(snapshot.trouble, "");
    EXPECT_EQ(snapshot.paths.at(0).frames, 0u);
}

TEST(LiveRun, CountsBadFramesBeyondAChange) {
    LiveRun run(options("emulated:drop=@5"), small_settings(), parts(options("emulated:drop=@5")));
    wait_for(run, [&](const Snapshot&) { return run.any_bad_frame(); });
    DemoSettings wanted = small_settings();
    wanted.ring = 5;
    run.apply(wanted);
    wait_for(run, in_force(wanted));
    EXPECT_TRUE(run.any_bad_frame());
    ASSERT_FALSE(run.faults().empty());
    EXPECT_EQ(run.faults()[0].kind, FrameFault::Kind::lost);
    EXPECT_EQ(run.faults()[0].sequence, 5u);
}

TEST(LiveRun, TheRecordIsThatOfTheSettingsInForce) {
    LiveRun run(options("emulated:latency=5us"), small_settings(),
                parts(options("emulated:latency=5us")));
    wait_for(run, all_paths_ran);
    DemoSettings wanted = small_settings();
    wanted.width = 200;
    wanted.nic_gbits_per_s = 8;
    run.apply(wanted);
    wait_for(run, [&](const Snapshot& s) { return in_force(wanted)(s) && s.comparison; });
    const RunRecord record = run.record();
    EXPECT_EQ(record.config.at("size"), "[200,90]");
    EXPECT_EQ(record.config.at("nic"), R"("emulated:rate=8Gbps,latency=5us")");
    EXPECT_EQ(record.config.at("scenes"), R"(["none"])");
    ASSERT_EQ(record.results.size(), 1u);
    ASSERT_EQ(record.results[0].paths.size(), 2u);
    for (const PathRecord& path : record.results[0].paths) {
        EXPECT_GT(path.frames, 0u);
        EXPECT_GT(path.mean_gbytes_per_s, 0);
        EXPECT_LT(path.mean_gbytes_per_s, 1.1) << "8 Gb/s";
        EXPECT_FALSE(path.blocks.empty());
    }
    EXPECT_TRUE(record.results[0].comparison);
    EXPECT_TRUE(nlohmann::json::accept(to_json(record)));
    EXPECT_THAT(run.snapshot().part("nic")->detail, HasSubstr("8 Gb/s"));
}

TEST(LiveRun, StopsWhileItStillBegins) {
    for (int round = 0; round < 5; ++round) {
        LiveRun run(options(), small_settings(), parts(options()));
        if (round % 2)
            run.restart();
    }
}

// For ThreadSanitizer above all.
TEST(LiveRun, EveryCallAtOnce) {
    LiveRun run(options(), small_settings(), parts(options()),
                [](std::span<const DmaBuf>, const FrameLayout&) { return imported(); });
    std::atomic<bool> done{false};
    std::thread window([&] {
        while (!done) {
            const Snapshot snapshot = run.snapshot();
            EXPECT_LE(snapshot.paths.size(), 2u);
            for (const PathSnapshot& path : snapshot.paths)
                run.take_frame(path.name);
        }
    });
    std::thread saver([&] {
        while (!done) {
            const RunRecord record = run.record();
            EXPECT_LE(record.results.size(), 1u);
            EXPECT_FALSE(run.any_bad_frame());
            std::this_thread::yield();
        }
    });
    for (unsigned i = 0; i < 40; ++i) {
        DemoSettings wanted = small_settings();
        wanted.width = 100 + i % 7;
        wanted.ring = 2 + i % 3;
        wanted.interleaved = i % 5 != 0;
        wanted.paused = i % 6 == 0;
        wanted.verify = i % 2 ? "full" : "off";
        wanted.paths = i % 4 ? small_settings().paths : std::vector<std::string>{"staging"};
        run.apply(wanted);
        if (i % 10 == 9)
            run.restart();
        if (i % 3 == 0)
            wait_for(run, [&](const Snapshot& s) {
                return s.settings == wanted &&
                       (s.state == DemoState::running || s.state == DemoState::paused);
            });
    }
    done = true;
    window.join();
    saver.join();
    EXPECT_FALSE(run.any_bad_frame());
}

TEST(NicRate, IsWhatTheCommandLineSays) {
    EXPECT_EQ(nic_rate("emulated"), 0);
    EXPECT_EQ(nic_rate("auto"), 0);
    EXPECT_EQ(nic_rate("emulated:latency=5us,rate=40Gbps"), 40);
    EXPECT_EQ(nic_rate("emulated:rate=500Mbps"), 0.5);
    EXPECT_THROW(nic_rate("emulated:rate=fast"), Error);
}

} // namespace
} // namespace clearframe
