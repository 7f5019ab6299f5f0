// A peer of the emulated NIC that is another process, or plays one.
#pragma once

#include "core/error.h"
#include "nic/emulated/protocol.h"
#include "nic/emulated/socket.h"
#include "support/files.h"
#include "unit/nic/support.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>

namespace clearframe::test {

using namespace emulated;

inline constexpr std::size_t page = 4096;

inline std::size_t mappings() {
    std::ifstream maps("/proc/self/maps");
    std::string line;
    std::size_t count = 0;
    while (std::getline(maps, line))
        count += line.find("memfd:") != line.npos || line.find("/dmabuf") != line.npos;
    return count;
}

template <typename T>
std::span<const std::byte> bytes_of(const T& message) {
    return std::as_bytes(std::span(&message, 1));
}

// A memfd as the heap makes it, unless told otherwise.
inline UniqueFd make_memfd(std::size_t bytes, int seals = F_SEAL_SHRINK, bool with_pages = true) {
    UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
    if (with_pages) {
        EXPECT_EQ(::fallocate(fd.get(), 0, 0, static_cast<off_t>(bytes)), 0);
    }
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
    return fd;
}

// A peer that is no NIC: it says what a test wants.
class RawPeer {
public:
    explicit RawPeer(const std::string& address)
        : deadline_({.timeout = patience}, "test"), fd_(connect_socket(address, deadline_)) {}

    void send(std::span<const std::byte> bytes, std::span<const int> fds = {}) {
        send_packet(fd_.get(), bytes, fds, deadline_);
    }
    template <typename T>
    void say(const T& message) {
        send(bytes_of(message));
    }
    Packet hear() { return wait_for_packet(fd_.get(), deadline_); }
    // What is said next must be of this kind.
    Note hear_note() { return decode_note(hear().bytes).value_or(Note{.kind = NoteKind{}}); }
    bool hears_the_end() { return hear().bytes.empty(); }
    int fd() const { return fd_.get(); }
    void hang_up() { fd_.reset(); }

private:
    Deadline deadline_;
    UniqueFd fd_;
};

class EmulatedPeer : public ::testing::Test {
protected:
    EmulatedPeer() : nic_(open_nic("emulated")), listener_(nic_->listen()) {}

    const ConnectionKey key_ = random_key();
    Buffers buffers_;
    std::unique_ptr<Nic> nic_;
    std::unique_ptr<Listener> listener_;

    std::string error_of_accept(Accepting& accepting) {
        try {
            accepting.get();
        } catch (const Error& error) {
            return error.what();
        }
        return "accepted";
    }

    // A raw peer with memory of its own, as far as `accept` returns.
    std::unique_ptr<Endpoint> let_in(RawPeer& peer, std::uint32_t in_flight = 16) {
        Accepting accepting(*listener_, key_, in_flight);
        peer.say(Hello{.regions = 1, .key = key_});
        EXPECT_EQ(decode_answer(peer.hear().bytes)->verdict, Verdict::accepted);
        memory_ = make_memfd(page);
        const RegionRecord record{.address = page, .length = page, .rkey = 77};
        const int fds[] = {memory_.get()};
        peer.send(encode_regions({&record, 1}), fds);
        EXPECT_EQ(decode_answer(peer.hear().bytes)->verdict, Verdict::ready);
        return accepting.get();
    }

    // The real one comes in, whatever came before.
    void expect_right_peer(Accepting& accepting) {
        const auto other = open_nic("emulated");
        const auto near = other->connect_to(listener_->address(), key_, 16, {.timeout = patience});
        const auto far = accepting.get();
        far->post_receives(1);
        post_one(*near, message(1, 9));
        EXPECT_EQ(reap_one(*far).immediate, 9u);
    }

    UniqueFd memory_;
};

} // namespace clearframe::test
