// Recordings, and what is no recording: refused with the name of the member that is wrong.
#include "commands/replay.h"
#include "core/error.h"
#include "support/files.h"
#include "support/snapshots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace clearframe {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

json running() { return test::state_json(CLEARFRAME_STATES, "running"); }

std::string refusal(const json& recording) {
    try {
        recording_from_json(recording.dump(), "a.json");
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::usage);
        return error.what();
    }
    return "nothing was refused";
}

TEST(Recording, IsASnapshotAndWhatThePointerPointsAt) {
    json recording = running();
    EXPECT_EQ(recording_from_json(recording.dump(), "it").overlay, Overlay::none);
    EXPECT_FALSE(recording_from_json(recording.dump(), "it").pointer);
    recording["ui"] = {{"help", true}, {"pointer", {340, 24.5}}};
    const Recording read = recording_from_json(recording.dump(), "it");
    EXPECT_EQ(read.overlay, Overlay::help);
    EXPECT_EQ(read.pointer, std::pair(340.0, 24.5));
    recording["ui"] = {{"doctor", true}, {"scroll", 120}};
    const Recording scrolled = recording_from_json(recording.dump(), "it");
    EXPECT_EQ(scrolled.overlay, Overlay::doctor);
    EXPECT_EQ(scrolled.scroll, 120);
    EXPECT_EQ(json(read.snapshot.settings.scene), recording["settings"]["scene"]);
}

TEST(Recording, AnyMemberThatIsWrongIsNamed) {
    const auto refuses = [](const char* where, const json& value, const char* says) {
        json recording = running();
        recording[json::json_pointer(where)] = value;
        EXPECT_THAT(refusal(recording), AllOf(HasSubstr("a.json: "), HasSubstr(says))) << where;
    };
    refuses("/ui", 1, "ui must be an object");
    refuses("/ui", {{"help", 1}}, "ui.help must be true or false");
    refuses("/ui", {{"pointer", {1}}}, "ui.pointer must be [x, y]");
    refuses("/ui", {{"pointer", {1, "2"}}}, "ui.pointer");
    refuses("/ui", {{"pointer", {1, 1e300}}}, "ui.pointer");
    refuses("/ui", {{"keys", "s"}}, "ui.keys must be help, doctor, scroll or pointer");
    refuses("/ui", {{"doctor", "open"}}, "ui.doctor must be true or false");
    refuses("/ui", {{"scroll", "down"}}, "ui.scroll must be a number of units");
    refuses("/settings/scene", "wave", "settings.scene");
    refuses("/settings/width", 0, "settings.width");
    refuses("/settings/height", 16385, "settings.height");
    refuses("/settings/paths", "all", "settings.paths");
    refuses("/paths/0/shown", -1, "paths[0].shown");
    refuses("/paths/1/history/3", "fast", "paths[1].history[3]");
    refuses("/schema", "clearframe.run/1", "schema");
    refuses("/state", "flying", "state");
}

// Whatever member is missing: it is an Error that names it, or nobody needs it.
TEST(Recording, EachMemberThatIsMissingIsNamed) {
    const json whole = running();
    const json flat = whole.flatten();
    std::size_t missing = 0;
    for (const auto& [path, value] : flat.items()) {
        const json::json_pointer place(path);
        const std::string name = place.back();
        if (std::isdigit(static_cast<unsigned char>(name[0])))
            continue; // an element of a list
        json broken = whole;
        broken[place.parent_pointer()].erase(name);
        try {
            recording_from_json(broken.dump(), "it");
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), HasSubstr(name));
            ++missing;
        }
    }
    EXPECT_GT(missing, 60u);
}

TEST(Recording, WhatCannotBeReadIsSaid) {
    const test::TemporaryDirectory directory;
    const auto refused = [](const std::string& path, Failure failure, const char* says) {
        try {
            read_recording(path);
            ADD_FAILURE() << path << " was read";
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), failure);
            EXPECT_THAT(error.what(), HasSubstr(says));
        }
    };
    refused(directory / "none.json", Failure::unavailable, "ENOENT");
    refused(directory.path(), Failure::unavailable, "EISDIR");
    refused("/dev/zero", Failure::usage, "too large");
    test::write_file(directory / "empty.json", "");
    refused(directory / "empty.json", Failure::usage, "is not JSON");
    test::write_file(directory / "list.json", "[]");
    refused(directory / "list.json", Failure::usage, "must be an object");
    const std::string whole = running().dump();
    for (const std::size_t length : {std::size_t{1}, whole.size() / 2, whole.size() - 1}) {
        test::write_file(directory / "cut.json", whole.substr(0, length));
        refused(directory / "cut.json", Failure::usage, "is not JSON");
    }
}

} // namespace
} // namespace clearframe
