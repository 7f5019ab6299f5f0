#include "commands/terminal.h"

#include <gtest/gtest.h>

namespace clearframe {
namespace {

TEST(Bar, FillsFromLeftToRightAndNoFurther) {
    EXPECT_EQ(bar(0, 4), "[----]");
    EXPECT_EQ(bar(0.5, 4), "[##--]");
    EXPECT_EQ(bar(1, 4), "[####]");
    EXPECT_EQ(bar(7, 4), "[####]");
    EXPECT_EQ(bar(-1, 4), "[----]");
}

} // namespace
} // namespace clearframe
