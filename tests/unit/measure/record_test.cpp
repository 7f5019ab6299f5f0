#include "measure/record.h"
#include "unit/measure/schema.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace clearframe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Environment some_environment() {
    return {
        .program = "clearframe 0.1.0 (git 1a2b3c4d5e6f)",
        .time = "2026-07-01T12:00:00Z",
        .kernel = "6.1.0",
        .distribution = "Debian GNU/Linux 12 (bookworm)",
        .cpu = "Some CPU",
        .cores = 2,
        .memory_bytes = 8'000'000'000,
        .guest = "none",
        .build = "Release, GNU 12.2.0",
    };
}

RunRecord minimal_record() {
    RunRecord record;
    record.environment = some_environment();
    return record;
}

RunRecord full_record() {
    RunRecord record = minimal_record();
    record.config = {{"scene", R"(["none"])"}, {"seconds", "10"}};
    record.parts = {
        {"heap",
         "memfd",
         "",
         true,
         "memfd: the host's view is not changed",
         {{"system", "no /dev/dma_heap"}}},
        {"gpu", "llvmpipe", "Mesa 25.0.7", true, "software rendering", {}},
        {"nic", "verbs", "mlx5_0", false, "", {}},
    };
    record.host_readable_bytes = 132'710'400;
    record.limits = {10.123456, 8, "stream-avx2"};
    const PathRecord zero_copy{
        .path = "zero-copy",
        .frames = 12'345'678'901,
        .verified_pixels = 2'073'600,
        .mean_gbytes_per_s = 9.8765432,
        .min_gbytes_per_s = 9,
        .p5_gbytes_per_s = 9.25,
        .frames_per_s = 1190.74999,
        .latency_us = {0.85, 1234567.8, 2e9, 2e9},
        .stages_us = {{"post", 1.5}, {"wire", 830}},
        .cpu_ms_per_gbyte = 0.4,
        .cpu_us_per_frame_own = 3.25,
        .same_buffer = true,
        .blocks = {{0, 250, 0.2123456, 9.5}},
    };
    const PathRecord staging{
        .path = "staging",
        .frames = 500,
        .lost = 1,
        .corrupt = 2,
        .rejected = 3,
        .mean_gbytes_per_s = 4,
        .frames_per_s = 500,
        .cpu_ms_per_gbyte = 250,
        .cpu_us_per_frame_own = 6,
        .copy_gbytes_per_s = 8,
        .cpu_copied_bytes = 8'294'400'000,
        .pool_waits = 7,
        .blocks = {{1, 250, 0.5, 4}, {3, 250, 0.5, 4}},
    };
    Comparison comparison{"staging", {{"zero-copy", {2.314159, 2.2, 2.4, 24}}}};
    record.results = {{"none", {zero_copy, staging}, comparison},
                      {"waves", {PathRecord{.path = "staging"}}, {}}};
    record.ended_early = true;
    record.warnings = {"ended by Ctrl-C"};
    record.presented = PresentRecord{.card = "card1",
                                     .driver = "vkms",
                                     .connector = "Virtual-1",
                                     .width = 1024,
                                     .height = 768,
                                     .hz = 60,
                                     .emulation = "vkms: nobody sees it",
                                     .frames = 321,
                                     .same_buffer = true};
    return record;
}

TEST(RunRecord, MinimalJson) {
    EXPECT_EQ(to_json(minimal_record()), R"json({
  "schema": "clearframe.run/1",
  "role": "both",
  "peer": null,
  "latency": "one-way",
  "environment": {
    "program": "clearframe 0.1.0 (git 1a2b3c4d5e6f)",
    "time": "2026-07-01T12:00:00Z",
    "kernel": "6.1.0",
    "distribution": "Debian GNU/Linux 12 (bookworm)",
    "cpu": "Some CPU",
    "cores": 2,
    "memory_bytes": 8000000000,
    "guest": "none",
    "build": "Release, GNU 12.2.0"
  },
  "config": {},
  "emulated": [],
  "parts": [],
  "host_readable_bytes": 0,
  "limits": {
    "dma_gbytes_per_s": 0.0,
    "copy_gbytes_per_s": 0.0,
    "copy_method": ""
  },
  "results": [],
  "presented": null,
  "ended_early": false,
  "warnings": []
}
)json");
}

