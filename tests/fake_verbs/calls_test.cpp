// Every call of libibverbs that can fail, made to fail: an Error that names it, and nothing is left
// behind.
#include "fake_verbs/machine.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <future>
#include <set>

namespace clearframe::fake {
namespace {

using test::message;
using test::post_one;
using test::reap_one;
using test::RegisteredBuffer;
using ::testing::HasSubstr;

// What both ends say that went wrong.
struct Trouble {
    std::string near, far;
};

// Ends of two NICs, as of two hosts. Whichever fails, the other is not waited for.
EndpointPair connect_hosts(Nic& near, Nic& far, Trouble& trouble) {
    std::unique_ptr<Listener> listener = far.listen();
    const std::string address = listener->address();
    const ConnectionKey key = random_key();
    Event cancel;
    EndpointPair ends;
    auto accepting = std::async(std::launch::async, [&] {
        try {
            ends.receiver = listener->accept(key, 16, {test::patience, &cancel});
        } catch (const Error& error) {
            trouble.far = error.what();
            listener.reset(); // who calls is turned away
        }
    });
    try {
        ends.sender = near.connect_to(address, key, 16, {test::patience});
    } catch (const Error& error) {
        trouble.near = error.what();
        cancel.signal();
    }
    accepting.wait();
    return ends;
}

// What a stream makes of a NIC, in short: a write one way, a message the other, both awaited.
void talk(Nic& near, Nic& far, test::Buffers& buffers, const EndpointPair& ends) {
    const RegisteredBuffer source = buffers.source(near, 8192);
    const RegisteredBuffer target = buffers.target(far, 8192);
    ends.receiver->post_receives(2);
    ends.sender->post_receives(1);
    post_one(*ends.sender, test::write_request(1, source, 0, 8192, target, 0, 7));
    post_one(*ends.receiver, message(1, 9));
    for (Endpoint* const end : {ends.sender.get(), ends.receiver.get()}) {
        std::vector<Completion> some(4);
        std::size_t got = 0;
        while (got < 2) {
            ASSERT_EQ(end->wait(test::patience), WaitResult::ready);
            got += end->poll(some);
        }
        EXPECT_EQ(end->wait(0), WaitResult::timed_out);
    }
    EXPECT_TRUE(test::same(source.bytes(), target.bytes()));
}

// Both within a process and between hosts; returns what went wrong, at both ends.
std::string use(const Machine& machine, test::Buffers& buffers, std::string_view options) {
    Trouble trouble;
    try {
        const std::unique_ptr<Nic> near = machine.open(options);
        talk(*near, *near, buffers, near->connect_within(16));
        const std::unique_ptr<Nic> far = machine.open(options);
        const EndpointPair ends = connect_hosts(*near, *far, trouble);
        if (ends.sender && ends.receiver)
            talk(*near, *far, buffers, ends);
    } catch (const Error& error) {
        trouble.near += error.what();
    }
    return trouble.near + trouble.far;
}

class Calls : public FakeVerbsTest {};

TEST_F(Calls, WhatIsUsedIsGivenBack) {
    EXPECT_EQ(use(machine_, buffers_, "device=fake0"), "");
    EXPECT_EQ(verbs().objects(), 0u);
    EXPECT_THAT(verbs().calls(), ::testing::Contains("ibv_reg_dmabuf_mr"));
    EXPECT_THAT(verbs().calls(), ::testing::Contains("rdma_establish"));
}

// Those that take something back, or say no, are not asked whether they could; of events there are
// none to take when they say so.
const std::set<std::string> cannot_fail = {
    "ibv_close_device",    "ibv_dealloc_pd",   "ibv_dereg_mr",
    "ibv_destroy_cq",      "ibv_destroy_qp",   "ibv_destroy_comp_channel",
    "ibv_get_async_event", "ibv_get_cq_event", "rdma_destroy_event_channel",
    "rdma_destroy_id",     "rdma_disconnect",  "rdma_ack_cm_event"};

struct Way {
    const char* name;
    const char* options;
    Traits traits;
};
const Way ways[] = {
    {"as hardware on an ordinary machine", "device=fake0", {}},
    {"as hardware in a confidential guest", "device=fake0", {.bounces = true}},
    {"by its mapping, moderated, asked over and over",
     "wait=poll,cq-moderation=4,qps=2",
     {.takes_dma_bufs = false}},
};

// A buffer that is no dma-buf to the device has a mapping.
bool has_another_way(const std::string& call, const Traits& traits) {
    return call == "ibv_reg_dmabuf_mr" && !traits.bounces;
}

TEST_F(Calls, EachThatFailsIsNamedAndLeavesNothingBehind) {
    for (const Way& way : ways) {
        SCOPED_TRACE(way.name);
        begin(way.traits);
        EXPECT_EQ(use(machine_, buffers_, way.options), "");
        const std::vector<std::string> used = verbs().calls();
        ASSERT_GE(used.size(), 30u);
        for (const std::string& call : used) {
            // In each place where it is called, until it is called no more.
            for (std::uint32_t after = 0; !cannot_fail.contains(call); ++after) {
                SCOPED_TRACE(call + ", " + std::to_string(after) + " times well");
                begin(way.traits);
                verbs().fail(call, EPERM, after);
                const std::string error = use(machine_, buffers_, way.options);
                EXPECT_EQ(verbs().objects(), 0u);
                if (error.empty()) {
                    EXPECT_TRUE(!verbs().has_failed() || has_another_way(call, way.traits));
                    break;
                }
                EXPECT_THAT(error, HasSubstr(call));
                EXPECT_THAT(error, HasSubstr("EPERM"));
            }
        }
    }
}

// Those before it are under way; what was refused is not, and takes no place.
TEST_F(Calls, APostThatIsRefusedInTheMiddle) {
    const std::unique_ptr<Nic> nic = machine_.open("");
    const EndpointPair ends = nic->connect_within(16);
    ends.receiver->post_receives(4);
    const std::vector<WriteRequest> three = {message(1, 1), message(2, 2), message(3, 3)};
    verbs().fail("ibv_post_send", ENOMEM, 1);
    EXPECT_THAT(error_of([&] { ends.sender->post(three); }), HasSubstr("ibv_post_send: ENOMEM"));
    begin({});
    EXPECT_EQ(reap_one(*ends.sender).wr_id, 1u);
    EXPECT_EQ(ends.sender->wait(0), WaitResult::timed_out);
    post_one(*ends.sender, message(4, 4));
    EXPECT_EQ(reap_one(*ends.sender).wr_id, 4u);
    EXPECT_EQ(reap_one(*ends.receiver).immediate, 1u);
    EXPECT_EQ(reap_one(*ends.receiver).immediate, 4u);
}

} // namespace
} // namespace clearframe::fake
