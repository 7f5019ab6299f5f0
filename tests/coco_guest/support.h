// What the tests in the guest share: the kernel's own accounts of what they do.
#pragma once

#include "core/error.h"
#include "memory/heap.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace clearframe::guest {

inline constexpr const char* shared_heap = "system_cc_shared";

// Reads or writes a file of /proc, /sys or the like whole. Throws Error.
std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, std::string_view text);

// What dma-bufs there are in the guest, of all processes.
struct BufferCount {
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;
    bool operator==(const BufferCount&) const = default;
};
BufferCount dma_bufs();
void PrintTo(const BufferCount& count, std::ostream* out);

// Free memory, in bytes, when the kernel has given up its caches; with the free pages that each CPU
// keeps for itself, which are no part of MemFree and many megabytes after a test that frees much.
std::uint64_t free_memory();

// Slots of swiotlb's pool in use now, for all devices; 2 KiB each.
std::uint64_t bounce_slots_used();

// Records the trace event swiotlb_bounced of one device while it lives. One at a time.
class BounceTrace {
public:
    explicit BounceTrace(std::string_view device); // "0000:00:04.0"
    BounceTrace(const BounceTrace&) = delete;
    BounceTrace& operator=(const BounceTrace&) = delete;
    ~BounceTrace();

    std::size_t events() const;
};

// The tests of this folder run in the guest of tests/coco_guest/run and nowhere else.
class GuestTest : public testing::Test {
protected:
    void SetUp() override {
        if (!std::getenv("CLEARFRAME_GUEST"))
            GTEST_SKIP() << "not in the guest: tests/coco_guest/run -- ctest … runs this";
    }

    DmaBuf allocate(const std::string& heap, std::size_t bytes) {
        const auto opened = open_heap(heap);
        return opened->allocate(
            bytes, opened->is_shared_heap() ? Exposure::shared : Exposure::private_memory, meter_);
    }

    ExposureMeter meter_;
};

// Fills memory with bytes that depend on place and `seed`, none of them a stretch of zeros.
void fill_pattern(std::span<std::byte> bytes, std::uint32_t seed);
// The first byte of `bytes` that is not the pattern's, which begins at `offset` of it; -1: none.
std::ptrdiff_t pattern_mismatch(std::span<const std::byte> bytes, std::uint32_t seed,
                                std::size_t offset = 0);

} // namespace clearframe::guest
