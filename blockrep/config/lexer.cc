#include "blockrep/config/lexer.hh"

namespace blockrep::config {
namespace {

constexpr std::string_view punctuation = "{};:[]";

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }

bool is_word_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+,%@").find(c) != std::string_view::npos;
}

std::string printable(char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) return std::string(1, c);
    constexpr std::string_view digits = "0123456789abcdef";
    return std::string("\\x") + digits[byte >> 4] + digits[byte & 15];
}

}  // namespace

void Lexer::advance(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        if (rest_[i] == '\n') ++at_.line;
    }
    rest_.remove_prefix(count);
}

bool Lexer::skip_blank() {
    const auto before = rest_.size();
    while (!rest_.empty()) {
        if (is_blank(rest_.front())) {
            advance(1);
        } else if (rest_.front() == '#') {
            advance(std::min(rest_.find('\n'), rest_.size()));
        } else {
            break;
        }
    }
    return rest_.size() != before;
}

base::Result<Token> Lexer::next() {
    const bool apart = skip_blank();
    if (rest_.empty()) return Token{TokenKind::end, {}, at_, false};
    base::Result<Token> token = [&]() -> base::Result<Token> {
        if (rest_.front() == '"') return quoted();
        if (punctuation.find(rest_.front()) == std::string_view::npos) return word();
        Token mark{TokenKind::punctuation, std::string(1, rest_.front()), at_, false};
        advance(1);
        return mark;
    }();
    if (token) token->glued = !apart;
    return token;
}

base::Result<Token> Lexer::quoted() {
    const Position start = at_;
    std::string text;
    std::size_t i = 1;
    for (;; ++i) {
        if (i >= rest_.size() || rest_[i] == '\n') {
            return config_failure(ConfigErrc::syntax, start,
                                  "the string that starts here has no closing \" on its line");
        }
        if (rest_[i] == '"') break;
        if (rest_[i] == '\\' && i + 1 < rest_.size() && rest_[i + 1] != '\n') ++i;
        text += rest_[i];
    }
    if (text.size() > longest_quoted) {
        return config_failure(ConfigErrc::bad_value, start, "a string of more than 255 characters");
    }
    advance(i + 1);
    return Token{TokenKind::quoted, std::move(text), start, false};
}

base::Result<Token> Lexer::word() {
    std::size_t length = 0;
    while (length < rest_.size() && is_word_character(rest_[length])) ++length;
    if (length == 0) {
        return config_failure(ConfigErrc::syntax, at_,
                              "unexpected character `" + printable(rest_.front()) + "` (quote it: \"...\")");
    }
    if (length > longest_word) return config_failure(ConfigErrc::bad_value, at_, "a word of more than 128 characters");
    Token token{TokenKind::word, std::string(rest_.substr(0, length)), at_, false};
    advance(length);
    return token;
}

base::Result<void> Lexer::skip_section() {
    const Position start = at_;
    std::size_t depth = 0;
    while (!rest_.empty()) {
        const char c = rest_.front();
        if (c == '}' && depth == 0) break;
        advance(1);
        if (c == '{') ++depth;
        if (c == '}' && --depth == 0) return {};
    }
    return config_failure(ConfigErrc::syntax, start,
                          "`skip` must be followed by a section { ... } with balanced braces");
}

}  // namespace blockrep::config
