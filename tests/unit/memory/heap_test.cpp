#include "core/error.h"
#include "memory/heap.h"
#include "unit/memory/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

namespace clearframe {
namespace {

using test::FileSizeLimit;
using test::Machine;
using test::open_descriptors;
using test::Unprivileged;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string error_of(auto&& action, Failure failure) {
    try {
        action();
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), failure) << error.what();
        return error.what();
    }
    return "no error";
}

Candidate probe(const Machine& machine, std::string_view name) {
    for (Candidate& candidate : probe_heaps(machine.root()))
        if (candidate.name == name)
            return candidate;
    throw std::out_of_range("no such candidate");
}

std::string refusal(const Machine& machine, std::string_view name) {
    const Candidate candidate = probe(machine, name);
    EXPECT_FALSE(candidate.usable);
    return candidate.refusal;
}

TEST(Heaps, AreProbedBestFirst) {
    const Machine machine;
    const std::vector<Candidate> heaps = probe_heaps(machine.root());
    std::vector<std::string> names;
    for (const Candidate& heap : heaps) {
        names.push_back(heap.name);
        EXPECT_NE(heap.detail, "");
        EXPECT_EQ(heap.usable, heap.refusal.empty()) << heap.name;
        EXPECT_EQ(heap.emulated, !heap.name.starts_with("system_cc")) << heap.name;
        EXPECT_EQ(heap.emulated, !heap.emulation.empty()) << heap.name;
    }
    EXPECT_THAT(names, ElementsAre("system_cc_shared", "system_cc_decrypted", "system", "udmabuf",
                                   "memfd"));
    EXPECT_EQ(choose("heap", "auto", heaps).index, 4u);
}

TEST(Heaps, ProbingLeavesNothingBehind) {
    const std::size_t before = open_descriptors();
    probe_heaps();
    EXPECT_EQ(open_descriptors(), before);
}

TEST(Heaps, SharedHeapNeedsAConfidentialGuest) {
    Machine machine;
    machine.cpu_flags("fpu hypervisor").kernel("7.3.0");
    for (const char* heap : {"system_cc_shared", "system_cc_decrypted"})
        EXPECT_THAT(refusal(machine, heap),
                    AllOf(HasSubstr(heap), HasSubstr("ENOENT"), HasSubstr("confidential guest")));
}

TEST(Heaps, SharedHeapNeedsANewKernel) {
    Machine machine;
    machine.cpu_flags("fpu hypervisor tdx_guest").kernel("7.0.9-amd64");
    EXPECT_THAT(refusal(machine, "system_cc_shared"),
                AllOf(HasSubstr("7.0.9-amd64"), HasSubstr("7.1"), Not(HasSubstr("CONFIG"))));
    EXPECT_THAT(refusal(machine, "system_cc_decrypted"), HasSubstr("system_cc_shared"));
}

TEST(Heaps, SharedHeapNeedsItsKernelOption) {
    Machine machine;
    machine.cpu_flags("fpu hypervisor tdx_guest").kernel("7.3.0");
    EXPECT_THAT(refusal(machine, "system_cc_shared"),
                AllOf(HasSubstr("may lack CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED=y"),
                      HasSubstr("/proc/config.gz")));
    machine.file("boot/config-7.3.0", "# CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED is not set\n");
    EXPECT_THAT(refusal(machine, "system_cc_shared"),
                HasSubstr("built without it: needs CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED=y"));
    machine.file("boot/config-7.3.0", "CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED=y\n");
    EXPECT_THAT(refusal(machine, "system_cc_shared"), HasSubstr("container"));
}

TEST(Heaps, In71TheSharedHeapCameWithTheSystemHeap) {
    Machine machine;
    machine.cpu_flags("fpu hypervisor tdx_guest").kernel("7.1.4");
    machine.file("boot/config-7.1.4", "# CONFIG_DMABUF_HEAPS_SYSTEM is not set\n");
    EXPECT_THAT(refusal(machine, "system_cc_shared"),
                HasSubstr("needs CONFIG_DMABUF_HEAPS_SYSTEM=y"));
}

