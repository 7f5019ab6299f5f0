#include "memory/guest.h"
#include "unit/memory/support.h"

#include <gtest/gtest.h>

#include <zlib.h>

#include <cstdint>
#include <string>

namespace clearframe {
namespace {

using test::Machine;

std::string kind(const Machine& machine) { return detect_guest(machine.root()).kind; }

void write_sev_status(Machine& machine, std::uint64_t status) {
    machine.file("dev/cpu/0/msr");
    std::ofstream file(machine.root() / "dev/cpu/0/msr", std::ios::binary);
    file.seekp(0xc0010131);
    file.write(reinterpret_cast<const char*>(&status), sizeof(status));
}

TEST(Guest, EmptyMachineIsNone) {
    const Machine machine;
    const ConfidentialGuest guest = detect_guest(machine.root());
    EXPECT_EQ(guest.kind, "none");
    EXPECT_EQ(guest.evidence, "");
    EXPECT_FALSE(guest.confidential());
}

TEST(Guest, OrdinaryGuestIsNone) {
    Machine machine;
    EXPECT_EQ(kind(machine.cpu_flags("fpu avx2 hypervisor sevx")), "none");
}

TEST(Guest, TdxByFlagOrDevice) {
    Machine flag, device;
    EXPECT_EQ(kind(flag.cpu_flags("fpu hypervisor tdx_guest")), "TDX");
    EXPECT_EQ(kind(device.file("dev/tdx_guest")), "TDX");
}

TEST(Guest, SevByFlags) {
    Machine machine;
    EXPECT_EQ(kind(machine.cpu_flags("fpu hypervisor sev sev_es sev_snp")), "SEV-SNP");
    EXPECT_EQ(kind(machine.cpu_flags("fpu hypervisor sev sev_es")), "SEV-ES");
    EXPECT_EQ(kind(machine.cpu_flags("fpu hypervisor sev")), "SEV");
    EXPECT_EQ(detect_guest(machine.root()).evidence, "CPU flag sev");
}

TEST(Guest, HostOfSevGuestsIsNone) {
    Machine machine;
    write_sev_status(machine, 0);
    EXPECT_EQ(kind(machine.cpu_flags("fpu sme sev sev_es sev_snp")), "none");
}

TEST(Guest, SevByMsr) {
    Machine machine;
    write_sev_status(machine, 1);
    EXPECT_EQ(kind(machine), "SEV");
    write_sev_status(machine, 3);
    EXPECT_EQ(kind(machine), "SEV-ES");
    write_sev_status(machine, 7);
    EXPECT_EQ(kind(machine), "SEV-SNP");
}

TEST(Guest, SnpByDevice) {
    Machine device, sysfs;
    EXPECT_EQ(kind(device.file("dev/sev-guest")), "SEV-SNP");
    EXPECT_EQ(kind(sysfs.file("sys/devices/system/cpu/sev/vmpl", "0\n")), "SEV-SNP");
}

TEST(Guest, SharedHeapAloneIsUnknown) {
    Machine machine;
    machine.file("dev/dma_heap/system_cc_decrypted");
    const ConfidentialGuest guest = detect_guest(machine.root());
    EXPECT_EQ(guest.kind, "unknown");
    EXPECT_TRUE(guest.confidential());
    EXPECT_EQ(guest.evidence, "/dev/dma_heap/system_cc_decrypted");
}

TEST(Guest, ThisMachineIsDetectedWithoutError) { EXPECT_NE(detect_guest().kind, ""); }

TEST(Guest, KernelRelease) {
    Machine machine;
    EXPECT_EQ(kernel_release(machine.root()), "");
    EXPECT_EQ(kernel_release(machine.kernel("7.3.1-amd64").root()), "7.3.1-amd64");
    EXPECT_NE(kernel_release(), "");
}

TEST(Guest, KernelAtLeast) {
    EXPECT_TRUE(kernel_at_least("7.1.0-amd64", 7, 1));
    EXPECT_TRUE(kernel_at_least("7.10", 7, 9));
    EXPECT_TRUE(kernel_at_least("10.0", 7, 1));
    EXPECT_FALSE(kernel_at_least("7.0.12", 7, 1));
    EXPECT_FALSE(kernel_at_least("6.18.44", 7, 1));
    EXPECT_TRUE(kernel_at_least("", 7, 1));
}

TEST(Guest, KernelBuild) {
    Machine machine;
    machine.kernel("7.3");
    EXPECT_EQ(KernelConfig(machine.root()).has("CONFIG_UDMABUF"), std::nullopt);
    machine.file("lib/modules/7.3/config", "CONFIG_UDMABUF_OTHER=y\nCONFIG_UDMABUF=y\n"
                                           "# CONFIG_DMABUF_HEAPS is not set\nCONFIG_OFF=n\n");
    EXPECT_EQ(KernelConfig(machine.root()).has("CONFIG_UDMABUF"), true);
    EXPECT_EQ(KernelConfig(machine.root()).has("CONFIG_DMABUF_HEAPS"), false);
    EXPECT_EQ(KernelConfig(machine.root()).has("CONFIG_OFF"), false);
    EXPECT_EQ(KernelConfig(machine.root()).has("CONFIG_NEVER_HEARD_OF"), false);
    EXPECT_EQ(KernelConfig(machine.root()).source(), "/lib/modules/7.3/config");
    machine.file("boot/config-7.3", "CONFIG_DMABUF_HEAPS=y\n");
    EXPECT_EQ(KernelConfig(machine.root()).has("CONFIG_DMABUF_HEAPS"), true);
    EXPECT_EQ(KernelConfig(machine.root()).source(), "/boot/config-7.3");
}

// The running kernel's own word comes first.
TEST(Guest, KernelBuildOfProc) {
    Machine machine;
    machine.kernel("7.3").file("boot/config-7.3", "CONFIG_UDMABUF=y\n").file("proc/config.gz");
    const std::string file = (machine.root() / "proc/config.gz").string();
    const gzFile packed = gzopen(file.c_str(), "wb");
    ASSERT_TRUE(packed);
    EXPECT_GT(gzputs(packed, "# CONFIG_UDMABUF is not set\nCONFIG_RDMA_RXE=m\n"), 0);
    ASSERT_EQ(gzclose(packed), Z_OK);
    const KernelConfig config(machine.root());
    EXPECT_EQ(config.source(), "/proc/config.gz");
    EXPECT_EQ(config.has("CONFIG_UDMABUF"), false);
    EXPECT_EQ(config.has("CONFIG_RDMA_RXE"), true);
}

} // namespace
} // namespace clearframe
