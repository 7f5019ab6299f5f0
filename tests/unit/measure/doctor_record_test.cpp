#include "measure/doctor_record.h"
#include "unit/measure/schema.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace clearframe {
namespace {

using nlohmann::json;

Environment machine() {
    return {.program = "clearframe 0.1.0",
            .time = "2026-07-01T12:00:00Z",
            .kernel = "7.3.0",
            .distribution = "Debian",
            .cpu = "a CPU",
            .cores = 2,
            .memory_bytes = 1 << 30,
            .guest = "TDX",
            .build = "Release"};
}

DoctorRecord record_of(std::vector<RealPart> heaps, std::vector<RealPart> gpus,
                       std::vector<RealPart> nics) {
    DoctorRecord record{.environment = machine(), .root = "/"};
    record.sections.push_back(
        {"heaps",
         {{{"system_cc_shared", Health::good, "there", ""},
           {"udmabuf", Health::attention, "not there", "build it in"}},
          {{"system_cc_shared", "mmap", ""},
           {"system_cc_shared", "pages pinned (vmsplice)", "EFAULT (14: Bad address)"}},
          std::move(heaps)}});
    record.sections.push_back(
        {"Vulkan", {{{"a GPU", Health::good, "there", ""}}, {}, std::move(gpus)}});
    record.sections.push_back(
        {"RDMA", {{{"a NIC", Health::missing, "gone", "find it"}}, {}, std::move(nics)}});
    return record;
}

TEST(RealPath, IsWholeOnlyWhenAllThreeMeetInOneHeap) {
    const RealPath whole =
        record_of({{"a", "a"}, {"b", "b"}}, {{"a", "gpu0"}, {"b", "gpu1"}}, {{"b", "nic0"}})
            .real_path();
    EXPECT_TRUE(whole.whole);
    EXPECT_EQ(whole.heap, "b");
    EXPECT_EQ(whole.gpu, "gpu1");
    EXPECT_EQ(whole.nic, "nic0");

    const RealPath apart = record_of({{"a", "a"}}, {{"a", "gpu0"}}, {{"b", "nic0"}}).real_path();
    EXPECT_FALSE(apart.whole);
    EXPECT_EQ(apart.heap, "a");
    EXPECT_EQ(apart.gpu, "gpu0");
    EXPECT_EQ(apart.nic, "nic0");

    EXPECT_FALSE(record_of({}, {{"b", "gpu0"}}, {{"b", "nic0"}}).real_path().whole);
    EXPECT_FALSE(record_of({{"b", "b"}}, {}, {{"b", "nic0"}}).real_path().whole);
    EXPECT_FALSE(record_of({{"b", "b"}}, {{"b", "gpu0"}}, {}).real_path().whole);
    EXPECT_FALSE(DoctorRecord{}.real_path().whole);
}

TEST(DoctorRecord, Json) {
    const json record = json::parse(to_json(record_of({{"a", "a"}}, {}, {})));
    EXPECT_EQ(record["schema"], "clearframe.doctor/1");
    EXPECT_EQ(record["sections"][0]["findings"][1], (json{{"subject", "udmabuf"},
                                                          {"health", "attention"},
                                                          {"sentence", "not there"},
                                                          {"mend", "build it in"}}));
    EXPECT_EQ(record["matrix"][0], (json{{"heap", "system_cc_shared"},
                                         {"importer", "mmap"},
                                         {"imported", true},
                                         {"error", ""}}));
    EXPECT_EQ(record["matrix"][1]["imported"], false);
    EXPECT_EQ(record["matrix"][1]["error"], "EFAULT (14: Bad address)");
    EXPECT_EQ(record["real_path"],
              (json{{"whole", false}, {"heap", "a"}, {"gpu", nullptr}, {"nic", nullptr}}));
}

TEST(DoctorRecord, ReportsTravelWhole) {
    const Report report{{{"one", Health::good, "x", ""},
                         {"two", Health::attention, "y \"quoted\"\n", "z"},
                         {"three", Health::missing, "", ""}},
                        {{"memfd", "mmap", ""}, {"memfd", "a card", "EINVAL"}},
                        {{"memfd", "gpu"}}};
    const Report back = unpack(pack(report));
    ASSERT_EQ(back.findings.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(back.findings[i].subject, report.findings[i].subject);
        EXPECT_EQ(back.findings[i].health, report.findings[i].health);
        EXPECT_EQ(back.findings[i].sentence, report.findings[i].sentence);
        EXPECT_EQ(back.findings[i].mend, report.findings[i].mend);
    }
    ASSERT_EQ(back.trials.size(), 2u);
    EXPECT_TRUE(back.trials[0].imported());
    EXPECT_EQ(back.trials[1].error, "EINVAL");
    EXPECT_EQ(back.trials[1].importer, "a card");
    ASSERT_EQ(back.real.size(), 1u);
    EXPECT_EQ(back.real[0].name, "gpu");
    EXPECT_ANY_THROW(unpack(""));
    EXPECT_ANY_THROW(unpack("{}"));
}

TEST(DoctorView, IsReadFromARecord) {
    const DoctorView view =
        doctor_view_from_json(to_json(record_of({{"a", "a"}}, {{"a", "g"}}, {})), "it");
    EXPECT_FALSE(view.looking);
    EXPECT_EQ(view.trouble, "");
    ASSERT_EQ(view.sections.size(), 3u);
    EXPECT_EQ(view.sections[0].name, "heaps");
    EXPECT_EQ(view.sections[0].findings[1].mend, "build it in");
    EXPECT_EQ(view.sections[2].findings[0].health, Health::missing);
    ASSERT_EQ(view.matrix.size(), 2u);
    EXPECT_EQ(view.matrix[1].error, "EFAULT (14: Bad address)");
    EXPECT_EQ(view.real_path.gpu, "g");
    EXPECT_EQ(view.real_path.nic, "");
    EXPECT_FALSE(view.real_path.whole);
}

TEST(DoctorView, WhatIsNoRecordIsRefused) {
    const auto refusal = [](const std::string& text) -> std::string {
        try {
            doctor_view_from_json(text, "it");
        } catch (const Error& error) {
            return error.what();
        }
        return "it was taken";
    };
    using testing::HasSubstr;
    EXPECT_THAT(refusal(""), HasSubstr("it is not JSON"));
    EXPECT_THAT(refusal("{}"), HasSubstr("schema is missing"));
    const json whole = json::parse(to_json(record_of({}, {}, {})));
    const auto spoilt = [&](const char* at, const json& value) {
        json record = whole;
        record[json::json_pointer(at)] = value;
        return refusal(record.dump());
    };
    EXPECT_THAT(spoilt("/schema", "clearframe.run/1"), HasSubstr("clearframe.doctor/1"));
    EXPECT_THAT(spoilt("/sections/0/findings/1/health", "well"),
                HasSubstr("sections[0].findings[1].health must be good, attention or missing"));
    EXPECT_THAT(spoilt("/matrix/1/imported", true), HasSubstr("matrix[1].imported must be true"));
    EXPECT_THAT(spoilt("/real_path/whole", 1), HasSubstr("real_path.whole"));
    EXPECT_THAT(spoilt("/real_path/gpu", 1), HasSubstr("real_path.gpu"));
}

TEST(Verdict, NamesWhatIsThere) {
    EXPECT_EQ(verdict({"h", "g", "n", true}),
              "The whole real path is there: heap h, GPU g, NIC n.");
    EXPECT_THAT(verdict({"h", "", "n", false}), testing::HasSubstr("heap h, GPU none, NIC n."));
}

class DoctorSchema : public test::SchemaTest {
protected:
    DoctorSchema() : SchemaTest("doctor.schema.json") {}
};

TEST_F(DoctorSchema, TakesWhatIsWrittenAndNothingElse) {
    std::string output;
    EXPECT_TRUE(
        accepts(to_json(record_of({{"a", "a"}}, {{"a", "g"}}, {{"a", "n"}})), "--strict", output))
        << output;
    EXPECT_TRUE(accepts(to_json(record_of({}, {}, {})), "--strict", output)) << output;
}

} // namespace
} // namespace clearframe
