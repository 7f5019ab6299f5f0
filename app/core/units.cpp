#include "core/units.h"

#include <fmt/format.h>

namespace clearframe {

std::string bytes_text(std::uint64_t bytes) {
    const double value = static_cast<double>(bytes);
    if (bytes < 1'000)
        return fmt::format("{} bytes", bytes);
    if (bytes < 1'000'000)
        return fmt::format("{:.1f} kB", value / 1e3);
    if (bytes < 1'000'000'000)
        return fmt::format("{:.1f} MB", value / 1e6);
    if (bytes < 1'000'000'000'000)
        return fmt::format("{:.2f} GB", value / 1e9);
    return fmt::format("{:.2f} TB", value / 1e12);
}

std::string duration_text(double nanoseconds) {
    if (nanoseconds < 1e3)
        return fmt::format("{:.0f} ns", nanoseconds);
    if (nanoseconds < 1e5)
        return fmt::format("{:.1f} us", nanoseconds / 1e3);
    if (nanoseconds < 1e9)
        return fmt::format("{:.2f} ms", nanoseconds / 1e6);
    return fmt::format("{:.2f} s", nanoseconds / 1e9);
}

std::string rate_text(double gbytes_per_s) {
    return gbytes_per_s > 0 && gbytes_per_s < 0.0995 ? fmt::format("{:.2g}", gbytes_per_s)
                                                     : fmt::format("{:.2f}", gbytes_per_s);
}

} // namespace clearframe
