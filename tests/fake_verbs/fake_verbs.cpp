#include "fake_verbs/fake_verbs.h"

#include "fake_verbs/state.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace clearframe::fake {

int State::begin(const char* call) {
    if (std::find(calls.begin(), calls.end(), call) == calls.end())
        calls.push_back(call);
    const auto found = failures.find(call);
    if (found == failures.end())
        return 0;
    if (found->second.after > 0) {
        --found->second.after;
        return 0;
    }
    failed = true;
    return found->second.error;
}

State& state() {
    static State* const all = new State; // outlives whatever a test has in static storage
    return *all;
}

int make_bell() { return ::eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE); }

void ring(int bell) {
    const std::uint64_t once = 1;
    [[maybe_unused]] const ssize_t written = ::write(bell, &once, sizeof once);
}

bool take_ring(int bell) {
    std::uint64_t once = 0;
    return ::read(bell, &once, sizeof once) == sizeof once;
}

ibv_device the_device() {
    ibv_device device{};
    device.node_type = IBV_NODE_CA;
    device.transport_type = IBV_TRANSPORT_IB;
    std::strcpy(device.name, device_name);
    return device;
}

void FakeVerbs::reset(const Traits& traits) {
    const std::lock_guard lock(state().mutex);
    state().traits = traits;
    state().failures.clear();
    state().lie = nullptr;
    state().tamper = nullptr;
    state().calls.clear();
    state().failed = false;
    state().events.clear();
}

void FakeVerbs::fail(const std::string& call, int error, std::uint32_t after) {
    const std::lock_guard lock(state().mutex);
    state().failures[call] = {error, after};
}

bool FakeVerbs::has_failed() const {
    const std::lock_guard lock(state().mutex);
    return state().failed;
}

void FakeVerbs::lie(Lie lie) {
    const std::lock_guard lock(state().mutex);
    state().lie = std::move(lie);
}

void FakeVerbs::tamper(Tamper tamper) {
    const std::lock_guard lock(state().mutex);
    state().tamper = std::move(tamper);
}

void FakeVerbs::raise(ibv_event_type event) {
    const std::lock_guard lock(state().mutex);
    state().events.push_back(event);
    for (const ibv_context* const context : state().contexts)
        ring(context->async_fd);
}

std::vector<std::string> FakeVerbs::calls() const {
    const std::lock_guard lock(state().mutex);
    return state().calls;
}

std::vector<std::size_t> FakeVerbs::writes() const {
    const std::lock_guard lock(state().mutex);
    std::vector<std::size_t> all;
    for (const auto& [number, count] : state().writes)
        all.push_back(count);
    return all;
}

std::size_t FakeVerbs::objects() const {
    const std::lock_guard lock(state().mutex);
    return state().objects;
}

FakeVerbs& verbs() {
    static FakeVerbs all;
    return all;
}

} // namespace clearframe::fake
