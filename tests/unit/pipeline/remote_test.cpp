// A sender and a receiver as two hosts have them, each with a NIC of its own, on two threads of
// this process; and senders and receivers that do not keep to the rules.
#include "core/error.h"
#include "core/thread.h"
#include "pipeline/remote_receiver.h"
#include "pipeline/remote_stream.h"
#include "support/files.h"
#include "unit/pipeline/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <limits>
#include <random>
#include <tuple>

namespace clearframe {
namespace {

using test::patient;
using testing::HasSubstr;
using Received = ControlConnection::Received;

class Remote : public testing::Test {
protected:
    // What the receiver's thread runs: one sender.
    void receive(std::function<void(RemoteReceiver&)> body = [](RemoteReceiver& receiver) {
        receiver.serve();
    }) {
        thread_ = start_thread("receiver", [this, body = std::move(body)] {
            try {
                auto caller = listener_.wait(stop_);
                if (!caller)
                    return;
                RemoteReceiver receiver(
                    std::move(*caller), parts(*receiver_nic_), {.program = "the receiver"},
                    {.patience = patience_, .most_memory = most_memory_}, stop_);
                body(receiver);
                for (const auto& path : receiver.received())
                    arrived_ += path->meter.frames.get();
                same_host_ = receiver.same_host();
            } catch (const Error& error) {
                failure_ = error.what();
            }
        });
    }
    // How the receiver's end went: empty for well.
    std::string received() {
        if (thread_.joinable())
            thread_.join();
        return failure_;
    }
    ControlConnection call() {
        return ControlConnection::connect(*parse_host_port(listener_.address()), patient);
    }
    SessionParts parts(Nic& nic) {
        return {.shared_heap = *heap_,
                .private_heap = *heap_,
                .gpu = nullptr,
                .nic = nic,
                .exposure = exposure_};
    }
    SessionOptions options() const {
        return {.width = 321,
                .height = 123,
                .ring = 4,
                .seed = 5,
                .verify = Verify::full,
                .patience = 10 * one_second,
                .paths = {find_path("zero-copy"), find_path("staging")}};
    }
    std::unique_ptr<RemoteStream> send(const SessionOptions& wanted) {
        auto stream = std::make_unique<RemoteStream>(
            wanted, parts(*sender_nic_), Introduction{.program = "the sender"}, call(), stop_);
        stream->set_scene(Scene::none);
        return stream;
    }
    void run(RemoteStream& stream, std::size_t path, std::uint64_t frames) {
        stream.run_block(path, {.frames = frames, .until = now() + 60 * one_second}, sent_[path],
                         credited_[path]);
    }
    // A stranger that speaks the words, and nothing else.
    Hello hello() const {
        Hello hello;
        hello.layout = plain_frame_layout(64, 64);
        hello.ring = 4;
        hello.max_message = 1 << 20;
        hello.paths = {"zero-copy"};
        hello.nic = "emulated";
        return hello;
    }

