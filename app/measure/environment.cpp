#include "measure/record.h"
#include "measure/version.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <string>
#include <vector>

namespace clearframe {
namespace {

// The value of the first line of `file` that begins with `key`, then any blanks and `separator`.
std::string value_in(const std::filesystem::path& file, std::string_view key, char separator) {
    std::ifstream lines(file);
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with(key))
            continue;
        const std::size_t at = line.find_first_not_of(" \t", key.size());
        if (at == std::string::npos || line[at] != separator)
            continue;
        const std::size_t begin = line.find_first_not_of(" \t", at + 1);
        return begin == std::string::npos ? "" : line.substr(begin);
    }
    return {};
}

// os-release(5): a value may be quoted as a shell would have it.
std::string unquoted(const std::string& value) {
    std::string text;
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '"' || value[i] == '\'')
            continue;
        if (value[i] == '\\' && i + 1 < value.size())
            ++i;
        text += value[i];
    }
    return text;
}

std::string distribution(const std::filesystem::path& root) {
    for (const char* file : {"etc/os-release", "usr/lib/os-release"})
        if (std::string name = unquoted(value_in(root / file, "PRETTY_NAME", '=')); !name.empty())
            return name;
    return "unknown";
}

std::uint32_t usable_cores() {
    // The kernel refuses a set that is smaller than its own.
    for (std::size_t sets = 1; sets <= 64; sets *= 2) {
        std::vector<cpu_set_t> cpus(sets);
        const std::size_t bytes = sets * sizeof(cpu_set_t);
        if (sched_getaffinity(0, bytes, cpus.data()) == 0)
            return static_cast<std::uint32_t>(CPU_COUNT_S(bytes, cpus.data()));
    }
    return 0;
}

std::uint64_t physical_memory() {
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? std::uint64_t(pages) * std::uint64_t(page) : 0;
}

std::string program() {
    if (program_revision.empty())
        return fmt::format("clearframe {}", program_version);
    return fmt::format("clearframe {} (git {})", program_version, program_revision);
}

} // namespace

Environment read_environment(const std::filesystem::path& root) {
    utsname system{};
    uname(&system);
    std::string cpu = value_in(root / "proc/cpuinfo", "model name", ':');
    return {
        .program = program(),
        .time = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))),
        .kernel = system.release,
        .distribution = distribution(root),
        // Not every architecture has the line.
        .cpu = cpu.empty() ? fmt::format("unknown, {}", system.machine) : cpu,
        .cores = usable_cores(),
        .memory_bytes = physical_memory(),
        .guest = {},
        .build = std::string(program_build),
    };
}

} // namespace clearframe
