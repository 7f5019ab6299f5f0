// `clearframe doctor` as its users run it: on this machine, without rights, on pictures of other
// machines, and with drivers that hang or crash.
#include "end_to_end/expectations.h"
#include "support/files.h"
#include "support/process.h"
#include "support/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>

namespace clearframe::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

using nlohmann::json;

// Long enough for any machine: what it says is not to depend on how busy that is.
Command doctor(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"doctor", "--timeout", "60"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return {.arguments = std::move(arguments)};
}

const json* finding(const json& record, std::string_view section, std::string_view subject) {
    for (const json& its : record["sections"])
        for (const json& found : its["findings"])
            if (its["name"] == section && found["subject"] == subject)
                return &found;
    return nullptr;
}

// A directory "machine" that stands in for "/".
class Picture {
public:
    Picture() { fs::permissions(directory_.path(), fs::perms(0755)); }

    const fs::path& directory() const { return directory_.path(); }
    fs::path root() const { return directory_ / "machine"; }

    Picture& file(const fs::path& path, std::string_view content = {}) {
        fs::create_directories((root() / path).parent_path());
        std::ofstream(root() / path) << content;
        return *this;
    }
    Picture& closed(const fs::path& path) {
        fs::permissions(root() / path, fs::perms::none);
        return *this;
    }
    ~Picture() {
        std::error_code ignored;
        fs::permissions(root() / "sys/kernel/debug", fs::perms::owner_all, ignored);
    }

private:
    TemporaryDirectory directory_;
};

constexpr std::string_view whole_config =
    "CONFIG_DMABUF_HEAPS_SYSTEM=y\nCONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED=y\nCONFIG_UDMABUF=y\n"
    "CONFIG_INFINIBAND_USER_ACCESS=m\nCONFIG_RDMA_RXE=m\n";

void add_limits(Picture& picture, std::string_view locked, std::string_view files) {
    picture.file("proc/self/limits", "Max open files            " + std::string(files) +
                                         "  4096  files\nMax locked memory         " +
                                         std::string(locked) + "  unlimited  bytes\n");
}

// A TDX guest of Linux 7.3 with a NIC; its nodes are files, as a picture has them.
void make_confidential(Picture& picture) {
    picture.file("proc/cpuinfo", "flags\t: fpu hypervisor tdx_guest\n")
        .file("proc/sys/kernel/osrelease", "7.3.0-amd64\n")
        .file("boot/config-7.3.0-amd64", whole_config)
        .file("dev/dma_heap/system_cc_shared")
        .file("dev/dma_heap/system")
        .file("dev/dri/card0")
        .file("dev/dri/renderD128")
        .file("sys/kernel/debug/swiotlb/io_tlb_nslabs", "524288\n")
        .file("sys/kernel/debug/swiotlb/io_tlb_used", "1200\n")
        .file("sys/kernel/debug/swiotlb/io_tlb_used_hiwater", "90000\n")
        .file("sys/class/infiniband/mlx5_0/device/vendor", "0x15b3\n")
        .file("sys/class/infiniband/mlx5_0/ports/1/state", "4: ACTIVE\n")
        .file("sys/class/infiniband/mlx5_0/ports/1/link_layer", "Ethernet\n")
        .file("sys/class/infiniband/mlx5_0/ports/1/gids/3",
              "0000:0000:0000:0000:0000:ffff:0a00:0001\n")
        .file("sys/class/infiniband/mlx5_0/ports/1/gid_attrs/types/3", "RoCE v2\n")
        .file("sys/class/infiniband/mlx5_0/ports/1/gid_attrs/ndevs/3", "ens3\n")
        .file("sys/class/infiniband_verbs/uverbs0/ibdev", "mlx5_0\n");
    add_limits(picture, "unlimited", "4096");
}

