// Connections of the NIC of real verbs between two ends that find each other by librdmacm, as two
// processes or hosts do.
#include "coco_guest/connection.h"
#include "nic/verbs/handles.h"
#include "support/files.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <cstdlib>
#include <future>
#include <netinet/in.h>
#include <thread>

namespace clearframe::guest {
namespace {

using test::open_descriptors;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;

// Somebody who speaks to the address of a listener with librdmacm, but is not one of us.
class Stranger {
public:
    explicit Stranger(const std::string& address, std::vector<std::byte> says = {})
        : says_(std::move(says)), channel_(rdma_create_event_channel()) {
        rdma_cm_id* id = nullptr;
        EXPECT_EQ(rdma_create_id(channel_.get(), &id, nullptr, RDMA_PS_TCP), 0);
        id_.reset(id);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        const std::size_t colon = address.rfind(':');
        EXPECT_EQ(inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr), 1);
        to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
        EXPECT_EQ(rdma_resolve_addr(id, nullptr, reinterpret_cast<sockaddr*>(&to), 5000), 0);
        EXPECT_EQ(next(), RDMA_CM_EVENT_ADDR_RESOLVED);
        EXPECT_EQ(rdma_resolve_route(id, 5000), 0);
        EXPECT_EQ(next(), RDMA_CM_EVENT_ROUTE_RESOLVED);
        rdma_conn_param param{};
        param.qp_num = 77;
        param.private_data = says_.data();
        param.private_data_len = static_cast<std::uint8_t>(says_.size());
        EXPECT_EQ(rdma_connect(id, &param), 0);
    }

