#include "measure/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace clearframe {
namespace {

constexpr Nanoseconds beyond = Nanoseconds{1} << 38;

Histogram& fill(Histogram& histogram, const std::vector<Nanoseconds>& values) {
    for (const Nanoseconds value : values)
        histogram.record(value);
    return histogram;
}

// Holds quantiles in thousandths against the sorted values themselves, by integer ranks.
void expect_quantiles_of(std::vector<Nanoseconds> values) {
    const auto histogram = std::make_unique<Histogram>();
    fill(*histogram, values);
    std::sort(values.begin(), values.end());
    for (const std::size_t thousandths : {0, 1, 10, 50, 250, 500, 750, 900, 950, 990, 999, 1000}) {
        const std::size_t rank =
            std::max<std::size_t>((values.size() * thousandths + 999) / 1000, 1);
        const Nanoseconds exact = values[rank - 1];
        const Nanoseconds found = histogram->quantile(static_cast<double>(thousandths) / 1000);
        EXPECT_GE(found, exact) << thousandths;
        EXPECT_LE(found - exact, exact / 128) << thousandths;
    }
    EXPECT_EQ(histogram->quantile(1), values.back());
    EXPECT_EQ(histogram->max(), values.back());
    EXPECT_EQ(histogram->count(), values.size());
    double sum = 0;
    for (const Nanoseconds value : values)
        sum += static_cast<double>(value);
    EXPECT_DOUBLE_EQ(histogram->mean(), sum / static_cast<double>(values.size()));
}

template <typename Distribution>
std::vector<Nanoseconds> draw(Distribution distribution, std::size_t n) {
    std::mt19937_64 random(7);
    std::vector<Nanoseconds> values(n);
    for (Nanoseconds& value : values)
        value = static_cast<Nanoseconds>(distribution(random));
    return values;
}

TEST(Histogram, UniformValues) {
    expect_quantiles_of(draw(std::uniform_int_distribution<Nanoseconds>(0, 5'000'000), 20'011));
}

TEST(Histogram, ExponentialValues) {
    expect_quantiles_of(draw(std::exponential_distribution<>(1 / 80'000.0), 20'000));
}

TEST(Histogram, BimodalValues) {
    std::vector<Nanoseconds> values = draw(std::normal_distribution<>(650'000, 9'000), 9'900);
    for (const Nanoseconds value : draw(std::normal_distribution<>(40e6, 2e6), 100))
        values.push_back(value);
    expect_quantiles_of(values);
}

TEST(Histogram, ValuesOfEveryMagnitude) {
    std::vector<Nanoseconds> values;
    for (int bit = 0; bit < 38; ++bit)
        for (const Nanoseconds around : {-1, 0, 1})
            values.push_back((Nanoseconds{1} << bit) + around);
    expect_quantiles_of(values);
}

TEST(Histogram, OneValueIsItself) {
    for (const Nanoseconds value :
         {Nanoseconds{0}, Nanoseconds{1}, Nanoseconds{127}, Nanoseconds{128}, Nanoseconds{255},
          Nanoseconds{256}, Nanoseconds{257}, Nanoseconds{1'000'001}, beyond - 1})
        expect_quantiles_of(std::vector<Nanoseconds>(100, value));
}

TEST(Histogram, ValuesUnder256AreExact) {
    std::vector<Nanoseconds> values(256);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<Nanoseconds>(i);
    const auto histogram = std::make_unique<Histogram>();
    fill(*histogram, values);
    for (std::size_t i = 0; i < values.size(); ++i)
        EXPECT_EQ(histogram->quantile(static_cast<double>(i + 1) / 256), values[i]);
}

TEST(Histogram, DecimalFractionsMeetTheirRank) {
    // 0.07 * 100 is 7.000000000000001 in binary, and the 7th value is meant.
    const auto histogram = std::make_unique<Histogram>();
    for (Nanoseconds value = 1; value <= 100; ++value)
        histogram->record(value);
    for (int percent = 1; percent <= 100; ++percent)
        EXPECT_EQ(histogram->quantile(percent / 100.0), percent);
}

TEST(Histogram, ValuesBeyondTheLastBucketCountThere) {
    const auto histogram = std::make_unique<Histogram>();
    fill(*histogram, {1, beyond, beyond * 1000});
    EXPECT_EQ(histogram->quantile(0.3), 1);
    EXPECT_EQ(histogram->quantile(0.6), beyond - 1);
    EXPECT_EQ(histogram->quantile(1), beyond - 1);
    EXPECT_EQ(histogram->max(), beyond * 1000);
}

TEST(Histogram, NegativeValuesCountAsZero) {
    const auto histogram = std::make_unique<Histogram>();
    fill(*histogram, {-5, INT64_MIN});
    EXPECT_EQ(histogram->count(), 2U);
    EXPECT_EQ(histogram->quantile(1), 0);
    EXPECT_EQ(histogram->mean(), 0);
}

TEST(Histogram, EmptyIsZero) {
    const auto histogram = std::make_unique<Histogram>();
    EXPECT_EQ(histogram->quantile(0.5), 0);
    EXPECT_EQ(histogram->max(), 0);
    EXPECT_EQ(histogram->mean(), 0);
    histogram->record(9);
    histogram->reset();
    EXPECT_EQ(histogram->count(), 0U);
    EXPECT_EQ(histogram->quantile(0.5), 0);
    EXPECT_EQ(histogram->max(), 0);
    EXPECT_EQ(histogram->mean(), 0);
}

TEST(Histogram, AddingIsRecordingBoth) {
    const std::vector<Nanoseconds> low = draw(std::exponential_distribution<>(1e-4), 500);
    const std::vector<Nanoseconds> high = draw(std::exponential_distribution<>(1e-6), 1'500);
    const auto both = std::make_unique<Histogram>();
    fill(fill(*both, low), high);
    const auto sum = std::make_unique<Histogram>();
    const auto other = std::make_unique<Histogram>();
    fill(*sum, low).add(fill(*other, high));
    EXPECT_EQ(sum->count(), both->count());
    EXPECT_EQ(sum->max(), both->max());
    EXPECT_EQ(sum->mean(), both->mean());
    for (const double q : {0.01, 0.5, 0.9, 0.999})
        EXPECT_EQ(sum->quantile(q), both->quantile(q));
}

TEST(Histogram, CanBeReadWhileRecording) {
    constexpr std::uint64_t values = 100'000;
    constexpr Nanoseconds lowest = 1'000, highest = 3'000;
    const auto histogram = std::make_unique<Histogram>();
    std::thread writer([&] {
        for (std::uint64_t i = 0; i < values; ++i)
            histogram->record(i % 2 ? lowest : highest);
    });
    std::uint64_t before = 0;
    while (before < values) {
        const Nanoseconds median = histogram->quantile(0.5);
        EXPECT_TRUE(median == 0 || (median >= lowest && median <= highest)) << median;
        const std::uint64_t count = histogram->count();
        EXPECT_GE(count, before);
        EXPECT_GE(histogram->mean(), 0);
        EXPECT_LE(histogram->max(), highest);
        before = count;
    }
    writer.join();
    EXPECT_EQ(histogram->count(), values);
    EXPECT_EQ(histogram->mean(), (lowest + highest) / 2.0);
}

} // namespace
} // namespace clearframe
