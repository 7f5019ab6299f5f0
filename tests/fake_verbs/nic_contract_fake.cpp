// The verbs NIC on a device of our own, held to what every NIC promises: on any machine, and under
// the sanitizers.
#include "contract/nic_contract.h"
#include "fake_verbs/machine.h"

namespace clearframe::test {

std::string why_missing(const char*) {
    fake::verbs().reset();
    return {};
}

std::unique_ptr<Nic> open_for_test(const char* specification) {
    static const fake::Machine machine;
    return machine.open(specification);
}

INSTANTIATE_TEST_SUITE_P(FakeVerbs, NicContract,
                         ::testing::Values(Setup{"device=fake0", Joined::within},
                                           Setup{"wait=poll", Joined::within},
                                           Setup{"qps=3", Joined::within},
                                           Setup{"device=fake0", Joined::listed},
                                           Setup{"wait=poll,qps=3", Joined::listed}),
                         [](const auto& test) { return "Nic" + std::to_string(test.index); });

} // namespace clearframe::test