// Another user, who may do nothing that needs rights. Only root can become one.
Command as_nobody(Command command, const TemporaryDirectory& directory) {
    // Where the program was built, nobody may not be.
    fs::permissions(directory.path(), fs::perms(0755));
    const fs::path copy = directory / "clearframe";
    fs::copy_file(clearframe_program(), copy, fs::copy_options::overwrite_existing);
    std::vector<std::string> arguments{"--reuid=65534", "--regid=65534", "--clear-groups",
                                       "--inh-caps=-all", copy};
    arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
    command.arguments = std::move(arguments);
    command.program = "/usr/bin/setpriv";
    // Nor may nobody read the sanitizers' suppressions there; no driver is loaded that needs them.
    for (const char* options : {"LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"})
        command.environment[options] = std::nullopt;
    if (command.directory.empty())
        command.directory = directory.path();
    return command;
}

#define NEEDS_ROOT()                                                                               \
    if (geteuid() != 0)                                                                            \
    GTEST_SKIP() << "only root can run the program as another user"

TEST(Doctor, SaysThatItsReportCannotBeWritten) {
    const Finished done = run_redirected(doctor().arguments, "> /dev/full");
    EXPECT_EQ(done.status, 1) << done.describe();
    EXPECT_THAT(done.err, HasSubstr("the report cannot be written: ENOSPC (28: "));
}

TEST(Doctor, ReportsOnThisMachine) {
    const Finished done = run(doctor());
    EXPECT_THAT(done.status, AnyOf(0, 4)) << done.describe();
    EXPECT_THAT(done.err, IsEmpty());
    for (const char* section :
         {"guest", "kernel", "heaps", "swiotlb", "Vulkan", "DRM", "RDMA", "limits"})
        EXPECT_THAT("\n" + done.out, HasSubstr("\n" + std::string(section) + "\n"));
    EXPECT_THAT(done.out, HasSubstr("import matrix: who takes memory of which heap"));
    EXPECT_THAT(done.out, HasSubstr("memfd"));
    std::istringstream lines(done.out);
    for (std::string line; std::getline(lines, line);)
        EXPECT_LE(line.size(), 80u) << line;
}

TEST(Doctor, SaysTheSameAsAStart) {
    const json record = run(doctor({"--json", "-"})).json();
    const json start = run({.arguments = {"bench", "--size", "64x64", "--frames", "4", "--block",
                                          "2", "--scene", "none", "--json", "-"}})
                           .json();
    for (const json& part : start["parts"])
        if (part["kind"] == "heap")
            for (const json& refused : part["refused"]) {
                const json* const found =
                    finding(record, "heaps", refused["name"].get<std::string>());
                ASSERT_TRUE(found) << refused;
                EXPECT_THAT(refused["reason"].get<std::string>(),
                            StartsWith((*found)["sentence"].get<std::string>()));
            }
    EXPECT_EQ(record["environment"]["guest"], start["environment"]["guest"]);
    EXPECT_EQ(record["real_path"]["whole"], start["emulated"].empty());
}

TEST(Doctor, KeepsStandardOutputForTheJsonAlone) {
    const Finished done = run(doctor({"--json", "-"}));
    EXPECT_THAT(done.out, StartsWith("{"));
    EXPECT_TRUE(json::accept(done.out));
    EXPECT_THAT(done.err, HasSubstr("import matrix"));
    const json record = done.json();
    EXPECT_EQ(record["schema"], "clearframe.doctor/1");
    EXPECT_EQ(record["root"], "/");
    EXPECT_EQ(done.status, record["real_path"]["whole"].get<bool>() ? 0 : 4);
    EXPECT_EQ(record["sections"].size(), 8u);
}

TEST(Doctor, SaysWhatMendsEachThingThatIsNotGood) {
    Picture picture;
    make_confidential(picture);
    for (const json& record : {run(doctor({"--json", "-"})).json(),
                               run(doctor({"--json", "-", "--root", picture.root()})).json()})
        for (const json& section : record["sections"])
            for (const json& found : section["findings"])
                EXPECT_EQ(found["health"] == "good", found["mend"] == "") << found;
}

TEST(Doctor, QuietWritesOnlyTheFile) {
    const TemporaryDirectory directory;
    const fs::path file = directory / "doctor.json";
    const Finished done = run(doctor({"--quiet", "--json", file}));
    EXPECT_THAT(done.out + done.err, IsEmpty());
    EXPECT_TRUE(json::accept(read_file(file)));
}

