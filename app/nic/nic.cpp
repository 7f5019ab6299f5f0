#include "nic/nic.h"

#include "core/error.h"
#include "nic/emulated/emulated_nic.h"
#include "nic/verbs.h"

#include <fmt/format.h>

#include <errno.h>
#include <sys/random.h>

namespace clearframe {
namespace {

std::string_view wc_status_name(WcStatus status) {
    switch (status) {
    case WcStatus::success:
        return "IBV_WC_SUCCESS";
    case WcStatus::local_length_error:
        return "IBV_WC_LOC_LEN_ERR";
    case WcStatus::local_protection_error:
        return "IBV_WC_LOC_PROT_ERR";
    case WcStatus::flushed:
        return "IBV_WC_WR_FLUSH_ERR";
    case WcStatus::remote_access_error:
        return "IBV_WC_REM_ACCESS_ERR";
    case WcStatus::remote_operation_error:
        return "IBV_WC_REM_OP_ERR";
    case WcStatus::retry_exceeded:
        return "IBV_WC_RETRY_EXC_ERR";
    case WcStatus::receiver_not_ready:
        return "IBV_WC_RNR_RETRY_EXC_ERR";
    case WcStatus::fatal:
        return "IBV_WC_FATAL_ERR";
    case WcStatus::general_error:
        return "IBV_WC_GENERAL_ERR";
    }
    return "ibv_wc_status";
}

} // namespace

std::string wc_status_text(WcStatus status) {
    return fmt::format("{} ({})", wc_status_name(status), static_cast<std::uint32_t>(status));
}

ConnectionKey random_key() {
    ConnectionKey key;
    if (::getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size()))
        throw_errno(errno, "getrandom");
    return key;
}

bool same_key(const ConnectionKey& one, const ConnectionKey& other) noexcept {
    std::byte difference{0};
    for (std::size_t i = 0; i < one.size(); ++i)
        difference |= one[i] ^ other[i];
    return difference == std::byte{0};
}

std::size_t Endpoint::post(std::span<const WriteRequest> requests) {
    for (const WriteRequest& request : requests) {
        if (request.length > limits_.max_message)
            throw Error(Failure::run,
                        fmt::format("NIC: a write of {} bytes is over the limit of {}",
                                    request.length, limits_.max_message),
                        {}, {});
        if (request.length == 0)
            continue;
        if (!request.local || request.local_offset > request.local->length() ||
            request.length > request.local->length() - request.local_offset)
            throw Error(Failure::run,
                        fmt::format("NIC: a write of {} bytes at offset {} is outside its region",
                                    request.length, request.local_offset),
                        {}, {});
    }
    return do_post(requests);
}

namespace {

Candidate emulated_candidate() {
    return {.name = "emulated",
            .detail = "RDMA writes as verbs has them",
            .usable = true,
            .emulated = true,
            .emulation = "in this process: a thread moves the bytes"};
}

std::string_view name_of(std::string_view specification) {
    return specification.substr(0, specification.find(':'));
}

} // namespace

std::vector<Candidate> probe_nics(const std::filesystem::path& root) {
    return {probe_verbs(root), emulated_candidate()};
}

std::vector<Candidate> probe_nics_for(std::string_view specification) {
    if (name_of(specification) == "emulated")
        return {emulated_candidate()};
    return probe_nics();
}

std::unique_ptr<Nic> open_nic(std::string_view specification) {
    return open_nic(specification, probe_nics_for(specification));
}

std::unique_ptr<Nic> open_nic(std::string_view specification, std::span<const Candidate> nics) {
    const std::size_t colon = specification.find(':');
    const std::string_view options =
        colon == specification.npos ? "" : specification.substr(colon + 1);
    const Choice choice = choose("NIC", name_of(specification), nics);
    return nics[choice.index].name == "verbs" ? make_verbs_nic(options)
                                              : make_emulated_nic(parse_emulated_options(options));
}

} // namespace clearframe
