use std::io::{self, Write};
use std::sync::mpsc;

use tracing_subscriber::layer::SubscriberExt as _;

use crate::smtp::address::RecipientKey;

use super::*;

/// Sends what is written to a channel.
struct Tap(mpsc::Sender<String>);

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What one call logs, without the time.
fn logged(format: Format, log: impl FnOnce()) -> String {
    let (tap, lines) = mpsc::channel();
    let (writer, guard) = Writer::start(format, Tap(tap));
    let subscriber = tracing_subscriber::registry().with(Lines::new(format, writer));
    tracing::subscriber::with_default(subscriber, log);
    drop(guard);
    lines.try_iter().collect()
}

fn text_value(value: &str) -> String {
    let line = logged(Format::Text, || tracing::info!(event = "t", v = value));
    assert_eq!(line.matches('\n').count(), 1, "{line:?}");
    line.trim_end().split_once(" v=").expect("the field").1.to_owned()
}

fn json_value(value: &str) -> String {
    let line = logged(Format::Json, || tracing::info!(event = "t", v = value));
    let object: serde_json::Value = serde_json::from_str(&line).expect("one JSON object");
    let raw = line.trim_end().split_once("\"v\":").expect("the field").1.trim_end_matches('}');
    assert!(raw.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{raw:?}");
    object["v"].as_str().expect("a string").to_owned()
}

#[test]
fn a_line_is_time_level_and_fields() {
    let event = || {
        tracing::info!(
            event = "rcpt",
            verdict = "refuse",
            reply = "550 5.1.1 no",
            n = 3,
            ok = true,
            none = None::<&str>
        )
    };
    let line = logged(Format::Text, event);
    let (time, rest) = line.split_once(' ').expect("a time");
    assert_eq!(rest, "INFO event=rcpt verdict=refuse reply=\"550 5.1.1 no\" n=3 ok=true\n");
    assert_eq!(time.len(), "2026-11-23T10:00:00.123Z".len(), "{time}");
    let line = logged(Format::Json, event);
    let (time, rest) = line.split_once(",\"level\"").expect("a level");
    assert_eq!(
        rest,
        ":\"info\",\"event\":\"rcpt\",\"verdict\":\"refuse\",\"reply\":\"550 5.1.1 no\",\"n\":3,\"ok\":true}\n"
    );
    assert_eq!(time.len(), "{\"time\":\"2026-11-23T10:00:00.123Z\"".len(), "{time}");
}

/// The way past `tracing` leads to the same line.
#[test]
fn a_record_is_a_line_like_any_other() {
    let values = ["plain", "", "two words", "a=b", "say \"hi\" \\", "a\r\nevent=rcpt", "pelé", "~"];
    for format in [Format::Text, Format::Json] {
        for value in values {
            let usual =
                logged(format, || tracing::info!(event = "t", a = value, b = "x", c = value));
            let short = logged(format, || {
                let common = Common::new(|line| line.text("b", "x"));
                record("t", |line| {
                    line.text("a", value);
                    line.common(&common);
                    line.text("c", value);
                });
            });
            let rest = |line: &str| line.split_once("event").expect("an event").1.to_owned();
            assert!(short.ends_with('\n') && short.len() == usual.len(), "{short:?} {usual:?}");
            assert_eq!(rest(&short), rest(&usual), "{format:?}");
        }
    }
    record("t", |_| panic!("no log, no line"));
}

#[test]
fn a_message_id_is_no_free_text() {
    let line = logged(Format::Text, || tracing::info!(event = "message", message = %"m1"));
    assert!(line.ends_with(" INFO event=message message=m1\n"), "{line}");
    let line = logged(Format::Text, || tracing::warn!(target: "lib", "went {}", "wrong"));
    assert!(line.ends_with(" WARN event=log target=lib text=\"went wrong\"\n"), "{line}");
}

#[test]
fn nothing_in_a_value_starts_a_line_or_a_field() {
    let check = |value: &str, expected: &str| assert_eq!(text_value(value), expected, "{value:?}");
    check("plain", "plain");
    check("<a@b.example>", "<a@b.example>");
    check("", "\"\"");
    check("two words", "\"two words\"");
    check("a=b", "\"a=b\"");
    check("say \"hi\"", "\"say \\\"hi\\\"\"");
    check("back\\slash", "\"back\\\\slash\"");
    check("a\r\nevent=rcpt", "\"a\\r\\nevent=rcpt\"");
    check("\u{1b}[2J", "\"\\u{1b}[2J\"");
    check("a\u{202e}b", "\"a\\u{202e}b\"");
    check("a\u{200b}\u{feff}\u{ad}\u{2028}b", "\"a\\u{200b}\\u{feff}\\u{ad}\\u{2028}b\"");
    check("a\u{a0}b\u{3164}\u{9b}\u{7f}", "\"a\\u{a0}b\\u{3164}\\u{9b}\\u{7f}\"");
    check("e\u{301}\u{e0041}", "\"e\\u{301}\\u{e0041}\"");
    check("boîte’s 日本", "\"boîte’s 日本\"");
    check("pelé@b.example", "pelé@b.example");
}

#[test]
fn json_hides_the_same_and_reads_back_the_same() {
    for value in ["a\r\n\"\\\u{0}\u{1b}\u{202e}\u{2028}\u{e0041}\u{7f} é", "", "x"] {
        assert_eq!(json_value(value), value);
    }
}

#[test]
fn values_are_cut() {
    let long = "é".repeat(5000);
    assert_eq!(text_value(&long).chars().count(), 1024 + 3);
    assert_eq!(json_value(&long).chars().count(), 1024 + 1);
    let line = logged(Format::Text, || tracing::info!(event = "t", v = ?long));
    assert!(line.chars().count() < 1200);
}

#[test]
fn a_closed_output_loses_lines_and_nothing_else() {
    struct Closed(mpsc::Sender<()>);
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            _ = self.0.send(());
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let (tried, tries) = mpsc::channel();
    let (writer, guard) = Writer::start(Format::Text, Closed(tried));
    writer.send("one\n");
    tries.recv().expect("an attempt");
    writer.send("two\nthree\n");
    tries.recv().expect("another one");
    drop(guard);
    assert_eq!(writer.dropped(), 3);
}

#[test]
fn a_blocked_output_is_not_waited_for_and_the_hole_is_told() {
    struct Blocked(mpsc::Receiver<()>, mpsc::Sender<String>);
    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Blocks until the test lets go, then never again.
            _ = self.0.recv();
            _ = self.1.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (release, gate) = mpsc::channel();
    let (tap, lines) = mpsc::channel();
    let (writer, guard) = Writer::start(Format::Text, Blocked(gate, tap));
    let line = "x".repeat(999) + "\n";
    for _ in 0..10_000 {
        writer.send(&line);
    }
    let lost = writer.dropped();
    // What was taken before it blocked, and what waits.
    assert!(lost >= 10_000 - 2 * 2097, "{lost}");
    drop(release);
    drop((guard, writer));
    let told = lines.iter().find(|line| line.contains("log_dropped")).expect("the hole");
    assert!(told.contains(&format!("lines={lost}")), "{told}");
}

#[test]
fn addresses_show_as_much_as_is_wanted() {
    let key = RecipientKey::parse("First.Last@Example.com").expect("an address");
    let reply = "550 5.1.1 <First.Last@example.com>: no \"such user\"@x, mailto:a@b or é@é";
    assert_eq!(Addresses::Full.show(&key), "first.last@example.com");
    assert_eq!(Addresses::Full.scrub(reply), reply);
    assert_eq!(Addresses::Domain.show(&key), "*@example.com");
    let scrubbed = "550 5.1.1 <*@example.com>: no \"such user\"*@x, mailto:*@b or *@é";
    assert_eq!(Addresses::Domain.scrub(reply), scrubbed);
    let (one, two) = (Addresses::hash_with(b"one"), Addresses::hash_with(b"two"));
    assert_eq!(one.show(&key).len(), 16);
    assert_eq!(one.show(&key), Addresses::hash_with(b"one").show(&key));
    assert_ne!(one.show(&key), two.show(&key));
    assert_eq!(one.scrub(reply), scrubbed);
}

proptest::proptest! {
    /// Whatever the value: it ends where its field ends, and every character of the line shows.
    #[test]
    fn a_value_never_leaves_its_field(value in "(\\PC|[ =\"\\\\\r\n\t\u{0}\u{1b}\u{202e}\u{200b}]){0,40}") {
        let mut line = String::new();
        escape::push_text_value(&mut line, &value);
        let inner = line.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let bare = inner.unwrap_or(&line).replace("\\\\", "").replace("\\\"", "");
        proptest::prop_assert!(!bare.contains('"'), "{line}");
        proptest::prop_assert!(inner.is_some() || !line.contains([' ', '=', '\\']), "{line}");
        proptest::prop_assert_eq!(visible(&line, usize::MAX), line);

        let mut line = String::new();
        escape::push_json_string(&mut line, &value);
        proptest::prop_assert_eq!(serde_json::from_str::<String>(&line).ok(), Some(value));
        proptest::prop_assert_eq!(visible(&line, usize::MAX), line);
    }
}
