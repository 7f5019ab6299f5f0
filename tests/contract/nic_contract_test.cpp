// What every NIC promises: registering memory.
#include "contract/nic_contract.h"
#include "core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace clearframe::test {

using testing::AnyOf;
using testing::HasSubstr;

void NicContract::SetUp() {
    if (const std::string reason = why_missing(GetParam().nic); !reason.empty())
        GTEST_SKIP() << reason;
    nic_ = open_for_test(GetParam().nic);
    if (GetParam().joined == Joined::listed)
        far_nic_ = open_for_test(GetParam().nic);
}

EndpointPair NicContract::connect_another(std::uint32_t in_flight) {
    return far_nic_ ? connect_listed(*nic_, *far_nic_, in_flight) : nic_->connect_within(in_flight);
}

RegisteredBuffer NicContract::source_of_another_nic(std::size_t bytes) {
    other_nic_ = open_for_test(GetParam().nic);
    return buffers_.source(*other_nic_, bytes);
}

testing::Matcher<WcStatus> NicContract::fails_with(WcStatus status) const {
    if (is_emulated())
        return status;
    return AnyOf(status, WcStatus::flushed);
}

namespace {

// Registering. -----------------------------------------------------------------------------------

TEST_P(NicContract, ARegionIsTheBufferThatWasRegistered) {
    const DmaBuf buffer = buffers_.allocate(3'000'000);
    const auto region = nic_->register_memory(buffer, RemoteAccess::write);
    EXPECT_EQ(region->identity(), buffer.identity());
    EXPECT_EQ(region->identity(), BufferIdentity::of(buffer.fd()));
    EXPECT_EQ(region->length(), buffer.size());
    EXPECT_EQ(region->address() % static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)), 0u);
}

TEST_P(NicContract, RegionsHaveKeysAndAddressesOfTheirOwn) {
    std::vector<DmaBuf> buffers;
    std::vector<std::unique_ptr<MemoryRegion>> regions;
    std::set<std::uint32_t> rkeys, lkeys;
    for (int i = 0; i < 32; ++i) {
        buffers.push_back(buffers_.allocate(64 * KB));
        regions.push_back(nic_->register_memory(buffers.back(), RemoteAccess::write));
        lkeys.insert(regions.back()->lkey());
        rkeys.insert(regions.back()->rkey());
    }
    EXPECT_EQ(lkeys.size(), 32u);
    EXPECT_EQ(rkeys.size(), 32u);
    for (const auto& a : regions)
        for (const auto& b : regions)
            if (a != b) {
                EXPECT_TRUE(a->address() + a->length() <= b->address() ||
                            b->address() + b->length() <= a->address());
            }
}

TEST_P(NicContract, PrivateMemoryIsRefused) {
    ExposureMeter meter;
    const auto heaps = probe_heaps();
    const DmaBuf buffer = open_heap(heaps[choose_private_heap(heaps).index].name)
                              ->allocate(64 * KB, Exposure::private_memory, meter);
    try {
        nic_->register_memory(buffer, RemoteAccess::none);
        FAIL() << "private memory was registered";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("EOPNOTSUPP"));
        EXPECT_THAT(error.what(), HasSubstr("private memory"));
    }
}

TEST_P(NicContract, ARegionOutlivesItsBuffer) {
    const RegisteredBuffer target = make_target(64 * KB);
    std::unique_ptr<MemoryRegion> region;
    {
        const DmaBuf buffer = buffers_.allocate(64 * KB);
        region = nic_->register_memory(buffer, RemoteAccess::none);
    }
    std::ranges::fill(target.bytes(), std::byte{1});
    connect();
    WriteRequest request;
    request.local = region.get();
    request.length = 64 * KB;
    request.remote_address = target.region->address();
    request.rkey = target.region->rkey();
    post_one(sender(), request);
    EXPECT_EQ(reap_one(sender()).status, WcStatus::success);
    EXPECT_TRUE(all_are(target.bytes(), std::byte{0})); // zeroed when the buffer went
}

// Measuring. -------------------------------------------------------------------------------------

TEST_P(NicContract, ThePlainTransferIsMeasured) {
    const RegisteredBuffer source = buffers_.source(*nic_, 1 << 20);
    const RegisteredBuffer target = buffers_.target(*nic_, 1 << 20);
    const RegisteredBuffer second = buffers_.target(*nic_, 1 << 20);
    const MemoryRegion* const sources[] = {source.region.get()};
    const MemoryRegion* const targets[] = {target.region.get(), second.region.get()};
    // Long enough for both targets at some time, whatever the machine.
    for (Nanoseconds time = 0; !same(source.bytes(), second.bytes()) && time < patience;
         time = 2 * time + 1'000'000)
        EXPECT_GT(nic_->plain_gbytes_per_s(sources, targets, time), 0);
    EXPECT_TRUE(same(source.bytes(), target.bytes()));
    EXPECT_TRUE(same(source.bytes(), second.bytes()));
    EXPECT_THROW(nic_->plain_gbytes_per_s({}, targets, 0), Error);
    EXPECT_THROW(nic_->plain_gbytes_per_s(sources, {}, 0), Error);
    EXPECT_THROW(nic_->plain_gbytes_per_s(targets, sources, 0), Error); // may not be written
    const RegisteredBuffer foreign = source_of_another_nic(4 * KB);
    const MemoryRegion* const foreigners[] = {foreign.region.get()};
    EXPECT_THROW(nic_->plain_gbytes_per_s(foreigners, targets, 0), Error);
}

} // namespace
} // namespace clearframe::test
