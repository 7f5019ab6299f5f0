// A program that was built without libibverbs: it says so, wherever verbs are asked for.
#include "core/error.h"
#include "nic/nic.h"
#include "nic/verbs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clearframe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string error_of(const std::string& nic) {
    try {
        open_nic(nic);
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::unavailable);
        return error.what();
    }
    return {};
}

TEST(WithoutVerbs, TheNicIsRefusedWithTheReason) {
    EXPECT_FALSE(verbs_library().built_in);
    EXPECT_THAT(error_of("verbs"),
                AllOf(HasSubstr("built without verbs"), HasSubstr("libibverbs-dev")));
    EXPECT_THAT(error_of("verbs:device=mlx5_0"), HasSubstr("built without verbs"));
    EXPECT_THROW(open_verbs_device("mlx5_0"), Error);
    EXPECT_THROW(make_verbs_nic(""), Error);
}

TEST(WithoutVerbs, TheEmulatedNicIsStillThere) {
    EXPECT_EQ(open_nic("auto")->info().name, "emulated");
}

} // namespace
} // namespace clearframe
