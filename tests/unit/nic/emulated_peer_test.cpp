// What comes from a peer in another process is hostile, and the peer may go at any moment.
#include "core/error.h"
#include "nic/emulated/protocol.h"
#include "nic/emulated/socket.h"
#include "unit/nic/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>

namespace clearframe {
namespace {

using namespace test;
using namespace emulated;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t page = 4096;

std::ptrdiff_t entries(const char* directory) {
    return std::distance(std::filesystem::directory_iterator(directory), {});
}
std::ptrdiff_t open_fds() { return entries("/proc/self/fd"); }
std::ptrdiff_t threads() { return entries("/proc/self/task"); }
std::ptrdiff_t mappings() {
    std::ifstream maps("/proc/self/maps");
    std::string line;
    std::ptrdiff_t count = 0;
    while (std::getline(maps, line))
        count += line.find("memfd:") != line.npos || line.find("/dmabuf") != line.npos;
    return count;
}

template <typename T>
std::span<const std::byte> bytes_of(const T& message) {
    return std::as_bytes(std::span(&message, 1));
}

// A memfd as the heap makes it, unless told otherwise.
UniqueFd make_memfd(std::size_t bytes, int seals = F_SEAL_SHRINK, bool with_pages = true) {
    UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
    if (with_pages) {
        EXPECT_EQ(::fallocate(fd.get(), 0, 0, static_cast<off_t>(bytes)), 0);
    }
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
    return fd;
}

// A peer that is no NIC: it says what a test wants.
class RawPeer {
public:
    explicit RawPeer(const std::string& address)
        : deadline_({.timeout = patience}, "test"), fd_(connect_socket(address, deadline_)) {}

    void send(std::span<const std::byte> bytes, std::span<const int> fds = {}) {
        send_packet(fd_.get(), bytes, fds, deadline_);
    }
    template <typename T>
    void say(const T& message) {
        send(bytes_of(message));
    }
    Packet hear() { return wait_for_packet(fd_.get(), deadline_); }
    // What is said next must be of this kind.
    Note hear_note() { return decode_note(hear().bytes).value_or(Note{.kind = NoteKind{}}); }
    bool hears_the_end() { return hear().bytes.empty(); }
    int fd() const { return fd_.get(); }
    void hang_up() { fd_.reset(); }

private:
    Deadline deadline_;
    UniqueFd fd_;
};

class EmulatedPeer : public testing::Test {
protected:
    EmulatedPeer() : nic_(open_nic("emulated")), listener_(nic_->listen()) {}

    const ConnectionKey key_ = random_key();
    Buffers buffers_;
    std::unique_ptr<Nic> nic_;
    std::unique_ptr<Listener> listener_;

    std::string error_of_accept(Accepting& accepting) {
        try {
            accepting.get();
        } catch (const Error& error) {
            return error.what();
        }
        return "accepted";
    }

    // A raw peer with memory of its own, as far as `accept` returns.
    std::unique_ptr<Endpoint> let_in(RawPeer& peer, std::uint32_t in_flight = 16) {
        Accepting accepting(*listener_, key_, in_flight);
        peer.say(Hello{.regions = 1, .key = key_});
        EXPECT_EQ(decode_answer(peer.hear().bytes)->verdict, Verdict::accepted);
        memory_ = make_memfd(page);
        const RegionRecord record{.address = page, .length = page, .rkey = 77};
        const int fds[] = {memory_.get()};
        peer.send(encode_regions({&record, 1}), fds);
        EXPECT_EQ(decode_answer(peer.hear().bytes)->verdict, Verdict::ready);
        return accepting.get();
    }

    // The real one comes in, whatever came before.
    void expect_right_peer(Accepting& accepting) {
        const auto other = open_nic("emulated");
        const auto near = other->connect_to(listener_->address(), key_, 16, {.timeout = patience});
        const auto far = accepting.get();
        far->post_receives(1);
        post_one(*near, message(1, 9));
        EXPECT_EQ(reap_one(*far).immediate, 9u);
    }

