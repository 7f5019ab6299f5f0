#include "core/error.h"
#include "nic/emulated/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clearframe {
namespace {

const FaultRule& rule(const EmulatedNicOptions& options, NicFault fault) {
    return options.faults[static_cast<std::size_t>(fault)];
}

TEST(EmulatedOptions, NothingMeansAsFastAsMemoryAndNoFaults) {
    const EmulatedNicOptions options = parse_emulated_options("");
    EXPECT_EQ(options, EmulatedNicOptions{});
    EXPECT_FALSE(options.has_faults());
    EXPECT_EQ(describe(options), "as fast as memory allows");
}

TEST(EmulatedOptions, AllOfThemTogether) {
    const EmulatedNicOptions options =
        parse_emulated_options("rate=100Gbps,latency=5us,corrupt=0.01,drop=@17,seed=3");
    EXPECT_DOUBLE_EQ(options.gbits_per_s, 100);
    EXPECT_EQ(options.latency_ns, 5000);
    EXPECT_EQ(options.seed, 3u);
    EXPECT_TRUE(options.has_faults());
    EXPECT_DOUBLE_EQ(rule(options, NicFault::corrupt).probability, 0.01);
    EXPECT_FALSE(rule(options, NicFault::corrupt).at_frame);
    EXPECT_EQ(rule(options, NicFault::drop).at_frame, 17u);
    EXPECT_EQ(describe(options),
              "100 Gb/s, latency 5 us, faults: corrupt with probability 0.01, drop at frame 17");
}

TEST(EmulatedOptions, EveryFaultHasItsName) {
    for (std::size_t i = 0; i < nic_fault_count; ++i) {
        const auto fault = static_cast<NicFault>(i);
        const std::string name(nic_fault_name(fault));
        const EmulatedNicOptions options = parse_emulated_options(name + "=@0");
        for (std::size_t other = 0; other < nic_fault_count; ++other)
            EXPECT_EQ(options.faults[other].strikes_ever(), other == i) << name;
        EXPECT_EQ(describe(options), "as fast as memory allows, faults: " + name + " at frame 0");
    }
    EXPECT_EQ(nic_fault_name(NicFault::wrong_length), "wrong-length");
}

TEST(EmulatedOptions, AProbabilityOfZeroIsNoFault) {
    EXPECT_FALSE(parse_emulated_options("stall=0").has_faults());
    EXPECT_TRUE(parse_emulated_options("stall=1").has_faults());
}

struct Quantity {
    std::string text;
    double value;
};

TEST(EmulatedOptions, RatesInTheirUnits) {
    for (const Quantity& rate : {Quantity{"100Gbps", 100},
                                 {"1Mbps", 0.001},
                                 {"2.5Mbps", 0.0025},
                                 {"1.6Tbps", 1600},
                                 {"1000Tbps", 1e6},
                                 {"1e2Gbps", 100}})
        EXPECT_DOUBLE_EQ(parse_emulated_options("rate=" + rate.text).gbits_per_s, rate.value)
            << rate.text;
    EXPECT_EQ(describe(parse_emulated_options("rate=2.5Mbps")), "0.0025 Gb/s");
}

TEST(EmulatedOptions, TimesInTheirUnits) {
    for (const Quantity& time :
         {Quantity{"0ns", 0}, {"700ns", 700}, {"1.5us", 1500}, {"20ms", 20e6}, {"1000ms", 1e9}})
        EXPECT_EQ(parse_emulated_options("latency=" + time.text).latency_ns, time.value)
            << time.text;
    EXPECT_EQ(describe(parse_emulated_options("latency=700ns")),
              "as fast as memory allows, latency 700 ns");
    EXPECT_EQ(describe(parse_emulated_options("latency=1.5ms")),
              "as fast as memory allows, latency 1.5 ms");
}

struct Bad {
    std::string text;     // the whole options
    std::string part;     // the option that makes no sense
    std::string expected; // of the advice
};

class BadOptions : public ::testing::TestWithParam<Bad> {};

TEST_P(BadOptions, AreRefusedWithWhatWasExpected) {
    try {
        parse_emulated_options(GetParam().text);
        FAIL() << GetParam().text << " was taken";
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::usage);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("option '" + GetParam().part + "'"));
        EXPECT_THAT(error.what(), ::testing::HasSubstr("Expected " + GetParam().expected));
    }
}

const std::vector<Bad> bad_options = {
    {"speed=9", "speed=9", "rate, latency, seed, corrupt, drop"}, // no such key
    {"Drop=@1", "Drop=@1", "rate, latency"},                      // case counts
    {"=5", "=5", "rate, latency"},                                // no key
    {" ", " ", "rate, latency"},
    {"rate", "rate", "a rate"}, // no value
    {"rate=", "rate=", "a rate"},
    {"rate=100", "rate=100", "a rate"}, // no unit
    {"rate=Gbps", "rate=Gbps", "a rate"},
    {"rate=100Gb", "rate=100Gb", "a rate"},
    {"rate=100 Gbps", "rate=100 Gbps", "a rate"},
    {"rate=0Gbps", "rate=0Gbps", "a rate"}, // out of range
    {"rate=-1Gbps", "rate=-1Gbps", "a rate"},
    {"rate=0.9Mbps", "rate=0.9Mbps", "a rate"},
    {"rate=1001Tbps", "rate=1001Tbps", "a rate"},
    {"rate=infGbps", "rate=infGbps", "a rate"}, // numbers that are none
    {"rate=nanGbps", "rate=nanGbps", "a rate"},
    {"rate=1e999Gbps", "rate=1e999Gbps", "a rate"},
    {"latency=5", "latency=5", "a time"},
    {"latency=5s", "latency=5s", "a time"},
    {"latency=-5us", "latency=-5us", "a time"},
    {"latency=1001ms", "latency=1001ms", "a time"},
    {"seed=", "seed=", "a whole number"},
    {"seed=-1", "seed=-1", "a whole number"},
    {"seed=1.5", "seed=1.5", "a whole number"},
    {"seed=18446744073709551616", "seed=18446744073709551616", "a whole number"},
    {"drop", "drop", "a probability from 0 to 1"},
    {"drop=1.01", "drop=1.01", "a probability from 0 to 1"},
    {"drop=-0.1", "drop=-0.1", "a probability from 0 to 1"},
    {"drop=nan", "drop=nan", "a probability from 0 to 1"},
    {"drop=often", "drop=often", "a probability from 0 to 1"},
    {"drop=0.1x", "drop=0.1x", "a probability from 0 to 1"},
    {"drop=@", "drop=@", "a probability from 0 to 1"},
    {"drop=@-1", "drop=@-1", "a probability from 0 to 1"},
    {"drop=@1.5", "drop=@1.5", "a probability from 0 to 1"},
    {"drop=@1,drop=@2", "drop=@2", "drop once"}, // twice
    {"rate=1Gbps,", "", "rate, latency"},        // an empty part
    {",rate=1Gbps", "", "rate, latency"},
    {"rate=1Gbps,,seed=1", "", "rate, latency"},
};
INSTANTIATE_TEST_SUITE_P(EmulatedOptions, BadOptions, ::testing::ValuesIn(bad_options),
                         [](const auto& test) { return "Number" + std::to_string(test.index); });

} // namespace
} // namespace clearframe
