// The connection beside the frames: over TCP on this machine, with peers that behave and that do
// not.
#include "core/error.h"
#include "core/thread.h"
#include "pipeline/control.h"
#include "support/files.h"
#include "unit/pipeline/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/socket.h>

#include <arpa/inet.h>
#include <filesystem>
#include <netinet/in.h>

namespace clearframe {
namespace {

using test::open_descriptors;
using test::patient;
using testing::HasSubstr;
using Received = ControlConnection::Received;

Hello some_hello() {
    Hello hello;
    hello.layout = make_frame_layout(64, 64, 256, 64);
    hello.ring = 4;
    hello.max_message = 1 << 20;
    hello.paths = {"zero-copy"};
    hello.nic = "emulated";
    return hello;
}

HostPort at(const ControlListener& listener) { return *parse_host_port(listener.address()); }

// A caller, and the listener's answer to it if it is turned away.
class Door : public testing::Test {
protected:
    ControlConnection call() { return ControlConnection::connect(at(listener_), patient); }

    // The first that says a good hello; on a thread of its own, so that the test can call.
    void open() {
        thread_ = start_thread("door", [this] { caller_ = listener_.wait(cancel_); });
    }
    std::optional<ControlListener::Caller>& let_in() {
        thread_.join();
        return caller_;
    }
    static std::string answer(ControlConnection& connection) {
        ControlMessage message;
        if (connection.receive(message, patient) != Received::message)
            return "no answer: " + connection.closed_by();
        if (message.type != ControlType::rejection)
            return "let in";
        const Decoded<Rejection> decoded = decode_rejection(message.payload);
        const auto& rejection = std::get<Rejection>(decoded);
        return mismatch_text(rejection.mismatch) + rejection.advice;
    }