    UniqueFd memory_;
};

// Before it is let in. ---------------------------------------------------------------------------

TEST_F(EmulatedPeer, AMalformedHelloIsTurnedAwayAndDoesNotEndTheWait) {
    const std::ptrdiff_t fds = open_fds();
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
    EXPECT_EQ(open_fds(), fds + 1); // `file`
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
    const std::ptrdiff_t fds = open_fds(), maps = mappings();
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
    EXPECT_EQ(open_fds(), fds);
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

// Connected. -------------------------------------------------------------------------------------

Note arrived(std::uint32_t byte_len, std::uint32_t immediate, Nanoseconds due = 0) {
    return {.kind = NoteKind::arrived, .value = byte_len, .immediate = immediate, .due = due};
}

TEST_F(EmulatedPeer, WhatItSaysOfAWriteIsPassedOnAsItIs) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer);
    end->post_receives(1);
    peer.say(arrived(0xffffffff, 0x12345678, -5));
    const Completion received = reap_one(*end);
    EXPECT_EQ(received.status, WcStatus::success);
    EXPECT_EQ(received.byte_len, 0xffffffffu);
    EXPECT_EQ(received.immediate, 0x12345678u);
    EXPECT_GT(received.time, 0);
    EXPECT_LE(received.time, now());
    EXPECT_EQ(peer.hear_note().kind, NoteKind::confirmed);
    peer.hang_up();
}

TEST_F(EmulatedPeer, AWriteIsCompleteOnceItIsConfirmed) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer);
    const std::vector<WriteRequest> three = {message(1, 11), message(2, 22), message(3, 33)};
    EXPECT_EQ(end->post(three), 3u);
    for (const WriteRequest& request : three)
        EXPECT_EQ(peer.hear_note().immediate, *request.immediate);
    EXPECT_EQ(end->wait(1'000'000), WaitResult::timed_out);
    peer.say(Note{.kind = NoteKind::confirmed, .value = 2});
    EXPECT_THAT(statuses(reap(*end, 2)), Each(WcStatus::success));
    peer.say(Note{.kind = NoteKind::not_ready});
    const Completion failed = reap_one(*end);
    EXPECT_EQ(failed.wr_id, 3u);
    EXPECT_EQ(failed.status, WcStatus::receiver_not_ready);
    peer.hang_up();
}

TEST_F(EmulatedPeer, NoMoreIsSaidThanFitsIntoItsBuffer) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer, 4096);
    std::vector<WriteRequest> all(4096, message(1, 1));
    EXPECT_EQ(end->post(all), 4096u);
    for (std::uint32_t heard = 0; heard < 4096; heard += most_unconfirmed) {
        for (std::uint32_t i = 0; i < most_unconfirmed; ++i)
            EXPECT_EQ(peer.hear_note().kind, NoteKind::arrived);
        EXPECT_FALSE(receive_packet(peer.fd()));
        peer.say(Note{.kind = NoteKind::confirmed, .value = most_unconfirmed});
    }
    EXPECT_THAT(statuses(reap(*end, 4096)), Each(WcStatus::success));
    peer.hang_up();
}

TEST_F(EmulatedPeer, AFloodWithoutReceivesBreaksTheConnectionAndEnds) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer);
    end->post_receives(3);
    post_one(*end, message(8, 8));
    EXPECT_EQ(peer.hear_note().immediate, 8u);
    // Until it is cut off.
    try {
        for (std::uint32_t i = 0; i < 1'000'000; ++i)
            peer.say(arrived(0, i));
        FAIL() << "a million messages were taken";
    } catch (const Error&) {
    }
    std::vector<WcStatus> received;
    for (const Completion& completion : reap(*end, 4)) {
        if (completion.opcode == WcOpcode::rdma_write) {
            EXPECT_EQ(completion.status, WcStatus::flushed);
        } else {
            received.push_back(completion.status);
        }
    }
    EXPECT_THAT(received, Each(WcStatus::success));
    EXPECT_EQ(received.size(), 3u);
    post_one(*end, message(9, 9));
    EXPECT_EQ(reap_one(*end).status, WcStatus::flushed);
    EXPECT_EQ(end->wait(0), WaitResult::timed_out);
}

TEST_F(EmulatedPeer, AFloodThatReadsNothingEnds) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer, 1 << 17);
    end->post_receives(1 << 17);
    std::thread flood([&] {
        try {
            for (std::uint32_t i = 0; i < 1'000'000; ++i)
                peer.say(arrived(0, i));
        } catch (const Error&) {
        }
        peer.hang_up();
    });
    // Every receive comes back, whichever of the two ends first.
    EXPECT_EQ(reap(*end, 1 << 17).size(), std::size_t{1} << 17);
    flood.join();
}

struct Nonsense {
    const char* what;
    std::vector<std::byte> bytes;
};

std::vector<std::byte> copy_of(const Note& note) {
    const auto bytes = bytes_of(note);
    return {bytes.begin(), bytes.end()};
}

