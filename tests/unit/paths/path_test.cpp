// What each path does to a frame: which memory it posts, and what it copies.
#include "core/error.h"
#include "paths/receive_memory.h"
#include "paths/table.h"
#include "support/fake_nic.h"

#include <gtest/gtest.h>

#include <fcntl.h>

#include <cstring>

namespace clearframe {
namespace {

class Paths : public testing::Test {
protected:
    PathParts parts(std::uint32_t width, std::uint32_t height, std::uint32_t max_message = 1u << 30,
                    std::size_t pool = 0, Bounce bounce = Bounce::nic) {
        return {.shared_heap = *heap,
                .private_heap = *heap,
                .nic = nic,
                .exposure = exposure,
                .layout = make_frame_layout(width, height, width * bytes_per_pixel, 64),
                .ring = 2,
                .max_message = max_message,
                .staging = {.pool_bytes = pool},
                .bounce = bounce};
    }

    static OutgoingFrame frame(std::uint32_t slot) {
        return {.slot = slot,
                .remote = {.address = 0x1000'0000, .rkey = 77},
                .tag = {.generation = 5, .remote_slot = 1},
                .immediate = 0xabcd};
    }

    // Fills a slot with bytes that all differ from their neighbours.
    static void fill(const DmaBuf& slot) {
        const Mapping mapping = slot.map(Access::read_write);
        for (std::size_t i = 0; i < slot.size(); ++i)
            mapping.bytes()[i] = static_cast<std::byte>(i * 7 + i / 4096);
    }

    std::unique_ptr<Heap> heap = open_heap("memfd");
    FakeNic nic;
    FakeEndpoint endpoint;
    ExposureMeter exposure;
    SendMeter meter;
    ReceiveMeter received{1'000'000'000};
};

TEST_F(Paths, ZeroCopyPostsTheRenderedBufferItself) {
    const auto path = find_path("zero-copy")->make_send(parts(640, 480), endpoint);
    OutgoingFrame out = frame(1);
    ASSERT_EQ(path->advance(out, meter), Progress::posted);

    ASSERT_EQ(endpoint.posted.size(), 1u);
    const WriteRequest& write = endpoint.posted[0];
    EXPECT_EQ(write.local->identity(), BufferIdentity::of(path->slots()[1].fd()));
    EXPECT_EQ(write.local_offset, 0u);
    EXPECT_EQ(write.length, parts(640, 480).layout.bytes);
    EXPECT_EQ(write.remote_address, 0x1000'0000u);
    EXPECT_EQ(write.rkey, 77u);
    EXPECT_EQ(write.immediate, 0xabcdu);
    EXPECT_TRUE(WriteTag::decode(write.wr_id).last);
    EXPECT_EQ(WriteTag::decode(write.wr_id).generation, 5u);
    EXPECT_EQ(meter.copied_bytes.get(), 0u);
    EXPECT_FALSE(path->frees_slot_when_posted());
    for (const Exposure part : nic.registered)
        EXPECT_EQ(part, Exposure::shared);
}

// A copy made in secret would have to write to the slot or read it through a mapping: the memory is
// given to the path with no mapping in this process, and has none afterwards.
TEST_F(Paths, ZeroCopyDoesNotEvenMapTheFrame) {
    const auto maps = [](const DmaBuf& slot) {
        const auto inode = " " + std::to_string(slot.identity().inode) + " ";
        std::size_t count = 0;
        std::FILE* file = std::fopen("/proc/self/maps", "re");
        for (char line[512]; file && std::fgets(line, sizeof(line), file);)
            count += std::strstr(line, inode.c_str()) != nullptr;
        if (file)
            std::fclose(file);
        return count;
    };
    const auto path = find_path("zero-copy")->make_send(parts(640, 480), endpoint);
    OutgoingFrame out = frame(0);
    ASSERT_EQ(path->advance(out, meter), Progress::posted);
    EXPECT_EQ(maps(path->slots()[0]), 0u);
    const Mapping mapping = path->slots()[0].map(Access::read);
    EXPECT_EQ(maps(path->slots()[0]), 1u) << "the test cannot see mappings";
}

TEST_F(Paths, ZeroCopySplitsAFrameOverTheMessageLimit) {
    const auto path = find_path("zero-copy")->make_send(parts(640, 480, 500'000), endpoint);
    OutgoingFrame out = frame(0);
    ASSERT_EQ(path->advance(out, meter), Progress::posted);
    ASSERT_EQ(endpoint.posted.size(), 3u);
    std::uint64_t offset = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        const WriteRequest& write = endpoint.posted[i];
        EXPECT_EQ(write.local_offset, offset);
        EXPECT_EQ(write.remote_address, 0x1000'0000u + offset);
        EXPECT_EQ(write.immediate.has_value(), i == 2);
        EXPECT_EQ(write.signaled, i == 2);
        EXPECT_EQ(WriteTag::decode(write.wr_id).last, i == 2);
        offset += write.length;
    }
    EXPECT_EQ(offset, parts(640, 480).layout.bytes);
    const ReceiveMemory memory(parts(640, 480));
    EXPECT_EQ(
        find_path("zero-copy")->make_receive(parts(640, 480, 500'000), memory)->last_write_bytes(),
        endpoint.posted.back().length);
}

TEST_F(Paths, ZeroCopyGoesOnWhereAFullQueueStoppedIt) {
    const auto path = find_path("zero-copy")->make_send(parts(640, 480, 500'000), endpoint);
    endpoint.room = 1;
    OutgoingFrame out = frame(0);
    EXPECT_EQ(path->advance(out, meter), Progress::blocked);
    EXPECT_EQ(path->advance(out, meter), Progress::blocked);
    endpoint.room = 2;
    EXPECT_EQ(path->advance(out, meter), Progress::posted);
    ASSERT_EQ(endpoint.posted.size(), 3u);
    EXPECT_EQ(endpoint.posted[2].local_offset, 1'000'000u);
}

// Plays the NIC: carries out the posted writes from the pool into `target`, and completes them.
void carry_out(FakeEndpoint& endpoint, SendPath& path, std::span<const std::byte> pool,
               std::vector<std::byte>& target) {
    for (const WriteRequest& write : endpoint.posted) {
        const std::uint64_t at = write.remote_address - 0x1000'0000;
        ASSERT_LE(at + write.length, target.size());
        std::memcpy(target.data() + at, pool.data() + write.local_offset, write.length);
        path.completed(WriteTag::decode(write.wr_id));
    }
    endpoint.posted.clear();
}

// The pool's memory is the only shared one that the staging path has on the sending side.
Mapping map_by_identity(const BufferIdentity& wanted, std::size_t bytes) {
    for (int fd = 3; fd < 256; ++fd)
        if (::fcntl(fd, F_GETFD) >= 0 && BufferIdentity::of(fd) == wanted)
            return Mapping(fd, bytes, Access::read, "the pool");
    return {};
}

TEST_F(Paths, StagingCopiesEveryByteOnceInPiecesOfSwiotlbsSize) {
    const auto path = find_path("staging")->make_send(parts(640, 480), endpoint);
    const std::uint64_t bytes = parts(640, 480).layout.bytes;
    fill(path->slots()[1]);
    const auto pool = path->regions();
    ASSERT_EQ(pool.size(), 1u);
    EXPECT_EQ(pool[0]->length() % swiotlb_mapping, 0u);

    OutgoingFrame out = frame(1);
    ASSERT_EQ(path->advance(out, meter), Progress::posted);
    EXPECT_EQ(endpoint.posted.size(), (bytes + swiotlb_mapping - 1) / swiotlb_mapping);
    for (const WriteRequest& write : endpoint.posted) {
        EXPECT_LE(write.length, swiotlb_mapping);
        EXPECT_EQ(write.local->identity(), pool[0]->identity());
    }
    EXPECT_EQ(meter.copied_bytes.get(), bytes);
    EXPECT_TRUE(path->frees_slot_when_posted());
    const ReceiveMemory memory(parts(640, 480));
    EXPECT_EQ(find_path("staging")->make_receive(parts(640, 480), memory)->last_write_bytes(),
              endpoint.posted.back().length);

    const Mapping pool_map = map_by_identity(pool[0]->identity(), pool[0]->length());
    ASSERT_FALSE(pool_map.bytes().empty());
    std::vector<std::byte> target(bytes);
    carry_out(endpoint, *path, pool_map.bytes(), target);
    const Mapping source = path->slots()[1].map(Access::read);
    EXPECT_EQ(std::memcmp(target.data(), source.bytes().data(), bytes), 0);
}

TEST_F(Paths, StagingRegistersNoPrivateMemory) {
    const auto path = find_path("staging")->make_send(parts(640, 480), endpoint);
    for (const DmaBuf& slot : path->slots())
        EXPECT_EQ(slot.exposure(), Exposure::private_memory);
    ASSERT_EQ(nic.registered.size(), 1u);
    EXPECT_EQ(nic.registered[0], Exposure::shared);
}

TEST_F(Paths, StagingWaitsForAFullPoolAndCountsIt) {
    const auto path =
        find_path("staging")->make_send(parts(640, 480, 1u << 30, 2 * swiotlb_mapping), endpoint);
    const std::uint64_t bytes = parts(640, 480).layout.bytes;
    fill(path->slots()[0]);
    const auto pool = path->regions();
    EXPECT_EQ(pool[0]->length(), 2 * swiotlb_mapping);
    const Mapping pool_map = map_by_identity(pool[0]->identity(), pool[0]->length());
    std::vector<std::byte> target(bytes);

    OutgoingFrame out = frame(0);
    std::uint64_t waits = 0;
    while (path->advance(out, meter) == Progress::blocked) {
        ASSERT_FALSE(endpoint.posted.empty());
        EXPECT_EQ(meter.pool_waits.get(), ++waits);
        carry_out(endpoint, *path, pool_map.bytes(), target);
    }
    EXPECT_GT(waits, 0u);
    carry_out(endpoint, *path, pool_map.bytes(), target);
    const Mapping source = path->slots()[0].map(Access::read);
    EXPECT_EQ(std::memcmp(target.data(), source.bytes().data(), bytes), 0);
    EXPECT_EQ(meter.copied_bytes.get(), bytes);
}

TEST_F(Paths, StagingKeepsWhatAFullQueueDidNotTake) {
    const auto path = find_path("staging")->make_send(parts(640, 480), endpoint);
    const std::uint64_t bytes = parts(640, 480).layout.bytes;
    fill(path->slots()[0]);
    const auto pool = path->regions();
    const Mapping pool_map = map_by_identity(pool[0]->identity(), pool[0]->length());
    std::vector<std::byte> target(bytes);
    OutgoingFrame out = frame(0);
    endpoint.room = 1;
    while (path->advance(out, meter) == Progress::blocked) {
        ASSERT_EQ(endpoint.posted.size(), 1u);
        carry_out(endpoint, *path, pool_map.bytes(), target);
        endpoint.room = 1;
    }
    carry_out(endpoint, *path, pool_map.bytes(), target);
    const Mapping source = path->slots()[0].map(Access::read);
    EXPECT_EQ(std::memcmp(target.data(), source.bytes().data(), bytes), 0);
    EXPECT_EQ(meter.copied_bytes.get(), bytes) << "a piece was copied twice";
}

TEST_F(Paths, StagingCopiesOutIntoPrivateMemory) {
    const ReceiveMemory memory(parts(320, 200));
    const std::uint64_t bytes = parts(320, 200).layout.bytes;
    const auto path = find_path("staging")->make_receive(parts(320, 200), memory);
    fill(memory.buffers[1]);
    const FrameView view = path->receive(1, received);
    ASSERT_EQ(view.size(), bytes);
    EXPECT_NE(view.data(), memory.mappings[1].bytes().data());
    EXPECT_EQ(std::memcmp(view.data(), memory.mappings[1].bytes().data(), bytes), 0);
    EXPECT_EQ(received.copied_bytes.get(), bytes);
}

TEST_F(Paths, ZeroCopyReceivesInPlace) {
    const ReceiveMemory memory(parts(320, 200));
    const auto path = find_path("zero-copy")->make_receive(parts(320, 200), memory);
    const FrameView view = path->receive(1, received);
    EXPECT_EQ(view.data(), memory.mappings[1].bytes().data());
    EXPECT_EQ(view.size(), parts(320, 200).layout.bytes);
    EXPECT_EQ(received.copied_bytes.get(), 0u);
}

TEST_F(Paths, BouncingForTheGpuTooCopiesTwiceAtEachEnd) {
    const PathParts both = parts(320, 200, 1u << 30, 0, Bounce::both);
    const std::uint64_t bytes = both.layout.bytes;
    const auto path = find_path("staging")->make_send(both, endpoint);
    EXPECT_EQ(path->slots()[0].exposure(), Exposure::shared);
    fill(path->slots()[0]);
    const auto pool = path->regions();
    const Mapping pool_map = map_by_identity(pool[0]->identity(), pool[0]->length());
    OutgoingFrame out = frame(0);
    ASSERT_EQ(path->advance(out, meter), Progress::posted);
    EXPECT_EQ(meter.copied_bytes.get(), 2 * bytes);
    std::vector<std::byte> target(bytes);
    carry_out(endpoint, *path, pool_map.bytes(), target);
    const Mapping source = path->slots()[0].map(Access::read);
    EXPECT_EQ(std::memcmp(target.data(), source.bytes().data(), bytes), 0);

    const ReceiveMemory memory(both);
    const auto receive = find_path("staging")->make_receive(both, memory);
    fill(memory.buffers[0]);
    const FrameView view = receive->receive(0, received);
    EXPECT_EQ(std::memcmp(view.data(), memory.mappings[0].bytes().data(), bytes), 0);
    EXPECT_EQ(received.copied_bytes.get(), 2 * bytes);
}

TEST_F(Paths, GiveAllSharedMemoryBack) {
    for (const PathType& type : path_types()) {
        {
            const auto path = type.make_send(parts(320, 200), endpoint);
            EXPECT_GT(exposure.now_bytes(), 0u);
        }
        EXPECT_EQ(exposure.now_bytes(), 0u) << type.name;
    }
    EXPECT_EQ(exposure.unzeroed_bytes(), 0u);
}

TEST(WriteTag, EveryFieldSurvives) {
    const WriteTag tag{.generation = 0xdeadbeef,
                       .remote_slot = 255,
                       .control = false,
                       .last = true,
                       .piece = 0x3fffff};
    const WriteTag back = WriteTag::decode(tag.encode());
    EXPECT_EQ(back.generation, tag.generation);
    EXPECT_EQ(back.remote_slot, tag.remote_slot);
    EXPECT_EQ(back.control, tag.control);
    EXPECT_EQ(back.last, tag.last);
    EXPECT_EQ(back.piece, tag.piece);
    EXPECT_TRUE(WriteTag::decode(WriteTag{.control = true}.encode()).control);
}

} // namespace
} // namespace clearframe
