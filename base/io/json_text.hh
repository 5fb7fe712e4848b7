// JSON that comes from outside, parsed without exceptions.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace base {

// An object with at most 32 levels; nothing else.
std::optional<boost::json::object> parse_json_object(std::string_view text);

// Members of an object from outside: nothing when absent or of another type.
std::optional<std::string> text_member(const boost::json::object& object, std::string_view name);
std::optional<std::int64_t> integer_member(const boost::json::object& object, std::string_view name);
bool true_member(const boost::json::object& object, std::string_view name);

}  // namespace base
