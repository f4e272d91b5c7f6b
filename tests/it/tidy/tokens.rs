//! The words and signs of a Rust file: enough of a lexer to tell code from comments and strings.

use std::iter::Peekable;
use std::str::Chars;

/// A word, `::`, or a single sign; strings and characters are reduced to `"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// The code of `text` without comments, and with every string reduced to one sign.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: text.chars().peekable(), line: 1, found: Vec::new() };
    while let Some(sign) = lexer.next() {
        lexer.token(sign);
    }
    lexer.found
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    found: Vec<Token>,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let sign = self.rest.next()?;
        self.line += usize::from(sign == '\n');
        Some(sign)
    }

    fn take(&mut self, wanted: char) -> bool {
        let there = self.rest.peek() == Some(&wanted);
        if there {
            self.next();
        }
        there
    }

    fn push(&mut self, text: impl Into<String>) {
        self.found.push(Token { text: text.into(), line: self.line });
    }

    fn token(&mut self, sign: char) {
        match sign {
            '/' if self.take('/') => while self.next().is_some_and(|sign| sign != '\n') {},
            '/' if self.take('*') => self.block_comment(),
            '"' => self.string(),
            '\'' => self.character_or_lifetime(),
            ':' if self.take(':') => self.push("::"),
            sign if sign.is_whitespace() => {}
            sign if sign == '_' || sign.is_alphanumeric() => self.word(sign),
            sign => self.push(sign),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Some('/') if self.take('*') => depth += 1,
                Some('*') if self.take('/') => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn string(&mut self) {
        self.push('"');
        loop {
            match self.next() {
                Some('\\') => drop(self.next()),
                Some('"') | None => return,
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        self.push('"');
        let mut closing = None;
        while let Some(sign) = self.next() {
            closing = match (sign, closing) {
                ('"', _) => Some(0),
                ('#', Some(seen)) => Some(seen + 1),
                _ => None,
            };
            if closing == Some(hashes) {
                return;
            }
        }
    }

    /// `'a'` and `'\n'` are characters; `'a` without a closing quote is a lifetime, whose name says nothing here.
    fn character_or_lifetime(&mut self) {
        match self.next() {
            Some('\\') => {
                self.next();
                while self.next().is_some_and(|sign| sign != '\'') {}
                self.push('"');
            }
            Some(first) if first == '_' || first.is_alphanumeric() => {
                while self.rest.peek().is_some_and(|sign| *sign == '_' || sign.is_alphanumeric()) {
                    self.next();
                }
                if self.take('\'') {
                    self.push('"');
                }
            }
            Some(_) => {
                self.take('\'');
                self.push('"');
            }
            None => {}
        }
    }

    fn word(&mut self, first: char) {
        let mut text = String::from(first);
        while let Some(sign) = self.rest.peek().copied() {
            if sign != '_' && !sign.is_alphanumeric() {
                break;
            }
            text.push(sign);
            self.next();
        }
        match (text.as_str(), self.rest.peek()) {
            ("r" | "br" | "cr", Some('"' | '#')) => self.raw(text),
            ("b" | "c", Some('"')) => {
                self.next();
                self.string();
            }
            ("b", Some('\'')) => {
                self.next();
                self.character_or_lifetime();
            }
            _ => self.push(text),
        }
    }

    /// `r"..."`, `r#"..."#`, or the raw word `r#type`.
    fn raw(&mut self, prefix: String) {
        let mut hashes = 0;
        while self.take('#') {
            hashes += 1;
        }
        if self.take('"') {
            self.raw_string(hashes);
        } else if hashes == 0 {
            self.push(prefix);
        }
    }
}
