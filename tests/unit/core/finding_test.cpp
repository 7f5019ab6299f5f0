#include "core/finding.h"

#include <gtest/gtest.h>

namespace clearframe {
namespace {

TEST(ErrorHalves, AreTheReasonAndTheAdvice) {
    const Error both(Failure::run, "opening x", "ENOENT (2)", "Make it");
    EXPECT_STREQ(both.what(), "opening x: ENOENT (2). Make it");
    EXPECT_EQ(both.reason(), "opening x: ENOENT (2)");
    EXPECT_EQ(both.advice(), "Make it");
    const Error copy = both;
    EXPECT_EQ(copy.advice(), "Make it");
    const Error bare(Failure::run, "opening x. And y", {}, {});
    EXPECT_EQ(bare.reason(), "opening x. And y");
    EXPECT_EQ(bare.advice(), "");
}

TEST(Finding, OfAnError) {
    const Finding finding =
        failed("a thing", Health::missing, Error(Failure::run, "opening x", "E (1)", "Mend it"));
    EXPECT_EQ(finding.subject, "a thing");
    EXPECT_EQ(finding.health, Health::missing);
    EXPECT_EQ(finding.sentence, "opening x: E (1)");
    EXPECT_EQ(finding.mend, "Mend it");
}

TEST(Finding, OfACandidateThatIsNotUsable) {
    Candidate candidate{
        .name = "udmabuf", .refusal = "no node. Build it in", .mend = "Build it in"};
    EXPECT_EQ(not_usable(candidate, Health::attention).sentence, "no node");
    EXPECT_EQ(not_usable(candidate, Health::attention).mend, "Build it in");
    candidate.mend.clear();
    EXPECT_EQ(not_usable(candidate, Health::attention).mend, "dmesg may say why");
    EXPECT_EQ(not_usable(candidate, Health::attention).sentence, "no node. Build it in");
}

TEST(Summary, IsGoodOnlyIfAllMemoryIsTaken) {
    const Finding good = summary("x", "imported", {{"a", "x", ""}, {"b", "x", ""}}, "mend");
    EXPECT_EQ(good.health, Health::good);
    EXPECT_EQ(good.sentence, "memory of a, b is imported");
    EXPECT_EQ(good.mend, "");
    const Finding some = summary("x", "imported", {{"a", "x", "E1"}, {"b", "x", ""}}, "mend");
    EXPECT_EQ(some.health, Health::attention);
    EXPECT_EQ(some.sentence, "memory of b is imported, but not of a: E1");
    EXPECT_EQ(some.mend, "mend");
    const Finding none = summary("x", "imported", {{"a", "x", "E1"}, {"b", "x", "E2"}}, "mend");
    EXPECT_EQ(none.health, Health::missing);
    EXPECT_EQ(none.sentence, "no memory is imported: E1");
    EXPECT_EQ(summary("x", "imported", {}, "mend").health, Health::missing);
    EXPECT_EQ(summary("x", "imported", {}, "mend").mend, "mend");
}

TEST(Health, HasAName) {
    EXPECT_EQ(health_name(Health::good), "good");
    EXPECT_EQ(health_name(Health::attention), "attention");
    EXPECT_EQ(health_name(Health::missing), "missing");
}

} // namespace
} // namespace clearframe
