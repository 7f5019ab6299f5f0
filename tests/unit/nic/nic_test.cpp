#include "core/error.h"
#include "nic/nic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clearframe {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

Failure failure_of(std::string_view specification) {
    try {
        open_nic(specification);
    } catch (const Error& error) {
        return error.failure();
    }
    ADD_FAILURE() << specification << " was opened";
    return Failure::run;
}

TEST(Nic, StatusesAreNamedAsVerbsNamesThem) {
    EXPECT_EQ(wc_status_text(WcStatus::success), "IBV_WC_SUCCESS (0)");
    EXPECT_EQ(wc_status_text(WcStatus::local_length_error), "IBV_WC_LOC_LEN_ERR (1)");
    EXPECT_EQ(wc_status_text(WcStatus::local_protection_error), "IBV_WC_LOC_PROT_ERR (4)");
    EXPECT_EQ(wc_status_text(WcStatus::flushed), "IBV_WC_WR_FLUSH_ERR (5)");
    EXPECT_EQ(wc_status_text(WcStatus::remote_access_error), "IBV_WC_REM_ACCESS_ERR (10)");
    EXPECT_EQ(wc_status_text(WcStatus::remote_operation_error), "IBV_WC_REM_OP_ERR (11)");
    EXPECT_EQ(wc_status_text(WcStatus::retry_exceeded), "IBV_WC_RETRY_EXC_ERR (12)");
    EXPECT_EQ(wc_status_text(WcStatus::receiver_not_ready), "IBV_WC_RNR_RETRY_EXC_ERR (13)");
    EXPECT_EQ(wc_status_text(WcStatus::fatal), "IBV_WC_FATAL_ERR (18)");
    EXPECT_EQ(wc_status_text(WcStatus::general_error), "IBV_WC_GENERAL_ERR (21)");
    EXPECT_EQ(wc_status_text(static_cast<WcStatus>(99)), "ibv_wc_status (99)");
}

TEST(Nic, TheEmulatedOneCanAlwaysBeHadAndIsSaidToBeEmulated) {
    const auto nics = probe_nics();
    ASSERT_FALSE(nics.empty());
    EXPECT_EQ(nics.back().name, "emulated");
    EXPECT_TRUE(nics.back().usable);
    EXPECT_TRUE(nics.back().emulated);
    EXPECT_EQ(nics.back().emulation, "in this process: a thread moves the bytes");
    for (const Candidate& nic : nics)
        if (!nic.usable) {
            EXPECT_FALSE(nic.refusal.empty()) << nic.name;
        }
}

TEST(Nic, IsOpenedByNameAndOptions) {
    const auto plain = open_nic("emulated");
    EXPECT_EQ(plain->info().name, "emulated");
    EXPECT_EQ(plain->info().detail, "as fast as memory allows");
    EXPECT_TRUE(plain->info().emulated);
    EXPECT_EQ(plain->info().thread, "cf-nic");
    EXPECT_EQ(open_nic("emulated:")->info().detail, "as fast as memory allows");
    EXPECT_EQ(open_nic("emulated:rate=100Gbps")->info().detail, "100 Gb/s");
}

TEST(Nic, AutoTakesTheBestThatIsUsable) {
    for (const std::string_view name : {"auto", ""})
        EXPECT_EQ(open_nic(name)->info().name,
                  probe_nics()[choose("NIC", name, probe_nics()).index].name);
}

TEST(Nic, WhatCannotBeHadIsAnErrorNotAFallback) {
    EXPECT_EQ(failure_of("mlx5_99"), Failure::usage);
    EXPECT_EQ(failure_of("emulate"), Failure::usage);
    EXPECT_EQ(failure_of(":rate=1Gbps,"), Failure::usage);
    EXPECT_EQ(failure_of("emulated:rate=fast"), Failure::usage);
    if (probe_nics().front().usable)
        GTEST_SKIP() << "this machine has an RDMA device";
    try {
        open_nic("verbs");
        FAIL() << "verbs was opened";
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::unavailable);
        EXPECT_THAT(error.what(), AnyOf(HasSubstr("rdma link add rxe0 type rxe netdev"),
                                        HasSubstr("built without verbs. On Debian: apt install")));
    }
}

} // namespace
} // namespace clearframe
