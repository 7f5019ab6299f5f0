// Whoever wants to be a peer says anything: it is let in with what fits, or turned away.
#include "unit/nic/emulated_peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/socket.h>

#include <functional>

namespace clearframe::test {
namespace {

using testing::HasSubstr;

// Before it is let in. ---------------------------------------------------------------------------

TEST_F(EmulatedPeer, AMalformedHelloIsTurnedAwayAndDoesNotEndTheWait) {
    const std::size_t fds = open_descriptors();
    Hello other_magic{.key = key_}, other_version{.key = key_}, other_key{.key = key_};
    other_magic.magic[3] = 'x';
    other_version.version = protocol_version + 1;
    other_key.key[15] ^= std::byte{1};
    const Hello good{.key = key_};
    const UniqueFd file = make_memfd(page);
    const std::vector<int> many(20, file.get());
    const std::vector<std::byte> large(4096);
    const auto turned_away = [&](auto say) {
        RawPeer peer(listener_->address());
        say(peer);
        const Packet packet = peer.hear();
        if (packet.bytes.empty())
            return Verdict{};
        EXPECT_TRUE(peer.hears_the_end());
        return decode_answer(packet.bytes)->verdict;
    };
    {
        Accepting accepting(*listener_, key_);
        EXPECT_EQ(turned_away([&](RawPeer& peer) { peer.say(other_magic); }), Verdict{});
        EXPECT_EQ(turned_away([&](RawPeer& peer) { peer.say(other_version); }),
                  Verdict::other_version);
        EXPECT_EQ(turned_away([&](RawPeer& peer) { peer.say(other_key); }), Verdict::wrong_key);
        EXPECT_EQ(turned_away([&](RawPeer& peer) { peer.send(bytes_of(good).first(31)); }),
                  Verdict{});
        EXPECT_EQ(turned_away([&](RawPeer& peer) { peer.send(large); }), Verdict{});
        EXPECT_EQ(turned_away([&](RawPeer& peer) { peer.send({}); }), Verdict{});
        EXPECT_EQ(turned_away([&](RawPeer& peer) { ::shutdown(peer.fd(), SHUT_WR); }), Verdict{});
        EXPECT_EQ(turned_away(
                      [&](RawPeer& peer) { peer.send(bytes_of(good), std::span(many).first(1)); }),
                  Verdict{});
        EXPECT_EQ(turned_away([&](RawPeer& peer) {
                      peer.send(bytes_of(good), std::span(many).first(regions_in_message));
                  }),
                  Verdict{});
        expect_right_peer(accepting);
    }
    EXPECT_EQ(open_descriptors(), fds + 1); // `file`
}

TEST_F(EmulatedPeer, WhoSaysNothingHoldsUpNobody) {
    std::vector<std::unique_ptr<RawPeer>> silent;
    Accepting accepting(*listener_, key_);
    for (int i = 0; i < 50; ++i)
        silent.push_back(std::make_unique<RawPeer>(listener_->address()));
    expect_right_peer(accepting);
    // Too many at once: the oldest had to go.
    EXPECT_TRUE(silent.front()->hears_the_end());
}

TEST_F(EmulatedPeer, SilenceEnds) {
    Accepting accepting(*listener_, key_);
    RawPeer silent(listener_->address());
    EXPECT_TRUE(silent.hears_the_end());
    expect_right_peer(accepting);
}

TEST_F(EmulatedPeer, WhoGoesAfterTheHelloIsAnError) {
    for (const std::uint32_t regions : {0u, 1u}) {
        Accepting accepting(*listener_, key_);
        RawPeer peer(listener_->address());
        peer.say(Hello{.regions = regions + 1, .key = key_});
        peer.hear();
        peer.hang_up();
        EXPECT_THAT(error_of_accept(accepting), HasSubstr("gone"));
    }
}

TEST_F(EmulatedPeer, WhoStopsAfterTheHelloIsWaitedForNoLonger) {
    RawPeer peer(listener_->address());
    peer.say(Hello{.regions = 1, .key = key_});
    EXPECT_THROW(listener_->accept(key_, 16, {.timeout = 20'000'000}), Error);
}

// Its memory. ------------------------------------------------------------------------------------

struct BadMemory {
    const char* what;
    const char* error;
    std::uint32_t announced;
    std::vector<RegionRecord> records;
    std::function<std::vector<UniqueFd>()> files;
};

std::vector<UniqueFd> some(UniqueFd a) {
    std::vector<UniqueFd> all;
    all.push_back(std::move(a));
    return all;
}
std::vector<UniqueFd> some(UniqueFd a, UniqueFd b) {
    std::vector<UniqueFd> all = some(std::move(a));
    all.push_back(std::move(b));
    return all;
}
UniqueFd good_file() { return make_memfd(page); }
UniqueFd ordinary_file(const char* path, int flags) {
    UniqueFd fd(::open(path, flags | O_CLOEXEC, 0600));
    EXPECT_TRUE(fd) << path;
    return fd;
}

TEST_F(EmulatedPeer, BadMemoryIsRefusedAndNothingOfItIsKept) {
    const RegionRecord good{.address = 8 * page, .length = page, .rkey = 1};
    const auto with = [&](auto change) {
        RegionRecord record = good;
        change(record);
        return record;
    };
    const RegionRecord empty = with([](RegionRecord& r) { r.length = 0; });
    const RegionRecord wraps = with([](RegionRecord& r) { r.address = ~0ull - 100; });
    const RegionRecord huge = with([](RegionRecord& r) { r.length = ~0ull; });
    const RegionRecord longer = with([](RegionRecord& r) { r.length = page + 1; });
    const RegionRecord no_key = with([](RegionRecord& r) { r.rkey = 0; });
    const RegionRecord same_key = with([](RegionRecord& r) { r.address = 20 * page; });
    const RegionRecord inside = with([](RegionRecord& r) { r.address += 100, r.rkey = 2; });
    const RegionRecord before = with([](RegionRecord& r) { r.address -= 1, r.rkey = 2; });
    const RegionRecord next = with([](RegionRecord& r) { r.address += page, r.rkey = 2; });
    const auto one = [] { return some(good_file()); };
    const auto two = [] { return some(good_file(), good_file()); };
    const std::string path = testing::TempDir() + "clearframe-ordinary-" + std::to_string(getpid());
    std::ofstream(path) << std::string(2 * page, 'x');

    const BadMemory bads[] = {
        {"too many", "512", most_regions + 1, {good}, one},
        {"more than announced", "no sense", 1, {good, next}, two},
        {"no file", "no sense", 1, {good}, [] { return std::vector<UniqueFd>(); }},
        {"a file too few", "no sense", 2, {good, next}, one},
        {"a file too many", "no sense", 1, {good}, two},
        {"more files than a message has",
         "no sense",
         1,
         {good},
         [] {
             std::vector<UniqueFd> all;
             for (std::uint32_t i = 0; i < regions_in_message; ++i)
                 all.push_back(good_file());
             return all;
         }},
        {"no bytes", "range", 1, {empty}, one},
        {"addresses that wrap", "range", 1, {wraps}, one},
        {"endless", "more than", 1, {huge}, one},
        {"longer than its file", "only", 1, {longer}, one},
        {"no key", "key", 1, {no_key}, one},
        {"a key twice", "key", 2, {good, same_key}, two},
        {"overlapping", "overlaps", 2, {good, inside}, two},
        {"overlapping from before", "overlaps", 2, {good, before}, two},
        {"that could shrink", "F_SEAL_SHRINK", 1, {good}, [] { return some(make_memfd(page, 0)); }},
        {"with holes",
         "holes",
         1,
         {good},
         [] { return some(make_memfd(page, F_SEAL_SHRINK, false)); }},
        {"that may not be written",
         "EPERM",
         1,
         {good},
         [] { return some(make_memfd(page, F_SEAL_SHRINK | F_SEAL_WRITE)); }},
        {"an ordinary file",
         "F_SEAL_SHRINK",
         1,
         {good},
         [&] { return some(ordinary_file(path.c_str(), O_RDWR)); }},
        {"a device",
         "F_SEAL_SHRINK",
         1,
         {good},
         [] { return some(ordinary_file("/dev/zero", O_RDWR)); }},
        {"a directory",
         "F_SEAL_SHRINK",
         1,
         {good},
         [] { return some(ordinary_file("/", O_RDONLY)); }},
    };
    const std::size_t fds = open_descriptors(), maps = mappings();
    for (const BadMemory& bad : bads) {
        SCOPED_TRACE(bad.what);
        Accepting accepting(*listener_, key_);
        RawPeer peer(listener_->address());
        peer.say(Hello{.regions = bad.announced, .key = key_});
        peer.hear();
        std::vector<int> numbers;
        const std::vector<UniqueFd> files = bad.files();
        for (const UniqueFd& file : files)
            numbers.push_back(file.get());
        try {
            peer.send(encode_regions(bad.records), numbers);
        } catch (const Error&) {
            EXPECT_GT(bad.announced, most_regions); // it was turned away before
        }
        EXPECT_THAT(error_of_accept(accepting), HasSubstr(bad.error));
    }
    EXPECT_EQ(open_descriptors(), fds);
    EXPECT_EQ(mappings(), maps);
    std::filesystem::remove(path);
    Accepting accepting(*listener_, key_);
    expect_right_peer(accepting);
}

TEST_F(EmulatedPeer, WhatIsNoRegionMessageIsRefused) {
    for (const std::size_t size : {1u, 7u, 8u, 33u, 600u}) {
        Accepting accepting(*listener_, key_);
        RawPeer peer(listener_->address());
        peer.say(Hello{.regions = 1, .key = key_});
        peer.hear();
        peer.send(std::vector<std::byte>(size));
        EXPECT_THAT(error_of_accept(accepting), HasSubstr("no sense"));
    }
}

TEST_F(EmulatedPeer, WhoAnswersNonsenseIsNoNic) {
    std::string address;
    const UniqueFd door = listen_at_random_name(address);
    Answer other_magic, other_version{.version = 9}, refused{.verdict = Verdict::wrong_key},
        early{.verdict = Verdict::ready}, many{.regions = most_regions + 1};
    other_magic.magic[0] = 'x';
    for (const auto& [answer, error] :
         {std::pair(other_magic, "no emulated NIC"), std::pair(other_version, "version is 9, ours"),
          std::pair(refused, "turned away"), std::pair(early, "no sense"),
          std::pair(many, "513")}) {
        auto connecting = std::async(std::launch::async, [&] {
            nic_->connect_to(address, key_, 16, {.timeout = patience});
        });
        const Deadline deadline({.timeout = patience}, "test");
        deadline.wait(door.get(), POLLIN);
        const UniqueFd socket = accept_socket(door.get());
        EXPECT_EQ(decode_hello(wait_for_packet(socket.get(), deadline).bytes)->key, key_);
        send_packet(socket.get(), bytes_of(answer), {}, deadline);
        try {
            connecting.get();
            ADD_FAILURE() << error;
        } catch (const Error& failed) {
            EXPECT_THAT(failed.what(), HasSubstr(error));
        }
    }
}

} // namespace
} // namespace clearframe::test
