#include "measure/heaps_record.h"
#include "unit/measure/schema.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace clearframe {
namespace {

using nlohmann::json;

HeapsRecord timed_record() {
    HeapsRecord record;
    record.environment = read_environment();
    record.environment.guest = "SEV-SNP";
    record.page_bytes = 4096;
    record.free_bytes = 1 << 30;
    record.heaps = {
        {{.name = "system_cc_shared", .detail = "dma-bufs", .usable = true}, {}},
        {{.name = "udmabuf", .refusal = "no node", .emulated = true, .emulation = "plays"},
         64 << 20}};
    record.timed = true;
    record.timings = {
        {"system_cc_shared", 4096, {9000, 5000, 7000}, {1, 2, 3}, {4000, 2000, 3000}, ""},
        {"system", 4096, {2000, 4000, 2500}, {1, 2, 3}, {1000, 2500, 1500}, ""},
        {"system_cc_shared", 8192, {10}, {1}, {1}, ""},
        {"system", 8192, {}, {}, {}, "no memory"},
    };
    record.warnings = {"a warning"};
    return record;
}

TEST(Median, IsTheNearestRank) {
    EXPECT_EQ(median({}), 0);
    EXPECT_EQ(median({7}), 7);
    EXPECT_EQ(median({9, 1}), 1);
    EXPECT_EQ(median({9, 1, 5}), 5);
    EXPECT_EQ(median({4, 3, 2, 1}), 2);
}

TEST(Rate, IsBytesOverTime) {
    EXPECT_DOUBLE_EQ(gbytes_per_s(4096, 2048), 2);
    EXPECT_DOUBLE_EQ(gbytes_per_s(4096, 0), 0);
}

TEST(Conversion, IsTheMedianOfTheRoundsDifferences) {
    const std::vector<Conversion> found = timed_record().conversions();
    ASSERT_EQ(found.size(), 1u) << "a size that one heap has not was compared";
    EXPECT_EQ(found[0].heap, "system_cc_shared");
    EXPECT_EQ(found[0].baseline, "system");
    EXPECT_EQ(found[0].bytes, 4096u);
    EXPECT_EQ(found[0].rounds, 3u);
    EXPECT_EQ(found[0].allocate, 4500); // of 7000, 1000, 4500
    EXPECT_EQ(found[0].free, 1500);     // of 3000, -500, 1500
}

TEST(HeapsRecord, Json) {
    const json record = json::parse(to_json(timed_record()));
    EXPECT_EQ(record["heaps"][0]["largest_buffer_bytes"], nullptr);
    EXPECT_EQ(record["heaps"][1]["largest_buffer_bytes"], 64 << 20);
    EXPECT_EQ(record["timings"][0]["rounds"], 3);
    EXPECT_EQ(record["timings"][0]["allocate_us"], 7);
    EXPECT_EQ(record["timings"][3]["error"], "no memory");
    EXPECT_EQ(record["conversions"][0]["allocate_us"], 4.5);
}

class HeapsSchema : public test::SchemaTest {
protected:
    HeapsSchema() : SchemaTest("heaps.schema.json") {}
};

TEST_F(HeapsSchema, TakesWhatIsWrittenAndNothingElse) {
    HeapsRecord plain = timed_record();
    plain.timed = false;
    plain.timings.clear();
    for (const HeapsRecord& record : {timed_record(), plain}) {
        std::string output;
        EXPECT_TRUE(accepts(to_json(record), "--strict", output)) << output;
    }
}

} // namespace
} // namespace clearframe
