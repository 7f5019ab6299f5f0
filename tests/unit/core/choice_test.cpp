#include "core/choice.h"
#include "core/error.h"

#include <gtest/gtest.h>

namespace clearframe {
namespace {

std::vector<Candidate> three() {
    return {{.name = "best", .refusal = "not there"},
            {.name = "good", .usable = true},
            {.name = "last", .usable = true, .emulated = true}};
}

TEST(Choice, AutoTakesTheFirstUsableAndSaysWhyNotTheBetterOnes) {
    const Choice choice = choose("heap", "auto", three());
    EXPECT_EQ(choice.index, 1u);
    EXPECT_FALSE(choice.by_name);
    ASSERT_EQ(choice.refused.size(), 1u);
    EXPECT_EQ(choice.refused[0].name, "best");
    EXPECT_EQ(choice.refused[0].reason, "not there");
}

TEST(Choice, ByNameTakesThatOne) {
    const Choice choice = choose("heap", "last", three());
    EXPECT_EQ(choice.index, 2u);
    EXPECT_TRUE(choice.by_name);
    EXPECT_TRUE(choice.refused.empty());
}

TEST(Choice, ByNameNeverFallsBack) {
    try {
        choose("heap", "best", three());
        FAIL() << "took another one";
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::unavailable);
        EXPECT_STREQ(error.what(), "heap best cannot be used: not there");
    }
}

TEST(Choice, AnUnknownNameListsTheKnownOnes) {
    try {
        choose("heap", "worst", three());
        FAIL() << "took another one";
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::usage);
        EXPECT_STREQ(error.what(), "there is no heap 'worst'. Known here: auto, best, good, last");
    }
}

TEST(Choice, NothingUsableGivesEveryReason) {
    const std::vector<Candidate> none{{.name = "a", .refusal = "x"}, {.name = "b", .refusal = "y"}};
    try {
        choose("NIC", "auto", none);
        FAIL() << "took one";
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::unavailable);
        EXPECT_STREQ(error.what(), "no NIC can be used: a: x; b: y");
    }
}

} // namespace
} // namespace clearframe
