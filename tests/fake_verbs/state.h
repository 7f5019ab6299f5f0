// What the calls of libibverbs and librdmacm on the device of fake_verbs.h share.
#pragma once

#include "fake_verbs/fake_verbs.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace clearframe::fake {

struct Failure {
    int error;
    std::uint32_t after;
};

struct State {
    std::mutex mutex;
    Traits traits;
    std::map<std::string, Failure> failures;
    bool failed = false;
    FakeVerbs::Lie lie;
    FakeVerbs::Tamper tamper;
    std::vector<std::string> calls;
    std::size_t objects = 0;
    std::map<std::uint32_t, std::size_t> writes; // of each queue pair, by number
    std::deque<ibv_event_type> events;
    std::vector<ibv_context*> contexts;

    // The error that a call is to fail with, or 0.
    int begin(const char* call);
};
State& state();

// A call that begins: locks, and tells whether it is to fail. errno is its error.
class Call {
public:
    explicit Call(const char* name) : lock_(state().mutex), error_(state().begin(name)) {
        errno = error_;
    }
    explicit operator bool() const { return error_ == 0; }
    int error() const { return error_; }
    // Fails for a reason of the device's own.
    int fail(int error) {
        errno = error;
        return error;
    }

private:
    std::lock_guard<std::mutex> lock_;
    int error_;
};

// An eventfd that counts.
int make_bell();
void ring(int bell);
bool take_ring(int bell); // false: there is none, and errno is EAGAIN

ibv_device the_device();

// An object of ours by that of the library, which is its first member.
template <typename Object, typename Base>
Object* whole(Base* base) {
    return reinterpret_cast<Object*>(base);
}

template <typename Object>
Object* create() {
    ++state().objects;
    return new Object;
}

template <typename Object>
void destroy(Object* object) {
    delete object;
    --state().objects;
}

} // namespace clearframe::fake