RunRecord one_end_of_two() {
    RunRecord record = full_record();
    record.role = "sender";
    record.latency = LatencyOf::round_trip;
    record.peer = PeerRecord{.role = "receiver",
                             .address = "192.0.2.7:18517",
                             .program = "clearframe 0.1.0",
                             .parts = {{"heap", "system_cc_shared", "", false, "", {}},
                                       {"nic", "verbs", "rxe0", true, "soft-RoCE", {}}}};
    return record;
}

// What the other end says of itself stands beside this end's own, and what it emulates is named.
TEST(RunRecord, OfOneEndOfTwo) {
    const RunRecord record = one_end_of_two();
    EXPECT_THAT(record.emulated(), ElementsAre("heap", "gpu", "receiver nic"));
    const std::string json = to_json(record);
    EXPECT_THAT(json, HasSubstr(R"("role": "sender")"));
    EXPECT_THAT(json, HasSubstr(R"("latency": "round-trip")"));
    EXPECT_THAT(json, HasSubstr(R"("address": "192.0.2.7:18517")"));
    EXPECT_THAT(json, HasSubstr(R"("receiver nic")"));
}

TEST(RunRecord, FullJson) {
    const std::string json = to_json(full_record());
    const std::size_t config = json.find("  \"config\"");
    ASSERT_NE(config, std::string::npos);
    EXPECT_EQ(json.substr(config), R"json(  "config": {
    "scene": [
      "none"
    ],
    "seconds": 10
  },
  "emulated": [
    "heap",
    "gpu"
  ],
  "parts": [
    {
      "kind": "heap",
      "name": "memfd",
      "detail": "",
      "emulated": true,
      "emulation": "memfd: the host's view is not changed",
      "refused": [
        {
          "name": "system",
          "reason": "no /dev/dma_heap"
        }
      ]
    },
    {
      "kind": "gpu",
      "name": "llvmpipe",
      "detail": "Mesa 25.0.7",
      "emulated": true,
      "emulation": "software rendering",
      "refused": []
    },
    {
      "kind": "nic",
      "name": "verbs",
      "detail": "mlx5_0",
      "emulated": false,
      "emulation": "",
      "refused": []
    }
  ],
  "host_readable_bytes": 132710400,
  "limits": {
    "dma_gbytes_per_s": 10.123,
    "copy_gbytes_per_s": 8.0,
    "copy_method": "stream-avx2"
  },
  "results": [
    {
      "scene": "none",
      "paths": [
        {
          "path": "zero-copy",
          "frames": 12345678901,
          "lost": 0,
          "corrupt": 0,
          "rejected": 0,
          "gbytes_per_s": {
            "mean": 9.8765,
            "min": 9.0,
            "p5": 9.25
          },
          "frames_per_s": 1190.7,
          "latency_us": {
            "p50": 0.85,
            "p99": 1234600.0,
            "p99_9": 2000000000.0,
            "max": 2000000000.0
          },
          "stages_us": {
            "post": 1.5,
            "wire": 830.0
          },
          "cpu_ms_per_gbyte": 0.4,
          "cpu_us_per_frame_own": 3.25,
          "copy_gbytes_per_s": 0.0,
          "cpu_copied_bytes": 0,
          "pool_waits": 0,
          "same_buffer": true,
          "verified_pixels": 2073600,
          "blocks": [
            {
              "index": 0,
              "frames": 250,
              "seconds": 0.21235,
              "gbytes_per_s": 9.5
            }
          ]
        },
        {
          "path": "staging",
          "frames": 500,
          "lost": 1,
          "corrupt": 2,
          "rejected": 3,
          "gbytes_per_s": {
            "mean": 4.0,
            "min": 0.0,
            "p5": 0.0
          },
          "frames_per_s": 500.0,
          "latency_us": {
            "p50": 0.0,
            "p99": 0.0,
            "p99_9": 0.0,
            "max": 0.0
          },
          "stages_us": {},
          "cpu_ms_per_gbyte": 250.0,
          "cpu_us_per_frame_own": 6.0,
          "copy_gbytes_per_s": 8.0,
          "cpu_copied_bytes": 8294400000,
          "pool_waits": 7,
          "same_buffer": false,
          "verified_pixels": 0,
          "blocks": [
            {
              "index": 1,
              "frames": 250,
              "seconds": 0.5,
              "gbytes_per_s": 4.0
            },
            {
              "index": 3,
              "frames": 250,
              "seconds": 0.5,
              "gbytes_per_s": 4.0
            }
          ]
        }
      ],
      "comparison": {
        "baseline": "staging",
        "zero-copy": {
          "ratio": 2.3142,
          "ci95": [
            2.2,
            2.4
          ],
          "pairs": 24
        }
      }
    },
    {
      "scene": "waves",
      "paths": [
        {
          "path": "staging",
          "frames": 0,
          "lost": 0,
          "corrupt": 0,
          "rejected": 0,
          "gbytes_per_s": {
            "mean": 0.0,
            "min": 0.0,
            "p5": 0.0
          },
          "frames_per_s": 0.0,
          "latency_us": {
            "p50": 0.0,
            "p99": 0.0,
            "p99_9": 0.0,
            "max": 0.0
          },
          "stages_us": {},
          "cpu_ms_per_gbyte": 0.0,
          "cpu_us_per_frame_own": 0.0,
          "copy_gbytes_per_s": 0.0,
          "cpu_copied_bytes": 0,
          "pool_waits": 0,
          "same_buffer": false,
          "verified_pixels": 0,
          "blocks": []
        }
      ],
      "comparison": null
    }
  ],
  "presented": {
    "card": "card1",
    "driver": "vkms",
    "connector": "Virtual-1",
    "mode": {
      "width": 1024,
      "height": 768,
      "hz": 60
    },
    "emulated": true,
    "emulation": "vkms: nobody sees it",
    "frames": 321,
    "same_buffer": true
  },
  "ended_early": true,
  "warnings": [
    "ended by Ctrl-C"
  ]
}
)json");
}