TEST(Heaps, OrdinaryHeapsNeedTheirKernelOptions) {
    Machine machine;
    machine.kernel("6.1.0");
    machine.file("boot/config-6.1.0", "CONFIG_UDMABUF=y\n");
    EXPECT_THAT(refusal(machine, "system"), HasSubstr("needs CONFIG_DMABUF_HEAPS_SYSTEM=y"));
    EXPECT_THAT(refusal(machine, "udmabuf"),
                AllOf(HasSubstr("has CONFIG_UDMABUF"), HasSubstr("container")));
}

TEST(Heaps, NodeThatMayNotBeOpened) {
    Machine machine;
    for (const char* node : {"dev/dma_heap/system_cc_shared", "dev/udmabuf"}) {
        machine.file(node);
        std::filesystem::permissions(machine.root() / node, std::filesystem::perms::none);
    }
    const Unprivileged nobody;
    EXPECT_THAT(refusal(machine, "system_cc_shared"),
                AllOf(HasSubstr("EACCES"), HasSubstr("uid"), HasSubstr("mode 0000"),
                      HasSubstr("SUBSYSTEM==\"dma_heap\", KERNEL==\"system_cc_shared\"")));
    EXPECT_THAT(refusal(machine, "udmabuf"),
                AllOf(HasSubstr("EACCES"), HasSubstr("SUBSYSTEM==\"misc\", KERNEL==\"udmabuf\"")));
}

TEST(Heaps, NodeThatIsNoHeap) {
    Machine machine;
    machine.file("dev/dma_heap/system").file("dev/udmabuf");
    EXPECT_THAT(refusal(machine, "system"),
                AllOf(HasSubstr("DMA_HEAP_IOCTL_ALLOC"), HasSubstr("ENOTTY")));
    EXPECT_THAT(refusal(machine, "udmabuf"),
                AllOf(HasSubstr("UDMABUF_CREATE"), HasSubstr("ENOTTY")));
}

TEST(Heaps, NothingPlaysSharedMemoryInAConfidentialGuestAsElsewhere) {
    Machine machine;
    const auto find = [&](std::string_view name) {
        for (Candidate& candidate : probe_frame_heaps(machine.root()))
            if (candidate.name == name)
                return candidate;
        throw std::out_of_range("no such candidate");
    };
    EXPECT_EQ(find("memfd").emulation, probe(machine, "memfd").emulation);
    EXPECT_THAT(find("udmabuf").refusal, HasSubstr("ENOENT"));

    machine.cpu_flags("fpu hypervisor sev_snp");
    const Candidate memfd = find("memfd");
    EXPECT_TRUE(memfd.usable);
    EXPECT_TRUE(memfd.emulated);
    EXPECT_THAT(memfd.emulation, HasSubstr("it is private, and emulated parts alone reach it"));
    EXPECT_TRUE(find("system").emulated);
    const Candidate udmabuf = find("udmabuf");
    EXPECT_FALSE(udmabuf.usable);
    EXPECT_THAT(udmabuf.refusal, AllOf(HasSubstr("is not for frames"), HasSubstr("bounces"),
                                       HasSubstr("Take system_cc_shared")));
    EXPECT_EQ(udmabuf.mend, "Take system_cc_shared");
    EXPECT_THAT(error_of([&] { choose("heap", "udmabuf", probe_frame_heaps(machine.root())); },
                         Failure::unavailable),
                HasSubstr("heap udmabuf cannot be used: it is not for frames"));
    // As a heap it is what it was.
    EXPECT_THAT(probe(machine, "udmabuf").refusal, HasSubstr("ENOENT"));
}

TEST(Heaps, DetailNamesTheGuest) {
    Machine machine;
    machine.cpu_flags("fpu hypervisor tdx_guest");
    EXPECT_THAT(probe(machine, "system_cc_shared").detail, HasSubstr("TDX"));
}

