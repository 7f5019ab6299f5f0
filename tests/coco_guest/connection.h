// The fixture of the tests of connections in the guest: two NICs of one soft-RoCE device, as two
// processes or hosts have them.
#pragma once

#include "coco_guest/rdma.h"
#include "coco_guest/support.h"
#include "unit/nic/support.h"

#include <functional>
#include <future>
#include <memory>
#include <string>

namespace clearframe::guest {

using namespace test;

inline constexpr std::uint32_t in_flight = 16;
inline const Patience patient{.timeout = patience};

struct Ends {
    std::unique_ptr<Endpoint> near, far; // accepted, connected
};

inline std::string error_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

inline Ends connect(Nic& near, Nic& far, std::uint32_t room = in_flight) {
    const auto listener = near.listen();
    const ConnectionKey key = random_key();
    auto connecting = std::async(std::launch::async, [&] {
        return far.connect_to(listener->address(), key, room, patient);
    });
    Ends ends;
    ends.near = listener->accept(key, room, patient);
    ends.far = connecting.get();
    return ends;
}

class ConnectionTest : public GuestTest {
protected:
    void SetUp() override {
        GuestTest::SetUp();
        if (IsSkipped())
            return;
        make_soft_roce();
    }

    void open(const std::string& options = {}) {
        near_ = open_nic("verbs:device=rxe0" + options);
        far_ = open_nic("verbs:device=rxe0" + options);
    }

    void expect_works(Endpoint& from, Nic& from_nic, Endpoint& to, Nic& to_nic) {
        Buffers buffers;
        const RegisteredBuffer source = buffers.source(from_nic, 100'000);
        const RegisteredBuffer target = buffers.target(to_nic, 100'000);
        to.post_receives(1);
        post_one(from, write_request(3, source, 0, 100'000, target, 0, 42));
        const Completion received = reap_one(to);
        EXPECT_EQ(received.status, WcStatus::success);
        EXPECT_EQ(received.immediate, 42u);
        EXPECT_EQ(received.byte_len, 100'000u);
        const Completion sent = reap_one(from);
        EXPECT_EQ(sent.status, WcStatus::success);
        EXPECT_EQ(sent.wr_id, 3u);
        EXPECT_TRUE(same(source.bytes().first(100'000), target.bytes().first(100'000)));
    }
    void expect_works(const Ends& ends) {
        expect_works(*ends.far, *far_, *ends.near, *near_);
        expect_works(*ends.near, *near_, *ends.far, *far_);
    }

    std::unique_ptr<Nic> near_, far_;
};

} // namespace clearframe::guest
