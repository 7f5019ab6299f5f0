// What end-to-end tests expect of every command.
#pragma once

#include "support/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

namespace clearframe::test {

// A command line that is refused, as the value of a test's parameter.
struct Refused {
    const char* name;
    std::vector<std::string> arguments;
    int status;
    std::string says; // in its one line
};
inline void PrintTo(const Refused& refused, std::ostream* out) { *out << refused.name; }

// In one line, with that status, and with nothing on standard output.
inline void expect_refused(const Finished& done, int status, const std::string& says) {
    EXPECT_EQ(done.status, status) << done.describe();
    EXPECT_THAT(done.err, ::testing::AllOf(::testing::StartsWith("clearframe: "),
                                           ::testing::HasSubstr(says)));
    EXPECT_EQ(std::count(done.err.begin(), done.err.end(), '\n'), 1) << done.err;
    EXPECT_THAT(done.out, ::testing::IsEmpty());
}

// Whether this machine has a Vulkan device that frames and the window can be drawn with.
inline bool can_draw() {
    static const bool known = run({.arguments = {"demo", "--offscreen", "--scene", "none", "--size",
                                                 "320x200", "--after", "0.1", "--record", "-"}})
                                  .status == 0;
    return known;
}

} // namespace clearframe::test

#define NEEDS_A_GPU()                                                                              \
    if (!clearframe::test::can_draw())                                                             \
    GTEST_SKIP() << "no Vulkan device here that can draw: install mesa-vulkan-drivers"
