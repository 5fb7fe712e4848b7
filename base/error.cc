#include "base/error.hh"

#include <cerrno>

namespace base {

std::string Error::message() const {
    if (detail.empty()) return code.message();
    return detail + ": " + code.message();
}

std::unexpected<Error> errno_failure(int errno_value, std::string detail) {
    return std::unexpected(Error{std::error_code(errno_value, std::generic_category()), std::move(detail)});
}

int to_errno(const Error& error) {
    const auto condition = error.code.default_error_condition();
    if (condition.category() == std::generic_category() && condition.value() != 0) return condition.value();
    return EIO;
}

}  // namespace base
