#include "core/error.h"
#include "nic/plain_writes.h"
#include "unit/nic/support.h"

#include <gmock/gmock.h>

namespace clearframe {
namespace {

using namespace test;
using testing::HasSubstr;

class PlainWrites : public testing::Test {
protected:
    PlainWrites() : nic_(open_nic("emulated")), ends_(nic_->connect_within(4)) {}

    static RemoteRange range_of(const RegisteredBuffer& buffer) {
        return {.address = buffer.region->address(),
                .length = buffer.region->length(),
                .rkey = buffer.region->rkey()};
    }

    void expect_refused(std::span<const MemoryRegion* const> source,
                        std::span<const RemoteRange> target, const char* words) {
        try {
            plain_writes(*ends_.sender, source, target, 0);
            FAIL() << "no error";
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), HasSubstr(words));
        }
    }

    Buffers buffers_;
    std::unique_ptr<Nic> nic_;
    EndpointPair ends_;
};

TEST_F(PlainWrites, FillEveryTargetAndLeaveNothingBehind) {
    const RegisteredBuffer source = buffers_.source(*nic_, 65536);
    const RegisteredBuffer targets[] = {buffers_.target(*nic_, 65536),
                                        buffers_.target(*nic_, 4096)};
    const MemoryRegion* const sources[] = {source.region.get()};
    const RemoteRange ranges[] = {range_of(targets[0]), range_of(targets[1])};
    EXPECT_GT(plain_writes(*ends_.sender, sources, ranges, 0), 0);
    EXPECT_TRUE(same(source.bytes(), targets[0].bytes()));
    EXPECT_TRUE(same(source.bytes().first(4096), targets[1].bytes()));
    EXPECT_EQ(ends_.sender->wait(0), WaitResult::timed_out);
    // With the receiver's places untouched.
    ends_.receiver->post_receives(1);
    post_one(*ends_.sender, message(1, 5));
    EXPECT_EQ(reap_one(*ends_.receiver).immediate, 5u);
}

TEST_F(PlainWrites, WhatFailsIsSaidWithItsStatus) {
    const RegisteredBuffer source = buffers_.source(*nic_, 4096);
    const RegisteredBuffer target = buffers_.target(*nic_, 4096);
    const MemoryRegion* const sources[] = {source.region.get()};
    const RemoteRange good[] = {range_of(target)};
    expect_refused({}, good, "takes memory");
    expect_refused(sources, {}, "takes memory");
    RemoteRange bad = good[0];
    bad.rkey ^= 0x5555;
    expect_refused(sources, {&bad, 1}, "IBV_WC_REM_ACCESS_ERR (10)");
}

TEST_F(PlainWrites, ACancelledEndSaysSo) {
    const RegisteredBuffer source = buffers_.source(*nic_, 4096);
    const RegisteredBuffer target = buffers_.target(*nic_, 4096);
    const MemoryRegion* const sources[] = {source.region.get()};
    const RemoteRange good[] = {range_of(target)};
    ends_.sender->cancel();
    expect_refused(sources, good, "cancelled");
}

} // namespace
} // namespace clearframe
