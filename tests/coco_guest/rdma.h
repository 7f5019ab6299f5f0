// Soft-RoCE in the guest, through libibverbs: a connection of a queue pair to another of its own.
#pragma once

#include "nic/verbs/handles.h"

#include <cstdint>
#include <string_view>

namespace clearframe::guest {

using verbs::CompletionQueue;
using verbs::Context;
using verbs::ProtectionDomain;
using verbs::Region;
using QueuePair = verbs::QueuePairHandle;

inline constexpr int full_access =
    IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;

// Makes rxe0 afresh, by the script soft_roce: "--two", "--bounce". Throws Error.
void make_soft_roce(std::string_view options = "");

// The link of rxe0 is down while it lives. After it the device is made afresh: where messages of
// connections were lost, soft-RoCE's own queue pair stays broken, and nobody connects any more.
class LinkDown {
public:
    LinkDown();
    LinkDown(const LinkDown&) = delete;
    LinkDown& operator=(const LinkDown&) = delete;
    ~LinkDown();
};

// The device rxe0 that the script soft_roce has made.
class Rdma {
public:
    Rdma(); // throws Error

    ibv_context* context() const noexcept { return context_.get(); }
    ibv_pd* pd() const noexcept { return pd_.get(); }
    // device_cap_flags_ex of ibv_query_device_ex(). Throws Error.
    std::uint64_t capabilities() const;

private:
    Context context_;
    ProtectionDomain pd_;
};

// Two connected queue pairs (RC). Throws Error.
class Connection {
public:
    explicit Connection(const Rdma& rdma);

    // RDMA WRITE, all in one. Waits for its completion and returns its status; throws Error when
    // it cannot be posted or does not complete.
    ibv_wc_status write(const ibv_mr& from, std::uint64_t from_address, const ibv_mr& to,
                        std::uint64_t to_address, std::uint32_t bytes);

private:
    CompletionQueue completions_;
    QueuePair sender_;
    QueuePair receiver_;
};

} // namespace clearframe::guest
