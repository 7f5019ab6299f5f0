// clearframe send and clearframe recv: two processes, as their users start them.
#include "core/unique_fd.h"
#include "end_to_end/expectations.h"
#include "support/beside.h"
#include "support/files.h"
#include "support/pictures.h"
#include "support/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

namespace clearframe::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<std::string> tiny_stream{"--size",   "320x200", "--gpu",    "none",
                                           "--frames", "40",      "--block",  "20",
                                           "--warmup", "4",       "--verify", "full"};

Command sending(const Receiver& to, const std::vector<std::string>& options = {}) {
    return {.arguments = with(with({"send", to.address()}, tiny_stream), options)};
}

// As sending(), but for longer than any test lasts.
Command sending_on(const Receiver& to, const std::vector<std::string>& options = {}) {
    return {.arguments = with({"send", to.address(), "--size", "320x200", "--gpu", "none",
                               "--seconds", "300", "--block", "20"},
                              options)};
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

std::size_t resident_kib(pid_t process) {
    std::ifstream status("/proc/" + std::to_string(process) + "/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmRSS:"))
            return std::stoul(line.substr(6));
    return 0;
}

TEST(SendRecv, EveryPixelOfEveryFrameAtTheOtherEndAndNoneCopied) {
    const test::TemporaryDirectory files;
    const std::string record = (files / "received.json").string();
    Receiver receiver({"--json", record});
    const Finished sent = run(sending(receiver, {"--json", "-"}));
    ASSERT_EQ(sent.status, 0) << sent.describe();
    const Finished& received = receiver.finish();
    ASSERT_EQ(received.status, 0) << received.describe();

    const nlohmann::json theirs = sent.json();
    const nlohmann::json ours = nlohmann::json::parse(test::read_file(record));
    EXPECT_EQ(theirs["role"], "sender");
    EXPECT_EQ(ours["role"], "receiver");
    EXPECT_EQ(theirs["peer"]["role"], "receiver");
    EXPECT_EQ(theirs["peer"]["address"], receiver.address());
    EXPECT_EQ(ours["peer"]["role"], "sender");
    // Each on one clock: there and back, and on one host one way.
    EXPECT_EQ(theirs["latency"], "round-trip");
    EXPECT_EQ(ours["latency"], "one-way");
    EXPECT_THAT(theirs["emulated"].get<std::vector<std::string>>(),
                ElementsAre("heap", "gpu", "nic", "receiver heap", "receiver nic"));
    EXPECT_THAT(ours["emulated"].get<std::vector<std::string>>(),
                ElementsAre("heap", "nic", "sender heap", "sender gpu", "sender nic"));
    for (const nlohmann::json* record_of : {&theirs, &ours}) {
        const nlohmann::json& paths = (*record_of)["results"][0]["paths"];
        ASSERT_EQ(paths.size(), 2u);
        for (const nlohmann::json& path : paths) {
            EXPECT_EQ(path["lost"], 0);
            EXPECT_EQ(path["corrupt"], 0);
            EXPECT_EQ(path["rejected"], 0);
            EXPECT_EQ(path["verified_pixels"].get<std::uint64_t>(),
                      path["frames"].get<std::uint64_t>() * 320 * 200);
            EXPECT_GT(path["gbytes_per_s"]["mean"], 0.0);
            EXPECT_GT(path["latency_us"]["p50"], 0.0);
        }
        EXPECT_EQ(paths[0]["path"], "zero-copy");
        EXPECT_EQ(paths[0]["cpu_copied_bytes"], 0);
        EXPECT_EQ(paths[0]["same_buffer"], true);
        EXPECT_GT(paths[1]["cpu_copied_bytes"], 0);
    }
    EXPECT_EQ(theirs["results"][0]["paths"][0]["frames"], 40);
    EXPECT_EQ(ours["results"][0]["paths"][0]["frames"], 44); // with the warm-up
    EXPECT_GT(theirs["limits"]["dma_gbytes_per_s"], 0.0);
}

