#include "clusterfs/core/block.hh"

namespace clusterfs {

std::string LockName::text() const {
    static constexpr char digits[] = "0123456789abcdef";
    std::string reversed;
    auto rest = number;
    do {
        reversed.push_back(digits[rest & 15]);
        rest >>= 4;
    } while (rest != 0);
    std::string name(1, static_cast<char>(type));
    return name.append(reversed.rbegin(), reversed.rend());
}

}  // namespace clusterfs
