// What the probe measures: seconds per step, printed as one line of JSON. The same program runs on every filesystem
// that is compared, so what it costs itself is in both figures.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace bench {

using Seconds = std::vector<std::pair<std::string, double>>;

// The steps of `names`, in that order, on `count` files of `bytes` bytes in `folder`:
// create stat open_read list delete; a name may be followed by -again.
Seconds small_files(const std::string& folder, std::size_t count, std::size_t bytes,
                    const std::vector<std::string>& names);

// write (with fsync at its end) or read, `mebibytes` in pieces of 1 MiB.
Seconds stream(const std::string& path, std::size_t mebibytes, const std::vector<std::string>& names);

double now();
[[noreturn]] void fail(const std::string& what);

}  // namespace bench