    // What it is told; DEVICE_REMOVAL if nothing comes. Blocks.
    rdma_cm_event_type next() {
        pollfd ready{.fd = channel_->fd, .events = POLLIN, .revents = 0};
        rdma_cm_event* event = nullptr;
        if (poll(&ready, 1, patience / 1'000'000) != 1 ||
            rdma_get_cm_event(channel_.get(), &event) != 0)
            return RDMA_CM_EVENT_DEVICE_REMOVAL;
        const rdma_cm_event_type type = event->event;
        rdma_ack_cm_event(event);
        return type;
    }

private:
    std::vector<std::byte> says_;
    verbs::EventChannel channel_;
    verbs::ConnectionId id_;
};

TEST_F(ConnectionTest, WritesArriveInBothDirections) {
    for (const char* options : {"", ",wait=poll"}) {
        open(options);
        expect_works(connect(*near_, *far_));
    }
}

TEST_F(ConnectionTest, AnAddressIsShortAndPrintable) {
    open();
    const auto listener = near_->listen();
    EXPECT_THAT(listener->address(), ::testing::MatchesRegex("10\\.78\\.0\\.1:[0-9]+"));
    EXPECT_NE(near_->listen()->address(), listener->address());
}

TEST_F(ConnectionTest, ThePacketsAreTheSmallerOfBothSides) {
    near_ = open_nic("verbs:device=rxe0,mtu=1024");
    far_ = open_nic("verbs:device=rxe0");
    expect_works(connect(*near_, *far_));
    std::swap(near_, far_);
    expect_works(connect(*near_, *far_));
}

TEST_F(ConnectionTest, WhoShowsAnotherKeyIsTurnedAwayAndThePeerStillServed) {
    open();
    const auto listener = near_->listen();
    const ConnectionKey key = random_key();
    std::string refused;
    auto connecting = std::async(std::launch::async, [&] {
        refused = error_of(
            [&] { far_->connect_to(listener->address(), random_key(), in_flight, patient); });
        return far_->connect_to(listener->address(), key, in_flight, patient);
    });
    Ends ends{.near = listener->accept(key, in_flight, patient), .far = connecting.get()};
    EXPECT_THAT(refused, AllOf(HasSubstr("turned away"), HasSubstr("another peer")));
    expect_works(ends);
}

TEST_F(ConnectionTest, StrangersAreTurnedAwayAndThePeerStillServed) {
    open();
    const auto listener = near_->listen();
    const ConnectionKey key = random_key();
    std::vector<std::byte> noise(56, std::byte{0x5a});
    std::vector<std::byte> magic(56);
    std::memcpy(magic.data(), "cfrd\x01", 5);
    std::vector<std::byte> newer(5);
    std::memcpy(newer.data(), "cfrd\x09", 5);
    std::vector<rdma_cm_event_type> told;
    auto connecting = std::async(std::launch::async, [&] {
        for (const auto& says : {std::vector<std::byte>{}, noise, magic, newer})
            told.push_back(Stranger(listener->address(), says).next());
        return far_->connect_to(listener->address(), key, in_flight, patient);
    });
    Ends ends{.near = listener->accept(key, in_flight, patient), .far = connecting.get()};
    EXPECT_EQ(told.size(), 4u);
    EXPECT_THAT(told, Each(RDMA_CM_EVENT_REJECTED));
    expect_works(ends);
}

// More than the backlog, before anybody accepts, and some that leave again.
TEST_F(ConnectionTest, AFloodOfStrangersPassesByThePeer) {
    open();
    connect(*near_, *far_); // what librdmacm opens once
    const std::size_t before = open_descriptors();
    auto listener = near_->listen();
    std::vector<std::unique_ptr<Stranger>> flood;
    for (int i = 0; i < 100; ++i) {
        flood.push_back(std::make_unique<Stranger>(listener->address()));
        if (i % 3 == 0)
            flood.back().reset();
    }
    const ConnectionKey key = random_key();
    std::atomic<bool> over{false};
    auto connecting = std::async(std::launch::async, [&] {
        // With the backlog full the kernel turns it away, as it does anybody.
        while (!over) {
            try {
                return far_->connect_to(listener->address(), key, in_flight, patient);
            } catch (const Error& error) {
                EXPECT_THAT(error.what(), HasSubstr("turned away"));
            }
        }
        return std::unique_ptr<Endpoint>();
    });
    Ends ends;
    ends.near = listener->accept(key, in_flight, patient);
    over = true;
    ends.far = connecting.get();
    ASSERT_TRUE(ends.far);
    expect_works(ends);
    listener.reset(); // and with it those who still wait
    for (auto& stranger : flood) {
        if (stranger) {
            EXPECT_EQ(stranger->next(), RDMA_CM_EVENT_REJECTED);
        }
    }
    flood.clear();
    ends = {};
    EXPECT_EQ(open_descriptors(), before);
}

TEST_F(ConnectionTest, NobodyListens) {
    open();
    const std::string address = near_->listen()->address();
    EXPECT_THAT(error_of([&] { far_->connect_to(address, random_key(), in_flight, patient); }),
                AllOf(HasSubstr("NIC rxe0: connecting to " + address),
                      HasSubstr("nobody listens there"), HasSubstr("RDMA_CM_EVENT_REJECTED (8)")));
}

TEST_F(ConnectionTest, AnAddressOfAnotherKindIsSaidToBeOne) {
    open();
    for (const char* address : {"emulated-1234", "", "10.78.0.1", "\x1b[2J:1"})
        EXPECT_THAT(
            error_of([&] { far_->connect_to(address, random_key(), in_flight, patient); }),
            AllOf(HasSubstr("no address of a verbs NIC"), ::testing::Not(HasSubstr("\x1b"))));
    EXPECT_THAT(
        error_of([&] { far_->connect_to("[fe80::1]:7", random_key(), in_flight, patient); }),
        HasSubstr("one is IPv4, the other IPv6"));
}

TEST_F(ConnectionTest, AnAddressThatNobodyHasIsAnError) {
    open();
    const std::string said = error_of([&] {
        far_->connect_to("10.78.0.99:4791", random_key(), in_flight, {.timeout = 2'000'000'000});
    });
    EXPECT_THAT(said, AnyOf(HasSubstr("RDMA_CM_EVENT_ADDR_ERROR"), HasSubstr("no answer within")));
}

TEST_F(ConnectionTest, PatienceEnds) {
    open();
    const auto listener = near_->listen();
    EXPECT_THAT(
        error_of([&] { listener->accept(random_key(), in_flight, {.timeout = 50'000'000}); }),
        AllOf(HasSubstr("waiting for the peer at 10.78.0.1:"),
              HasSubstr("no answer within 50.00 ms")));
    // Somebody listens but does not look.
    EXPECT_THAT(error_of([&] {
                    far_->connect_to(listener->address(), random_key(), in_flight,
                                     {.timeout = 200'000'000});
                }),
                HasSubstr("no answer within"));
}

TEST_F(ConnectionTest, CancelEndsTheWaitForThePeer) {
    open();
    const auto listener = near_->listen();
    for (const bool accepting : {true, false}) {
        Event cancel;
        std::atomic<bool> begun{false};
        std::string said;
        std::thread waiter([&] {
            begun = true;
            said = error_of([&] {
                const Patience until{.timeout = patience, .cancel = &cancel};
                if (accepting)
                    listener->accept(random_key(), in_flight, until);
                else
                    far_->connect_to(listener->address(), random_key(), in_flight, until);
            });
        });
        while (!begun)
            std::this_thread::yield();
        cancel.signal();
        waiter.join();
        EXPECT_THAT(said, HasSubstr("cancelled"));
        // Signalled before, it ends the wait at once.
        EXPECT_THAT(error_of([&] {
                        listener->accept(random_key(), in_flight,
                                         {.timeout = patience, .cancel = &cancel});
                    }),
                    HasSubstr("cancelled"));
    }
}

// Asleep, or asking.
TEST_F(ConnectionTest, WhenOneEndGoesTheWorkOfTheOtherIsFlushed) {
    for (const char* options : {"", ",wait=poll", ",qps=3"})
        for (const bool near_goes : {true, false}) {
            SCOPED_TRACE(::testing::Message() << options << " " << near_goes);
            open(options);
            Ends ends = connect(*near_, *far_);
            expect_works(ends);
            Endpoint& left = near_goes ? *ends.far : *ends.near;
            left.post_receives(5);
            std::atomic<bool> waiting{false};
            auto statuses_of_left = std::async(std::launch::async, [&] {
                waiting = true;
                return statuses(reap(left, 5));
            });
            while (!waiting)
                std::this_thread::yield();
            (near_goes ? ends.near : ends.far).reset();
            EXPECT_THAT(statuses_of_left.get(), Each(WcStatus::flushed));
            // And all that is posted later.
            post_one(left, message(9, 1));
            EXPECT_THAT(reap_one(left).status, WcStatus::flushed);
        }
}

TEST_F(ConnectionTest, WhatWasWrittenBeforeAnEndGoesIsThereWhenItHasGone) {
    open(",qps=2");
    for (int round = 0; round < 10; ++round) {
        Ends ends = connect(*near_, *far_);
        ends.near->post_receives(8);
        for (std::uint32_t i = 0; i < 6; ++i)
            post_one(*ends.far, message(i, i));
        EXPECT_EQ(reap(*ends.far, 6).size(), 6u);
        ends.far.reset();
        const auto all = reap(*ends.near, 8);
        ASSERT_EQ(all.size(), 8u);
        for (std::uint32_t i = 0; i < 8; ++i) {
            EXPECT_EQ(all[i].status, i < 6 ? WcStatus::success : WcStatus::flushed);
            if (i < 6) {
                EXPECT_EQ(all[i].immediate, i);
            }
        }
    }
}

// Runs `peer` in a process of its own, which writes its listener's address into `out`.
pid_t fork_peer(int out) {
    const pid_t child = fork();
    if (child != 0)
        return child;
    try {
        const auto nic = open_nic("verbs:device=rxe0");
        const auto listener = nic->listen();
        if (write(out, listener->address().data(), listener->address().size()) < 0)
            _exit(2);
        const auto end = listener->accept({}, in_flight, patient);
        end->post_receives(1);
        reap_one(*end);
        while (true)
            pause();
    } catch (const std::exception& error) {
        fmt::print(stderr, "the peer: {}\n", error.what());
    }
    _exit(1);
}

TEST_F(ConnectionTest, WhenThePeersProcessIsKilledTheWorkIsFlushed) {
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    const UniqueFd out(ends[1]), in(ends[0]);
    const pid_t child = fork_peer(out.get());
    ASSERT_GT(child, 0);
    std::array<char, 64> address{};
    const ssize_t length = read(in.get(), address.data(), address.size());
    ASSERT_GT(length, 0);

    open();
    const auto end = far_->connect_to({address.data(), static_cast<std::size_t>(length)}, {},
                                      in_flight, patient);
    WriteRequest hello = message(1, 1);
    // Its receive may not be posted yet: that is the peer's affair elsewhere.
    const std::size_t descriptors = open_descriptors();
    end->post_receives(4);
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_THAT(statuses(reap(*end, 4)), Each(WcStatus::flushed));
    post_one(*end, hello);
    EXPECT_EQ(reap_one(*end).status, WcStatus::flushed);
    EXPECT_EQ(open_descriptors(), descriptors);
}

TEST_F(ConnectionTest, DescriptorsComeBack) {
    open(",qps=2");
    connect(*near_, *far_); // what librdmacm opens once
    const std::size_t before = open_descriptors();
    for (int round = 0; round < 8; ++round) {
        const Ends ends = connect(*near_, *far_);
        const auto listener = near_->listen();
        EXPECT_GT(open_descriptors(), before);
        error_of([&] { far_->connect_to("10.78.0.1:1", random_key(), in_flight, patient); });
        error_of([&] { listener->accept(random_key(), in_flight, {.timeout = 1}); });
        error_of([&] {
            far_->connect_to(listener->address(), random_key(), in_flight, {.timeout = 1});
        });
    }
    EXPECT_EQ(open_descriptors(), before);
}

// Other addresses, other devices. ----------------------------------------------------------------

std::uint64_t packets_received(const char* device) {
    return std::stoull(
        read_file(fmt::format("/sys/class/infiniband/{}/ports/1/hw_counters/rcvd_pkts", device)));
}

TEST_F(ConnectionTest, FromOneDeviceToAnotherItGoesOverTheWire) {
    make_soft_roce("--two");
    near_ = open_nic("verbs:device=rxe1");
    far_ = open_nic("verbs:device=rxe0");
    EXPECT_THAT(near_->listen()->address(), HasSubstr("10.78.0.2:"));
    const std::uint64_t before[] = {packets_received("rxe0"), packets_received("rxe1")};
    expect_works(connect(*near_, *far_));
    EXPECT_GT(packets_received("rxe0"), before[0] + 20);
    EXPECT_GT(packets_received("rxe1"), before[1] + 20);
}

TEST_F(ConnectionTest, LinkLocalAddressesWork) {
    make_soft_roce("--two");
    near_ = open_nic("verbs:device=rxe1,gid=0");
    far_ = open_nic("verbs:device=rxe0,gid=0");
    EXPECT_THAT(near_->listen()->address(), HasSubstr("[fe80::"));
    expect_works(connect(*near_, *far_));
}

TEST_F(ConnectionTest, WhenTheDeviceGoesTheWaitEnds) {
    open();
    Ends ends = connect(*near_, *far_);
    ends.near->post_receives(1);
    auto remover = std::async(std::launch::async,
                              [] { return std::system("timeout 60 rdma link del rxe0 >&2"); });
    WcStatus status = WcStatus::success;
    const std::string said = error_of([&] { status = reap_one(*ends.near).status; });
    if (said == "no error") {
        EXPECT_EQ(status, WcStatus::flushed);
    } else {
        EXPECT_THAT(said, HasSubstr("NIC rxe0: "));
        EXPECT_THAT(said, AnyOf(HasSubstr("it has gone"), HasSubstr("it has failed"),
                                HasSubstr("device has gone")));
    }
    ends = {};
    near_.reset();
    far_.reset();
    EXPECT_EQ(remover.get(), 0);
}

} // namespace
} // namespace clearframe::guest
