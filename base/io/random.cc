#include "base/io/random.hh"

#include <sys/random.h>

#include <cerrno>

#include "base/ensure.hh"

namespace base {

void fill_random(MutableByteView into) {
    while (!into.empty()) {
        const auto got = ::getrandom(into.data(), into.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        ensure(got > 0, "the kernel gives no random bytes");
        into = into.subspan(static_cast<std::size_t>(got));
    }
}

Uuid random_uuid() {
    Uuid uuid;
    fill_random(uuid.bytes);
    uuid.bytes[6] = (uuid.bytes[6] & std::byte{0x0f}) | std::byte{0x40};
    uuid.bytes[8] = (uuid.bytes[8] & std::byte{0x3f}) | std::byte{0x80};
    return uuid;
}

}  // namespace base