    ControlListener listener_{{.host = "127.0.0.1", .port = 0}};
    Event cancel_;
    std::optional<ControlListener::Caller> caller_;
    std::jthread thread_;
};

TEST(HostPort, IsWhatPeopleWrite) {
    const auto text = [](const char* given) {
        const auto parsed = parse_host_port(given);
        return parsed ? parsed->text() : std::string("none");
    };
    EXPECT_EQ(text("host"), "host:18517");
    EXPECT_EQ(text("host:7"), "host:7");
    EXPECT_EQ(text("192.0.2.1:65535"), "192.0.2.1:65535");
    EXPECT_EQ(text("[::1]:7"), "[::1]:7");
    EXPECT_EQ(text("[::1]"), "[::1]:18517");
    EXPECT_EQ(text("::1"), "[::1]:18517");
    for (const char* bad : {"", ":7", "host:", "host:x", "host:65536", "host:-1", "[::1", "[::1]7",
                            "[]:7", "a b", "host:7 "})
        EXPECT_EQ(text(bad), "none") << bad;
}

TEST_F(Door, LetsInWhoSaysHello) {
    open();
    ControlConnection sender = call();
    sender.send(encode(some_hello()), patient);
    auto& caller = let_in();
    ASSERT_TRUE(caller);
    EXPECT_EQ(caller->hello.nic, "emulated");
    EXPECT_THAT(caller->connection.peer(), HasSubstr("127.0.0.1:"));
    caller->connection.send(encode(Ready{.block = 7}), patient);
    ControlMessage message;
    ASSERT_EQ(sender.receive(message, patient), Received::message);
    EXPECT_EQ(message.type, ControlType::ready);
}

// A message may come in any pieces, and several at once.
TEST_F(Door, TakesMessagesInPieces) {
    open();
    ControlConnection sender = call();
    std::vector<std::byte> bytes = encode(some_hello());
    const std::vector<std::byte> more = encode(Bye{.reason = "one"});
    bytes.insert(bytes.end(), more.begin(), more.end());
    for (const std::byte byte : bytes)
        sender.send({&byte, 1}, patient);
    auto& caller = let_in();
    ASSERT_TRUE(caller);
    ControlMessage message;
    ASSERT_EQ(caller->connection.receive(message, patient), Received::message);
    EXPECT_EQ(message.type, ControlType::bye);
    EXPECT_EQ(caller->connection.receive(message, {.timeout = 0}), Received::timed_out);
}

TEST_F(Door, SaysWhatIsWrongWithAHello) {
    open();
    struct Case {
        std::vector<std::byte> says;
        const char* hears;
    };
    Hello wide = some_hello();
    wide.layout.width = 20000;
    std::vector<std::byte> newer = encode(some_hello());
    newer[4] = std::byte{9};
    std::vector<std::byte> other(64, std::byte{'G'});
    for (const Case& wrong :
         {Case{encode(wide), "width: ours 1 to 16384, theirs 20000"},
          Case{newer, "version: ours 1, theirs 9"}, Case{other, "protocol: ours"},
          Case{encode(Ready{}), "message: ours a hello, theirs another one"}}) {
        ControlConnection stranger = call();
        stranger.send(wrong.says, patient);
        EXPECT_THAT(answer(stranger), HasSubstr(wrong.hears));
    }
    ControlConnection sender = call();
    sender.send(encode(some_hello()), patient);
    EXPECT_TRUE(let_in());
}

// Connections that say nothing, however many, keep nobody out and cost nothing.
TEST_F(Door, HalfOpenCallersKeepNobodyOut) {
    open();
    const std::size_t before = open_descriptors();
    std::vector<ControlConnection> silent;
    for (int i = 0; i < 50; ++i)
        silent.push_back(call());
    const std::vector<std::byte> hello = encode(some_hello());
    silent.back().send(std::span(hello).first(20), patient);
    ControlConnection sender = call();
    sender.send(hello, patient);
    EXPECT_TRUE(let_in());
    silent.clear();
    caller_.reset();
    EXPECT_LE(open_descriptors(), before + 1); // the sender's
}

TEST_F(Door, IsBusyWithOneSender) {
    open();
    ControlConnection sender = call();
    sender.send(encode(some_hello()), patient);
    ASSERT_TRUE(let_in());
    {
        const ControlListener::Busy busy(listener_);
        for (int i = 0; i < 3; ++i) {
            ControlConnection other = call();
            EXPECT_THAT(answer(other), HasSubstr("busy with another sender"));
        }
    }
    // And open again.
    open();
    ControlConnection next = call();
    next.send(encode(some_hello()), patient);
    EXPECT_TRUE(let_in());
}

TEST_F(Door, ClosesWhenToldTo) {
    open();
    cancel_.signal();
    EXPECT_FALSE(let_in());
}

TEST_F(Door, APeerThatGoesIsSeen) {
    open();
    std::optional<ControlConnection> sender = call();
    sender->send(encode(some_hello()), patient);
    auto& caller = let_in();
    ASSERT_TRUE(caller);
    sender.reset();
    ControlMessage message;
    EXPECT_EQ(caller->connection.receive(message, patient), Received::closed);
    EXPECT_FALSE(caller->connection.closed_by().empty());
}

TEST_F(Door, WaitingEndsByTheEvent) {
    open();
    ControlConnection sender = call();
    sender.send(encode(some_hello()), patient);
    ASSERT_TRUE(let_in());
    ControlMessage message;
    Event now;
    const auto signal = start_thread("signal", [&] { now.signal(); });
    EXPECT_EQ(sender.receive(message, {.timeout = 60 * one_second, .cancel = &now}),
              Received::cancelled);
}

// A peer that takes nothing ends in a clear error, not in waiting for ever.
TEST_F(Door, APeerThatTakesNothingIsGivenUp) {
    open();
    ControlConnection sender = call();
    sender.send(encode(some_hello()), patient);
    auto& caller = let_in();
    ASSERT_TRUE(caller);
    const std::vector<std::byte> much(1 << 20);
    try {
        for (int i = 0; i < 64; ++i)
            caller->connection.send(much, {.timeout = one_second / 10});
        FAIL() << "64 MiB were taken that nobody read";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("ETIMEDOUT"));
        EXPECT_THAT(error.what(), HasSubstr("takes nothing"));
    }
}

TEST(Control, ConnectingToNobodySaysWhatToDo) {
    const HostPort nobody = [] {
        const ControlListener gone({.host = "127.0.0.1", .port = 0});
        return at(gone);
    }();
    try {
        ControlConnection::connect(nobody, patient);
        FAIL() << "somebody listens on a port that was given up";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("ECONNREFUSED"));
        EXPECT_THAT(error.what(), HasSubstr("clearframe recv --listen"));
    }
    EXPECT_THROW(ControlConnection::connect({.host = "no.such.host.invalid"}, patient), Error);
}

TEST(Control, ListeningSaysWhyNot) {
    const ControlListener first({.host = "127.0.0.1", .port = 0});
    const auto fails = [](const HostPort& where, const char* why, Failure failure) {
        try {
            const ControlListener listener(where);
            FAIL() << "listens on " << where.text();
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), HasSubstr(why));
            EXPECT_EQ(error.failure(), failure);
        }
    };
    fails(at(first), "EADDRINUSE", Failure::unavailable);
    fails({.host = "192.0.2.1", .port = 0}, "EADDRNOTAVAIL", Failure::unavailable);
    fails({.host = "not-an-address", .port = 0}, "looking up not-an-address", Failure::usage);
}

} // namespace
} // namespace clearframe
