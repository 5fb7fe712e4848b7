#include "fencing/format/error.hh"

#include <string>

namespace fencing {
namespace {

const char* text_of(Errc code) {
    switch (code) {
        case Errc::bad_message:
            return "malformed message from the group";
        case Errc::message_version:
            return "message of a newer version";
        case Errc::message_too_long:
            return "message too long for the group";
        case Errc::bad_config:
            return "wrong configuration";
        case Errc::agent_missing:
            return "fence agent not found";
        case Errc::agent_start:
            return "cannot start the fence agent";
        case Errc::incarnation_file:
            return "cannot use the incarnation file";
        case Errc::unknown_node:
            return "no such node in fencing.toml";
        case Errc::refused:
            return "refused";
    }
    return "unknown error";
}

class Category : public std::error_category {
  public:
    const char* name() const noexcept override { return "fencing"; }
    std::string message(int value) const override { return text_of(static_cast<Errc>(value)); }
};

}  // namespace

std::error_code make_error_code(Errc code) {
    static const Category category;
    return {static_cast<int>(code), category};
}

}  // namespace fencing
