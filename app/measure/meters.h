// What sender and receiver count while they run: one of each for every path of every scene.
#pragma once

#include "measure/histogram.h"
#include "measure/single_writer.h"
#include "measure/throughput.h"

#include <atomic>
#include <cstdint>

namespace clearframe {

// A count that one thread adds to and any thread reads.
class Counter {
public:
    void add(std::uint64_t n = 1) noexcept { add_single_writer(value_, n); }
    std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

// Written by the sender's thread.
struct SendMeter {
    Counter frames;            // posted
    Counter bytes;             // posted
    Counter copied_bytes;      // by this program's CPU code, on the sending side
    Counter lost;              // said by the receiver never to have come
    Counter pool_waits;        // times the staging pool was full
    Counter stale_completions; // completions of an earlier use of a slot: ignored
    Counter blocked_waits;     // times the thread went to sleep for a completion
    Histogram render;          // begun → whole in memory
    Histogram copy;            // time in the copy itself
    Histogram post;            // handing the writes to the NIC
    Histogram wire;            // first write posted → last write completed
    Counter cpu_ns;            // thread time, all of it
    Counter cpu_copy_ns;       // … in copies
    Counter cpu_gpu_ns;        // … inside calls to the GPU's driver
};

// Written by the receiver's thread.
struct ReceiveMeter {
    explicit ReceiveMeter(Nanoseconds longest) : throughput(longest) {}

    Counter frames;       // arrived, whether good or not
    Counter copied_bytes; // by this program's CPU code, on the receiving side
    Counter lost;         // never came
    Counter corrupt;      // came with wrong stamps or pixels
    Counter rejected;     // completions that made no sense: wrong slot, length or immediate
    Counter verified_pixels;
    Histogram latency;  // begun by the sender → whole where the receiver uses it; same host only
    Histogram copy_out; // time in the copy out of shared memory
    Histogram verify;
    ThroughputMeter throughput;
    Counter cpu_ns;
    Counter cpu_copy_ns;
};

} // namespace clearframe
