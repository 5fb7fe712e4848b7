// Parses text as the file "test.conf"; includes are answered from a map.
#pragma once

#include <map>
#include <string>

#include "blockrep/config/configuration.hh"

namespace blockrep::config {

using Files = std::map<std::string, std::string>;

inline base::Result<Configuration> parse_text(const std::string& text, const Files& files = {}) {
    return parse_configuration(
        {"test.conf", text},
        [&](const std::string&, const std::string& pattern) -> base::Result<std::vector<SourceFile>> {
            const auto found = files.find(pattern);
            if (found == files.end()) {
                return base::failure(std::errc::no_such_file_or_directory, pattern);
            }
            return std::vector<SourceFile>{{found->first, found->second}};
        });
}

inline std::string hosts(const std::string& suffix = "") {
    return "on a { device /dev/drbd0 minor 0; disk /dev/vg0/www; address 10.0.0.1:7789; meta-disk internal; }\n"
           "on b { device /dev/drbd0 minor 0; disk /dev/vg0/www; address 10.0.0.2:7789; meta-disk internal; }\n" +
           suffix;
}

inline std::string resource(const std::string& inside) { return "resource r0 {\n" + inside + "}\n"; }

inline const std::string secret = "net { cram-hmac-alg sha256; shared-secret \"top secret\"; }\n";

}  // namespace blockrep::config
