use super::*;

fn normal(text: &str) -> Normal {
    normalize(&read_reply(Stage::Rcpt, text).expect("a code"))
}

#[test]
fn words_of_a_reply() {
    let check = |text: &str, expected: &str| {
        let normal = normal(text);
        assert_eq!(normal.layers.last().expect("never empty").words, expected, "{text}");
    };
    check(
        "550-5.1.1 The e-mail account\n550 5.1.1 doesn't exist.",
        "the email account does not exist .",
    );
    check("550 <a@b.example>... User unknown", "user unknown");
    check("550 unknown user<spam@block.example>", "unknown user");
    check(
        "554 Client [192.0.2.1] listed at zen.spam.org; see http://x.org/?ip=1",
        "client <ip> listed at <fqdn> see <www>",
    );
    check("550 RESOLVER.ADR.RecipNotFound; not found", "resolver adr recipnotfound not found");
    check(
        "550 User can not be found. Try RCPT_TO later!",
        "user cannot be found . try rcpt to later .",
    );
    check("550 recipient's mailbox won\u{2019}t take mail", "recipient mailbox will not take mail");
    check("550 Bo\u{ee}te du destinataire archiv\u{e9}e", "boite du destinataire archivee");
    check("550 queued as 4f2B9c1x7Q0a12 id", "queued as <id> id");
    check("550 \u{142}\u{f8}\u{df} at host.b.example", "loss at <fqdn>");
    check("550 no\0such\x1b[31m\u{7}user", "no such 31m user");
    check("550 (#5.1.1)", "");
    check("550 ipv6:2001:db8::1 no", "<ip> no");
}

#[test]
fn the_enhanced_code() {
    let check = |text: &str, expected: Option<&str>| {
        let status = normal(text).layers[0].status.map(|status| status.to_string());
        assert_eq!(status.as_deref(), expected, "{text}");
        let said = Reply::from_text(text).and_then(|reply| status_of(&reply));
        let quoted = text.contains("said:");
        assert!(quoted || said.map(|status| status.to_string()).as_deref() == expected, "{text}");
    };
    check("550 5.1.1 no", Some("5.1.1"));
    check("550 no mailbox (#5.1.1)", Some("5.1.1"));
    check("550 #5.1.0 Address rejected.", Some("5.1.0"));
    check("550 <a@b.example> 5.4.1 no", Some("5.4.1"));
    check("550 version 5.4.1 no", None);
    check("550 from 5.1.1.9 no", None);
    check("550 Exim 4.9.1 says no", None);
    check("550 4.1.1 odd", None);
    check("450 busy (#5.1.1)", None);
    check("451 said: 550 5.1.1 no", Some("5.1.1"));
}

#[test]
fn the_innermost_reply_comes_first() {
    let check = |text: &str, code: u16, status: Option<&str>, words: &str| {
        let normal = normal(text);
        let inner = &normal.layers[0];
        let got = (inner.code.get(), inner.status.map(|status| status.to_string()));
        assert_eq!(got, (code, status.map(str::to_owned)), "{text}");
        assert_eq!(inner.words, words, "{text}");
    };
    check(
        "554 host mx.example.com[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT TO command)",
        550,
        Some("5.1.1"),
        "no such user in reply to rcpt to command",
    );
    check(
        "550 5.1.351 Remote server -> 550 <a@b.example>: User unknown",
        550,
        None,
        "user unknown",
    );
    check(
        "550 5.1.0 - Unknown address error '5.2.2 <a@b.example>... Full' x",
        550,
        Some("5.2.2"),
        "full x",
    );
    // Not introduced: the answer to a command that was pipelined behind.
    check(
        "550 5.2.1 is disabled. 503 5.5.1 RCPT first",
        550,
        Some("5.2.1"),
        "is disabled . 503 rcpt first",
    );
}

#[test]
fn one_transient_reply_makes_it_transient() {
    assert!(normal("550 5.4.312 returned '450 4.4.312 DNS query failed'").transient);
    assert!(normal("450 callout: 550 unknown").transient);
    assert!(!normal("550 callout: 550 unknown").transient);
}

#[test]
fn a_command_named_in_the_text() {
    let check = |text: &str, expected| assert_eq!(normal(text).stage, expected, "{text}");
    check("550 said: 550 no (in reply to MAIL FROM command)", Some(Stage::Mail));
    check("550 said: 550 no (in reply to RCPT TO command)", None);
}

#[test]
fn reading_what_reports_hold() {
    let check = |stage, text: &str, expected: Option<&str>| {
        let reply = read_reply(stage, text).map(|reply| reply.to_string());
        assert_eq!(reply.as_deref(), expected, "{text}");
    };
    check(Stage::Rcpt, "550 a\n551 b\nc", Some("550-a\n550-b\n550 c"));
    check(Stage::Rcpt, "550-5.1.1 a\n450 4.2.0 b", Some("450-4.2.0 a\n450 4.2.0 b"));
    check(Stage::Rcpt, "450-4.2.0 a\n550 5.1.1 b", Some("450-4.2.0 a\n450 4.2.0 b"));
    check(Stage::Dsn, "smtp; 550 5.1.1 no", Some("550 5.1.1 no"));
    check(Stage::Dsn, "5.1.1 no", Some("550 5.1.1  no"));
    check(Stage::Dsn, "4.4.7 late", Some("450 4.4.7  late"));
    check(Stage::Dsn, "User unknown", Some("550 User unknown"));
    check(Stage::Rcpt, "User unknown", None);
    check(Stage::Dsn, "", None);
}

#[test]
fn work_is_bounded() {
    // The pieces grow when folded, or when a word stands for them, or open a reply of their own.
    for piece in [
        "\u{1}\u{e9} a@b ",
        "\u{fdfa}",
        "a.co ",
        "::1 ",
        "said: 550 5.1.1 ",
        "n't ",
        "#5.1.1",
        "\u{130}",
    ] {
        for octets in [1 << 10, 1 << 12, 1 << 14, 1 << 16] {
            let text = format!("550 {}", piece.repeat(octets / piece.len()));
            let reply = Reply::from_text(&text).expect("a code");
            let layers = normalize(&reply).layers;
            assert!(layers.len() <= 2, "{piece:?}");
            for layer in layers {
                let room = TEXT_MAX.min(12 * octets);
                assert!(layer.raw.len() <= room, "{piece:?}: {} of {octets}", layer.raw.len());
                assert!(
                    layer.words.len() <= 2 * room,
                    "{piece:?}: {} of {octets}",
                    layer.words.len()
                );
            }
        }
    }
}
