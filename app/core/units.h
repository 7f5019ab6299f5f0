// Quantities as people read them. Bytes are decimal (8.3 MB) unless a power of two is meant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace clearframe {

inline constexpr std::size_t KiB = 1024;
inline constexpr std::size_t MiB = 1024 * KiB;
inline constexpr std::size_t GiB = 1024 * MiB;

constexpr std::size_t align_up(std::size_t value, std::size_t alignment) {
    return (value + alignment - 1) / alignment * alignment;
}

// "512 bytes", "8.3 MB", "1.2 GB".
std::string bytes_text(std::uint64_t bytes);

// "850 ns", "12.3 us", "0.66 ms" … of nanoseconds.
std::string duration_text(double nanoseconds);

// "15.02", "0.10", and where that would be of no use "0.0029": GB/s, in at most 7 characters as far
// as machines go.
std::string rate_text(double gbytes_per_s);

} // namespace clearframe