TEST_F(EmulatedPeer, WhatNoPeerSaysEndsTheConnection) {
    const Nonsense all[] = {
        {"nothing", {}},
        {"a byte", std::vector<std::byte>(1)},
        {"a note and a byte", std::vector<std::byte>(sizeof(Note) + 1)},
        {"much", std::vector<std::byte>(10'000)},
        {"no kind", copy_of({.kind = NoteKind{}})},
        {"another kind", copy_of({.kind = NoteKind{99}})},
        {"a confirmation of nothing", copy_of({.kind = NoteKind::confirmed, .value = 0})},
        {"a confirmation of too many", copy_of({.kind = NoteKind::confirmed, .value = 2})},
        {"a confirmation of very many", copy_of({.kind = NoteKind::confirmed, .value = ~0u})},
        {"a key that is none", copy_of({.kind = NoteKind::revoke, .value = 78})},
        {"what nobody asked", copy_of({.kind = NoteKind::revoked, .value = 77})},
    };
    for (const Nonsense& nonsense : all) {
        SCOPED_TRACE(nonsense.what);
        RawPeer peer(listener_->address());
        const auto end = let_in(peer);
        end->post_receives(2);
        post_one(*end, message(1, 1));
        EXPECT_EQ(peer.hear_note().kind, NoteKind::arrived);
        peer.send(nonsense.bytes);
        EXPECT_TRUE(peer.hears_the_end());
        std::vector<WcStatus> sent, received;
        for (const Completion& completion : reap(*end, 3))
            (completion.opcode == WcOpcode::rdma_write ? sent : received)
                .push_back(completion.status);
        EXPECT_THAT(sent, ElementsAre(nonsense.bytes.empty() ? WcStatus::retry_exceeded
                                                             : WcStatus::remote_operation_error));
        EXPECT_THAT(received, ElementsAre(WcStatus::flushed, WcStatus::flushed));
        post_one(*end, message(2, 2));
        EXPECT_EQ(reap_one(*end).status, WcStatus::flushed);
    }
}

TEST_F(EmulatedPeer, AConfirmationThatNobodyWaitsForEndsTheConnection) {
    for (const NoteKind kind : {NoteKind::confirmed, NoteKind::not_ready}) {
        RawPeer peer(listener_->address());
        const auto end = let_in(peer);
        end->post_receives(1);
        peer.say(Note{.kind = kind, .value = 1});
        EXPECT_TRUE(peer.hears_the_end());
        EXPECT_EQ(reap_one(*end).status, WcStatus::flushed);
        post_one(*end, message(2, 2));
        EXPECT_EQ(reap_one(*end).status, WcStatus::retry_exceeded);
    }
}

TEST_F(EmulatedPeer, ItsWordForTheTimeDoesNotHideItsEnd) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer);
    end->post_receives(2);
    peer.say(arrived(0, 5, INT64_MAX));
    EXPECT_EQ(peer.hear_note().kind, NoteKind::confirmed);
    EXPECT_EQ(end->wait(0), WaitResult::timed_out);
    peer.hang_up();
    EXPECT_THAT(statuses(reap(*end, 2)), ElementsAre(WcStatus::success, WcStatus::flushed));
}

TEST_F(EmulatedPeer, DescriptorsThatComeWithANoteAreNotKept) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer);
    end->post_receives(16);
    const std::ptrdiff_t fds = open_fds();
    const int some_fds[] = {memory_.get(), memory_.get()};
    for (int i = 0; i < 16; ++i)
        peer.send(bytes_of(arrived(0, 1)), some_fds);
    reap(*end, 16);
    EXPECT_EQ(open_fds(), fds);
    peer.hang_up();
}

TEST_F(EmulatedPeer, ARevokedRegionIsUnmapped) {
    RawPeer peer(listener_->address());
    const std::ptrdiff_t before = mappings();
    const auto end = let_in(peer);
    const RegisteredBuffer source = buffers_.source(*nic_, page);
    WriteRequest request;
    request.local = source.region.get();
    request.length = page;
    request.remote_address = page;
    request.rkey = 77;
    post_one(*end, request);
    EXPECT_EQ(reap_one(*end).status, WcStatus::success);
    const Mapping written(memory_.get(), page, Access::read, "test");
    EXPECT_TRUE(same(written.bytes(), source.bytes()));
    peer.say(Note{.kind = NoteKind::revoke, .value = 77});
    EXPECT_EQ(peer.hear_note().kind, NoteKind::revoked);
    post_one(*end, request);
    EXPECT_EQ(reap_one(*end).status, WcStatus::remote_access_error);
    // Of what is left, the test itself has mapped: source, as itself and as the NIC, and `written`.
    EXPECT_EQ(mappings(), before + 3);
    EXPECT_EQ(peer.hear_note().kind, NoteKind::broken);
    peer.hang_up();
}

