#include "core/units.h"

#include <gtest/gtest.h>

#include <limits>

namespace clearframe {
namespace {

TEST(Units, BytesAsTheyAreRead) {
    EXPECT_EQ(bytes_text(0), "0 bytes");
    EXPECT_EQ(bytes_text(999), "999 bytes");
    EXPECT_EQ(bytes_text(8'294'656), "8.3 MB");
    EXPECT_EQ(bytes_text(354'600'000'000), "354.60 GB");
    EXPECT_EQ(bytes_text(1'200'000'000'000), "1.20 TB");
    EXPECT_EQ(bytes_text(std::numeric_limits<std::uint64_t>::max()), "18446744.07 TB");
}

TEST(Units, DurationsAsTheyAreRead) {
    EXPECT_EQ(duration_text(850), "850 ns");
    EXPECT_EQ(duration_text(12'300), "12.3 us");
    EXPECT_EQ(duration_text(660'000), "0.66 ms");
    EXPECT_EQ(duration_text(2.5e9), "2.50 s");
}

// An emulated NIC of a test guest moves some MB in a second.
TEST(Units, RatesThatAreSmallAreNotNothing) {
    EXPECT_EQ(rate_text(0), "0.00");
    EXPECT_EQ(rate_text(15.023), "15.02");
    EXPECT_EQ(rate_text(0.0996), "0.10");
    EXPECT_EQ(rate_text(0.0994), "0.099");
    EXPECT_EQ(rate_text(0.00287), "0.0029");
    EXPECT_EQ(rate_text(0.0000029), "2.9e-06");
}

} // namespace
} // namespace clearframe
