#include "support/program.h"

#include <cstdlib>

namespace clearframe::test {

std::filesystem::path clearframe_program() {
    const char* named = std::getenv("CLEARFRAME_PROGRAM");
    return named ? named : CLEARFRAME_PROGRAM;
}

std::filesystem::path failing_calls_library() { return CLEARFRAME_FAILING_CALLS; }

std::filesystem::path fault_layer_directory() { return CLEARFRAME_FAULT_LAYER; }

std::string fault_layer_name() { return CLEARFRAME_FAULT_LAYER_NAME; }

} // namespace clearframe::test
