// The NIC of the guest's kernel, held to what every NIC promises.
#include "coco_guest/rdma.h"
#include "contract/nic_contract.h"

#include <cstdlib>
#include <filesystem>

namespace clearframe::test {

std::string why_missing(const char*) {
    if (!std::getenv("CLEARFRAME_GUEST"))
        return "not in the guest: tests/coco_guest/run -- ctest … runs this";
    if (!std::filesystem::exists("/sys/class/infiniband/rxe0"))
        guest::make_soft_roce();
    return {};
}

std::unique_ptr<Nic> open_for_test(const char* specification) { return open_nic(specification); }

INSTANTIATE_TEST_SUITE_P(Verbs, NicContract,
                         ::testing::Values(Setup{"verbs:device=rxe0", Joined::within},
                                           Setup{"verbs:device=rxe0,wait=poll", Joined::within},
                                           Setup{"verbs:device=rxe0", Joined::listed}),
                         [](const auto& test) { return "Nic" + std::to_string(test.index); });

} // namespace clearframe::test
