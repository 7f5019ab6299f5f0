// What comes with a request or an answer of librdmacm, and addresses as text: the first byte says
// which.
#include "nic/verbs/greeting.h"

#include "fuzz/target.h"

#include <string_view>

namespace clearframe {

void fuzz::one_input(std::span<const std::byte> input) {
    if (input.empty())
        return;
    const std::span<const std::byte> bytes = input.subspan(1);
    switch (std::to_integer<unsigned>(input[0]) % 3) {
    case 0:
        if (const auto decoded = verbs::decode_greeting(bytes); decoded.greeting) {
            fuzz::require(decoded.greeting->queue_pairs >= 1);
            fuzz::require(decoded.greeting->queue_pairs <= verbs::most_queue_pairs);
            const auto again = verbs::decode_greeting(verbs::encode(*decoded.greeting));
            fuzz::require(again.greeting == decoded.greeting);
        }
        break;
    case 1:
        if (const auto refusal = verbs::decode_refusal(bytes))
            fuzz::require(verbs::decode_refusal(verbs::encode(*refusal)) == refusal);
        break;
    default:
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (const auto name = verbs::parse_socket_name(text))
            fuzz::require(verbs::parse_socket_name(verbs::socket_name_text(*name)) == name);
    }
}

} // namespace clearframe
