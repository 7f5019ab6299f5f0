// The device: how memory is registered, what a confidential guest asks of it, what befalls it.
#include "fake_verbs/machine.h"
#include "nic/plain_writes.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace clearframe::fake {
namespace {

using test::message;
using test::post_one;
using test::reap_one;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class Devices : public FakeVerbsTest {
protected:
    // As hardware in a confidential guest.
    static void begin_confidential() { begin({.bounces = true}); }

    std::string error_of_opening(std::string_view options = "") {
        return error_of([&] { machine_.open(options)->connect_within(16); });
    }
};

// Registering. -----------------------------------------------------------------------------------

TEST_F(Devices, TheDmaBufIsRegisteredAndNothingElse) {
    const auto nic = machine_.open("");
    buffers_.target(*nic, 4096);
    EXPECT_THAT(verbs().calls(), AllOf(Contains("ibv_reg_dmabuf_mr"), Not(Contains("ibv_reg_mr"))));
}

TEST_F(Devices, WhereDmaBufsAreRefusedTheMappingIs) {
    begin({.takes_dma_bufs = false});
    const auto nic = machine_.open("");
    const auto target = buffers_.target(*nic, 4096);
    EXPECT_THAT(verbs().calls(), AllOf(Contains("ibv_reg_dmabuf_mr"), Contains("ibv_reg_mr")));
    EXPECT_EQ(target.region->identity(), target.buffer.identity());
}

TEST_F(Devices, WhereBothAreRefusedBothReasonsAreGiven) {
    begin({.takes_dma_bufs = false, .takes_mappings = false});
    const auto nic = machine_.open("");
    EXPECT_THAT(error_of([&] { buffers_.target(*nic, 4096); }),
                AllOf(HasSubstr("ibv_reg_dmabuf_mr: EOPNOTSUPP"), HasSubstr("ibv_reg_mr: EFAULT"),
                      HasSubstr("clearframe doctor")));
}

// In a confidential guest. -----------------------------------------------------------------------

TEST_F(Devices, ThatReachesSharedMemoryAloneHasItsQueuesThere) {
    begin_confidential();
    {
        const auto nic = machine_.open("");
        const auto source = buffers_.source(*nic, 4096);
        const auto target = buffers_.target(*nic, 4096);
        const EndpointPair ends = nic->connect_within(16);
        ends.receiver->post_receives(1);
        post_one(*ends.sender, test::write_request(1, source, 0, 4096, target, 0, 5));
        EXPECT_EQ(reap_one(*ends.receiver).immediate, 5u);
        EXPECT_TRUE(test::same(source.bytes(), target.bytes()));
    }
    EXPECT_THAT(verbs().calls(), AllOf(Contains("ibv_alloc_parent_domain"),
                                       Contains("ibv_create_cq_ex"), Not(Contains("ibv_reg_mr"))));
}

TEST_F(Devices, ThatReachesSharedMemoryAloneTakesNoOrdinaryMemory) {
    begin({.takes_dma_bufs = false, .bounces = true});
    const auto nic = machine_.open("");
    EXPECT_THAT(error_of([&] { buffers_.target(*nic, 4096); }),
                HasSubstr("ibv_reg_mr: EOPNOTSUPP"));
}

TEST_F(Devices, WhoseQueuesCannotBeSharedSaysWhatItTakes) {
    begin({.bounces = true, .has_parent_domains = false});
    EXPECT_THAT(error_of_opening("device=fake0"),
                AllOf(HasSubstr("it reaches shared memory alone"),
                      HasSubstr("ibv_alloc_parent_domain: EOPNOTSUPP"),
                      HasSubstr("rdma-core 64 or later")));
    // Looked for among the devices, it is refused for that.
    EXPECT_THAT(error_of_opening(), HasSubstr("no RDMA device can be used"));
}

// Memory of its own. -----------------------------------------------------------------------------

TEST_F(Devices, AllocatesFramesAsDmaBufs) {
    begin_confidential();
    const auto nic = machine_.open("");
    const auto heap = nic->open_heap();
    EXPECT_EQ(heap->name(), "nic");
    EXPECT_TRUE(heap->is_shared_heap());
    EXPECT_TRUE(heap->makes_dma_bufs());
    ExposureMeter meter;
    const DmaBuf buffer = heap->allocate(10000, Exposure::shared, meter);
    EXPECT_EQ(verbs().calls().back(), "ibv_free_buf"); // its dma-buf is held by the descriptor
    EXPECT_EQ(buffer.size(), 12288u);
    const Mapping mapping = buffer.map(Access::read_write);
    EXPECT_TRUE(test::all_are(mapping.bytes(), std::byte{0}));
    const auto region = nic->register_memory(buffer, RemoteAccess::write);
    EXPECT_EQ(region->identity(), buffer.identity());
    EXPECT_THROW(heap->allocate(4096, Exposure::private_memory, meter), Error);
}

TEST_F(Devices, WhoseMemoryIsNotSharedSaysSo) {
    const auto nic = machine_.open("");
    EXPECT_FALSE(nic->open_heap()->is_shared_heap());
}

TEST_F(Devices, WhoseMemoryCannotBeHadSaysWhy) {
    const auto error_of_allocating = [&](const Traits& traits, const char* call, int error) {
        begin(traits);
        if (error)
            verbs().fail(call, error);
        const auto nic = machine_.open("");
        ExposureMeter meter;
        return error_of([&] { nic->open_heap()->allocate(4096, Exposure::shared, meter); });
    };
    EXPECT_THAT(error_of_allocating({.allocates_dma_bufs = false}, "", 0),
                AllOf(HasSubstr("ibv_export_buf_dmabuf_fd: ENODATA"),
                      HasSubstr("IBV_DEVICE_CC_DMA_BOUNCE")));
    EXPECT_THAT(error_of_allocating({}, "ibv_alloc_buf", ENOMEM),
                AllOf(HasSubstr("ibv_alloc_buf: ENOMEM"), HasSubstr("clearframe doctor")));
    EXPECT_THAT(error_of_allocating({}, "ibv_export_buf_dmabuf_fd", EMFILE),
                HasSubstr("ibv_export_buf_dmabuf_fd: EMFILE"));
}

// What befalls it. -------------------------------------------------------------------------------

TEST_F(Devices, ThatFailEndTheWaitWithTheReason) {
    for (const ibv_event_type event :
         {IBV_EVENT_DEVICE_FATAL, IBV_EVENT_PORT_ERR, IBV_EVENT_CQ_ERR}) {
        begin({});
        const auto nic = machine_.open("");
        const EndpointPair ends = nic->connect_within(16);
        verbs().raise(event);
        EXPECT_THAT(error_of([&] { ends.receiver->wait(test::patience); }),
                    AllOf(HasSubstr("NIC fake0: it has failed"),
                          HasSubstr(ibv_event_type_str(event)), HasSubstr("dmesg")));
    }
}

// A reset: the device says so, and all work comes back failed. The reason is the device's.
TEST_F(Devices, ThatAreResetAreTheReasonOfTheWorkThatFails) {
    for (const char* const options : {"", "wait=poll"}) {
        begin({});
        const auto nic = machine_.open(options);
        const EndpointPair ends = nic->connect_within(16);
        ends.receiver->post_receives(1);
        post_one(*ends.sender, message(1, 1));
        verbs().raise(IBV_EVENT_DEVICE_FATAL);
        verbs().lie([](std::vector<ibv_wc>& completions, int count) {
            for (int i = 0; i < count; ++i)
                completions[static_cast<std::size_t>(i)].status = IBV_WC_WR_FLUSH_ERR;
            return count;
        });
        EXPECT_THAT(error_of([&] { ends.sender->wait(test::patience); }),
                    HasSubstr("NIC fake0: it has failed"));
    }
}

TEST_F(Devices, EventsThatDoNotEndItAreNoFailure) {
    const auto nic = machine_.open("");
    const EndpointPair ends = nic->connect_within(16);
    verbs().raise(IBV_EVENT_GID_CHANGE);
    EXPECT_EQ(ends.sender->wait(1'000'000), WaitResult::timed_out);
    ends.receiver->post_receives(1);
    post_one(*ends.sender, message(1, 1));
    EXPECT_EQ(reap_one(*ends.receiver).immediate, 1u);
}

// Several queue pairs. ---------------------------------------------------------------------------

// The limit is that of all of them, and the messages after it are in order as before.
TEST_F(Devices, ThePlainTransferTakesAllQueuePairs) {
    const auto nic = machine_.open("qps=4");
    const auto source = buffers_.source(*nic, 4096);
    const auto target = buffers_.target(*nic, 4096);
    const MemoryRegion* const from[] = {source.region.get()};
    const RemoteRange to[] = {
        {target.region->address(), target.region->length(), target.region->rkey()}};
    const EndpointPair ends = nic->connect_within(16);
    std::uint32_t sent = 0;
    for (int round = 0; round < 3; ++round) {
        plain_writes(*ends.sender, from, to, 0); // one write
        ends.receiver->post_receives(7);
        for (int i = 0; i < 7; ++i)
            post_one(*ends.sender, message(sent, sent + static_cast<std::uint32_t>(i)));
        for (const Completion& completion : test::reap(*ends.receiver, 7))
            EXPECT_EQ(completion.immediate, sent++);
        test::reap(*ends.sender, 7);
    }
    const std::size_t messages = 21;
    plain_writes(*ends.sender, from, to, 100'000);
    const std::vector<std::size_t> writes = verbs().writes();
    ASSERT_EQ(writes.size(), 8u); // the sender's four first
    EXPECT_GT(writes[0], messages / 4 + 1);
    for (std::size_t i = 0; i < 4; ++i)
        EXPECT_NEAR(static_cast<double>(writes[i]), static_cast<double>(writes[0]), 2);
    for (std::size_t i = 4; i < 8; ++i)
        EXPECT_EQ(writes[i], 0u);
}

// What it cannot do. -----------------------------------------------------------------------------

TEST_F(Devices, ThatCannotModerateSaySo) {
    begin({.moderates = false});
    EXPECT_THAT(error_of_opening("cq-moderation=8"),
                AllOf(HasSubstr("ibv_modify_cq"), HasSubstr("Leave it out")));
    EXPECT_EQ(error_of_opening(), "");
}

TEST_F(Devices, WritesOverTheirLimitAreRefused) {
    begin({.max_message = 1 << 20});
    const auto nic = machine_.open("");
    EXPECT_EQ(nic->info().max_message, 1u << 20);
    const EndpointPair ends = nic->connect_within(16);
    EXPECT_EQ(ends.sender->limits().max_message, 1u << 20);
}

TEST_F(Devices, OfNamesThatNobodyHasThereIsNone) {
    EXPECT_THAT(error_of_opening("device=mlx5_0"),
                AllOf(HasSubstr("there is no RDMA device mlx5_0"), HasSubstr("fake0")));
    EXPECT_THAT(error_of_opening("port=2"), HasSubstr("it has no port 2"));
    EXPECT_THAT(error_of_opening("mtu=4096"), "");
}

} // namespace
} // namespace clearframe::fake
