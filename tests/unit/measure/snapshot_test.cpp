#include "core/error.h"
#include "measure/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <limits>

namespace clearframe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

Snapshot some_snapshot() {
    Snapshot snapshot;
    snapshot.state = DemoState::failed;
    snapshot.time_s = 12.5;
    snapshot.trouble = "NIC: sending frame 7 to slot 1 failed: IBV_WC_FATAL_ERR (18)";
    snapshot.progress = "allocating";
    snapshot.notice = "results saved to run.json";
    snapshot.environment = {.program = "clearframe 0.1.0", .cores = 2, .guest = "SEV-SNP"};
    snapshot.parts = {
        {"heap", "memfd", "memfds", true, "plays shared memory", {{"system", "no node"}}}};
    snapshot.host_readable_bytes = 200'000'000;
    snapshot.choices = {
        .paths = {"zero-copy", "staging"}, .scenes = {"waves"}, .most_ring = 64, .nic_rate = true};
    snapshot.settings = {.paths = {"zero-copy", "staging"}, .ring = 4, .nic_gbits_per_s = 100};
    snapshot.stride = 7680;
    snapshot.frame_bytes = 8'294'656;
    snapshot.seed = 3;
    PathSnapshot path;
    path.name = "zero-copy";
    path.running = path.same_buffer = true;
    path.frames = 48'213;
    path.verified = 48'212;
    path.lost = 1;
    path.gbytes_per_s = 12.54;
    path.latency_us = {660, 810, 1020, 2000};
    path.stages_us = {{"render", 210}, {"wire", 440}};
    path.shown = 48'210;
    path.history.front() = 12.5f;
    snapshot.paths = {path};
    snapshot.comparison = Comparison{"staging", {{"zero-copy", {2.26, 2.21, 2.31, 24}}}};
    snapshot.limits = {13.1, 12, "stream-avx2"};
    snapshot.cost = {30, 0.5, 4};
    snapshot.doctor = {.trouble = "none",
                       .sections = {{"heaps", {{"memfd", Health::attention, "emulated", "See"}}}},
                       .matrix = {{"memfd", "mmap", ""}, {"memfd", "card0", "EINVAL"}},
                       .real_path = {"a heap", "a GPU", "a NIC", true}};
    return snapshot;
}

std::string refusal(const Json& json) {
    try {
        snapshot_from_json(json.dump(), "state.json");
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::usage);
        return error.what();
    }
    return "it was taken";
}

TEST(Snapshot, ComesBackAsItWas) {
    const std::string text = to_json(some_snapshot());
    EXPECT_EQ(to_json(snapshot_from_json(text, "state.json")), text);
    const std::string empty = to_json(Snapshot{});
    EXPECT_EQ(to_json(snapshot_from_json(empty, "state.json")), empty);
    EXPECT_FALSE(snapshot_from_json(empty, "state.json").doctor) << "nobody has looked";
}

TEST(Snapshot, KeepsWhatIsUnknownApartFromZero) {
    Snapshot snapshot = some_snapshot();
    snapshot.comparison->paths["zero-copy"] = {
        .ratio = 1.5, .low = 0, .high = std::numeric_limits<double>::infinity(), .pairs = 1};
    const Snapshot back = snapshot_from_json(to_json(snapshot), "state.json");
    EXPECT_EQ(back.comparison->paths.at("zero-copy").high, std::numeric_limits<double>::infinity());
    EXPECT_EQ(back.paths[0].history[0], 12.5f);
    EXPECT_EQ(back.paths[0].history[1], std::nullopt);
}

TEST(Snapshot, FindsAPartByItsKind) {
    const Snapshot snapshot = some_snapshot();
    ASSERT_NE(snapshot.part("heap"), nullptr);
    EXPECT_EQ(snapshot.part("heap")->name, "memfd");
    EXPECT_EQ(snapshot.part("nic"), nullptr);
}

TEST(Snapshot, RefusesWhatIsNoSnapshot) {
    for (const char* text : {"", "{", "[]", "null", "7", "{}"})
        EXPECT_THROW(snapshot_from_json(text, "state.json"), Error) << text;
    Json other = Json::parse(to_json(some_snapshot()));
    other["schema"] = "clearframe.run/1";
    EXPECT_THAT(refusal(other), AllOf(HasSubstr("clearframe.snapshot/1"),
                                      HasSubstr("clearframe.run/1"), HasSubstr("state.json")));
}

// Every field: away, and of types that it cannot have.
void spoil_each(const Json& whole, const Json::json_pointer& at) {
    const Json& value = whole[at];
    for (const auto& [key, member] : value.items()) {
        const Json::json_pointer here =
            value.is_array() ? at / static_cast<std::size_t>(std::stoul(key)) : at / key;
        const bool free = at.to_string().ends_with("stages_us") || at == "/comparison"_json_pointer;
        const bool may_be_away =
            key == "doctor" || (at == "/doctor/real_path"_json_pointer && key != "whole");
        if (value.is_object() && !free && !may_be_away) {
            Json without = whole;
            without[at].erase(key);
            EXPECT_THAT(refusal(without), AllOf(HasSubstr(key), HasSubstr("is missing")));
        }
        for (const Json& wrong :
             {Json("?"), Json(-1), Json(true), Json{{"?", "?"}}, Json{"?", -1}}) {
            if (wrong.type() == member.type() || (member.is_number() && wrong == 1) ||
                (member.is_null() && wrong.is_object()))
                continue;
            Json spoilt = whole;
            spoilt[here] = wrong;
            if (member.is_array() && wrong.is_array())
                continue;
            EXPECT_THAT(refusal(spoilt), HasSubstr("must be")) << here << " = " << wrong;
        }
        if (member.is_structured())
            spoil_each(whole, here);
    }
}

TEST(Snapshot, RefusesEveryFieldThatIsMissingOrWrong) {
    spoil_each(Json::parse(to_json(some_snapshot())), Json::json_pointer());
}

TEST(Snapshot, RefusesFramesThatCannotBe) {
    for (const char* side : {"width", "height"})
        for (const int pixels : {0, 16385}) {
            Json json = Json::parse(to_json(some_snapshot()));
            json["settings"][side] = pixels;
            EXPECT_THAT(refusal(json), HasSubstr(side)) << pixels;
        }
    Json json = Json::parse(to_json(some_snapshot()));
    json["paths"][0]["history"].erase(0);
    EXPECT_THAT(refusal(json), HasSubstr("paths[0].history"));
}

} // namespace
} // namespace clearframe