TEST(SendRecv, ShowsFiguresAndWhatIsEmulatedAtBothEnds) {
    Receiver receiver;
    const Finished sent = run(sending(receiver));
    ASSERT_EQ(sent.status, 0) << sent.describe();
    const Finished& received = receiver.finish();
    EXPECT_THAT(sent.out,
                AllOf(HasSubstr("receiver " + receiver.address()), HasSubstr("zero-copy"),
                      HasSubstr("a round trip"),
                      HasSubstr("emulated here: heap, gpu, nic, receiver heap, receiver nic")));
    EXPECT_THAT(received.out,
                AllOf(HasSubstr("sender 127.0.0.1:"), HasSubstr("zero-copy"),
                      HasSubstr("emulated here: heap, nic, sender heap, sender gpu, sender nic")));
    EXPECT_EQ(sent.err, "");
    EXPECT_EQ(received.err, "");
}

TEST(SendRecv, RenderedFramesArriveAsTheyWereDrawn) {
    const test::TemporaryDirectory files;
    const std::string picture = (files / "received.png").string();
    Receiver receiver({"--capture", picture});
    const Finished sent = run({.arguments = {"send", receiver.address(), "--size", "320x200",
                                             "--scene", "test-card,noise", "--frames", "6",
                                             "--block", "6", "--warmup", "0", "--verify", "full"}});
    ASSERT_EQ(sent.status, 0) << sent.describe();
    ASSERT_EQ(receiver.finish().status, 0) << receiver.finish().describe();
    const auto pixels = read_png(picture);
    ASSERT_TRUE(pixels);
    EXPECT_EQ(pixels->width, 320u);
    EXPECT_EQ(pixels->height, 200u);
}

TEST(SendRecv, WhatWentWrongIsSaidAtBothEnds) {
    Receiver receiver;
    const Finished sent = run(sending(receiver, {"--nic", "emulated:corrupt=@9,drop=@12"}));
    EXPECT_EQ(sent.status, 1) << sent.describe();
    const Finished& received = receiver.finish();
    EXPECT_EQ(received.status, 1) << received.describe();
    EXPECT_THAT(sent.err, HasSubstr("1 frames lost, 1 corrupt"));
    EXPECT_THAT(received.err, HasSubstr("1 frames lost, 1 corrupt"));
}

// One sender after the other, whatever becomes of each: killed, stopped by its user, good.
TEST(SendRecv, KeepsReceivingWhateverBecomesOfSenders) {
    Receiver receiver({"--keep"});
    ASSERT_EQ(run(sending(receiver)).status, 0);
    // It reports once all that the sender took is given back.
    receiver.wait_for_times("emulated here:", 1);
    const std::size_t files = open_descriptors(std::to_string(receiver.process()));
    const std::size_t memory = resident_kib(receiver.process());
    for (int i = 0; i < 5; ++i) {
        Command command = sending_on(receiver);
        command.terminal = Terminal::err;
        command.signals = {{"GB/s", SIGKILL}};
        const Finished killed = run(command);
        EXPECT_EQ(killed.signal, SIGKILL) << killed.describe();
    }
    {
        Command command = sending_on(receiver);
        command.terminal = Terminal::err;
        command.signals = {{"GB/s", SIGINT}};
        const Finished stopped = run(command);
        EXPECT_EQ(stopped.status, 0) << stopped.describe();
        EXPECT_THAT(stopped.out, HasSubstr("ended early by a signal"));
    }
    // A killed sender is noticed by its connection: the next one may have to call again.
    Finished last;
    do
        last = run(sending(receiver));
    while (last.status == 3 && last.err.find("busy") != std::string::npos);
    EXPECT_EQ(last.status, 0) << last.describe();
    receiver.wait_for_times("emulated here:", 3); // the killed ones have no report
    EXPECT_LE(open_descriptors(std::to_string(receiver.process())), files);
    // A sanitizer keeps what was freed for a while.
    if (!sanitized) {
        EXPECT_LE(resident_kib(receiver.process()), memory + 16 * 1024);
    }
    receiver.signal(SIGINT);
    const Finished& received = receiver.finish();
    EXPECT_EQ(received.status, 0) << received.describe();
    EXPECT_THAT(received.err, HasSubstr("has gone"));
}

TEST(SendRecv, CtrlCAtTheReceiverEndsBothInOrder) {
    // Its line of progress has a rate for each path that ran: the seventh comes after four blocks,
    // two of them no warm-up.
    Command command{.terminal = Terminal::err};
    command.signals.assign(7, {"GB/s", 0});
    command.signals.back().signal = SIGINT;
    Receiver receiver({}, command);
    const Finished sent = run(sending_on(receiver));
    const Finished& received = receiver.finish();
    EXPECT_EQ(received.status, 0) << received.describe();
    EXPECT_EQ(sent.status, 0) << sent.describe();
    EXPECT_THAT(sent.out, HasSubstr("ended early by the receiver: it was stopped there"));
}