    std::unique_ptr<Heap> heap_ = open_heap("memfd");
    ExposureMeter exposure_;
    SendMeter sent_[2];
    ReceiveMeter credited_[2] = {ReceiveMeter(one_second), ReceiveMeter(one_second)};
    std::unique_ptr<Nic> sender_nic_ = open_nic("emulated");
    std::unique_ptr<Nic> receiver_nic_ = open_nic("emulated");
    Nanoseconds patience_ = 10 * one_second;
    std::uint64_t most_memory_ = 1 << 30;
    Event stop_;
    ControlListener listener_{{.host = "127.0.0.1", .port = 0}};
    std::uint64_t arrived_ = 0;
    bool same_host_ = false;
    std::string failure_;
    std::jthread thread_;
};

TEST_F(Remote, EveryFrameArrivesAndIsVerifiedOnBothPaths) {
    receive();
    {
        const auto stream = send(options());
        EXPECT_EQ(stream->welcome().program, "the receiver");
        for (int round = 0; round < 3; ++round)
            for (const std::size_t path : {0u, 1u})
                run(*stream, path, 20);
        EXPECT_TRUE(stream->same_buffer(0));
        EXPECT_FALSE(stream->same_buffer(1));
    }
    EXPECT_EQ(received(), "");
    EXPECT_EQ(arrived_, 120u);
    EXPECT_TRUE(same_host_);
    for (const std::size_t path : {0u, 1u}) {
        EXPECT_EQ(sent_[path].frames.get(), 60u);
        EXPECT_EQ(credited_[path].frames.get(), 60u);
        EXPECT_EQ(credited_[path].verified_pixels.get(), 60u * 321 * 123);
        EXPECT_EQ(credited_[path].corrupt.get() + credited_[path].lost.get() +
                      credited_[path].rejected.get(),
                  0u);
        // By the credits: the first of each of three blocks only starts the clock.
        EXPECT_EQ(credited_[path].throughput.total().frames, 57u);
        EXPECT_EQ(credited_[path].latency.count(), 60u);
    }
    // Zero-copy is that: no byte at either end.
    EXPECT_EQ(sent_[0].copied_bytes.get() + credited_[0].copied_bytes.get(), 0u);
    EXPECT_GT(sent_[1].copied_bytes.get(), 0u);
    EXPECT_GT(credited_[1].copied_bytes.get(), 0u);
    EXPECT_EQ(exposure_.now_bytes(), 0u);
}

TEST_F(Remote, WhatGoesWrongOnTheWayIsCountedAtBothEnds) {
    sender_nic_ = open_nic("emulated:corrupt=@3,drop=@5");
    receive();
    {
        const auto stream = send(options());
        run(*stream, 0, 20);
    }
    EXPECT_EQ(received(), "");
    EXPECT_EQ(credited_[0].corrupt.get(), 1u);
    EXPECT_EQ(credited_[0].lost.get(), 1u);
    EXPECT_EQ(sent_[0].lost.get(), 1u);
    EXPECT_EQ(arrived_, 19u);
}

// The NIC's plain transfer over the same connection, beside the stream.
TEST_F(Remote, TheLimitIsMeasuredOverTheConnection) {
    receive();
    {
        const auto stream = send(options());
        run(*stream, 0, 8);
        LimitProbe probe = stream->make_limit_probe();
        probe.measure(one_second / 100);
        run(*stream, 1, 8);
        EXPECT_GT(probe.result().dma_gbytes_per_s, 0);
        EXPECT_GT(probe.result().copy_gbytes_per_s, 0);
    }
    EXPECT_EQ(received(), "");
    EXPECT_EQ(arrived_, 16u);
}

TEST_F(Remote, TheReceiverMayEndIt) {
    std::atomic<RemoteReceiver*> present{nullptr};
    receive([&](RemoteReceiver& receiver) {
        present = &receiver;
        present.notify_one();
        receiver.serve();
    });
    {
        const auto stream = send(options());
        run(*stream, 0, 8);
        present.wait(nullptr);
        present.load()->end();
        // However long the block would be, it ends, every frame at rest.
        run(*stream, 0, std::numeric_limits<std::uint64_t>::max());
        EXPECT_TRUE(stream->stopped());
        ASSERT_TRUE(stream->ended_by_receiver());
        EXPECT_THAT(*stream->ended_by_receiver(), HasSubstr("stopped there"));
    }
    EXPECT_EQ(received(), "");
    EXPECT_EQ(arrived_, sent_[0].frames.get());
}

// As when it is killed: the sender hears of it at once, whatever it waits for.
TEST_F(Remote, AReceiverThatIsGoneEndsTheStream) {
    receive([&](RemoteReceiver& receiver) {
        receiver.set_on_block([] { throw Error(Failure::run, "it falls over", {}, {}); });
        receiver.serve();
    });
    const auto stream = send(options());
    try {
        run(*stream, 0, 8);
        run(*stream, 0, 1'000'000);
        FAIL() << "frames went to nobody";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("has gone"));
    }
    EXPECT_EQ(received(), "it falls over");
}

TEST_F(Remote, ASenderThatIsGoneEndsTheReceiver) {
    receive();
    {
        const auto stream = send(options());
        run(*stream, 0, 8);
    } // says good-bye
    EXPECT_EQ(received(), "");

    receive();
    {
        ControlConnection stranger = call();
        stranger.send(encode(hello()), patient);
        ControlMessage message;
        ASSERT_EQ(stranger.receive(message, patient), Received::message);
        EXPECT_EQ(message.type, ControlType::welcome);
    } // goes without its NIC having come
    stop_.signal();
    EXPECT_NE(received(), "");
    EXPECT_EQ(exposure_.now_bytes(), 0u);
}

TEST_F(Remote, ASilentSenderIsGivenUp) {
    patience_ = one_second / 10;
    receive();
    const auto stream = send(options());
    EXPECT_THAT(received(), HasSubstr("has stopped: no word and no frame for"));
}

TEST_F(Remote, WhoDoesNotFitIsToldWhy) {
    SessionOptions huge = options();
    huge.width = huge.height = 16384;
    huge.ring = 256;
    for (const auto& [wanted, memory] :
         {std::pair{options(), 1u << 20}, std::pair{huge, 1u << 30}}) {
        most_memory_ = memory;
        receive();
        try {
            send(wanted);
            FAIL() << "fits into " << memory;
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), HasSubstr("refuses: memory: ours frames"));
            EXPECT_EQ(error.failure(), Failure::unavailable);
        }
        EXPECT_THAT(received(), HasSubstr("memory: ours"));
    }
    // A NIC of another kind, a path that this version does not have: said by a stranger.
    for (const auto& [nic, path, says] :
         {std::tuple{"verbs", "zero-copy", "NIC: ours emulated, theirs verbs"},
          std::tuple{"emulated", "warp", "path: ours zero-copy staging, theirs warp"}}) {
        receive();
        ControlConnection stranger = call();
        Hello wrong = hello();
        wrong.nic = nic;
        wrong.paths = {path};
        stranger.send(encode(wrong), patient);
        ControlMessage message;
        ASSERT_EQ(stranger.receive(message, patient), Received::message);
        EXPECT_EQ(message.type, ControlType::rejection);
        EXPECT_THAT(received(), HasSubstr(says));
    }
    EXPECT_EQ(exposure_.now_bytes(), 0u);
}

