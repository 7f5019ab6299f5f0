#include "commands/parts.h"
#include "core/error.h"

#include <gtest/gtest.h>

namespace clearframe {
namespace {

const std::vector<Candidate> gpus{{.name = "NVIDIA H200", .usable = true},
                                  {.name = "NVIDIA H100", .usable = true},
                                  {.name = "llvmpipe (LLVM 15.0.6, 256 bits)", .usable = true},
                                  {.name = "none", .usable = true}};

TEST(ResolveGpu, TakesAnIndex) {
    EXPECT_EQ(resolve_gpu("1", gpus), "NVIDIA H100");
    EXPECT_EQ(resolve_gpu("3", gpus), "none");
}

TEST(ResolveGpu, TakesANameOrAPartThatOnlyOneHas) {
    EXPECT_EQ(resolve_gpu("NVIDIA H200", gpus), "NVIDIA H200");
    EXPECT_EQ(resolve_gpu("llvm", gpus), "llvmpipe (LLVM 15.0.6, 256 bits)");
    EXPECT_EQ(resolve_gpu("none", gpus), "none");
}

TEST(ResolveGpu, RefusesAPartThatSeveralHave) {
    try {
        resolve_gpu("NVIDIA", gpus);
        FAIL() << "chose one";
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::usage);
        EXPECT_STREQ(error.what(), "--gpu 'NVIDIA' means more than one GPU. Name one of: NVIDIA "
                                   "H200, NVIDIA H100");
    }
}

TEST(ResolveGpu, LeavesWhatNobodyHasToTheChoice) {
    EXPECT_EQ(resolve_gpu("auto", gpus), "auto");
    EXPECT_EQ(resolve_gpu("", gpus), "auto");
    EXPECT_EQ(resolve_gpu("voodoo", gpus), "voodoo");
    EXPECT_EQ(resolve_gpu("17", gpus), "17");
}

} // namespace
} // namespace clearframe
