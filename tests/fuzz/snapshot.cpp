// Recorded figures, as `demo --replay` reads them: a file that anybody may have written.
#include "measure/snapshot.h"

#include "core/error.h"
#include "fuzz/target.h"

#include <string_view>

namespace clearframe {

void fuzz::one_input(std::span<const std::byte> input) {
    const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
    try {
        const Snapshot snapshot = snapshot_from_json(text, "input");
        // What was read can be written, and read again.
        snapshot_from_json(to_json(snapshot), "again");
    } catch (const Error&) {
        // It says what is wrong.
    }
}

} // namespace clearframe