TEST(Heaps, OpenedByName) {
    const Machine machine;
    EXPECT_EQ(open_heap("memfd", machine.root())->name(), "memfd");
    EXPECT_THAT(error_of([&] { open_heap("system", machine.root()); }, Failure::unavailable),
                HasSubstr("dev/dma_heap/system: ENOENT"));
    EXPECT_THAT(error_of([&] { open_heap("sytem", machine.root()); }, Failure::usage),
                AllOf(HasSubstr("'sytem'"), HasSubstr("system, udmabuf, memfd")));
}

TEST(Heaps, PrivateHeapIsTheBestOrdinaryOne) {
    std::vector<Candidate> heaps{{.name = "system_cc_shared", .usable = true},
                                 {.name = "system", .refusal = "no node", .emulated = true},
                                 {.name = "memfd", .usable = true, .emulated = true}};
    const Choice choice = choose_private_heap(heaps);
    EXPECT_EQ(choice.index, 2u);
    ASSERT_EQ(choice.refused.size(), 1u);
    EXPECT_EQ(choice.refused[0].name, "system");
    EXPECT_EQ(choice.refused[0].reason, "no node");

    // Nor is udmabuf one in a confidential guest, though it can be opened there.
    std::vector<Candidate> guest_heaps{{.name = "udmabuf", .usable = true, .emulated = true},
                                       {.name = "memfd", .usable = true, .emulated = true}};
    EXPECT_EQ(choose_private_heap(frame_heaps(guest_heaps, {.kind = "none"})).index, 0u);
    EXPECT_EQ(choose_private_heap(frame_heaps(guest_heaps, {.kind = "TDX"})).index, 1u);

    heaps[2].usable = false;
    heaps[2].refusal = "no memory";
    EXPECT_THAT(error_of([&] { choose_private_heap(heaps); }, Failure::unavailable),
                AllOf(HasSubstr("private"), HasSubstr("no node"), HasSubstr("no memory")));
}

class MemfdHeapTest : public testing::Test {
protected:
    std::string allocation_error(std::size_t bytes, Failure failure = Failure::run) {
        const std::size_t before = open_descriptors();
        std::string text =
            error_of([&] { heap_->allocate(bytes, Exposure::shared, meter_); }, failure);
        EXPECT_EQ(open_descriptors(), before);
        EXPECT_EQ(meter_.now_bytes(), 0u);
        return text;
    }

    std::unique_ptr<Heap> heap_ = open_heap("memfd");
    ExposureMeter meter_;
};

TEST_F(MemfdHeapTest, MoreThanTheMemoryIsRefused) {
    const FileSizeLimit spare_the_machine(1 << 30); // should this test ever fail
    EXPECT_THAT(allocation_error(std::size_t{1} << 46),
                AllOf(HasSubstr("heap memfd"), HasSubstr(" free"), HasSubstr("ENOMEM"),
                      HasSubstr("--ring")));
}

TEST_F(MemfdHeapTest, KernelThatRefusesThePages) {
    const FileSizeLimit limit(1 << 20);
    EXPECT_THAT(allocation_error(2 << 20),
                AllOf(HasSubstr("fallocate"), HasSubstr("EFBIG"), HasSubstr("ulimit -f")));
}

// A page that is missing later would end the program by SIGBUS.
TEST_F(MemfdHeapTest, HasAllItsPagesFromTheStart) {
    const DmaBuf buffer = heap_->allocate(1 << 20, Exposure::shared, meter_);
    struct stat status {};
    ASSERT_EQ(fstat(buffer.fd(), &status), 0);
    EXPECT_GE(status.st_blocks * 512, 1 << 20);
}

TEST_F(MemfdHeapTest, CannotShrinkUnderAMapping) {
    const DmaBuf buffer = heap_->allocate(8192, Exposure::shared, meter_);
    EXPECT_EQ(ftruncate(buffer.fd(), 4096), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_FALSE(buffer.is_dma_buf());
}

} // namespace
} // namespace clearframe
