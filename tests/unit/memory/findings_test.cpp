#include "memory/findings.h"
#include "unit/memory/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

namespace clearframe {
namespace {

using test::Machine;
using test::Unprivileged;
using testing::AllOf;
using testing::HasSubstr;

const Finding& about(const Report& report, std::string_view subject) {
    for (const Finding& finding : report.findings)
        if (finding.subject == subject)
            return finding;
    ADD_FAILURE() << "no finding about " << subject;
    static const Finding none;
    return none;
}

void expect(const Finding& finding, Health health, std::string_view sentence,
            std::string_view mend) {
    EXPECT_EQ(health_name(finding.health), health_name(health)) << finding.sentence;
    EXPECT_THAT(finding.sentence, HasSubstr(sentence));
    if (mend.empty())
        EXPECT_EQ(finding.mend, "");
    else
        EXPECT_THAT(finding.mend, HasSubstr(mend));
}

TEST(GuestFindings, EachKind) {
    Machine machine;
    expect(about(report_guest(machine.root()), "kind"), Health::missing,
           "nothing says that this is a confidential guest", "Start it as SEV-SNP or TDX");
    machine.file("dev/dma_heap/system_cc_shared");
    expect(about(report_guest(machine.root()), "kind"), Health::attention,
           "confidential, kind unknown: /dev/dma_heap/system_cc_shared", "modprobe msr");
    for (const auto& [flags, kind] : {std::pair{"hypervisor sev", "SEV (CPU flag sev)"},
                                      {"hypervisor sev sev_es", "SEV-ES"},
                                      {"hypervisor sev sev_snp", "SEV-SNP"},
                                      {"hypervisor tdx_guest", "TDX"}}) {
        machine.cpu_flags(flags);
        expect(about(report_guest(machine.root()), "kind"), Health::good, kind, "");
    }
}

TEST(KernelFindings, Version) {
    Machine machine;
    expect(about(report_kernel(machine.root()), "version"), Health::attention, "does not say",
           "Mount /proc");
    expect(about(report_kernel(machine.kernel("7.0.9").root()), "version"), Health::missing,
           "Linux 7.0.9 is too old", "Boot Linux 7.1 or later");
    expect(about(report_kernel(machine.kernel("7.1.0").root()), "version"), Health::attention,
           "do not say yet", "7.2 or later");
    expect(about(report_kernel(machine.kernel("7.3.0").root()), "version"), Health::good,
           "Linux 7.3.0", "");
}

TEST(KernelFindings, WhatItWasBuiltWith) {
    Machine machine;
    machine.kernel("7.3.0");
    expect(about(report_kernel(machine.root()), "Kconfig"), Health::attention, "no file",
           "/boot/config-7.3.0");
    machine.file("boot/config-7.3.0", "CONFIG_DMABUF_HEAPS_SYSTEM=y\nCONFIG_UDMABUF=y\n");
    const Report report = report_kernel(machine.root());
    expect(about(report, "Kconfig"), Health::good,
           "/boot/config-7.3.0 has CONFIG_DMABUF_HEAPS_SYSTEM, CONFIG_UDMABUF", "");
    expect(about(report, "CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED"), Health::missing,
           "heap system_cc_shared", "CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED=y");
    expect(about(report, "CONFIG_INFINIBAND_USER_ACCESS"), Health::missing, "RDMA", "=y");
    expect(about(report, "CONFIG_RDMA_RXE"), Health::attention, "soft-RoCE", "=y");
}

TEST(KernelFindings, In71TheSharedHeapCameWithTheSystemHeap) {
    Machine machine;
    machine.kernel("7.1.2").file("boot/config-7.1.2", "CONFIG_UDMABUF=y\n");
    expect(about(report_kernel(machine.root()), "CONFIG_DMABUF_HEAPS_SYSTEM"), Health::missing,
           "system_cc_shared", "=y");
    machine.kernel("6.1").file("boot/config-6.1", "CONFIG_UDMABUF=y\n");
    expect(about(report_kernel(machine.root()), "CONFIG_DMABUF_HEAPS_SYSTEM"), Health::attention,
           "so there is no heap system", "=y");
}

TEST(HeapFindings, SayTheReasonOfEachAndWhatMendsIt) {
    Machine machine;
    const Report nothing = report_heaps(machine.root());
    expect(about(nothing, "system_cc_shared"), Health::missing,
           "dev/dma_heap/system_cc_shared: ENOENT", "start it as SEV-SNP or TDX");
    expect(about(nothing, "system_cc_decrypted"), Health::attention, "ENOENT", "older name");
    expect(about(nothing, "memfd"), Health::attention, "emulated: memfd plays shared memory",
           "See system_cc_shared");
    EXPECT_TRUE(nothing.real.empty());

    machine.cpu_flags("hypervisor tdx_guest").kernel("6.18.0");
    expect(about(report_heaps(machine.root()), "udmabuf"), Health::attention,
           "it is not for frames", "Take system_cc_shared");
    expect(about(report_heaps(machine.root()), "memfd"), Health::attention,
           "emulated parts alone reach it", "See system_cc_shared");
    expect(about(report_heaps(machine.root()), "system_cc_shared"), Health::missing, "ENOENT",
           "too old");
    machine.kernel("7.3.0").file("boot/config-7.3.0", "CONFIG_UDMABUF=y\n");
    expect(about(report_heaps(machine.root()), "system_cc_shared"), Health::missing, "ENOENT",
           "needs CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED=y");
    machine.file("dev/dma_heap/system_cc_shared");
    std::filesystem::permissions(machine.root() / "dev/dma_heap/system_cc_shared",
                                 std::filesystem::perms::none);
    const Unprivileged nobody;
    expect(about(report_heaps(machine.root()), "system_cc_shared"), Health::missing, "EACCES",
           "SUBSYSTEM==\"dma_heap\"");
}

TEST(HeapFindings, EveryUsableHeapIsMappedAndPinned) {
    const Machine machine;
    std::vector<std::string> importers;
    for (const ImportTrial& trial : report_heaps(machine.root()).trials) {
        EXPECT_EQ(trial.heap, "memfd");
        EXPECT_TRUE(trial.imported()) << trial.error;
        importers.push_back(trial.importer);
    }
    EXPECT_THAT(importers, testing::ElementsAre("mmap", "writes kept over DMA_BUF_IOCTL_SYNC",
                                                "pages pinned (vmsplice)"));
}

TEST(HeapFindings, LeaveNothingOpen) {
    const Machine machine;
    report_heaps(machine.root());
    const std::size_t before = test::open_descriptors();
    report_heaps(machine.root());
    EXPECT_EQ(test::open_descriptors(), before);
}

TEST(HeapFindings, NoDescriptorLeft) {
    const Machine machine;
    const test::NoDescriptors none;
    const Report report = report_heaps(machine.root());
    expect(about(report, "memfd"), Health::attention, "EMFILE", "ulimit -n");
    EXPECT_TRUE(report.trials.empty());
}

Machine& swiotlb(Machine& machine, std::string_view slots, std::string_view used,
                 std::string_view most) {
    return machine.file("sys/kernel/debug/swiotlb/io_tlb_nslabs", slots)
        .file("sys/kernel/debug/swiotlb/io_tlb_used", used)
        .file("sys/kernel/debug/swiotlb/io_tlb_used_hiwater", most);
}

TEST(SwiotlbFindings, SizeUsedAndHighWater) {
    Machine machine;
    swiotlb(machine, "32768\n", "500\n", "1000\n");
    expect(about(report_swiotlb(machine.root()), "pool"), Health::good,
           "67.1 MB, 1.0 MB in use, 2.0 MB at most so far", "");
    swiotlb(machine, "32768\n", "500\n", "32000\n");
    expect(about(report_swiotlb(machine.root()), "pool"), Health::attention, "nearly full",
           "swiotlb=65536");
}

TEST(SwiotlbFindings, NoneNotMountedOrNotReadable) {
    Machine machine;
    expect(about(report_swiotlb(machine.root()), "pool"), Health::attention, "not mounted",
           "mount -t debugfs");
    machine.file("sys/kernel/debug/something");
    expect(about(report_swiotlb(machine.root()), "pool"), Health::good, "bounces nothing", "");
    swiotlb(machine, "many\n", "", "");
    expect(about(report_swiotlb(machine.root()), "pool"), Health::attention, "EINVAL", "dmesg");
    std::filesystem::permissions(machine.root() / "sys/kernel/debug", std::filesystem::perms::none);
    {
        const Unprivileged nobody;
        expect(about(report_swiotlb(machine.root()), "pool"), Health::attention, "root alone",
               "sudo clearframe doctor");
    }
    std::filesystem::permissions(machine.root() / "sys/kernel/debug", std::filesystem::perms::all);
}

TEST(LimitFindings, LockedMemoryAndOpenFiles) {
    Machine machine;
    const auto limits = [&](std::string_view locked, std::string_view files) {
        machine.file("proc/self/limits",
                     "Limit                     Soft Limit           Hard Limit           Units\n"
                     "Max open files            " +
                         std::string(files) + "  4096  files\nMax locked memory         " +
                         std::string(locked) + "  unlimited  bytes\n");
        return report_limits(machine.root());
    };
    expect(about(report_limits(machine.root()), "locked memory"), Health::attention, "does not say",
           "Mount /proc");
    expect(about(report_limits(machine.root()), "open files"), Health::attention, "does not say",
           "Mount /proc");
    expect(about(limits("8388608", "256"), "locked memory"), Health::attention, "at most 8.4 MB",
           "ulimit -l");
    expect(about(limits("8388608", "256"), "open files"), Health::attention, "at most 256",
           "ulimit -n 1024");
    expect(about(limits("67108864", "1024"), "locked memory"), Health::good, "at most 67.1 MB", "");
    expect(about(limits("67108864", "1024"), "open files"), Health::good, "at most 1024", "");
    expect(about(limits("unlimited", "1024"), "locked memory"), Health::good, "no limit", "");
    machine.file("proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n");
    expect(about(limits("65536", "1024"), "locked memory"), Health::good, "CAP_IPC_LOCK", "");
    machine.file("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffbfff\n");
    expect(about(limits("65536", "1024"), "locked memory"), Health::attention, "at most 65.5 kB",
           "ulimit -l");
}

} // namespace
} // namespace clearframe