// With a region of this side that it may write.
class EmulatedPeerThatWrites : public EmulatedPeer {
protected:
    EmulatedPeerThatWrites() : target_(buffers_.target(*nic_, page)), peer_(listener_->address()) {
        Accepting accepting(*listener_, key_);
        peer_.say(Hello{.regions = 0, .key = key_});
        EXPECT_EQ(decode_answer(peer_.hear().bytes)->regions, 1u);
        EXPECT_EQ(decode_regions(peer_.hear().bytes)->at(0).rkey, target_.region->rkey());
        EXPECT_EQ(decode_answer(peer_.hear().bytes)->verdict, Verdict::ready);
        end_ = accepting.get();
    }

    // That `step` ends with `answer`, and not before.
    void expect_to_wait(const std::function<void()>& step, const std::function<void()>& answer) {
        auto done = std::async(std::launch::async, step);
        EXPECT_EQ(done.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
        answer();
        done.get();
    }

    RegisteredBuffer target_;
    RawPeer peer_;
    std::unique_ptr<Endpoint> end_;
};

TEST_F(EmulatedPeerThatWrites, IsWaitedForUntilItLetsGo) {
    const std::uint32_t rkey = target_.region->rkey();
    expect_to_wait([&] { target_.region.reset(); },
                   [&] {
                       const Note note = peer_.hear_note();
                       EXPECT_EQ(note.kind, NoteKind::revoke);
                       EXPECT_EQ(note.value, rkey);
                       peer_.say(Note{.kind = NoteKind::revoked, .value = rkey});
                   });
    expect_to_wait([&] { end_.reset(); },
                   [&] {
                       EXPECT_TRUE(peer_.hears_the_end());
                       peer_.hang_up();
                   });
}

TEST_F(EmulatedPeerThatWrites, IsNotWaitedForForGood) {
    target_.region.reset();
    EXPECT_EQ(peer_.hear_note().kind, NoteKind::revoke);
    end_.reset();
    EXPECT_TRUE(peer_.hears_the_end());
}

// Processes. -------------------------------------------------------------------------------------

// peer_probe, killed at the latest when this goes.
class Probe {
public:
    Probe(const std::string& address, const ConnectionKey& key, std::vector<std::string> rest) {
        std::string digits;
        for (const std::byte byte : key) {
            constexpr char hex[] = "0123456789abcdef";
            digits += hex[static_cast<unsigned>(byte) >> 4];
            digits += hex[static_cast<unsigned>(byte) & 15];
        }
        std::vector<std::string> words = {CLEARFRAME_PEER_PROBE, address, digits};
        words.insert(words.end(), rest.begin(), rest.end());
        std::vector<char*> arguments;
        for (std::string& word : words)
            arguments.push_back(word.data());
        arguments.push_back(nullptr);
        int ends[2] = {-1, -1};
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        out_.reset(ends[0]);
        const UniqueFd in(ends[1]);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, in.get(), STDOUT_FILENO);
        EXPECT_EQ(::posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ),
                  0);
        ::posix_spawn_file_actions_destroy(&actions);
    }
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    ~Probe() { kill(); }

    void signal(int number) const { ::kill(pid_, number); }
    void kill() {
        if (pid_ <= 0)
            return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }

    // What it prints, up to the end of the line.
    std::string read_line() {
        std::string line;
        for (char c = 0; ::read(out_.get(), &c, 1) == 1 && c != '\n';)
            line += c;
        return line;
    }

private:
    UniqueFd out_;
    pid_t pid_ = 0;
};

class EmulatedPeerProcess : public EmulatedPeer {
protected:
    static constexpr std::size_t room = 8 << 20;

    void SetUp() override {
        target_.emplace(buffers_.target(*nic_, room));
        source_.emplace(buffers_.source(*nic_, room));
    }

