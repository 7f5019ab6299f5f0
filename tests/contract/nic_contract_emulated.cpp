// The emulated NIC, held to what every NIC promises.
#include "contract/nic_contract.h"

namespace clearframe::test {

std::string why_missing(const char*) { return {}; }

std::unique_ptr<Nic> open_for_test(const char* specification) { return open_nic(specification); }

INSTANTIATE_TEST_SUITE_P(
    Nics, NicContract,
    testing::Values(Setup{"emulated", Joined::within},
                    Setup{"emulated:rate=200Gbps,latency=20us", Joined::within},
                    Setup{"emulated", Joined::listed},
                    Setup{"emulated:rate=200Gbps,latency=20us", Joined::listed}),
    [](const auto& test) { return "Nic" + std::to_string(test.index); });

} // namespace clearframe::test
