#include "tools/debugfs_cfs/text.hh"

#include "base/io/json_text.hh"

namespace debugfs_cfs {
namespace {

using boost::json::value;

std::string plain(const value& what) {
    return what.is_string() ? std::string(what.get_string()) : boost::json::serialize(what);
}

bool is_flat(const boost::json::object& object) {
    for (const auto& member : object) {
        if (member.value().is_object() || member.value().is_array()) return false;
    }
    return true;
}

std::string in_one_line(const boost::json::object& object) {
    std::string line;
    for (const auto& member : object) {
        if (!line.empty()) line += "  ";
        line.append(member.key()).append(" ").append(plain(member.value()));
    }
    return line;
}

void print(const value& what, const std::string& indent, std::string& out);

void print_members(const boost::json::object& object, const std::string& indent, std::string& out) {
    for (const auto& member : object) {
        out.append(indent).append(member.key()).append(":");
        const bool nested = member.value().is_object() || member.value().is_array();
        if (nested) {
            out += "\n";
            print(member.value(), indent + "  ", out);
        } else {
            out.append(" ").append(plain(member.value())).append("\n");
        }
    }
}

void print(const value& what, const std::string& indent, std::string& out) {
    if (what.is_object()) return print_members(what.get_object(), indent, out);
    if (!what.is_array()) {
        out.append(indent).append(plain(what)).append("\n");
        return;
    }
    for (const auto& element : what.get_array()) {
        if (element.is_object() && is_flat(element.get_object())) {
            out.append(indent).append(in_one_line(element.get_object())).append("\n");
        } else {
            if (element.is_object()) out.append(indent).append("-\n");
            print(element, element.is_object() ? indent + "  " : indent, out);
        }
    }
}

}  // namespace

std::string readable(const std::string& json) {
    boost::system::error_code error;
    const auto parsed = boost::json::parse(json, error);
    if (error) return json;
    std::string out;
    print(parsed, "", out);
    return out;
}

}  // namespace debugfs_cfs
