#include "commands/stream_options.h"

#include "core/error.h"
#include "core/units.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <tuple>

namespace clearframe {
namespace {

std::string path_names() {
    std::string names;
    for (const PathType& type : path_types())
        names += fmt::format("{}{}", names.empty() ? "" : ", ", type.name);
    return names;
}

std::vector<const PathType*> parse_paths(const std::vector<std::string>& names) {
    std::vector<const PathType*> paths;
    for (const std::string& name : names) {
        const PathType* type = find_path(name);
        if (!type)
            refuse_option("--paths", name, path_names());
        for (const PathType* other : paths)
            if (other == type)
                refuse_option("--paths", name, "each path once");
        paths.push_back(type);
    }
    if (paths.empty())
        refuse_option("--paths", "", path_names());
    return paths;
}

} // namespace

void refuse_option(std::string_view option, std::string_view value, std::string_view expected) {
    throw Error(Failure::usage, fmt::format("{} '{}' makes no sense", option, value), {},
                fmt::format("Expected {}", expected));
}

Sides parse_sides(std::string_view option, const std::string& text, Sides least, Sides most,
                  std::string_view like) {
    std::uint32_t width = 0, height = 0;
    const char* const end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, width);
    bool good = first.ec == std::errc{} && first.ptr != end && *first.ptr == 'x';
    if (good) {
        const auto second = std::from_chars(first.ptr + 1, end, height);
        good = second.ec == std::errc{} && second.ptr == end;
    }
    if (!good || width < least.first || height < least.second || width > most.first ||
        height > most.second)
        refuse_option(option, text,
                      fmt::format("WIDTHxHEIGHT in pixels, from {}x{} to {}x{}, like {}",
                                  least.first, least.second, most.first, most.second, like));
    return {width, height};
}

Nanoseconds parse_seconds(std::string_view option, double seconds) {
    if (!std::isfinite(seconds) || seconds <= 0 || seconds > 86400)
        refuse_option(option, fmt::format("{}", seconds), "seconds, more than 0 and at most 86400");
    return static_cast<Nanoseconds>(seconds * 1e9);
}

Scene parse_scene(std::string_view text) {
    return known_value(scene_from_name(text), "--scene", text, "none, waves, test-card or noise");
}

void declare_stream_options(CLI::App& app, StreamOptions& options) {
    app.add_option("--size", options.size, "frame size in pixels, up to 16384x16384")
        ->option_text("WxH [1920x1080]");
    app.add_option("--paths", options.paths,
                   "what is compared: zero-copy, staging [zero-copy,staging]")
        ->delimiter(',')
        ->option_text("LIST");
    app.add_option(
           "--heap", options.heap,
           "where frame memory comes from: auto, system_cc_shared, system_cc_decrypted, "
           "system, udmabuf, memfd; or nic, what the NIC's driver allocates (ibv_alloc_buf)")
        ->option_text("NAME [auto]");
    app.add_option("--gpu", options.gpu, "a device by name, part of it, or index; none; auto")
        ->option_text("NAME [auto]");
    app.add_option("--nic", options.nic,
                   "auto; verbs[:device=mlx5_0,port=1,gid=3,qps=2,wait=event|poll,cq-moderation=8,"
                   "mtu=4096], an RDMA device; or emulated[:rate=100Gbps,latency=5us,seed=1] and, "
                   "for tests, faults: corrupt, drop, torn, late, wrong-length, wrong-immediate, "
                   "error, stall, each =PROBABILITY or =@FRAME")
        ->option_text("NIC [emulated]");
    app.add_option("--ring", options.ring, "slots at each end, 1 to 256")->option_text("N [8]");
    app.add_option("--verify", options.verify,
                   "what the receiver checks of each frame: off, sampled (stamps and one pixel of "
                   "every 128 KiB), full (every pixel)")
        ->option_text("HOW [sampled]");
    app.add_option("--bounce", options.bounce,
                   "which devices the staging path copies for: nic, or both (the GPU too)")
        ->option_text("WHICH [nic]");
    app.add_option("--pool", options.pool_mib,
                   "MiB of the staging pool [as swiotlb: 6 % of memory, 64 to 1024]")
        ->option_text("MIB");
    app.add_option("--seed", options.seed, "of scenes and of the interval's resampling")
        ->option_text("N [1]");
    app.add_option("--timeout", options.timeout, "give up when nothing moves for so long")
        ->option_text("S [5]");
    app.add_option("--require", options.require,
                   "parts that must be real, not emulated: heap, gpu, nic")
        ->delimiter(',')
        ->option_text("LIST");
}

SessionOptions make_session_options(const StreamOptions& options) {
    SessionOptions session;
    std::tie(session.width, session.height) =
        parse_sides("--size", options.size, {1, 1}, {max_frame_side, max_frame_side}, "1920x1080");
    if (options.ring < 1 || options.ring > max_slots)
        refuse_option("--ring", std::to_string(options.ring),
                      fmt::format("1 to {} slots", max_slots));
    session.ring = options.ring;
    session.seed = options.seed;
    session.verify = known_value(verify_from_name(options.verify), "--verify", options.verify,
                                 "off, sampled or full");
    if (options.bounce != "nic" && options.bounce != "both")
        refuse_option("--bounce", options.bounce, "nic or both");
    session.bounce = options.bounce == "both" ? Bounce::both : Bounce::nic;
    if (!std::isfinite(options.pool_mib) || options.pool_mib < 0 || options.pool_mib > 65536)
        refuse_option("--pool", fmt::format("{}", options.pool_mib), "MiB, up to 65536");
    session.staging.pool_bytes = static_cast<std::size_t>(options.pool_mib * MiB);
    session.patience = parse_seconds("--timeout", options.timeout);
    session.paths = parse_paths(options.paths);
    for (const std::string& part : options.require)
        if (part != "heap" && part != "gpu" && part != "nic")
            refuse_option("--require", part, "heap, gpu or nic");
    return session;
}

std::map<std::string, std::string> stream_config(const StreamOptions& options,
                                                 const SessionOptions& session) {
    const nlohmann::json config{
        {"size", {session.width, session.height}},
        {"paths", options.paths},
        {"heap", options.heap},
        {"gpu", options.gpu},
        {"nic", options.nic},
        {"ring", options.ring},
        {"verify", options.verify},
        {"bounce", options.bounce},
        {"pool_bytes", session.staging.pool_bytes},
        {"seed", options.seed},
        {"timeout_s", options.timeout},
        {"require", options.require},
    };
    std::map<std::string, std::string> texts;
    for (const auto& [name, value] : config.items())
        texts[name] = value.dump();
    return texts;
}

} // namespace clearframe
