// The same kernel as an ordinary guest: no heap of shared memory, no forced bounce buffers.
#include "coco_guest/edu.h"
#include "coco_guest/support.h"
#include "memory/guest.h"

#include <gmock/gmock.h>

namespace clearframe::guest {
namespace {

using testing::HasSubstr;

class PlainGuestTest : public GuestTest {};

TEST_F(PlainGuestTest, HasNoHeapOfSharedMemory) {
    EXPECT_FALSE(std::filesystem::exists("/dev/dma_heap/system_cc_shared"));
    EXPECT_TRUE(std::filesystem::exists("/dev/dma_heap/system"));
    EXPECT_EQ(detect_guest().kind, "none");
    const std::vector<Candidate> heaps = probe_heaps();
    EXPECT_EQ(heaps[choose("heap", "auto", heaps).index].name, "system");
    ASSERT_EQ(heaps[0].name, shared_heap);
    EXPECT_FALSE(heaps[0].usable);
    EXPECT_THAT(heaps[0].refusal, HasSubstr("confidential guest"));
}

TEST_F(PlainGuestTest, MapsOrdinaryMemoryForADeviceDirectly) {
    for (const std::size_t size : {std::size_t{16} << 10, std::size_t{8} << 20}) {
        const DmaBuf buffer = allocate("system", size);
        Edu edu;
        ASSERT_EQ(edu.map(buffer.fd()), 0) << size;
        EXPECT_EQ(edu.mapped().direct, edu.mapped().segments);
        EXPECT_EQ(edu.mapped().dma_address, edu.mapped().physical);
    }
}

} // namespace
} // namespace clearframe::guest