    // A process that writes into target_, and has begun to.
    std::unique_ptr<Endpoint> let_writer_in(std::optional<Probe>& probe) {
        std::memset(target_->bytes().data(), 0xff, room);
        Accepting accepting(*listener_, key_);
        probe.emplace(listener_->address(), key_,
                      std::vector<std::string>{"write", std::to_string(target_->region->address()),
                                               std::to_string(target_->region->rkey()),
                                               std::to_string(room)});
        auto end = accepting.get();
        const Nanoseconds limit = now() + patience;
        while (first_byte() == std::byte{0xff} && now() < limit)
            std::this_thread::yield();
        return end;
    }

    std::byte first_byte() const {
        return *static_cast<const volatile std::byte*>(target_->bytes().data());
    }

    // Nothing writes any more.
    void expect_rest() {
        std::memset(target_->bytes().data(), 0xee, room);
        for (int i = 0; i < 20; ++i) {
            EXPECT_TRUE(all_are(target_->bytes(), std::byte{0xee}));
            std::this_thread::yield();
        }
    }

    std::optional<RegisteredBuffer> target_, source_;
};

TEST_F(EmulatedPeerProcess, KilledWhileItWritesItIsGone) {
    for (int round = 0; round < 5; ++round) {
        std::optional<Probe> probe;
        auto end = let_writer_in(probe);
        end->post_receives(2);
        probe->kill();
        EXPECT_THAT(statuses(reap(*end, 2)), Each(WcStatus::flushed));
        expect_rest();
        post_one(*end, message(1, 1));
        EXPECT_EQ(reap_one(*end).status, WcStatus::retry_exceeded);
    }
    Accepting accepting(*listener_, key_);
    expect_right_peer(accepting);
}

TEST_F(EmulatedPeerProcess, ClosedWhileItWritesItIsAtRest) {
    for (int round = 0; round < 5; ++round) {
        std::optional<Probe> probe;
        auto end = let_writer_in(probe);
        end.reset();
        expect_rest();
    }
}

TEST_F(EmulatedPeerProcess, KilledWhileItIsWrittenToTheWriteFails) {
    for (int round = 0; round < 5; ++round) {
        Accepting accepting(*listener_, key_);
        Probe probe(listener_->address(), key_, {"receive"});
        const auto end = accepting.get();
        WriteRequest request;
        request.local = source_->region.get();
        request.length = room;
        std::istringstream(probe.read_line()) >> request.remote_address >> request.rkey;
        const std::vector<WriteRequest> all(16, request);
        EXPECT_EQ(end->post(all), 16u);
        EXPECT_EQ(reap_one(*end).status, WcStatus::success);
        probe.kill();
        const std::vector<WcStatus> left = statuses(reap(*end, 15));
        // Some were done; of the others the first says why.
        const auto failed =
            std::ranges::find_if(left, [](WcStatus s) { return s != WcStatus::success; });
        if (failed != left.end()) {
            EXPECT_EQ(*failed, WcStatus::retry_exceeded);
            EXPECT_TRUE(std::all_of(failed + 1, left.end(),
                                    [](WcStatus s) { return s == WcStatus::flushed; }));
        }
        post_one(*end, message(1, 1));
        EXPECT_NE(reap_one(*end).status, WcStatus::success);
    }
}

TEST_F(EmulatedPeerProcess, StoppedItHoldsUpClosingForABoundedTime) {
    std::optional<Probe> probe;
    auto end = let_writer_in(probe);
    probe->signal(SIGSTOP);
    end.reset();
    Accepting accepting(*listener_, key_);
    expect_right_peer(accepting);
}

TEST_F(EmulatedPeer, NothingIsLeftOfManyConnections) {
    const auto far_nic = open_nic("emulated");
    const RegisteredBuffer source = buffers_.source(*nic_, 100'000);
    std::vector<RegisteredBuffer> targets;
    for (int i = 0; i < 8; ++i)
        targets.push_back(buffers_.target(*far_nic, 100'000));
    const auto connect = [&](int i) {
        EndpointPair ends = connect_listed(*nic_, *far_nic, 16);
        ends.receiver->post_receives(1);
        post_one(*ends.sender, write_request(1, source, 0, 100'000, targets[0], 0, 1));
        EXPECT_EQ(reap_one(*ends.sender).status, WcStatus::success);
        (i % 2 ? ends.sender : ends.receiver).reset();
    };
    connect(0);
    const std::ptrdiff_t fds = open_fds(), maps = mappings(), tasks = threads();
    for (int i = 0; i < 200; ++i)
        connect(i);
    EXPECT_EQ(open_fds(), fds);
    EXPECT_EQ(mappings(), maps);
    EXPECT_EQ(threads(), tasks);
}

} // namespace
} // namespace clearframe