TEST(Doctor, WorksWithoutRights) {
    NEEDS_ROOT();
    const TemporaryDirectory directory;
    const Finished done = run(as_nobody(doctor({"--json", "-"}), directory));
    EXPECT_THAT(done.status, AnyOf(0, 4)) << done.describe();
    const json record = done.json();
    ASSERT_TRUE(finding(record, "heaps", "memfd"));
    const json* const pool = finding(record, "swiotlb", "pool");
    ASSERT_TRUE(pool);
    EXPECT_THAT((*pool)["health"], AnyOf("attention", "good"));
    for (const json& section : record["sections"])
        for (const json& found : section["findings"])
            EXPECT_THAT(found["sentence"].get<std::string>(), Not(HasSubstr("the probe ")))
                << found;
}

TEST(Doctor, ColoursOnlyATerminalThatWantsThem) {
    const auto escapes = [](const std::string& text) { return text.find("\033[3") != text.npos; };
    Command command = doctor();
    command.environment = {{"TERM", "xterm-256color"}};
    command.terminal = Terminal::both;
    EXPECT_TRUE(escapes(run(command).terminal));
    command.environment["NO_COLOR"] = "1";
    EXPECT_FALSE(escapes(run(command).terminal));
    command.environment.erase("NO_COLOR");
    command.terminal = Terminal::none;
    const Finished piped = run(command);
    EXPECT_FALSE(escapes(piped.out + piped.err));
    EXPECT_THAT(piped.out + piped.err, Not(HasSubstr("\r")));
}

TEST(Doctor, NoVulkanDriver) {
    Command command = doctor({"--json", "-"});
    command.environment = {{"VK_DRIVER_FILES", "/nonexistent.json"},
                           {"VK_ICD_FILENAMES", "/nonexistent.json"}};
    const Finished done = run(command);
    EXPECT_EQ(done.status, 4) << done.describe();
    const json record = done.json();
    EXPECT_EQ(record["real_path"]["gpu"], nullptr);
    for (const json& section : record["sections"])
        if (section["name"] == "Vulkan") {
            ASSERT_EQ(section["findings"].size(), 1u);
            EXPECT_EQ(section["findings"][0]["health"], "missing");
            EXPECT_THAT(section["findings"][0]["mend"].get<std::string>(),
                        HasSubstr("apt install mesa-vulkan-drivers"));
        }
}

TEST(Doctor, TheImportMatrixHasTheExactError) {
    Command command = doctor({"--json", "-"});
    // Every import fails.
    command.environment = {
        {"VK_ADD_LAYER_PATH", fault_layer_directory()},
        {"VK_INSTANCE_LAYERS", fault_layer_name()},
        {"CLEARFRAME_VK_FAIL", "vkAllocateMemory:1+:VK_ERROR_INVALID_EXTERNAL_HANDLE"}};
    const Finished done = run(command);
    const json record = done.json();
    for (const json& trial : record["matrix"]) {
        if (!trial["importer"].get<std::string>().ends_with(", as buffer"))
            continue;
        EXPECT_EQ(trial["imported"], false);
        EXPECT_THAT(trial["error"].get<std::string>(),
                    HasSubstr("VK_ERROR_INVALID_EXTERNAL_HANDLE"));
    }
}

// A Vulkan driver that does `what` (tests/end_to_end/bad_driver.cpp) as soon as it is loaded.
std::map<std::string, std::optional<std::string>> bad_driver(const TemporaryDirectory& directory,
                                                             const char* what) {
    const fs::path file = directory / "driver.json";
    std::ofstream(file) << json{
        {"file_format_version", "1.0.0"},
        {"ICD", {{"library_path", CLEARFRAME_BAD_DRIVER}, {"api_version", "1.3.0"}}}};
    return {{"VK_DRIVER_FILES", file}, {"VK_ICD_FILENAMES", file}, {"BAD_DRIVER", what}};
}

