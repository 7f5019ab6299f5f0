// Starting threads.
#pragma once

#include "core/error.h"

#include <pthread.h>
#include <system_error>

#include <thread>
#include <utility>

namespace clearframe {

// Starts `body` on a thread of that name (at most 15 characters), which debuggers, top and the
// kernel show. Throws Error.
template <typename Body>
std::jthread start_thread(const char* name, Body body) {
    try {
        std::jthread thread(std::move(body));
        pthread_setname_np(thread.native_handle(), name);
        return thread;
    } catch (const std::system_error& error) {
        throw_errno(error.code().value(), std::string("starting the thread ").append(name),
                    "Raise the limit of processes: ulimit -u");
    }
}

} // namespace clearframe