// Senders that speak the words in the wrong places.
TEST_F(Remote, WhoBreaksTheRulesIsSentAway) {
    const std::vector<std::byte> begin = encode(Begin{.block = 0});
    std::vector<std::byte> twice = begin;
    twice.insert(twice.end(), begin.begin(), begin.end());
    std::vector<std::byte> unknown = begin;
    unknown[0] = std::byte{0};
    const std::pair<std::vector<std::byte>, const char*> cases[] = {
        {encode(Begin{.block = 1}), "block to begin: ours 0, theirs 1"},
        {encode(End{.block = 0}), "block to end: ours none, theirs 0"},
        {encode(Begin{.path = 7}), "path: ours 0, theirs 7"},
        {encode(hello()), "message: ours begin, end or bye, theirs 1"},
        {encode(Ready{}), "message: ours begin, end or bye, theirs 5"},
        {twice, "block to begin: ours none, theirs 0"},
        {unknown, "protocol: ours"},
    };
    const std::size_t fds = test::open_descriptors(), threads = test::threads();
    for (const auto& [says, hears] : cases) {
        receive();
        ControlConnection stranger = call();
        stranger.send(encode(hello()), patient);
        ControlMessage message;
        ASSERT_EQ(stranger.receive(message, patient), Received::message);
        ASSERT_EQ(message.type, ControlType::welcome);
        const auto decoded = decode_welcome(message.payload, hello());
        const auto& welcome = std::get<Welcome>(decoded);
        const auto endpoint =
            sender_nic_->connect_to(welcome.nic_address, welcome.key, 64, patient);
        stranger.send(says, patient);
        EXPECT_THAT(received(), HasSubstr(hears));
    }
    EXPECT_EQ(exposure_.now_bytes(), 0u);
    EXPECT_LE(test::open_descriptors(), fds);
    EXPECT_LE(test::threads(), threads);
}

// A sender whose NIC writes what was never agreed: immediates of slots and sequences that are not
// there, frames over and over, more than there are credits.
TEST_F(Remote, AHostileSenderCorruptsNothing) {
    receive();
    ControlConnection stranger = call();
    stranger.send(encode(hello()), patient);
    ControlMessage message;
    ASSERT_EQ(stranger.receive(message, patient), Received::message);
    const auto decoded = decode_welcome(message.payload, hello());
    const auto& welcome = std::get<Welcome>(decoded);
    const auto endpoint = sender_nic_->connect_to(welcome.nic_address, welcome.key, 64, patient);
    endpoint->post_receives(64);
    stranger.send(encode(Begin{.block = 0, .verify = 2}), patient);
    ASSERT_EQ(stranger.receive(message, patient), Received::message);
    ASSERT_EQ(message.type, ControlType::ready);

    std::mt19937 random(1);
    std::uint64_t told = 0;
    std::vector<Completion> completions(64);
    for (int round = 0; round < 2000; ++round) {
        WriteRequest request;
        request.immediate = round % 3 == 0 ? static_cast<std::uint32_t>(random())
                            : round % 3 == 1
                                ? Immediate::of(Message::frame, 0, 0).encode()
                                : Immediate::of(Message::frame, 200, random() % 8).encode();
        if (endpoint->post({&request, 1}) == 1)
            ++told;
        // Credits and completions that came are taken; some are for nonsense.
        while (endpoint->wait(0) == WaitResult::ready) {
            std::uint32_t messages = 0;
            const std::size_t count = endpoint->poll(completions);
            for (const Completion& completion : std::span(completions).first(count)) {
                if (completion.status != WcStatus::success)
                    goto broken;
                messages += completion.opcode == WcOpcode::receive_with_immediate;
            }
            if (count == 0)
                break;
            endpoint->post_receives(messages);
        }
    }
broken:
    // Whatever became of the connection, the receiver ends in a clear way, with all its memory.
    stranger.send(encode(Bye{}), patient);
    received();
    EXPECT_GT(told, 0u);
    EXPECT_EQ(exposure_.now_bytes(), 0u);
    EXPECT_EQ(exposure_.unzeroed_bytes(), 0u);
}

} // namespace
} // namespace clearframe
