// What the two ends say to each other: everything that is decoded comes from a stranger.
#include "wire/control.h"
#include "wire/immediate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace clearframe {
namespace {

using testing::HasSubstr;
using testing::Not;
using Bytes = std::vector<std::byte>;

Hello some_hello() {
    Hello hello;
    hello.layout = make_frame_layout(640, 480, 2560, 64);
    hello.ring = 4;
    hello.seed = 7;
    hello.max_message = 1 << 20;
    hello.bounce = 1;
    hello.paths = {"zero-copy", "staging"};
    hello.nic = "emulated";
    hello.program = "clearframe 0.1.0";
    for (std::size_t i = 0; i < hello.host.size(); ++i)
        hello.host[i] = static_cast<std::byte>(i);
    hello.parts = {{{"memfd", "memfds", "plays shared memory"}, {}, {"emulated", "", "a thread"}}};
    return hello;
}

Welcome some_welcome() {
    Welcome welcome;
    welcome.max_message = 1 << 19;
    welcome.nic_address = "192.0.2.1:4791";
    welcome.key[3] = std::byte{0xee};
    welcome.program = "clearframe 0.1.0";
    welcome.parts = {{{"system", "", ""}, {"verbs", "mlx5_0", ""}}};
    for (std::uint32_t i = 0; i < 4; ++i)
        welcome.slots.push_back({.address = std::uint64_t{0x1000'0000'0000} + i, .rkey = 100 + i});
    return welcome;
}

std::span<const std::byte> payload(const Bytes& message) {
    return std::span(message).subspan(envelope_bytes);
}
Decoded<Envelope> envelope(const Bytes& message) {
    return decode_envelope(std::span(message).first<envelope_bytes>());
}

template <typename T>
T good(Decoded<T> decoded) {
    if (const auto* const wrong = std::get_if<Mismatch>(&decoded)) {
        ADD_FAILURE() << mismatch_text(*wrong);
        return {};
    }
    return std::get<T>(decoded);
}
template <typename T>
std::string wrong(const Decoded<T>& decoded) {
    const auto* const mismatch = std::get_if<Mismatch>(&decoded);
    return mismatch ? mismatch_text(*mismatch) : "nothing is wrong";
}

TEST(Control, EveryMessageComesBackAsItWas) {
    const Hello hello = some_hello();
    const Bytes said = encode(hello);
    const Envelope before = good(envelope(said));
    EXPECT_EQ(before.type, ControlType::hello);
    EXPECT_EQ(before.length, said.size() - envelope_bytes);
    const Hello heard = good(decode_hello(payload(said)));
    EXPECT_EQ(heard.layout, hello.layout);
    EXPECT_EQ(heard.ring, hello.ring);
    EXPECT_EQ(heard.seed, hello.seed);
    EXPECT_EQ(heard.max_message, hello.max_message);
    EXPECT_EQ(heard.bounce, hello.bounce);
    EXPECT_EQ(heard.paths, hello.paths);
    EXPECT_EQ(heard.nic, hello.nic);
    EXPECT_EQ(heard.program, hello.program);
    EXPECT_EQ(heard.host, hello.host);
    EXPECT_EQ(heard.parts[0].emulation, "plays shared memory");
    EXPECT_EQ(heard.parts[1].name, "");
    EXPECT_EQ(heard.parts[2].name, "emulated");

    const Welcome welcome = some_welcome();
    const Welcome answer = good(decode_welcome(payload(encode(welcome)), hello));
    EXPECT_EQ(answer.max_message, welcome.max_message);
    EXPECT_EQ(answer.nic_address, welcome.nic_address);
    EXPECT_EQ(answer.key, welcome.key);
    EXPECT_EQ(answer.parts[1].detail, "mlx5_0");
    ASSERT_EQ(answer.slots.size(), 4u);
    EXPECT_EQ(answer.slots[3].address, welcome.slots[3].address);
    EXPECT_EQ(answer.slots[3].rkey, welcome.slots[3].rkey);

    const Begin begin = good(decode_begin(
        payload(encode(Begin{.block = 9, .path = 1, .scene = Scene::noise, .verify = 2})), hello));
    EXPECT_EQ(begin.block, 9u);
    EXPECT_EQ(begin.path, 1u);
    EXPECT_EQ(begin.scene, Scene::noise);
    EXPECT_EQ(begin.verify, 2u);
    EXPECT_EQ(good(decode_ready(payload(encode(Ready{.block = 3})))).block, 3u);
    EXPECT_EQ(good(decode_end(payload(encode(End{.block = 4})))).block, 4u);
    const Result result = good(decode_result(
        payload(encode(Result{.block = 5, .frames = 6, .lost = 7, .time_ns = 1ull << 40}))));
    EXPECT_EQ(result.block, 5u);
    EXPECT_EQ(result.frames, 6u);
    EXPECT_EQ(result.lost, 7u);
    EXPECT_EQ(result.time_ns, 1ull << 40);
    EXPECT_EQ(good(decode_bye(payload(encode(Bye{.reason = "enough"})))).reason, "enough");
    const Rejection rejection = good(decode_rejection(
        payload(encode(Rejection{.mismatch = {"ring", "4", "5"}, .advice = "a smaller --ring"}))));
    EXPECT_EQ(mismatch_text(rejection.mismatch), "ring: ours 4, theirs 5");
    EXPECT_EQ(rejection.advice, "a smaller --ring");
}

// On both ends, whatever they were built by.
TEST(Control, TheBytesOfABeginAreThese) {
    const Bytes said = encode(Begin{.block = 0x01020304, .path = 1, .scene = Scene::waves});
    const unsigned char expected[] = {'C', 'L', 'F', 'C', 1, 0, 4, 0, 16, 0, 0, 0, 0, 0, 0, 0,
                                      4,   3,   2,   1,   1, 0, 0, 0, 1,  0, 0, 0, 0, 0, 0, 0};
    ASSERT_EQ(said.size(), sizeof expected);
    for (std::size_t i = 0; i < said.size(); ++i)
        EXPECT_EQ(std::to_integer<int>(said[i]), expected[i]) << "byte " << i;
}

TEST(Control, AnotherProgramOrVersionIsNamed) {
    Bytes said = encode(Ready{.block = 1});
    said[4] = std::byte{2};
    EXPECT_EQ(wrong(envelope(said)), "version: ours 1, theirs 2");
    // But its rejection is heard: that is how one hears of its version.
    Bytes rejection = encode(Rejection{.mismatch = {"version", "2", "1"}, .advice = {}});
    rejection[4] = std::byte{2};
    EXPECT_EQ(good(envelope(rejection)).type, ControlType::rejection);
    said = encode(Ready{.block = 1});
    said[0] = std::byte{'G'};
    EXPECT_THAT(wrong(envelope(said)), HasSubstr("protocol"));
    said = encode(Ready{.block = 1});
    said[6] = std::byte{99};
    EXPECT_EQ(wrong(envelope(said)), "message: ours 1 to 8, theirs 99");
    said = encode(Ready{.block = 1});
    said[10] = std::byte{1};
    EXPECT_EQ(wrong(envelope(said)), "length: ours 0 to 16384, theirs 65540");
    said = encode(Ready{.block = 1});
    said[15] = std::byte{1};
    EXPECT_THAT(wrong(envelope(said)), HasSubstr("reserved"));
}

TEST(Control, EveryFieldOfAHelloHasItsBounds) {
    struct Case {
        const char* field;
        std::function<void(Hello&)> spoil;
    };
    const Case cases[] = {
        {"width", [](Hello& h) { h.layout.width = 0; }},
        {"width", [](Hello& h) { h.layout.width = max_frame_side + 1; }},
        {"height", [](Hello& h) { h.layout.height = 0; }},
        {"height", [](Hello& h) { h.layout.height = UINT32_MAX; }},
        {"stride", [](Hello& h) { h.layout.stride = 2559; }},
        {"stride", [](Hello& h) { h.layout.stride = UINT32_MAX; }},
        {"stride in pixels", [](Hello& h) { h.layout.stride = 2562; }},
        {"offset of the pixels", [](Hello& h) { h.layout.pixel_offset = 63; }},
        {"offset of the pixels", [](Hello& h) { h.layout.pixel_offset = UINT64_MAX; }},
        {"offset of the pixels, rest", [](Hello& h) { h.layout.pixel_offset = 66; }},
        {"offset of the trailer", [](Hello& h) { h.layout.trailer_offset = 4096; }},
        {"offset of the trailer", [](Hello& h) { h.layout.trailer_offset = UINT64_MAX - 7; }},
        {"offset of the trailer, rest", [](Hello& h) { h.layout.trailer_offset += 4; }},
        {"bytes of a frame", [](Hello& h) { ++h.layout.bytes; }},
        {"bytes of a frame", [](Hello& h) { h.layout.bytes = 0; }},
        {"bytes of a slot", [](Hello& h) { h.layout.slot_bytes = h.layout.bytes - 1; }},
        {"bytes of a slot", [](Hello& h) { h.layout.slot_bytes = UINT64_MAX; }},
        {"bytes of a slot, rest", [](Hello& h) { ++h.layout.slot_bytes; }},
        {"format", [](Hello& h) { h.format = 0; }},
        {"ring", [](Hello& h) { h.ring = 0; }},
        {"ring", [](Hello& h) { h.ring = max_slots + 1; }},
        {"largest message", [](Hello& h) { h.max_message = 0; }},
        {"bounce", [](Hello& h) { h.bounce = 2; }},
        {"number of paths", [](Hello& h) { h.paths.clear(); }},
        {"number of paths", [](Hello& h) { h.paths.assign(9, "x"); }},
    };
    for (const Case& spoilt : cases) {
        Hello hello = some_hello();
        spoilt.spoil(hello);
        EXPECT_THAT(wrong(decode_hello(payload(encode(hello)))), HasSubstr(spoilt.field));
    }
}

TEST(Control, AWelcomeFitsItsHello) {
    const Hello hello = some_hello();
    const auto answer = [&](const std::function<void(Welcome&)>& spoil) {
        Welcome welcome = some_welcome();
        spoil(welcome);
        return wrong(decode_welcome(payload(encode(welcome)), hello));
    };
    EXPECT_EQ(answer([](Welcome& w) { w.slots.pop_back(); }), "ring: ours 4, theirs 3");
    EXPECT_THAT(answer([](Welcome& w) { w.max_message = 1 << 21; }), HasSubstr("largest message"));
    EXPECT_THAT(answer([](Welcome& w) { w.max_message = 0; }), HasSubstr("largest message"));
    EXPECT_THAT(answer([](Welcome& w) { w.nic_address = ""; }), HasSubstr("address of the NIC"));
    EXPECT_THAT(answer([](Welcome& w) { w.nic_address = "a b"; }), HasSubstr("address of the NIC"));
    EXPECT_THAT(answer([](Welcome& w) { w.slots[2].address = UINT64_MAX; }),
                HasSubstr("address of a slot"));
}

TEST(Control, ABeginFitsItsHello) {
    const Hello hello = some_hello();
    EXPECT_EQ(wrong(decode_begin(payload(encode(Begin{.path = 2})), hello)),
              "path: ours 0 to 1, theirs 2");
    EXPECT_THAT(wrong(decode_begin(payload(encode(Begin{.scene = static_cast<Scene>(4)})), hello)),
                HasSubstr("scene"));
    EXPECT_THAT(wrong(decode_begin(payload(encode(Begin{.verify = 3})), hello)),
                HasSubstr("verify"));
}

TEST(Control, AMessageHasItsLength) {
    const Hello hello = some_hello();
    const auto check = [](const Bytes& said, auto decode) {
        const auto body = payload(said);
        for (std::size_t size = 0; size < body.size(); ++size)
            EXPECT_NE(wrong(decode(body.first(size))), "nothing is wrong") << size;
        Bytes longer(body.begin(), body.end());
        longer.push_back({});
        EXPECT_NE(wrong(decode(std::span<const std::byte>(longer))), "nothing is wrong");
    };
    check(encode(hello), decode_hello);
    check(encode(some_welcome()),
          [&](std::span<const std::byte> bytes) { return decode_welcome(bytes, hello); });
    check(encode(Begin{}),
          [&](std::span<const std::byte> bytes) { return decode_begin(bytes, hello); });
    check(encode(Ready{}), decode_ready);
    check(encode(End{}), decode_end);
    check(encode(Result{}), decode_result);
    check(encode(Bye{}), decode_bye);
    check(encode(Rejection{}), decode_rejection);
}

// Texts are shown on terminals.
TEST(Control, TextsDoNothingToATerminal) {
    EXPECT_EQ(good(decode_bye(payload(encode(Bye{.reason = "\x1b[2Jgone\n\x80"})))).reason,
              "?[2Jgone??");
    const std::string text(1000, 'x');
    EXPECT_EQ(good(decode_bye(payload(encode(Bye{.reason = text})))).reason, text.substr(0, 191));
    Bytes said = encode(Bye{});
    std::fill(said.begin() + envelope_bytes, said.end(), std::byte{'y'}); // no 0 at the end
    EXPECT_EQ(good(decode_bye(payload(said))).reason, std::string(191, 'y'));
}

TEST(Control, AnyBytesAreDecodedOrRefused) {
    std::mt19937 random(1);
    const Hello hello = some_hello();
    const Bytes messages[] = {encode(hello), encode(some_welcome()), encode(Begin{}),
                              encode(Result{})};
    for (int round = 0; round < 20'000; ++round) {
        Bytes bytes = messages[round % 4];
        for (int i = 0; i < 4; ++i)
            bytes[random() % bytes.size()] = static_cast<std::byte>(random());
        envelope(bytes);
        const Decoded<Hello> heard = decode_hello(payload(bytes));
        if (const auto* const h = std::get_if<Hello>(&heard)) {
            EXPECT_LE(h->layout.bytes, h->layout.slot_bytes);
            EXPECT_LE(h->layout.pixel_offset + h->layout.pixel_bytes(), h->layout.trailer_offset);
        }
        decode_welcome(payload(bytes), hello);
        decode_begin(payload(bytes), hello);
        decode_result(payload(bytes));
    }
}

} // namespace
} // namespace clearframe
