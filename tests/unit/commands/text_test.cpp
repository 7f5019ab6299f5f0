#include "commands/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clearframe {
namespace {

using testing::ElementsAre;

TEST(Wrapped, BreaksBetweenWords) {
    EXPECT_THAT(wrapped("", 5), ElementsAre(""));
    EXPECT_THAT(wrapped("one two three", 20), ElementsAre("one two three"));
    EXPECT_THAT(wrapped("one two three", 7), ElementsAre("one two", "three"));
    EXPECT_THAT(wrapped("one two three", 6), ElementsAre("one", "two", "three"));
    EXPECT_THAT(wrapped("a verylongword b", 4), ElementsAre("a", "verylongword", "b"));
    EXPECT_THAT(wrapped("größe × zwei", 7), ElementsAre("größe ×", "zwei"));
}

TEST(Fitted, CutsWholeCharacters) {
    EXPECT_EQ(fitted("abc", 3), "abc");
    EXPECT_EQ(fitted("abcd", 3), "a…d");
    EXPECT_EQ(fitted("abcde", 4), "ab…e");
    EXPECT_EQ(fitted("äöüßé", 4), "äö…é");
    EXPECT_EQ(fitted("llvmpipe (LLVM 15.0.6, 256 bits), as image", 30),
              "llvmpipe (LLVM …its), as image");
    EXPECT_EQ(columns("äö…"), 3u);
}

} // namespace
} // namespace clearframe
