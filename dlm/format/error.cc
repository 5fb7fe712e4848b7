#include "dlm/format/error.hh"

#include <string>

namespace dlm {
namespace {

class Category : public std::error_category {
  public:
    const char* name() const noexcept override { return "dlm"; }
    std::string message(int code) const override {
        switch (static_cast<Errc>(code)) {
            case Errc::bad_magic:
                return "not a message of the lock manager";
            case Errc::bad_version:
                return "a version of the lock protocol that is not spoken here";
            case Errc::bad_type:
                return "an unknown type of message";
            case Errc::bad_length:
                return "a message of the wrong length";
            case Errc::bad_field:
                return "a field out of its range";
        }
        return "unknown error";
    }
};

}  // namespace

const std::error_category& error_category() {
    static const Category category;
    return category;
}

}  // namespace dlm
