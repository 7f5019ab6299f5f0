// The fixture of what every NIC promises.
#pragma once

#include "unit/nic/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>

namespace clearframe::test {

inline constexpr std::size_t KB = 1024;

struct Setup {
    const char* nic; // as open_nic() takes it
    Joined joined;
};
inline void PrintTo(const Setup& setup, std::ostream* out) {
    *out << setup.nic << ", ";
    PrintTo(setup.joined, out);
}

// Of the NICs that a program of tests holds to the contract: each such program defines them, and
// instantiates NicContract.
//
// Why this machine does not have it, or nothing. Throws where it should have it.
std::string why_missing(const char* specification);
// Opens it, each time anew. Throws Error.
std::unique_ptr<Nic> open_for_test(const char* specification);

class NicContract : public testing::TestWithParam<Setup> {
protected:
    void SetUp() override;

    // The receiver's NIC: the sender's too, or another one.
    Nic& far_nic() { return far_nic_ ? *far_nic_ : *nic_; }
    RegisteredBuffer make_source(std::size_t bytes) { return buffers_.source(*nic_, bytes); }
    RegisteredBuffer make_target(std::size_t bytes) { return buffers_.target(far_nic(), bytes); }

    void connect(std::uint32_t in_flight = 64) {
        ends_ = {};
        ends_ = connect_another(in_flight);
    }
    EndpointPair connect_another(std::uint32_t in_flight);
    Endpoint& sender() { return *ends_.sender; }
    Endpoint& receiver() { return *ends_.receiver; }

    // As a region of this NIC, but one that it does not know.
    RegisteredBuffer source_of_another_nic(std::size_t bytes);

    bool is_emulated() const { return nic_->info().name == "emulated"; }
    // That very status; soft-RoCE says "flushed" of some writes that it refuses.
    testing::Matcher<WcStatus> fails_with(WcStatus status) const;

    Buffers buffers_;
    std::unique_ptr<Nic> nic_, far_nic_, other_nic_;
    EndpointPair ends_;
};

} // namespace clearframe::test
