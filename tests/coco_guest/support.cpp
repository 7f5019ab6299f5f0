#include "coco_guest/support.h"

#include <fmt/format.h>

#include <errno.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <ostream>
#include <sstream>

namespace clearframe::guest {
namespace {

const std::filesystem::path tracing = "/sys/kernel/tracing";
const std::filesystem::path bounced = tracing / "events/swiotlb/swiotlb_bounced";

std::byte pattern(std::size_t offset, std::uint32_t seed) {
    // A multiplicative hash: neighbours, pages and segments all differ.
    const std::uint64_t mixed = (offset + 1) * 0x9e3779b97f4a7c15u + seed * 0xbf58476d1ce4e5b9u;
    return static_cast<std::byte>(mixed >> 56 | 1);
}

// The sum of all numbers that follow `name` in `file`.
std::uint64_t sum_of(const std::filesystem::path& file, std::string_view name) {
    std::istringstream words(read_file(file));
    std::optional<std::uint64_t> sum;
    for (std::string word; words >> word;)
        if (std::uint64_t number; word == name && words >> number)
            sum = sum.value_or(0) + number;
    if (!sum)
        throw Error(Failure::run, fmt::format("{}: no {} in it", file.string(), name), {}, {});
    return *sum;
}

} // namespace

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path);
    if (!file)
        throw_errno(errno, fmt::format("opening {}", path.string()));
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::filesystem::path& path, std::string_view text) {
    std::ofstream file(path);
    file << text << std::flush;
    if (!file)
        throw_errno(errno, fmt::format("writing '{}' to {}", text, path.string()));
}

BufferCount dma_bufs() {
    const std::string text = read_file("/sys/kernel/debug/dma_buf/bufinfo");
    const std::size_t total = text.rfind("Total ");
    BufferCount count;
    if (total == std::string::npos ||
        std::sscanf(text.c_str() + total, "Total %lu objects, %lu bytes", &count.objects,
                    &count.bytes) != 2)
        throw Error(Failure::run, "reading bufinfo of the kernel: no total in it", {}, {});
    return count;
}

void PrintTo(const BufferCount& count, std::ostream* out) {
    *out << count.objects << " dma-bufs of " << count.bytes << " bytes";
}

std::uint64_t free_memory() {
    write_file("/proc/sys/vm/drop_caches", "3");
    return sum_of("/proc/meminfo", "MemFree:") * 1024 + sum_of("/proc/zoneinfo", "count:") * 4096;
}

std::uint64_t bounce_slots_used() {
    return std::stoull(read_file("/sys/kernel/debug/swiotlb/io_tlb_used"));
}

BounceTrace::BounceTrace(std::string_view device) {
    write_file(bounced / "filter", fmt::format("dev_name == \"{}\"", device));
    write_file(tracing / "trace", "");
    write_file(bounced / "enable", "1");
}

BounceTrace::~BounceTrace() {
    std::ofstream(bounced / "enable") << "0";
    std::ofstream(bounced / "filter") << "0";
}

std::size_t BounceTrace::events() const {
    std::istringstream lines(read_file(tracing / "trace"));
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line);)
        count += !line.starts_with('#') && line.find("swiotlb_bounced:") != std::string::npos;
    return count;
}

void fill_pattern(std::span<std::byte> bytes, std::uint32_t seed) {
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = pattern(i, seed);
}

std::ptrdiff_t pattern_mismatch(std::span<const std::byte> bytes, std::uint32_t seed,
                                std::size_t offset) {
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (bytes[i] != pattern(offset + i, seed))
            return static_cast<std::ptrdiff_t>(i);
    return -1;
}

} // namespace clearframe::guest
