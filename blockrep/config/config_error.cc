#include "blockrep/config/config_error.hh"

namespace blockrep::config {
namespace {

class ConfigCategory final : public std::error_category {
  public:
    const char* name() const noexcept override { return "blockrep.config"; }
    std::string message(int code) const override {
        switch (static_cast<ConfigErrc>(code)) {
            case ConfigErrc::unreadable:
                return "configuration cannot be read";
            case ConfigErrc::syntax:
                return "syntax error";
            case ConfigErrc::unknown:
                return "unknown keyword";
            case ConfigErrc::bad_value:
                return "wrong value";
            case ConfigErrc::missing:
                return "incomplete configuration";
            case ConfigErrc::conflict:
                return "contradictory configuration";
            case ConfigErrc::unsupported:
                return "not supported";
        }
        return "unknown configuration error";
    }
};

}  // namespace

const std::error_category& config_category() {
    static const ConfigCategory category;
    return category;
}

}  // namespace blockrep::config