TEST(SendRecv, AReceiverThatIsKilledEndsTheSender) {
    Receiver receiver;
    Beside sender(sending_on(receiver), "receiver 127.0.0.1:");
    receiver.signal(SIGKILL);
    EXPECT_EQ(sender.finish().status, 1) << sender.finish().describe();
    EXPECT_THAT(sender.finish().err, HasSubstr("gone"));
}

// Both ends wait for one another for a set time, not for ever.
TEST(SendRecv, AStoppedReceiverIsGivenUp) {
    Receiver receiver;
    Beside sender(sending_on(receiver, {"--timeout", "1"}), "receiver 127.0.0.1:");
    receiver.signal(SIGSTOP);
    EXPECT_EQ(sender.finish().status, 1) << sender.finish().describe();
    receiver.signal(SIGCONT);
    EXPECT_EQ(receiver.finish().status, 1) << receiver.finish().describe();
}

// Whoever can reach the port may say anything.
TEST(SendRecv, NonsenseOnThePortDisturbsNobody) {
    Receiver receiver({"--keep"});
    const std::size_t colon = receiver.address().rfind(':');
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    where.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(receiver.address().substr(colon + 1))));
    std::vector<UniqueFd> callers;
    for (int i = 0; i < 200; ++i) {
        UniqueFd caller(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(::connect(caller.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where),
                  0);
        const std::string says = i % 2 ? std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                                       : std::string(static_cast<std::size_t>(i), '\0');
        [[maybe_unused]] const ssize_t sent =
            ::send(caller.get(), says.data(), says.size(), MSG_NOSIGNAL);
        if (i % 3 == 0)
            callers.push_back(std::move(caller)); // and stays
    }
    const Finished sent = run(sending(receiver));
    EXPECT_EQ(sent.status, 0) << sent.describe();
    callers.clear();
    receiver.signal(SIGTERM);
    EXPECT_EQ(receiver.finish().status, 0) << receiver.finish().describe();
}

TEST(SendRecv, ASecondSenderIsToldThatTheReceiverIsBusy) {
    Receiver receiver({"--keep"});
    Beside first(sending_on(receiver), "receiver 127.0.0.1:");
    const Finished second = run(sending(receiver));
    EXPECT_EQ(second.status, 3) << second.describe();
    EXPECT_THAT(second.err, HasSubstr("busy with another sender"));
    receiver.signal(SIGINT);
    first.finish();
    EXPECT_EQ(receiver.finish().status, 0) << receiver.finish().describe();
}

// How many different ones there are.
std::size_t colours_in(const Pixels& picture) {
    std::set<std::array<std::uint8_t, 3>> colours;
    for (const auto& pixel : picture.rgb)
        colours.insert(pixel);
    return colours.size();
}

// The sender goes on until frames of both paths have been seen.
TEST(SendRecv, ShowsReceivedFramesInAWindow) {
    NEEDS_A_GPU();
    const test::TemporaryDirectory files;
    const std::string empty = (files / "empty.png").string();
    const std::string picture = (files / "window.png").string();
    {
        Receiver receiver({"--show", "--offscreen", "--screenshot", empty});
        receiver.signal(SIGINT);
        ASSERT_EQ(receiver.finish().status, 0) << receiver.finish().describe();
    }
    Receiver receiver({"--show", "--offscreen", "--screenshot", picture, "--json",
                       (files / "received.json").string()});
    std::optional<Finished> sent;
    std::jthread sender([&] {
        sent = run({.arguments = {"send", receiver.address(), "--size", "320x200", "--scene",
                                  "noise", "--warmup", "0", "--seconds", "300", "--block", "20"}});
    });
    receiver.wait_for("showing zero-copy as received");
    receiver.wait_for("showing staging as received");
    receiver.signal(SIGINT);
    const Finished& received = receiver.finish();
    sender.join();
    ASSERT_EQ(received.status, 0) << received.describe();
    EXPECT_EQ(sent->status, 0) << sent->describe();
    EXPECT_EQ(received.err, "");
    EXPECT_THAT(received.out, HasSubstr("window drawn by "));
    const auto before = read_png(empty);
    const auto after = read_png(picture);
    ASSERT_TRUE(before && after);
    EXPECT_EQ(after->width, 1440u);
    EXPECT_EQ(after->height, 900u);
    // Noise is all colours, the panel but a few.
    EXPECT_GT(colours_in(*after), 10 * colours_in(*before));
    const nlohmann::json record =
        nlohmann::json::parse(test::read_file((files / "received.json").string()));
    EXPECT_EQ(record["config"]["show"], true);
    for (const nlohmann::json& path : record["results"][0]["paths"])
        EXPECT_EQ(path["corrupt"], 0);
}

