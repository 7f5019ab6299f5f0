// In place of nic/verbs/, in a program that was built without libibverbs.
#include "core/error.h"
#include "nic/verbs.h"

namespace clearframe {

VerbsLibrary verbs_library() { return {}; }

std::unique_ptr<VerbsDevice> open_verbs_device(std::string_view) {
    throw Error(Failure::unavailable, "this program was built without libibverbs", {},
                "On Debian: apt install libibverbs-dev, and build it again");
}

} // namespace clearframe
