// The words of a drbd.conf: lazily, because `skip` hides text that need not be made of words.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.hh"
#include "blockrep/config/config_error.hh"

namespace blockrep::config {

enum class TokenKind { word, quoted, punctuation, end };

// Punctuation is one of { } ; : [ ]. A quoted string has its quotes and backslashes taken off.
struct Token {
    TokenKind kind = TokenKind::end;
    std::string text;
    Position at;
    bool glued = false;  // stands directly behind the token before it, as in 10.0.0.1:7788

    bool is(char punctuation) const {
        return kind == TokenKind::punctuation && text.size() == 1 && text[0] == punctuation;
    }
};

inline constexpr std::size_t longest_word = 128;
inline constexpr std::size_t longest_quoted = 255;

class Lexer {
  public:
    // `text` must outlive the lexer; `file` is for messages.
    Lexer(std::string_view text, std::string file) : rest_(text), at_{std::move(file), 1} {}

    base::Result<Token> next();

    // After the word `skip`: everything up to and including the section that follows, braces balanced.
    base::Result<void> skip_section();

  private:
    bool skip_blank();  // true when anything was skipped
    base::Result<Token> quoted();
    base::Result<Token> word();
    void advance(std::size_t count);

    std::string_view rest_;
    Position at_;
};

}  // namespace blockrep::config
