//! A Rust file and the paths that it names. Not a parser: just enough for the rules.

use super::tokens::{Token, tokens};

/// A path as written or imported, made absolute: `super::reply` in `crate::smtp::status` is `crate::smtp::reply`.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    pub segments: Vec<String>,
    pub line: usize,
    /// Stands in a `use`, where a single segment is a crate too.
    pub imported: bool,
    /// Stands in code that is only built for tests.
    pub in_test: bool,
}

/// One file.
#[derive(Debug)]
pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub lines: usize,
    pub tokens: Vec<Token>,
    pub names: Vec<Named>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let tokens = tokens(text);
        let names = Reader::new(path, &tokens).read();
        Self { path: path.into(), lines: text.lines().count(), tokens, names }
    }

    /// The module below the crate that this file belongs to; empty for `main.rs` and `lib.rs`.
    pub fn module(&self) -> Vec<String> {
        module_of(&self.path)
    }
}

fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    let inner = inner.strip_suffix(".rs").unwrap_or(inner);
    let mut segments: Vec<String> = inner.split('/').map(Into::into).collect();
    if matches!(segments.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        segments.pop();
    }
    segments
}

/// Walks the tokens of one file, keeping the inline modules and test-only blocks that it is in.
struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    module: Vec<String>,
    /// For every open brace: whether it opened a module, and whether it opened test-only code.
    blocks: Vec<Block>,
    /// `#[cfg(test)]` was read, the item it is about is next.
    test_next: bool,
    whole_file_is_test: bool,
    names: Vec<Named>,
}

#[derive(Clone, Copy, Default)]
struct Block {
    module: bool,
    test: bool,
}

impl<'a> Reader<'a> {
    fn new(path: &str, tokens: &'a [Token]) -> Self {
        let module = module_of(path);
        Self {
            tokens,
            at: 0,
            whole_file_is_test: module.iter().any(|segment| segment == "tests"),
            module,
            blocks: Vec::new(),
            test_next: false,
            names: Vec::new(),
        }
    }

    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn line(&self, at: usize) -> usize {
        self.tokens.get(at).map_or(0, |token| token.line)
    }

    fn read(mut self) -> Vec<Named> {
        while self.at < self.tokens.len() {
            self.step();
        }
        self.names
    }

    fn step(&mut self) {
        match self.text(self.at) {
            "#" if self.text(self.at + 1) == "[" => self.attribute(),
            "mod" if self.text(self.at + 2) == "{" => {
                self.module.push(self.text(self.at + 1).into());
                self.open(true);
                self.at += 3;
            }
            "{" => {
                self.open(false);
                self.at += 1;
            }
            "}" => {
                if self.blocks.pop().is_some_and(|block| block.module) {
                    self.module.pop();
                }
                self.at += 1;
            }
            ";" => {
                self.test_next = false;
                self.at += 1;
            }
            // `+ use<'a>` captures lifetimes; it imports nothing.
            "use" if self.text(self.at + 1) != "<" => {
                self.at += 1;
                self.tree(&[]);
            }
            _ => self.inline(),
        }
    }

    fn open(&mut self, module: bool) {
        self.blocks.push(Block { module, test: self.test_next });
        self.test_next = false;
    }

    /// Only asks whether the attribute says `cfg(test)`, in any combination but `not(test)`.
    fn attribute(&mut self) {
        let mut depth = 0;
        let mut words = Vec::new();
        self.at += 1;
        while self.at < self.tokens.len() {
            let text = self.text(self.at);
            self.at += 1;
            match text {
                "[" => depth += 1,
                "]" => depth -= 1,
                word => words.push(word),
            }
            if depth == 0 {
                break;
            }
        }
        let says = |word: &str| words.contains(&word);
        self.test_next |= words.first() == Some(&"cfg") && says("test") && !says("not");
    }

    /// One branch of a `use` tree, up to its comma, closing brace or semicolon.
    fn tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        let line = self.line(self.at);
        let mut branched = false;
        loop {
            match self.text(self.at) {
                "" | ";" | "," | "}" => break,
                "{" => {
                    branched = true;
                    self.at += 1;
                    while !matches!(self.text(self.at), "}" | ";" | "") {
                        self.tree(&path);
                        self.at += usize::from(self.text(self.at) == ",");
                    }
                }
                "::" => {}
                // `as name` renames; the path is what counts.
                "as" => self.at += 1,
                // `a::{self}` is `a`; a leading `self` is resolved by `add`.
                "self" if !path.is_empty() => {}
                segment => path.push(segment.into()),
            }
            self.at += 1;
        }
        if !branched {
            self.add(path, line, true);
        }
    }

    /// A path in code: words joined by `::`. Generic arguments end it; what is inside them is read on its own.
    fn inline(&mut self) {
        let start = self.at;
        let mut path = Vec::new();
        if is_word(self.text(self.at)) {
            path.push(self.text(self.at).to_owned());
            while self.text(self.at + 1) == "::" && is_word(self.text(self.at + 2)) {
                path.push(self.text(self.at + 2).to_owned());
                self.at += 2;
            }
        }
        self.at += 1;
        if path.len() > 1 {
            let line = self.line(start);
            self.add(path, line, false);
        }
    }

    fn add(&mut self, path: Vec<String>, line: usize, imported: bool) {
        let in_test =
            self.whole_file_is_test || self.test_next || self.blocks.iter().any(|block| block.test);
        self.names.push(Named { segments: absolute(&self.module, path), line, imported, in_test });
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|sign: char| sign == '_' || sign.is_alphabetic())
}

/// `self`, `super` and the crate's own name from outside, all as `crate::...`.
fn absolute(module: &[String], path: Vec<String>) -> Vec<String> {
    let ups = path.iter().take_while(|segment| *segment == "super").count();
    let (start, skipped) = match path.first().map(String::as_str) {
        Some("rcptgate") => (0, 1),
        Some("self") => (module.len(), 1),
        Some("super") => (module.len().saturating_sub(ups), ups),
        _ => return path,
    };
    let own = module.iter().take(start).cloned();
    std::iter::once("crate".to_owned()).chain(own).chain(path.into_iter().skip(skipped)).collect()
}
