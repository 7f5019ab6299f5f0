#include "gpu/findings.h"
#include "unit/memory/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

namespace clearframe {
namespace {

using test::Machine;
using test::Unprivileged;
using testing::AllOf;
using testing::HasSubstr;

TEST(DrmFindings, NoNodes) {
    const Machine machine;
    const Report report = report_drm(machine.root());
    ASSERT_EQ(report.findings.size(), 1u);
    EXPECT_EQ(report.findings[0].health, Health::attention);
    EXPECT_THAT(report.findings[0].sentence, HasSubstr("no screen"));
    EXPECT_THAT(report.findings[0].mend, HasSubstr("modprobe vkms"));
}

TEST(DrmFindings, NodesThatAreNoDevicesOrMayNotBeOpened) {
    Machine machine;
    machine.file("dev/dri/card10").file("dev/dri/card2").file("dev/dri/renderD128");
    machine.file("dev/dri/by-path/pci-card");
    std::filesystem::permissions(machine.root() / "dev/dri/renderD128",
                                 std::filesystem::perms::none);
    const std::size_t before = test::open_descriptors();
    const Unprivileged nobody;
    const Report report = report_drm(machine.root());
    ASSERT_EQ(report.findings.size(), 3u);
    EXPECT_EQ(report.findings[0].subject, "card2");
    EXPECT_THAT(report.findings[0].mend, HasSubstr("GROUP=\"video\""));
    EXPECT_EQ(report.findings[1].subject, "card10");
    EXPECT_EQ(report.findings[2].subject, "renderD128");
    EXPECT_THAT(report.findings[2].sentence, HasSubstr("EACCES"));
    EXPECT_THAT(report.findings[2].mend, HasSubstr("KERNEL==\"renderD128\", GROUP=\"render\""));
    EXPECT_EQ(test::open_descriptors(), before);
}

TEST(DrmFindings, ANodeThatAGroupMayOpen) {
    if (geteuid() != 0)
        GTEST_SKIP() << "only root can give a file to a group";
    Machine machine;
    machine.file("dev/dri/card0");
    ASSERT_EQ(chown((machine.root() / "dev/dri/card0").c_str(), 0, 44), 0);
    ASSERT_EQ(chmod((machine.root() / "dev/dri/card0").c_str(), 0660), 0);
    const Unprivileged nobody;
    EXPECT_THAT(report_drm(machine.root()).findings.at(0).mend, HasSubstr("join group 44"));
}

TEST(DrmFindings, AFileInPlaceOfANode) {
    Machine machine;
    machine.file("dev/dri/card0");
    const Report report = report_drm(machine.root());
    ASSERT_EQ(report.findings.size(), 1u);
    EXPECT_THAT(report.findings[0].sentence,
                AllOf(HasSubstr("DRM_IOCTL_VERSION"), HasSubstr("ENOTTY")));
}

TEST(VulkanFindings, APictureHasNoDrivers) {
    const Machine machine;
    const Report report = report_vulkan(machine.root());
    ASSERT_EQ(report.findings.size(), 1u);
    EXPECT_THAT(report.findings[0].sentence, HasSubstr("not tried"));
    EXPECT_TRUE(report.trials.empty());
}

TEST(VulkanFindings, EveryHeapIsTriedOnEveryDeviceAsBufferAndAsImage) {
    const Report report = report_vulkan("/");
    std::size_t buffers = 0, images = 0;
    for (const ImportTrial& trial : report.trials) {
        buffers += trial.importer.ends_with(", as buffer");
        images += trial.importer.ends_with(", as image");
    }
    EXPECT_EQ(buffers + images, report.trials.size());
    EXPECT_EQ(buffers, images);
    for (const Finding& finding : report.findings)
        EXPECT_EQ(finding.health == Health::good, finding.mend.empty()) << finding.sentence;
    for (const RealPart& part : report.real)
        EXPECT_THAT(part.name, testing::Not(HasSubstr("llvmpipe")));
}

} // namespace
} // namespace clearframe
