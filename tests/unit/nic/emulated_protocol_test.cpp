// The messages of two emulated NICs: whatever comes, nothing but a message is taken for one.
#include "nic/emulated/protocol.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace clearframe::emulated {
namespace {

template <typename T>
std::vector<std::byte> bytes_of(const T& message) {
    const auto bytes = std::as_bytes(std::span(&message, 1));
    return {bytes.begin(), bytes.end()};
}

// `decode` takes `good`, and neither less of it nor more.
template <typename Decode>
void expect_whole(std::vector<std::byte> good, Decode decode) {
    EXPECT_TRUE(decode(good));
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_FALSE(decode(std::span(good).first(size))) << size;
    good.push_back(std::byte{0});
    EXPECT_FALSE(decode(good));
}

TEST(EmulatedProtocol, AMessageIsWhole) {
    expect_whole(bytes_of(Hello{}), decode_hello);
    expect_whole(bytes_of(Answer{}), decode_answer);
    expect_whole(bytes_of(Note{}), decode_note);
    const std::vector<RegionRecord> records(regions_in_message);
    for (std::size_t count = 1; count <= records.size(); ++count)
        expect_whole(encode_regions(std::span(records).first(count)), decode_regions);
}

TEST(EmulatedProtocol, WhatIsReadIsWhatWasWritten) {
    const Hello hello{.version = 7, .regions = 3, .key = random_key()};
    EXPECT_EQ(decode_hello(bytes_of(hello))->version, 7u);
    EXPECT_EQ(decode_hello(bytes_of(hello))->regions, 3u);
    EXPECT_EQ(decode_hello(bytes_of(hello))->key, hello.key);
    const Answer answer{.version = 7, .verdict = Verdict::ready, .regions = 3};
    EXPECT_EQ(decode_answer(bytes_of(answer))->verdict, Verdict::ready);
    const Note note{.kind = NoteKind::revoke, .value = 5, .immediate = 6, .due = -7};
    EXPECT_EQ(decode_note(bytes_of(note))->kind, NoteKind::revoke);
    EXPECT_EQ(decode_note(bytes_of(note))->value, 5u);
    EXPECT_EQ(decode_note(bytes_of(note))->immediate, 6u);
    EXPECT_EQ(decode_note(bytes_of(note))->due, -7);
    const RegionRecord records[] = {{.address = 1, .length = 2, .rkey = 3},
                                    {.address = 4, .length = 5, .rkey = 6}};
    const auto decoded = decode_regions(encode_regions(records));
    ASSERT_EQ(decoded->size(), 2u);
    EXPECT_EQ((*decoded)[1].address, 4u);
    EXPECT_EQ((*decoded)[1].length, 5u);
    EXPECT_EQ((*decoded)[1].rkey, 6u);
}

TEST(EmulatedProtocol, OtherMagicKindsAndCountsAreRefused) {
    Hello hello;
    hello.magic[7] ^= 1;
    EXPECT_FALSE(decode_hello(bytes_of(hello)));
    Answer answer;
    answer.magic[0] ^= 1;
    EXPECT_FALSE(decode_answer(bytes_of(answer)));
    for (const std::uint32_t verdict : {0u, 5u, 0xffffffffu})
        EXPECT_FALSE(decode_answer(bytes_of(Answer{.verdict = static_cast<Verdict>(verdict)})));
    EXPECT_FALSE(decode_answer(bytes_of(Answer{.zero = 1})));
    for (const std::uint32_t kind : {0u, 7u, 0xffffffffu})
        EXPECT_FALSE(decode_note(bytes_of(Note{.kind = static_cast<NoteKind>(kind)})));
    EXPECT_FALSE(decode_note(bytes_of(Note{.zero = 1})));

    const std::vector<RegionRecord> many(regions_in_message + 1);
    EXPECT_FALSE(decode_regions(encode_regions(many)));
    EXPECT_FALSE(decode_regions(encode_regions({})));
    std::vector<std::byte> regions = encode_regions(std::span(many).first(2));
    for (const std::uint32_t count : {0u, 1u, 3u, 0x0aaaaaabu, 0xffffffffu}) {
        std::memcpy(regions.data() + offsetof(RegionsHeader, count), &count, sizeof(count));
        EXPECT_FALSE(decode_regions(regions)) << count;
    }
    const RegionRecord odd[] = {{.address = 1, .length = 2, .rkey = 3, .zero = 4}};
    EXPECT_FALSE(decode_regions(encode_regions(odd)));
}

TEST(EmulatedProtocol, AnyBytesAreTaken) {
    std::mt19937 random(1);
    for (int i = 0; i < 20'000; ++i) {
        std::vector<std::byte> bytes(random() % (most_message_bytes + 1));
        for (std::byte& byte : bytes)
            byte = static_cast<std::byte>(random());
        decode_hello(bytes);
        decode_answer(bytes);
        decode_note(bytes);
        if (bytes.size() >= sizeof(RegionsHeader)) {
            const RegionsHeader header{.count = static_cast<std::uint32_t>(random() % 20)};
            std::memcpy(bytes.data(), &header, sizeof(header));
        }
        decode_regions(bytes);
    }
}

} // namespace
} // namespace clearframe::emulated
