// A fuzz target: a function that takes any bytes. libFuzzer calls it (clang, ./check fuzz), or
// replay.cpp with the files of its corpus (every other build).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

namespace clearframe::fuzz {

// The target's own.
void one_input(std::span<const std::byte> input);

inline void require(bool holds) {
    if (!holds)
        std::abort();
}

} // namespace clearframe::fuzz
