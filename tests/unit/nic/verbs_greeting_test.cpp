#include "nic/verbs/greeting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace clearframe::verbs {
namespace {

Greeting greeting() {
    return {.key = random_key(), .mtu = 5, .queue_pairs = 3, .numbers = {17, 18, 0xffffff}};
}

std::vector<std::byte> bytes_of(const Greeting& it) {
    const auto data = encode(it);
    return {data.begin(), data.end()};
}

TEST(VerbsGreeting, ComesBackAsItWas) {
    const Greeting sent = greeting();
    const DecodedGreeting got = decode_greeting(bytes_of(sent));
    ASSERT_TRUE(got.greeting);
    EXPECT_EQ(*got.greeting, sent);
    EXPECT_FALSE(got.other_version);
}

TEST(VerbsGreeting, HasThisLayout) {
    Greeting sent = greeting();
    sent.key.fill(std::byte{0xab});
    const auto data = encode(sent);
    std::vector<std::byte> wanted(56);
    for (std::size_t i = 0; i < 4; ++i)
        wanted[i] = static_cast<std::byte>("cfrd"[i]);
    wanted[4] = std::byte{1};
    wanted[5] = std::byte{3};
    wanted[6] = std::byte{5};
    std::fill_n(wanted.begin() + 8, 16, std::byte{0xab});
    wanted[27] = std::byte{17};
    wanted[31] = std::byte{18};
    wanted[33] = wanted[34] = wanted[35] = std::byte{0xff};
    EXPECT_THAT(data, testing::ElementsAreArray(wanted));
}

// librdmacm pads what it hands over, up to 196 bytes.
TEST(VerbsGreeting, MayBePadded) {
    std::vector<std::byte> data = bytes_of(greeting());
    data.resize(196, std::byte{0x77});
    EXPECT_TRUE(decode_greeting(data).greeting);
}

TEST(VerbsGreeting, CutShortItIsNone) {
    const std::vector<std::byte> data = bytes_of(greeting());
    for (std::size_t size = 0; size < data.size(); ++size)
        EXPECT_FALSE(decode_greeting(std::span(data).first(size)).greeting) << size;
    EXPECT_FALSE(decode_greeting({}).other_version);
}

TEST(VerbsGreeting, WhatMakesNoSenseIsNone) {
    const auto refused = [](auto change) {
        std::vector<std::byte> data = bytes_of(greeting());
        change(data);
        const DecodedGreeting got = decode_greeting(data);
        EXPECT_FALSE(got.greeting);
        EXPECT_FALSE(got.other_version);
    };
    refused([](auto& data) { data.assign(56, std::byte{0}); }); // a stranger's
    refused([](auto& data) { data[0] = std::byte{'C'}; });
    refused([](auto& data) { data[5] = std::byte{0}; }); // no queue pair
    refused([](auto& data) { data[5] = std::byte{2}; }); // fewer than numbers
    refused([](auto& data) { data[5] = std::byte{4}; }); // more than numbers
    refused([](auto& data) { data[5] = std::byte{9}; }); // more than can be
    refused([](auto& data) { data[5] = std::byte{255}; });
    refused([](auto& data) { data[6] = std::byte{0}; }); // no such MTU
    refused([](auto& data) { data[6] = std::byte{6}; });
    refused([](auto& data) { data[7] = std::byte{1}; });
    refused([](auto& data) { data[24] = std::byte{1}; }); // a number of more than 24 bits
    refused([](auto& data) { data[27] = std::byte{0}; }); // number 0
    refused([](auto& data) { data[55] = std::byte{1}; }); // a number of no queue pair
}

TEST(VerbsGreeting, OfAnotherVersionItsVersionIsTold) {
    std::vector<std::byte> data = bytes_of(greeting());
    data[4] = std::byte{2};
    const DecodedGreeting got = decode_greeting(std::span(data).first(5));
    EXPECT_FALSE(got.greeting);
    EXPECT_EQ(got.other_version, 2);
}

TEST(VerbsGreeting, OfAnyBytesWhatIsTakenIsWhatWouldBeSent) {
    std::mt19937 random(1);
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::byte> data = bytes_of(greeting());
        for (unsigned changes = 1 + random() % 3; changes > 0; --changes)
            data[random() % data.size()] = static_cast<std::byte>(random());
        if (const auto got = decode_greeting(data).greeting) {
            EXPECT_EQ(bytes_of(*got), data);
        }
    }
}

TEST(VerbsRefusal, ComesBackAsItWas) {
    for (const RefusalReason reason :
         {RefusalReason::version, RefusalReason::key, RefusalReason::queue_pairs}) {
        const Refusal sent{.version = 3, .reason = reason, .queue_pairs = 4};
        EXPECT_EQ(decode_refusal(encode(sent)), sent);
    }
}

TEST(VerbsRefusal, OfSomebodyElseIsNone) {
    auto data = encode(Refusal{.reason = RefusalReason::key});
    EXPECT_FALSE(decode_refusal({}));
    EXPECT_FALSE(decode_refusal(std::span(data).first(7)));
    data[5] = std::byte{0};
    EXPECT_FALSE(decode_refusal(data));
    data[5] = std::byte{4};
    EXPECT_FALSE(decode_refusal(data));
    EXPECT_FALSE(decode_refusal(std::vector<std::byte>(148)));
}

TEST(VerbsKey, DiffersInAnyBit) {
    const ConnectionKey key = random_key();
    EXPECT_TRUE(same_key(key, key));
    for (std::size_t i = 0; i < key.size(); ++i) {
        ConnectionKey other = key;
        other[i] ^= std::byte{0x10};
        EXPECT_FALSE(same_key(key, other));
    }
}

TEST(VerbsAddress, IsReadAsItIsWritten) {
    for (const char* text : {"10.77.0.1:4791", "255.255.255.255:65535", "[fe80::1]:1",
                             "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535"}) {
        const auto name = parse_socket_name(text);
        ASSERT_TRUE(name) << text;
        EXPECT_EQ(socket_name_text(*name), text);
    }
    EXPECT_TRUE(is_ipv4(parse_socket_name("10.77.0.1:1")->ip));
    EXPECT_TRUE(is_link_local(parse_socket_name("[fe80::1]:1")->ip));
    EXPECT_FALSE(is_link_local(parse_socket_name("[2001:db8::1]:1")->ip));
    EXPECT_EQ(ip_text(parse_socket_name("10.77.0.1:1")->ip), "10.77.0.1");
}

TEST(VerbsAddress, AnythingElseIsNone) {
    for (const char* text : {"",
                             ":",
                             "10.0.0.1",
                             "10.0.0.1:",
                             "10.0.0.1:0",
                             "10.0.0.1:65536",
                             "10.0.0.1:-1",
                             "10.0.0.1: 1",
                             "10.0.0.1:1 ",
                             "10.0.0:1",
                             "10.0.0.1.2:1",
                             "host:1",
                             "fe80::1:1",
                             "[fe80::1]",
                             "[fe80::1]1",
                             "[]:1",
                             "[10.0.0.1]:1",
                             "[fe80::1%2]:1",
                             "unix:/run/x",
                             "0x0a000001:1",
                             " 10.0.0.1:1"})
        EXPECT_FALSE(parse_socket_name(text)) << text;
}

} // namespace
} // namespace clearframe::verbs
