// A drbd.conf as a tree of statements: who may contain what is not known here.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hh"
#include "blockrep/config/lexer.hh"

namespace blockrep::config {

// keyword value value ... ;      or      keyword value ... { statements }
struct Statement {
    std::string keyword;
    Position at;
    std::vector<Token> values;
    std::optional<std::vector<Statement>> body;

    // The values as one text, as they stood (10.0.0.1:7788, /dev/sdb[3]).
    std::string joined_values() const;
};

struct SourceFile {
    std::string name;
    std::string text;
};

// Reads the files that an `include "pattern";` in file `from` names: relative to the directory of `from`, in sorted
// order; a pattern without wildcards that names nothing is an error, one with wildcards is not.
using FileFinder =
    std::function<base::Result<std::vector<SourceFile>>(const std::string& from, const std::string& pattern)>;

inline constexpr int deepest_include = 10;
inline constexpr int deepest_nesting = 16;

base::Result<std::vector<Statement>> parse_statements(const SourceFile& file, const FileFinder& find_files);

}  // namespace blockrep::config
