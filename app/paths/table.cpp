#include "paths/table.h"

#include "paths/staging.h"
#include "paths/zero_copy.h"

namespace clearframe {
namespace {

constexpr PathType types[] = {
    {.name = "zero-copy",
     .memory = zero_copy_memory,
     .make_send = make_zero_copy_send,
     .make_receive = make_zero_copy_receive},
    {.name = baseline_path,
     .memory = staging_memory,
     .make_send = make_staging_send,
     .make_receive = make_staging_receive},
};

} // namespace

std::span<const PathType> path_types() { return types; }

const PathType* find_path(std::string_view name) {
    for (const PathType& type : types)
        if (type.name == name)
            return &type;
    return nullptr;
}

} // namespace clearframe
