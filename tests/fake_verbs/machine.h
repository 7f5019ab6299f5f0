// A machine whose RDMA device is that of fake_verbs.h.
#pragma once

#include "fake_verbs/fake_verbs.h"
#include "nic/verbs.h"
#include "support/files.h"
#include "unit/nic/support.h"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <string_view>

namespace clearframe::fake {

// /sys as it names the device, in a folder.
class Machine {
public:
    Machine() {
        const std::filesystem::path device = root_ / "sys/class/infiniband" / device_name;
        write(device / "device/vendor", "0x0");
        write(device / "ports/1/state", "4: ACTIVE");
        write(device / "ports/1/link_layer", "Ethernet");
        write(device / "ports/1/gids/0", "0000:0000:0000:0000:0000:ffff:0a00:0001");
        write(device / "ports/1/gid_attrs/types/0", "RoCE v2");
        write(device / "ports/1/gid_attrs/ndevs/0", "eth0");
    }

    // Throws Error.
    std::unique_ptr<Nic> open(std::string_view options) const {
        return make_verbs_nic(options, root_.path());
    }

private:
    static void write(const std::filesystem::path& file, std::string_view text) {
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file) << text << '\n';
    }

    test::TemporaryDirectory root_;
};

// A test that begins with a device as `traits` say and nothing open, and must end so.
class FakeVerbsTest : public ::testing::Test {
protected:
    void SetUp() override { begin({}); }
    void TearDown() override { EXPECT_EQ(verbs().objects(), 0u); }

    static void begin(const Traits& traits) { verbs().reset(traits); }

    // What the Error says that `call` throws, with its reason and advice; empty if it throws none.
    template <typename Call>
    static std::string error_of(Call call) {
        try {
            call();
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    }

    const Machine machine_;
    test::Buffers buffers_; // goes after whoever has registered them
};

} // namespace clearframe::fake
