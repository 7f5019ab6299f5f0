#include "memory/copy.h"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace clearframe {
namespace {

std::vector<std::byte> pattern(std::size_t bytes) {
    std::vector<std::byte> data(bytes);
    std::uint32_t state = 1;
    for (std::byte& byte : data) {
        state = state * 1664525 + 1013904223;
        byte = std::byte(state >> 24);
    }
    return data;
}

class Copy : public testing::TestWithParam<CopyMethod> {
protected:
    // Copies into the middle of a field of guard bytes and checks every byte of it.
    void check(std::size_t to, std::size_t from, std::size_t bytes) {
        const std::byte guard{0x5a};
        std::memset(target_, int(guard), to + bytes + guards);
        GetParam().copy(target_ + to, source_.data() + from, bytes);
        ASSERT_EQ(std::memcmp(target_ + to, source_.data() + from, bytes), 0)
            << bytes << " bytes, alignments " << to << " and " << from;
        ASSERT_EQ(std::count(target_, target_ + to, guard), std::ptrdiff_t(to));
        ASSERT_EQ(std::count(target_ + to + bytes, target_ + to + bytes + guards, guard),
                  std::ptrdiff_t(guards))
            << "written past the end of " << bytes << " bytes, alignment " << to;
    }

    static constexpr std::size_t guards = 128;
    static constexpr std::size_t largest = 2048;
    std::vector<std::byte> source_ = pattern(largest + 64);
    alignas(64) std::byte target_[64 + largest + guards];
};

TEST_P(Copy, EverySmallSizeAtEveryAlignment) {
    for (std::size_t bytes = 0; bytes <= 300; ++bytes)
        for (std::size_t to = 0; to < 64; ++to)
            for (const std::size_t from : {0, 1, 32, 63})
                ASSERT_NO_FATAL_FAILURE(check(to, from, bytes));
}

TEST_P(Copy, SizesAroundSeveralBlocks) {
    for (std::size_t bytes = 301; bytes <= largest; bytes += 13)
        for (const std::size_t to : {0, 1, 15, 16, 31, 63})
            for (const std::size_t from : {0, 5, 48})
                ASSERT_NO_FATAL_FAILURE(check(to, from, bytes));
}

TEST_P(Copy, WholeFrames) {
    for (const std::size_t bytes : {std::size_t{1920} * 1080 * 4, std::size_t{8'000'003}}) {
        const std::vector<std::byte> source = pattern(bytes + 1);
        std::vector<std::byte> target(bytes + 2);
        GetParam().copy(target.data() + 1, source.data() + 1, bytes);
        EXPECT_EQ(std::memcmp(target.data() + 1, source.data() + 1, bytes), 0);
        EXPECT_EQ(target.front(), std::byte{0});
        EXPECT_EQ(target.back(), std::byte{0});
    }
}

// Looking ahead must not read what is not there.
TEST_P(Copy, MemoryThatEndsAtAnUnmappedPage) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const auto map = [page] {
        auto* const pages = static_cast<std::byte*>(
            mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        mprotect(pages, page, PROT_NONE);
        mprotect(pages + 2 * page, page, PROT_NONE);
        return pages;
    };
    std::byte* const source = map();
    std::byte* const target = map();
    std::memset(source + page, 7, page);
    for (const std::size_t bytes : {page, page - 1, std::size_t{257}, std::size_t{1}}) {
        GetParam().copy(target + 2 * page - bytes, source + 2 * page - bytes, bytes);
        EXPECT_EQ(std::memcmp(target + 2 * page - bytes, source + 2 * page - bytes, bytes), 0);
        GetParam().copy(target + page, source + page, bytes);
    }
    munmap(source, 3 * page);
    munmap(target, 3 * page);
}

TEST_P(Copy, NothingFromNowhere) { GetParam().copy(nullptr, nullptr, 0); }

INSTANTIATE_TEST_SUITE_P(Methods, Copy, testing::ValuesIn(copy_methods()), [](const auto& method) {
    std::string name(method.param.name);
    std::ranges::replace(name, '-', '_');
    return name;
});

TEST(CopyMethods, PlainMemcpyIsFirst) {
    ASSERT_FALSE(copy_methods().empty());
    EXPECT_EQ(copy_methods().front().name, "memcpy");
    EXPECT_FALSE(copy_methods().front().streaming);
}

TEST(CopyMethods, StreamingCopyIsAlwaysTheSame) {
    const CopyMethod& method = streaming_copy();
#ifdef __x86_64__
    EXPECT_TRUE(method.streaming);
    EXPECT_TRUE(std::ranges::any_of(copy_methods(), [&](const CopyMethod& other) {
        return other.name == method.name && other.copy == method.copy;
    }));
#else
    EXPECT_EQ(method.name, "memcpy");
#endif
    EXPECT_EQ(&method, &streaming_copy());
}

TEST(FastestCopy, IsOneOfTheMethodsAndReallyCopies) {
    const std::vector<std::byte> source = pattern(300'000);
    std::vector<std::byte> target(120'000);
    const std::size_t piece = 50'000; // 6 in the source, 2 in the target
    const CopyTiming timing = fastest_copy(target, source, piece, 1'000'000);
    EXPECT_GT(timing.gbytes_per_s, 0);
    EXPECT_TRUE(std::ranges::any_of(copy_methods(), [&](const CopyMethod& method) {
        return method.name == timing.method.name && method.copy == timing.method.copy;
    }));
    for (std::size_t to = 0; to < 2 * piece; to += piece) {
        bool found = false;
        for (std::size_t from = 0; from < 6 * piece; from += piece)
            found |= std::memcmp(target.data() + to, source.data() + from, piece) == 0;
        EXPECT_TRUE(found) << "piece at " << to;
    }
    // What is left over after the last whole piece is not touched.
    EXPECT_TRUE(std::all_of(target.begin() + 2 * piece, target.end(),
                            [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST(FastestCopy, NeedsAWholePiece) {
    const std::vector<std::byte> source(100);
    std::vector<std::byte> target(50);
    EXPECT_THROW(fastest_copy(target, source, 0, 0), std::invalid_argument);
    EXPECT_THROW(fastest_copy(target, source, 51, 0), std::invalid_argument);
    EXPECT_GT(fastest_copy(target, source, 50, 0).gbytes_per_s, 0);
}

} // namespace
} // namespace clearframe
