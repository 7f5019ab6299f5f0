#include "core/error.h"
#include "nic/verbs/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clearframe {
namespace {

TEST(VerbsOptions, WithoutAnyTheDeviceIsChosen) {
    const VerbsOptions options = parse_verbs_options("");
    EXPECT_EQ(options.device, "");
    EXPECT_FALSE(options.port);
    EXPECT_FALSE(options.gid);
    EXPECT_EQ(options.queue_pairs, 1);
    EXPECT_FALSE(options.spin);
    EXPECT_EQ(options.cq_moderation, 0);
    EXPECT_EQ(options.mtu, 0u);
}

TEST(VerbsOptions, EachIsTaken) {
    const VerbsOptions options =
        parse_verbs_options("device=mlx5_0,port=2,gid=3,qps=8,wait=poll,cq-moderation=8,mtu=2048");
    EXPECT_EQ(options.device, "mlx5_0");
    EXPECT_EQ(options.port, 2);
    EXPECT_EQ(options.gid, 3);
    EXPECT_EQ(options.queue_pairs, 8);
    EXPECT_TRUE(options.spin);
    EXPECT_EQ(options.cq_moderation, 8);
    EXPECT_EQ(options.mtu, 2048u);
    EXPECT_FALSE(parse_verbs_options("wait=event").spin);
    EXPECT_EQ(parse_verbs_options("gid=0").gid, 0);
}

TEST(VerbsOptions, WhatMakesNoSenseIsRefused) {
    for (const char* text : {"device",
                             "device=",
                             "port=0",
                             "port=256",
                             "port=-1",
                             "gid=256",
                             "gid=x",
                             "qps=0",
                             "qps=9",
                             "qps=300",
                             "wait=sleep",
                             "wait",
                             "cq-moderation=0",
                             "cq-moderation=65536",
                             "mtu=1500",
                             "mtu=128",
                             "mtu=8192",
                             "mtu=",
                             "rate=100Gbps",
                             "=1",
                             ",",
                             "port=1,port=2",
                             "port=1 "})
        EXPECT_THAT([&] { parse_verbs_options(text); },
                    testing::Throws<Error>(testing::Property(&Error::failure, Failure::usage)))
            << text;
}

} // namespace
} // namespace clearframe
