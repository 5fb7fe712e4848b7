// Errors are values. A function that can fail returns Result<T>; wrong input, a bad peer, a bad disk are Errors.
// A broken invariant of our own is not an Error but ensure() (base/ensure.hh).
#pragma once

#include <expected>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace base {

// What went wrong (a code of the module's own category, or errno by std::generic_category) and the particulars a
// person needs: which file, field, block or peer, and what to do.
struct Error {
    std::error_code code;
    std::string detail;

    // "detail: message of the code", ready to be printed.
    std::string message() const;
};

// A value or an Error. Must be looked at: the class is [[nodiscard]].
template <typename T>
class [[nodiscard]] Result : public std::expected<T, Error> {
  public:
    using std::expected<T, Error>::expected;
};

inline std::unexpected<Error> failure(std::error_code code, std::string detail = {}) {
    return std::unexpected(Error{code, std::move(detail)});
}

// From an errno value (positive).
inline std::unexpected<Error> failure(std::errc code, std::string detail = {}) {
    return std::unexpected(Error{std::make_error_code(code), std::move(detail)});
}
std::unexpected<Error> errno_failure(int errno_value, std::string detail = {});

// The positive errno that stands for this error towards FUSE, NBD and exit paths; EIO where none fits.
int to_errno(const Error& error);

}  // namespace base

// Leaves the calling function with the Error of an expression that yields Result<…>.
#define BASE_TRY(expression)                                             \
    do {                                                                 \
        if (auto try_result_ = (expression); !try_result_.has_value()) { \
            return std::unexpected(std::move(try_result_).error());      \
        }                                                                \
    } while (false)

#define BASE_CONCAT_INNER(a, b) a##b
#define BASE_CONCAT(a, b) BASE_CONCAT_INNER(a, b)

// BASE_ASSIGN(auto x, expression): declares x from the value, or leaves with the Error.
#define BASE_ASSIGN(declaration, expression)                                              \
    auto BASE_CONCAT(assign_result_, __LINE__) = (expression);                            \
    if (!BASE_CONCAT(assign_result_, __LINE__).has_value()) {                             \
        return std::unexpected(std::move(BASE_CONCAT(assign_result_, __LINE__)).error()); \
    }                                                                                     \
    declaration = *std::move(BASE_CONCAT(assign_result_, __LINE__))
