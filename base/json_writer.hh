// Writes JSON text in order; the one way in which cores describe themselves (status, dump, crash report).
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace base {

// begin_object() … key("x").value(1) … end_object(). Commas and quoting are the writer's business; bytes that are not
// UTF-8 are written as \u00XX so that the output always parses. The caller must balance begin and end.
class JsonWriter {
  public:
    JsonWriter& begin_object();
    JsonWriter& end_object();
    JsonWriter& begin_array();
    JsonWriter& end_array();
    JsonWriter& key(std::string_view name);
    JsonWriter& value(std::string_view text);
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(bool flag);
    JsonWriter& value(double number);
    template <std::signed_integral T>
    JsonWriter& value(T number) {
        return raw(std::to_string(static_cast<std::int64_t>(number)));
    }
    template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>) JsonWriter& value(T number) {
        return raw(std::to_string(static_cast<std::uint64_t>(number)));
    }
    JsonWriter& null() { return raw("null"); }

    template <typename T>
    JsonWriter& member(std::string_view name, const T& what) {
        return key(name).value(what);
    }

    const std::string& text() const { return text_; }

  private:
    JsonWriter& raw(std::string_view token);
    void separate();
    void quote(std::string_view text);

    std::string text_;
    std::vector<bool> has_element_;  // one per open object or array
    bool after_key_ = false;
};

}  // namespace base
