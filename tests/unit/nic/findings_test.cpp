#include "nic/findings.h"
#include "nic/rdma_devices.h"
#include "nic/verbs.h"
#include "unit/memory/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clearframe {
namespace {

using test::Machine;
using testing::HasSubstr;

const Finding* find(const Report& report, std::string_view subject) {
    for (const Finding& finding : report.findings)
        if (finding.subject == subject)
            return &finding;
    return nullptr;
}

void expect(const Report& report, std::string_view subject, Health health,
            std::string_view sentence, std::string_view mend) {
    const Finding* const finding = find(report, subject);
    ASSERT_TRUE(finding) << subject;
    EXPECT_EQ(health_name(finding->health), health_name(health)) << subject;
    EXPECT_THAT(finding->sentence, HasSubstr(sentence));
    if (mend.empty())
        EXPECT_EQ(finding->mend, "");
    else
        EXPECT_THAT(finding->mend, HasSubstr(mend));
}

Machine& port(Machine& machine, const std::string& device, std::string_view state) {
    const std::string folder = "sys/class/infiniband/" + device + "/ports/1/";
    return machine.file(folder + "state", state).file(folder + "link_layer", "Ethernet\n");
}

Machine& gid(Machine& machine, const std::string& device, const std::string& index,
             std::string_view value, std::string_view type) {
    const std::string folder = "sys/class/infiniband/" + device + "/ports/1/";
    return machine.file(folder + "gids/" + index, value)
        .file(folder + "gid_attrs/types/" + index, type)
        .file(folder + "gid_attrs/ndevs/" + index, "eth1\n");
}

TEST(RdmaDevices, AreReadFromSys) {
    Machine machine;
    EXPECT_TRUE(list_rdma_devices(machine.root()).empty());
    port(machine, "mlx5_10", "1: DOWN\n");
    port(machine, "mlx5_2", "4: ACTIVE\n");
    machine.file("sys/class/infiniband/mlx5_2/device/vendor")
        .file("sys/class/infiniband_verbs/uverbs0/ibdev", "mlx5_2\n");
    gid(machine, "mlx5_2", "0", "fe80:0000:0000:0000:0000:0000:0000:0001\n", "IB/RoCE v1\n");
    gid(machine, "mlx5_2", "1", "fe80:0000:0000:0000:0000:0000:0000:0001\n", "RoCE v2\n");
    gid(machine, "mlx5_2", "2", "0000:0000:0000:0000:0000:ffff:0a00:0001\n", "IB/RoCE v1\n");
    gid(machine, "mlx5_2", "3", "0000:0000:0000:0000:0000:ffff:0a00:0001\n", "RoCE v2\n");
    gid(machine, "mlx5_2", "10", "0000:0000:0000:0000:0000:0000:0000:0000\n", "RoCE v2\n");
    const std::vector<RdmaDevice> devices = list_rdma_devices(machine.root());
    ASSERT_EQ(devices.size(), 2u);
    EXPECT_EQ(devices[0].name, "mlx5_2");
    EXPECT_EQ(devices[0].node, "uverbs0");
    EXPECT_TRUE(devices[0].hardware);
    ASSERT_EQ(devices[0].ports.size(), 1u);
    EXPECT_TRUE(devices[0].ports[0].active());
    EXPECT_EQ(devices[0].ports[0].gid_index, "3");
    EXPECT_EQ(devices[0].ports[0].gid_type, "RoCE v2");
    EXPECT_EQ(devices[1].name, "mlx5_10");
    EXPECT_EQ(devices[1].node, "");
    EXPECT_FALSE(devices[1].hardware);
    EXPECT_FALSE(devices[1].ports[0].active());
}

TEST(NicFindings, NoDeviceSaysHowToMakeOne) {
    Machine machine;
    machine.file("sys/class/net/lo/operstate", "unknown\n")
        .file("sys/class/net/ens3/operstate", "up\n");
    expect(report_nics(machine.root()), "devices", Health::missing, "has none",
           "modprobe rdma_rxe; rdma link add rxe0 type rxe netdev ens3");
}

TEST(NicFindings, SayWhatAStartWouldTake) {
    const Machine machine;
    const Report report = report_nics(machine.root());
    ASSERT_TRUE(find(report, "NIC emulated"));
    // Whether its devices can be opened, a picture does not say.
    EXPECT_FALSE(find(report, "NIC verbs"));
    EXPECT_TRUE(find(report_nics("/"), "NIC verbs"));
    EXPECT_TRUE(report.real.empty());
}

TEST(NicFindings, PortsAndNodes) {
    Machine machine;
    port(machine, "rxe0", "1: DOWN\n");
    expect(report_nics(machine.root()), "rxe0", Health::attention, "emulated", "RDMA NIC");
    expect(report_nics(machine.root()), "rxe0 port 1", Health::missing, "DOWN, Ethernet",
           "subnet manager");
    expect(report_nics(machine.root()), "rxe0, verbs", Health::missing, "ib_uverbs is not loaded",
           "modprobe ib_uverbs");
    gid(machine, "rxe0", "0", "0000:0000:0000:0000:0000:0000:0000:0000\n", "RoCE v2\n");
    expect(report_nics(machine.root()), "rxe0 port 1", Health::missing, "DOWN",
           "ip link set eth1 up");
    port(machine, "rxe0", "4: ACTIVE\n");
    expect(report_nics(machine.root()), "rxe0 port 1", Health::missing, "without a GID",
           "ip addr add");
    gid(machine, "rxe0", "1", "0000:0000:0000:0000:0000:ffff:0a00:0001\n", "RoCE v2\n");
    expect(report_nics(machine.root()), "rxe0 port 1", Health::good,
           "ACTIVE, Ethernet, GID 1 0000:0000:0000:0000:0000:ffff:0a00:0001 (RoCE v2)", "");
    machine.file("sys/class/infiniband/rxe0/device/vendor")
        .file("sys/class/infiniband_verbs/uverbs0/ibdev", "rxe0\n");
    expect(report_nics(machine.root()), "rxe0", Health::good, "hardware", "");
    expect(report_nics(machine.root()), "rxe0, verbs", Health::attention, "not tried",
           "without --root");
}

TEST(Verbs, ADeviceThatIsNotThere) {
    try {
        open_verbs_device("no_such_device");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::unavailable);
        EXPECT_FALSE(error.advice().empty() && error.reason().empty());
    }
}

TEST(Verbs, TheLibraryIsAsBuilt) {
    const VerbsLibrary library = verbs_library();
    EXPECT_TRUE(library.built_in || library.version.empty());
}

} // namespace
} // namespace clearframe
