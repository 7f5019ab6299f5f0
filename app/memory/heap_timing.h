// What a heap's buffers cost: allocating, touching for the first time, freeing.
#pragma once

#include "core/clock.h"
#include "memory/heap.h"

#include <cstddef>

namespace clearframe {

// Of one buffer. All three are the kernel's work: none has this program's accounting or zeroing.
struct BufferTimes {
    Nanoseconds allocate = 0;    // until there is a descriptor: finding, zeroing, converting pages
    Nanoseconds first_touch = 0; // mapping all of it, and writing a byte to each page
    Nanoseconds free = 0;        // closing the last descriptor: converting pages back
};

// Allocates, touches and frees one buffer of `bytes`, rounded up to whole pages. Throws Error: not
// enough memory free, the heap refuses.
BufferTimes time_buffer(const Heap& heap, std::size_t bytes);

} // namespace clearframe
