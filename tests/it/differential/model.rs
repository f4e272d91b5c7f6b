//! A small honest SMTP server: what it answers follows from the words of the addresses and of the content alone.

/// A message that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub sender: String,
    pub recipients: Vec<String>,
    pub content: Vec<u8>,
}

#[derive(Debug, Default)]
pub struct Model {
    /// Whether replies have enhanced status codes.
    pub enhanced: bool,
    /// Keywords of EHLO.
    pub keywords: String,
    pub taken: Vec<Taken>,
    /// It speaks LMTP: each recipient has an end of its own.
    pub lmtp: bool,
    buffer: Vec<u8>,
    sender: Option<String>,
    recipients: Vec<String>,
    asked: bool,
    content: Option<Vec<u8>>,
}

/// The domain whose recipients the gate refuses, and this server too when it is asked directly.
pub const SUPPRESSED: &str = "@gone.test>";

impl Model {
    pub fn new(enhanced: bool, keywords: &str) -> Self {
        Self { enhanced, keywords: keywords.to_owned(), ..Self::default() }
    }

    pub const GREETING: &str = "220 model.test ESMTP\r\n";

    /// Takes bytes, gives replies.
    pub fn step(&mut self, bytes: &[u8]) -> String {
        let mut said = String::new();
        self.buffer.extend_from_slice(bytes);
        while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
            said.push_str(&match self.content.take() {
                Some(content) => self.more(content, &line),
                None => self.command(&String::from_utf8_lossy(&line)),
            });
        }
        said
    }

    fn more(&mut self, mut content: Vec<u8>, line: &[u8]) -> String {
        if line != b"." {
            content.extend_from_slice(line);
            content.extend_from_slice(b"\r\n");
            self.content = Some(content);
            return String::new();
        }
        let text = String::from_utf8_lossy(&content).into_owned();
        let (sender, mut recipients) = self.reset();
        let end = if text.contains("Verdict: never") {
            self.reply("550", "5.7.1", "we do not want this")
        } else if text.contains("Verdict: later") {
            self.reply("451", "4.7.1", "not this now")
        } else if text.contains("Verdict: goodbye") {
            return self.reply("421", "4.3.2", "no more today");
        } else {
            self.reply("250", "2.0.0", "taken")
        };
        let mut said = end.clone();
        if self.lmtp {
            let own = |to: &String| match to.starts_with("<half.") && end.starts_with('2') {
                true => self.reply("452", "4.2.2", &format!("full at last {to}")),
                false => end.replace("\r\n", &format!(" {to}\r\n")),
            };
            said = recipients.iter().map(own).collect();
            recipients.retain(|to| !to.starts_with("<half."));
        }
        if end.starts_with('2') && !recipients.is_empty() {
            self.taken.push(Taken { sender: sender.unwrap_or_default(), recipients, content });
        }
        said
    }

    fn command(&mut self, line: &str) -> String {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "LHLO" if (verb == "LHLO") == self.lmtp => {
                self.reset();
                let keywords: Vec<_> = self.keywords.split_ascii_whitespace().collect();
                let mut lines = vec!["model.test"];
                lines.extend(keywords);
                let (last, others) = lines.split_last().expect("a name");
                let others: String = others.iter().map(|word| format!("250-{word}\r\n")).collect();
                format!("{others}250 {last}\r\n").replace('=', " ")
            }
            "MAIL" => self.mail(line),
            "RCPT" => self.rcpt(line),
            "DATA" if line.len() > 4 => self.reply("501", "5.5.4", "no argument"),
            "DATA" if self.sender.is_none() => self.reply("503", "5.5.1", "MAIL first"),
            "DATA" if !self.asked => self.reply("503", "5.5.1", "RCPT first"),
            "DATA" if self.recipients.is_empty() => {
                self.reset();
                self.reply("554", "5.5.1", "no valid recipients")
            }
            "DATA" if self.sender.as_deref() == Some("<nodata@x.test>") => {
                self.reset();
                self.reply("554", "5.7.1", "not from you")
            }
            "DATA" => {
                self.content = Some(Vec::new());
                "354 go on\r\n".to_owned()
            }
            "RSET" if line.len() == 4 => {
                self.reset();
                self.reply("250", "2.0.0", "forgotten")
            }
            "NOOP" => self.reply("250", "2.0.0", "fine"),
            "VRFY" => self.reply("252", "2.5.0", "try"),
            "QUIT" => self.reply("221", "2.0.0", "bye"),
            _ => self.reply("500", "5.5.1", "what?"),
        }
    }

    fn mail(&mut self, line: &str) -> String {
        let Some((path, _)) = path(line, "MAIL FROM:") else {
            return self.reply("501", "5.1.7", "bad sender");
        };
        if self.sender.is_some() {
            return self.reply("503", "5.5.1", "once is enough");
        }
        self.sender = Some(path.to_owned());
        self.reply("250", "2.1.0", "sender taken")
    }

    fn rcpt(&mut self, line: &str) -> String {
        let Some((path, _)) = path(line, "RCPT TO:").filter(|(path, _)| *path != "<>") else {
            return self.reply("501", "5.1.3", "bad recipient");
        };
        if self.sender.is_none() {
            return self.reply("503", "5.5.1", "MAIL first");
        }
        self.asked = true;
        let local = path.trim_start_matches('<').split(['.', '@']).next().unwrap_or_default();
        let about = path.trim_matches(['<', '>']);
        match local {
            _ if path.ends_with(SUPPRESSED) => self.reply("550", "5.7.1", about),
            "no" => self.reply("550", "5.1.1", &format!("nobody {about}")),
            "later" => self.reply("450", "4.2.1", &format!("not now {about}")),
            "full" => self.reply("452", "4.2.2", &format!("full {about}")),
            "moved" => {
                self.recipients.push(path.to_owned());
                self.reply("251", "2.1.5", &format!("forwarding {about}"))
            }
            _ => {
                self.recipients.push(path.to_owned());
                self.reply("250", "2.1.5", &format!("welcome {about}"))
            }
        }
    }

    fn reset(&mut self) -> (Option<String>, Vec<String>) {
        self.asked = false;
        (self.sender.take(), std::mem::take(&mut self.recipients))
    }

    fn reply(&self, code: &str, status: &str, text: &str) -> String {
        let status = if self.enhanced { format!("{status} ") } else { String::new() };
        format!("{code} {status}{text}\r\n")
    }
}

/// A path in angle brackets and what follows it.
fn path<'line>(line: &'line str, start: &str) -> Option<(&'line str, &'line str)> {
    let given = line.get(..start.len())?;
    let rest = line.get(start.len()..).filter(|_| given.eq_ignore_ascii_case(start))?;
    let end = rest.find('>').filter(|_| rest.starts_with('<'))?;
    let path = rest.split_at(end + 1);
    let inner = path.0.trim_matches(['<', '>']);
    let fits = inner.is_empty() || (inner.matches('@').count() == 1 && !inner.contains(' '));
    fits.then_some(path)
}
