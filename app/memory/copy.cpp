#include "memory/copy.h"

#include "core/clock.h"
#include "core/units.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <stdexcept>
#include <vector>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace clearframe {
namespace {

void copy_plain(std::byte* target, const std::byte* source, std::size_t bytes) {
    if (bytes > 0) // either may be null then
        std::memcpy(target, source, bytes);
}

#ifdef __x86_64__

void copy_rep_movsb(std::byte* target, const std::byte* source, std::size_t bytes) {
    asm volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(bytes) : : "memory");
}

constexpr std::size_t line = 64;
constexpr std::size_t block = 4 * line;

// 2 KiB ahead measures best: the CPU's own prefetcher stops at the end of each page. Which hint is
// better differs between CPUs, and by more than a factor of two.
template <auto hint>
[[gnu::always_inline]] inline void prefetch_ahead(const std::byte* source) {
    for (std::size_t i = 0; i < block; i += line)
        _mm_prefetch(reinterpret_cast<const char*>(source) + 2 * KiB + i, hint);
}

// Copies whole blocks; `target` lies at the start of a cache line.
using StreamBlocks = void (*)(std::byte* target, const std::byte* source, std::size_t blocks);

template <StreamBlocks stream_blocks>
void copy_streaming(std::byte* target, const std::byte* source, std::size_t bytes) {
    const std::size_t to_line = (0 - reinterpret_cast<std::uintptr_t>(target)) % line;
    const std::size_t head = std::min(to_line, bytes);
    const std::size_t blocks = (bytes - head) / block;
    const std::size_t streamed = head + blocks * block;
    copy_plain(target, source, head);
    stream_blocks(target + head, source + head, blocks);
    copy_plain(target + streamed, source + streamed, bytes - streamed);
    _mm_sfence();
}

template <auto hint>
void stream_sse2(std::byte* target, const std::byte* source, std::size_t blocks) {
    for (; blocks > 0; --blocks, target += block, source += block) {
        prefetch_ahead<hint>(source);
        __m128i values[16];
        for (int i = 0; i < 16; ++i)
            values[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source) + i);
        for (int i = 0; i < 16; ++i)
            _mm_stream_si128(reinterpret_cast<__m128i*>(target) + i, values[i]);
    }
}

template <auto hint>
[[gnu::target("avx2")]] void stream_avx2(std::byte* target, const std::byte* source,
                                         std::size_t blocks) {
    for (; blocks > 0; --blocks, target += block, source += block) {
        prefetch_ahead<hint>(source);
        __m256i values[8];
        for (int i = 0; i < 8; ++i)
            values[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source) + i);
        for (int i = 0; i < 8; ++i)
            _mm256_stream_si256(reinterpret_cast<__m256i*>(target) + i, values[i]);
    }
}

template <auto hint>
[[gnu::target("avx512f")]] void stream_avx512(std::byte* target, const std::byte* source,
                                              std::size_t blocks) {
    for (; blocks > 0; --blocks, target += block, source += block) {
        prefetch_ahead<hint>(source);
        __m512i values[4];
        for (int i = 0; i < 4; ++i)
            values[i] = _mm512_loadu_si512(reinterpret_cast<const __m512i*>(source) + i);
        for (int i = 0; i < 4; ++i)
            _mm512_stream_si512(reinterpret_cast<__m512i*>(target) + i, values[i]);
    }
}

#endif

std::vector<CopyMethod> find_methods() {
    std::vector<CopyMethod> methods{{"memcpy", copy_plain, false}};
#ifdef __x86_64__
    methods.push_back({"rep-movsb", copy_rep_movsb, false});
    if (__builtin_cpu_supports("avx2")) {
        methods.push_back({"stream-avx2", copy_streaming<stream_avx2<_MM_HINT_T0>>, true});
        methods.push_back({"stream-avx2-nta", copy_streaming<stream_avx2<_MM_HINT_NTA>>, true});
    }
    if (__builtin_cpu_supports("avx512f")) {
        methods.push_back({"stream-avx512", copy_streaming<stream_avx512<_MM_HINT_T0>>, true});
        methods.push_back({"stream-avx512-nta", copy_streaming<stream_avx512<_MM_HINT_NTA>>, true});
    }
    methods.push_back({"stream-sse2", copy_streaming<stream_sse2<_MM_HINT_T0>>, true});
#endif
    return methods;
}

// Walks over memory in whole pieces, round and round.
class Pieces {
public:
    Pieces(std::size_t bytes, std::size_t piece) : end_(bytes / piece * piece), piece_(piece) {}

    std::size_t next() {
        const std::size_t offset = offset_;
        offset_ = (offset_ + piece_) % end_;
        return offset;
    }

private:
    std::size_t end_;
    std::size_t piece_;
    std::size_t offset_ = 0;
};

double median(std::vector<double>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

CopyTiming fastest_of(std::span<const CopyMethod> methods, std::span<std::byte> target,
                      std::span<const std::byte> source, std::size_t piece, std::int64_t budget) {
    if (piece == 0 || piece > target.size() || piece > source.size())
        throw std::invalid_argument("fastest_copy: no whole piece fits source and target");
    // Enough of them at a time that reading the clock does not count.
    const std::size_t pieces = std::max<std::size_t>(1, 4 * MiB / piece);
    Pieces to(target.size(), piece);
    Pieces from(source.size(), piece);

    std::vector<std::vector<double>> speeds(methods.size());
    const Nanoseconds end = now() + budget;
    for (int round = 0; round < 3 || now() < end; ++round) {
        for (std::size_t m = 0; m < methods.size(); ++m) {
            const Nanoseconds start = thread_cpu();
            for (std::size_t i = 0; i < pieces; ++i)
                methods[m].copy(target.data() + to.next(), source.data() + from.next(), piece);
            const Nanoseconds time = std::max<Nanoseconds>(1, thread_cpu() - start);
            speeds[m].push_back(static_cast<double>(pieces * piece) / static_cast<double>(time));
        }
    }

    CopyTiming best;
    for (std::size_t m = 0; m < methods.size(); ++m)
        if (const double speed = median(speeds[m]); speed > best.gbytes_per_s)
            best = {methods[m], speed};
    return best;
}

CopyMethod find_streaming() {
    std::vector<CopyMethod> streaming;
    std::ranges::copy_if(copy_methods(), std::back_inserter(streaming), &CopyMethod::streaming);
    if (streaming.empty())
        return copy_methods().front();
    // More than a core's own caches hold.
    std::vector<std::byte> target(8 * MiB);
    const std::vector<std::byte> source(8 * MiB);
    return fastest_of(streaming, target, source, 4 * MiB, 0).method;
}

} // namespace

std::span<const CopyMethod> copy_methods() {
    static const std::vector<CopyMethod> methods = find_methods();
    return methods;
}

const CopyMethod& streaming_copy() {
    static const CopyMethod method = find_streaming();
    return method;
}

CopyTiming fastest_copy(std::span<std::byte> target, std::span<const std::byte> source,
                        std::size_t piece, std::int64_t budget) {
    return fastest_of(copy_methods(), target, source, piece, budget);
}

} // namespace clearframe
