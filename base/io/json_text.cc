#include "base/io/json_text.hh"

namespace base {

std::optional<boost::json::object> parse_json_object(std::string_view text) {
    boost::json::parse_options options;
    options.max_depth = 32;
    boost::json::error_code ec;
    auto value = boost::json::parse({text.data(), text.size()}, ec, {}, options);
    if (ec || !value.is_object()) return std::nullopt;
    return std::move(value.get_object());
}

std::optional<std::string> text_member(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains({name.data(), name.size()});
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return std::string(value->get_string());
}

std::optional<std::int64_t> integer_member(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains({name.data(), name.size()});
    if (value == nullptr || !value->is_int64()) return std::nullopt;
    return value->get_int64();
}

bool true_member(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains({name.data(), name.size()});
    return value != nullptr && value->is_bool() && value->get_bool();
}

}  // namespace base