TEST(Doctor, OutlivesADriverThatCrashes) {
    const TemporaryDirectory directory;
    Command command = doctor({"--json", "-"});
    command.environment = bad_driver(directory, "crash");
    const Finished done = run(command);
    EXPECT_EQ(done.status, 4) << done.describe();
    const json record = done.json();
    const json* const found = finding(record, "Vulkan", "Vulkan");
    ASSERT_TRUE(found) << done.describe();
    EXPECT_THAT((*found)["sentence"].get<std::string>(), HasSubstr("crashed: SIGKILL"));
    EXPECT_TRUE(finding(record, "heaps", "memfd"));
}

TEST(Doctor, DoesNotWaitForADriverThatHangs) {
    const TemporaryDirectory directory;
    const Finished done = run({.arguments = {"doctor", "--timeout", "1", "--json", "-"},
                               .environment = bad_driver(directory, "hang")});
    EXPECT_EQ(done.status, 4) << done.describe();
    const json record = done.json();
    const json* const found = finding(record, "Vulkan", "Vulkan");
    ASSERT_TRUE(found) << done.describe();
    EXPECT_THAT((*found)["sentence"].get<std::string>(), HasSubstr("did not end in 1.00 s"));
}

TEST(Doctor, CtrlCEndsItAndLeavesNothingBehind) {
    for (const int signal : {SIGINT, SIGTERM}) {
        const TemporaryDirectory directory, results;
        Command command = doctor({"--json", results / "doctor.json"});
        command.environment = bad_driver(directory, "hang");
        command.terminal = Terminal::err;
        command.signals = {{"waiting for Vulkan", signal}};
        const Finished done = run(command);
        EXPECT_EQ(done.signal, signal) << done.describe();
        EXPECT_TRUE(fs::is_empty(results.path()));
    }
}

TEST(Doctor, AReaderThatGoesAwayIsNoError) {
    const TemporaryDirectory directory;
    const Finished done = run({.arguments = {"-c",
                                             "\"$0\" doctor --timeout 60 | head -n 1; "
                                             "exit ${PIPESTATUS[0]}",
                                             clearframe_program()},
                               .program = "/bin/bash"});
    EXPECT_THAT(done.status, AnyOf(0, 4)) << done.describe();
    EXPECT_EQ(done.out, "guest\n");
    EXPECT_THAT(done.err, IsEmpty());
}

TEST(Doctor, RefusesBadArguments) {
    const struct {
        std::vector<std::string> arguments;
        int status;
        std::string says;
    } uses[] = {
        {{"--nonsense"}, 2, "--nonsense"},
        {{"--timeout", "0"}, 2, "--timeout"},
        {{"--timeout", "nan"}, 2, "--timeout"},
        {{"--timeout", "soon"}, 2, "--timeout"},
        {{"--root", "/nonexistent"}, 2, "is no directory"},
        {{"--root", ""}, 2, "--root"},
        {{"--quiet", "--json", "/nonexistent/x.json"}, 3, "ENOENT"},
        {{"--quiet", "--json", ""}, 2, "the name is empty"},
        {{"--quiet", "--json", "/dev/full"}, 1, "ENOSPC"},
    };
    for (const auto& use : uses) {
        std::vector<std::string> arguments{"doctor"};
        arguments.insert(arguments.end(), use.arguments.begin(), use.arguments.end());
        expect_refused(run({.arguments = arguments}), use.status, use.says);
    }
}

TEST(Doctor, ChangesNothingInAPicture) {
    Picture picture;
    make_confidential(picture);
    const auto list = [&] {
        std::ostringstream names;
        for (const auto& entry : fs::recursive_directory_iterator(picture.root())) {
            names << entry.path() << ' ' << entry.last_write_time().time_since_epoch().count();
            if (entry.is_regular_file())
                names << ' ' << entry.file_size();
            names << '\n';
        }
        return names.str();
    };
    const std::string before = list();
    Command command = doctor({"--root", picture.root()});
    EXPECT_EQ(run(command).status, 4);
    EXPECT_EQ(list(), before);
}

