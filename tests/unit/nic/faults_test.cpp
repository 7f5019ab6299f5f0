#include "nic/emulated/faults.h"

#include <gtest/gtest.h>

#include <vector>

namespace clearframe {
namespace {

// "frame:fault:random", one for each strike in `frames` frames.
std::vector<std::string> strikes(std::string_view options, std::uint64_t stream, int frames) {
    FaultSource source(parse_emulated_options(options), stream);
    std::vector<std::string> all;
    for (int frame = 0; frame < frames; ++frame)
        if (const auto strike = source.next_frame())
            all.push_back(std::to_string(frame) + ":" + std::string(nic_fault_name(strike->fault)) +
                          ":" + std::to_string(strike->random));
    return all;
}

std::string kind(const std::string& strike) { return strike.substr(0, strike.rfind(':')); }

TEST(Faults, NoneAskedForNoneHappen) { EXPECT_TRUE(strikes("seed=9", 0, 1000).empty()); }

TEST(Faults, TheSameSeedGivesTheSameFaults) {
    const auto first = strikes("seed=5,corrupt=0.2,drop=0.1", 3, 1000);
    EXPECT_GT(first.size(), 100u);
    EXPECT_EQ(first, strikes("seed=5,corrupt=0.2,drop=0.1", 3, 1000));
    EXPECT_NE(first, strikes("seed=6,corrupt=0.2,drop=0.1", 3, 1000));
    EXPECT_NE(first, strikes("seed=5,corrupt=0.2,drop=0.1", 4, 1000));
}

TEST(Faults, SeedsThatDifferInTheUpperHalfDiffer) {
    EXPECT_NE(strikes("seed=1,drop=0.5", 0, 100), strikes("seed=4294967297,drop=0.5", 0, 100));
}

TEST(Faults, ANumberedFrameIsStruckOnceAndItAlone) {
    const auto all = strikes("stall=@7", 0, 100);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(kind(all[0]), "7:stall");
}

TEST(Faults, ProbabilityOneStrikesAlwaysAndZeroNever) {
    EXPECT_EQ(strikes("torn=1", 0, 500).size(), 500u);
    EXPECT_TRUE(strikes("torn=0,drop=@1000", 0, 500).empty());
}

TEST(Faults, AsOftenAsTheProbabilitySays) {
    // 10000 draws of 0.2: 2000, standard deviation 40. The seed is fixed, so this cannot flicker.
    EXPECT_NEAR(static_cast<double>(strikes("late=0.2", 0, 10'000).size()), 2000, 200);
}

TEST(Faults, OfSeveralTheFirstOfTheListStrikes) {
    const auto all = strikes("error=@2,corrupt=@2", 0, 5);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(kind(all[0]), "2:corrupt");
}

TEST(Faults, OneRuleDoesNotChangeWhatAnotherStrikes) {
    std::vector<std::string> alone, beside;
    for (const std::string& strike : strikes("drop=0.1", 0, 1000))
        alone.push_back(strike);
    for (const std::string& strike : strikes("drop=0.1,error=0.3", 0, 1000))
        if (kind(strike).ends_with(":drop"))
            beside.push_back(strike);
    EXPECT_EQ(alone, beside);
}

} // namespace
} // namespace clearframe
