// In place of nic/verbs/, in a program that was built without libibverbs.
#include "core/error.h"
#include "nic/rdma_devices.h"
#include "nic/verbs.h"

#include <fmt/format.h>

namespace clearframe {

VerbsLibrary verbs_library() { return {}; }

namespace {

constexpr const char* built_without = "built without verbs";
constexpr const char* mend =
    "On Debian: apt install libibverbs-dev librdmacm-dev, and build it again";

} // namespace

std::unique_ptr<VerbsDevice> open_verbs_device(std::string_view) {
    throw Error(Failure::unavailable, built_without, {}, mend);
}

Candidate probe_verbs(const std::filesystem::path&) {
    Candidate verbs = verbs_candidate();
    verbs.mend = mend;
    verbs.refusal = fmt::format("{}. {}", built_without, mend);
    return verbs;
}

std::unique_ptr<Nic> make_verbs_nic(std::string_view, const std::filesystem::path&) {
    throw Error(Failure::unavailable, "NIC verbs", built_without, mend);
}

} // namespace clearframe
