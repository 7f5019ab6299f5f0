#include "memory/shortage.h"

#include <errno.h>

namespace clearframe {

std::string_view shortage_advice(int error) {
    switch (error) {
    case ENOMEM:
    case ENOSPC:
        return "Take a smaller --ring or --size, or free memory";
    case EFBIG:
        return "Take a smaller --size, or raise `ulimit -f`";
    case EMFILE:
        return "Raise `ulimit -n`, or take a smaller --ring";
    case ENFILE:
        return "Close other programs or raise the system's limit: sysctl fs.file-max";
    default:
        return {};
    }
}

} // namespace clearframe