TEST(RunRecord, UnknownUpperBoundIsNull) {
    RunRecord record = full_record();
    record.results[0].comparison->paths["zero-copy"] =
        ratio_interval(std::vector<BlockPair>{{{250, 1}, {250, 2}}}, 1);
    EXPECT_THAT(to_json(record), HasSubstr(R"("ci95": [
            0.0,
            null
          ],
          "pairs": 1)"));
}

TEST(RunRecord, WhatIsNoNumberIsNull) {
    RunRecord record = minimal_record();
    record.limits.dma_gbytes_per_s = std::nan("");
    record.limits.copy_gbytes_per_s = std::numeric_limits<double>::infinity();
    EXPECT_THAT(to_json(record), HasSubstr(R"("dma_gbytes_per_s": null,
    "copy_gbytes_per_s": null)"));
}

TEST(RunRecord, WhatIsNoUtf8IsReplaced) {
    RunRecord record = full_record();
    record.parts[1].name = "GPU \xff\xfe";
    EXPECT_THAT(to_json(record), HasSubstr("\"name\": \"GPU \uFFFD\uFFFD\""));
}

TEST(RunRecord, ConfigThatIsNoJsonIsRefused) {
    RunRecord record = minimal_record();
    record.config["heap"] = "auto";
    EXPECT_THROW(to_json(record), std::exception);
}

TEST(RunRecord, NamesEmulatedKindsOnce) {
    RunRecord record = full_record();
    EXPECT_THAT(record.emulated(), ElementsAre("heap", "gpu"));
    record.parts.push_back(record.parts[0]);
    EXPECT_THAT(record.emulated(), ElementsAre("heap", "gpu"));
}

TEST(RunRecord, FindsEveryKindOfBadFrame) {
    RunRecord record = full_record();
    for (SceneRecord& scene : record.results)
        for (PathRecord& path : scene.paths)
            path.lost = path.corrupt = path.rejected = 0;
    EXPECT_FALSE(record.any_bad_frame());
    for (std::uint64_t PathRecord::*bad :
         {&PathRecord::lost, &PathRecord::corrupt, &PathRecord::rejected}) {
        record.results[1].paths[0].*bad = 1;
        EXPECT_TRUE(record.any_bad_frame());
        record.results[1].paths[0].*bad = 0;
    }
}

TEST(RunRecord, Csv) {
    EXPECT_EQ(to_csv(minimal_record()), "scene,path,block,frames,seconds,gbytes_per_s,emulated\n");
    EXPECT_EQ(to_csv(full_record()), "scene,path,block,frames,seconds,gbytes_per_s,emulated\n"
                                     "none,zero-copy,0,250,0.21235,9.5,heap;gpu\n"
                                     "none,staging,1,250,0.5,4,heap;gpu\n"
                                     "none,staging,3,250,0.5,4,heap;gpu\n");
}

class ResultsSchema : public test::SchemaTest {
protected:
    ResultsSchema() : SchemaTest("results.schema.json") {}
};

TEST_F(ResultsSchema, TakesWhatIsWrittenAndNothingElse) {
    RunRecord unknown = full_record();
    unknown.results[0].comparison->paths["zero-copy"] = ratio_interval({}, 1);
    RunRecord here = minimal_record();
    here.environment = read_environment();
    here.environment.guest = "none";
    RunRecord received = one_end_of_two();
    received.role = "receiver";
    received.latency = LatencyOf::nothing;
    received.peer->role = "sender";
    for (const RunRecord& record :
         {minimal_record(), full_record(), unknown, here, one_end_of_two(), received}) {
        std::string output;
        EXPECT_TRUE(accepts(to_json(record), "--strict", output)) << output;
    }
}

TEST_F(ResultsSchema, RefusesWhatCannotBe) {
    const std::string good = to_json(full_record());
    const auto refuses = [&](std::string_view from, std::string_view to) {
        std::string bad = good;
        const std::size_t at = bad.find(from);
        ASSERT_NE(at, std::string::npos) << from;
        bad.replace(at, from.size(), to);
        std::string output;
        EXPECT_FALSE(accepts(bad, "", output)) << from << " -> " << to;
        EXPECT_THAT(output, HasSubstr("record.json: ")) << "not refused but failed";
    };
    refuses("clearframe.run/1", "clearframe.run/2");
    refuses("2026-07-01T12:00:00Z", "2026-07-01 12:00:00");
    refuses("\"lost\": 0", "\"lost\": -1");
    refuses("\"frames\": 250", "\"frames\": 2.5");
    refuses("\"pairs\": 24", "\"pairs\": -1");
    refuses("\"mean\": 9.8765", "\"mean\": null");
    refuses("\"kind\": \"heap\"", "\"kind\": \"disk\"");
    refuses("memfd: the host's view is not changed", ""); // emulated, but not in what way
    refuses("\"emulated\": true", "\"emulated\": false"); // not emulated, but in some way
    refuses("vkms: nobody sees it", "");                  // the same of a screen
    refuses("            2.2,\n            2.4", "            2.2"); // a bound missing
    refuses("            2.2,", "            null,");                // the lower bound is known
}

} // namespace
} // namespace clearframe
