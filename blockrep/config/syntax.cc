#include "blockrep/config/syntax.hh"

namespace blockrep::config {
namespace {

class Parser {
  public:
    Parser(const SourceFile& file, const FileFinder& find_files, int includes)
        : lexer_(file.text, file.name), file_(file), find_files_(find_files), includes_(includes) {}

    base::Result<void> top(std::vector<Statement>& into);

  private:
    enum class Until { end_of_file, closing_brace };
    base::Result<void> statements(std::vector<Statement>& into, Until until, int depth);
    base::Result<void> rest_of_statement(Statement& statement, int depth);
    base::Result<void> include(const Statement& statement, std::vector<Statement>& into);
    base::Result<void> closed(const Token& token, Until until, const Position& opened) const;

    Lexer lexer_;
    const SourceFile& file_;
    const FileFinder& find_files_;
    int includes_;
    Position opened_;
};

base::Result<void> Parser::top(std::vector<Statement>& into) {
    opened_ = {file_.name, 1};
    return statements(into, Until::end_of_file, 0);
}

base::Result<void> Parser::closed(const Token& token, Until until, const Position& opened) const {
    if (until == Until::end_of_file && token.is('}')) {
        return config_failure(ConfigErrc::syntax, token.at, "this } closes nothing");
    }
    if (until == Until::closing_brace && token.kind == TokenKind::end) {
        return config_failure(ConfigErrc::syntax, token.at,
                              "the file ends, but the { of line " + std::to_string(opened.line) + " has no }");
    }
    return {};
}

base::Result<void> Parser::statements(std::vector<Statement>& into, Until until, int depth) {
    const Position opened = opened_;
    if (depth > deepest_nesting) return config_failure(ConfigErrc::syntax, opened, "sections are nested too deeply");
    for (;;) {
        BASE_ASSIGN(const Token token, lexer_.next());
        if (token.kind == TokenKind::end || token.is('}')) return closed(token, until, opened);
        if (token.is(';')) continue;
        if (token.kind == TokenKind::punctuation) {
            return config_failure(ConfigErrc::syntax, token.at, "a keyword expected, not `" + token.text + "`");
        }
        if (token.kind == TokenKind::word && token.text == "skip") {
            BASE_TRY(lexer_.skip_section());
            continue;
        }
        Statement statement{token.text, token.at, {}, {}};
        BASE_TRY(rest_of_statement(statement, depth));
        if (depth == 0 && statement.keyword == "include" && !statement.body) {
            BASE_TRY(include(statement, into));
        } else {
            into.push_back(std::move(statement));
        }
    }
}

base::Result<void> Parser::rest_of_statement(Statement& statement, int depth) {
    for (;;) {
        BASE_ASSIGN(Token token, lexer_.next());
        if (token.is(';')) return {};
        if (token.is('{')) {
            opened_ = token.at;
            return statements(statement.body.emplace(), Until::closing_brace, depth + 1);
        }
        if (token.is('}') || token.kind == TokenKind::end) {
            return config_failure(ConfigErrc::syntax, statement.at,
                                  "a ; is missing at the end of `" + statement.keyword + "`");
        }
        statement.values.push_back(std::move(token));
    }
}

base::Result<void> Parser::include(const Statement& statement, std::vector<Statement>& into) {
    if (statement.values.size() != 1) {
        return config_failure(ConfigErrc::syntax, statement.at, "write include \"file or pattern\";");
    }
    if (includes_ >= deepest_include) {
        return config_failure(ConfigErrc::syntax, statement.at, "files include each other more than 10 deep");
    }
    auto files = find_files_(file_.name, statement.values.front().text);
    if (!files) {
        return config_failure(ConfigErrc::unreadable, statement.at, files.error().message());
    }
    for (const auto& file : *files) {
        BASE_TRY(Parser(file, find_files_, includes_ + 1).top(into));
    }
    return {};
}

}  // namespace

std::string Statement::joined_values() const {
    std::string text;
    for (const auto& value : values) {
        if (!text.empty() && !value.glued) text += ' ';
        text += value.text;
    }
    return text;
}

base::Result<std::vector<Statement>> parse_statements(const SourceFile& file, const FileFinder& find_files) {
    std::vector<Statement> statements;
    BASE_TRY(Parser(file, find_files, 0).top(statements));
    return statements;
}

}  // namespace blockrep::config
