#include "wire/immediate.h"

#include <gtest/gtest.h>

namespace clearframe {
namespace {

TEST(Immediate, EveryFieldSurvives) {
    for (const Message message : {Message::frame, Message::credit, Message::lost, Message::end})
        for (const std::uint32_t slot : {0u, 1u, 127u, 255u})
            for (const std::uint64_t sequence : {0ull, 1ull, 0x3fffffull}) {
                const Immediate sent = Immediate::of(message, slot, sequence);
                EXPECT_EQ(Immediate::decode(sent.encode()), sent);
            }
}

TEST(Immediate, CarriesTheLowBitsOfALongSequence) {
    EXPECT_EQ(Immediate::of(Message::frame, 3, 0x1'2345'6789).sequence_low, 0x056789u);
}

TEST(Immediate, EveryValueDecodesToSomethingThatEncodesToIt) {
    for (std::uint64_t bits = 0; bits < 1ull << 32; bits += 0x10001)
        ASSERT_EQ(Immediate::decode(static_cast<std::uint32_t>(bits)).encode(), bits);
}

TEST(WidenSequence, FindsTheNextSequenceWithTheseLowBits) {
    EXPECT_EQ(widen_sequence(5, 5), 5u);
    EXPECT_EQ(widen_sequence(6, 5), 6u);
    EXPECT_EQ(widen_sequence(0, sequence_mask), std::uint64_t{sequence_mask} + 1);
    EXPECT_EQ(widen_sequence(4, 5), 4u + (1ull << sequence_bits));
    const std::uint64_t late = (7ull << 40) + sequence_mask;
    EXPECT_EQ(widen_sequence(1, late), late + 2);
}

} // namespace
} // namespace clearframe