// What it says of a picture, to the letter: tests/end_to_end/doctor/NAME.txt. With
// CLEARFRAME_BLESS=1 in the environment the files are written instead: look at them.
struct Golden {
    const char* name;
    std::function<void(Picture&)> make;
    bool unprivileged = false;
};

void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.name; }

class DoctorText : public ::testing::TestWithParam<Golden> {};

TEST_P(DoctorText, IsAsItWas) {
    if (GetParam().unprivileged)
        NEEDS_ROOT();
    Picture picture;
    fs::create_directory(picture.root());
    GetParam().make(picture);
    Command command = doctor({"--root", "machine"});
    command.directory = picture.directory();
    const TemporaryDirectory program;
    const Finished done = run(GetParam().unprivileged ? as_nobody(command, program) : command);
    EXPECT_EQ(done.status, 4) << done.describe();
    EXPECT_THAT(done.err, IsEmpty());
    const fs::path file = fs::path(CLEARFRAME_GOLDEN) / (std::string(GetParam().name) + ".txt");
    if (std::getenv("CLEARFRAME_BLESS"))
        std::ofstream(file) << done.out;
    EXPECT_EQ(done.out, read_file(file)) << file;
}

INSTANTIATE_TEST_SUITE_P(
    Pictures, DoctorText,
    ::testing::Values(
        Golden{"nothing", [](Picture&) {}}, Golden{"confidential", make_confidential},
        Golden{"kernel-too-old",
               [](Picture& picture) {
                   make_confidential(picture);
                   fs::remove(picture.root() / "dev/dma_heap/system_cc_shared");
                   picture.file("proc/sys/kernel/osrelease", "6.18.0-amd64\n");
               }},
        Golden{"heap-not-built",
               [](Picture& picture) {
                   make_confidential(picture);
                   fs::remove(picture.root() / "dev/dma_heap/system_cc_shared");
                   picture.file("boot/config-7.3.0-amd64",
                                "CONFIG_DMABUF_HEAPS_SYSTEM=y\n"
                                "# CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED is not set\n");
               }},
        Golden{"kind-unknown",
               [](Picture& picture) {
                   make_confidential(picture);
                   picture.file("proc/cpuinfo", "flags\t: fpu hypervisor\n");
               }},
        Golden{"ordinary-guest",
               [](Picture& picture) {
                   make_confidential(picture);
                   fs::remove(picture.root() / "dev/dma_heap/system_cc_shared");
                   fs::remove_all(picture.root() / "dev/dri");
                   fs::remove_all(picture.root() / "sys/class");
                   fs::remove_all(picture.root() / "sys/kernel/debug/swiotlb");
                   picture.file("sys/kernel/debug/tracing")
                       .file("proc/cpuinfo", "flags\t: fpu hypervisor\n");
                   add_limits(picture, "65536", "256");
               }},
        Golden{"soft-roce",
               [](Picture& picture) {
                   make_confidential(picture);
                   fs::remove_all(picture.root() / "sys/class/infiniband");
                   fs::remove_all(picture.root() / "sys/class/infiniband_verbs");
                   picture.file("sys/class/infiniband/rxe0/ports/1/state", "1: DOWN\n")
                       .file("sys/class/infiniband/rxe0/ports/1/link_layer", "Ethernet\n");
               }},
        Golden{"unreadable",
               [](Picture& picture) {
                   make_confidential(picture);
                   picture.file("dev/udmabuf")
                       .closed("dev/udmabuf")
                       .closed("dev/dma_heap/system_cc_shared")
                       .closed("dev/dma_heap/system")
                       .closed("dev/dri/card0")
                       .closed("dev/dri/renderD128")
                       .closed("boot/config-7.3.0-amd64")
                       .closed("proc/self/limits")
                       .closed("sys/kernel/debug");
               },
               true}),
    [](const auto& golden) {
        std::string name = golden.param.name;
        std::replace(name.begin(), name.end(), '-', '_');
        return name;
    });

} // namespace
} // namespace clearframe::test