TEST(SendRecv, AWindowGoesOnWhateverBecomesOfSenders) {
    NEEDS_A_GPU();
    const test::TemporaryDirectory files;
    Receiver receiver({"--show", "--offscreen", "--keep", "--screenshot", files / "window.png"});
    const Finished refused = run(sending(receiver, {"--ring", "1"}));
    EXPECT_EQ(refused.status, 3) << refused.describe();
    EXPECT_THAT(refused.err, HasSubstr("2 at least, to show frames"));
    for (int i = 0; i < 3; ++i) {
        Command command = sending_on(receiver);
        command.terminal = Terminal::err;
        command.signals = {{"GB/s", SIGKILL}};
        const Finished killed = run(command);
        EXPECT_EQ(killed.signal, SIGKILL) << killed.describe();
    }
    Finished last;
    do
        last = run(sending(receiver));
    while (last.status == 3 && last.err.find("busy") != std::string::npos);
    EXPECT_EQ(last.status, 0) << last.describe();
    receiver.signal(SIGINT);
    const Finished& received = receiver.finish();
    EXPECT_EQ(received.status, 0) << received.describe();
    EXPECT_THAT(received.err,
                AllOf(HasSubstr("2 at least, to show frames"), HasSubstr("has gone")));
    EXPECT_TRUE(std::filesystem::exists(files / "window.png"));
}

TEST(SendRecv, SaysThatThereIsNoDisplay) {
    const Finished finished =
        run({.arguments = {"recv", "--show"},
             .environment = {{"DISPLAY", std::nullopt}, {"WAYLAND_DISPLAY", std::nullopt}}});
    EXPECT_EQ(finished.status, 3) << finished.describe();
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.describe();
}

TEST(SendRecv, RefusesInOneLineWithTheRightStatus) {
    struct Case {
        std::vector<std::string> arguments;
        int status;
        const char* says;
    };
    const Case cases[] = {
        {{"send"}, 2, "receiver is required"},
        {{"send", "a b"}, 2, "HOST, HOST:PORT"},
        {{"send", "host:0x1"}, 2, "HOST, HOST:PORT"},
        {{"send", "127.0.0.1:1", "--gpu", "none"}, 1, "Start the receiver there first"},
        {{"send", "127.0.0.1:1", "--capture", "x.png"}, 2, "--capture"},
        {{"send", "127.0.0.1:1", "--nic", "verbs"}, 3, "verbs"},
        {{"recv", "--listen", "nowhere at all"}, 2, "ADDR:PORT"},
        {{"recv", "--listen", "192.0.2.1:0"}, 3, "EADDRNOTAVAIL"},
        {{"recv", "--memory", "0"}, 2, "--memory"},
        {{"recv", "--timeout", "-1"}, 2, "--timeout"},
        {{"recv", "--require", "gpu"}, 2, "heap or nic"},
        {{"recv", "--require", "nic"}, 3, "a real nic is required"},
        {{"recv", "--keep", "--json", "x.json"}, 2, "--keep"},
        {{"recv", "--present", "tv"}, 2, "kms"},
        {{"recv", "--show", "--present", "kms"}, 2, "--present"},
        {{"recv", "--offscreen"}, 2, "--offscreen requires --screenshot"},
        {{"recv", "--show", "--offscreen"}, 2, "--offscreen requires --screenshot"},
        {{"recv", "--screenshot", "x.png"}, 2, "--screenshot requires --show"},
        {{"recv", "--show", "--screenshot", "x", "--json", "x"}, 2, "--screenshot"},
    };
    for (const Case& wrong : cases) {
        const Finished finished = run({.arguments = wrong.arguments});
        EXPECT_EQ(finished.status, wrong.status) << finished.describe();
        EXPECT_THAT(finished.err, HasSubstr(wrong.says));
        EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1)
            << finished.describe();
    }
}

} // namespace
} // namespace clearframe::test
