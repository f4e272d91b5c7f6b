use super::*;

fn open(script: &[&str]) -> (Opened, String) {
    open_with(Starttls::Off, script)
}

fn open_with(starttls: Starttls, script: &[&str]) -> (Opened, String) {
    let mut opening = Opening::new("gate.test", starttls);
    let mut out = BytesMut::new();
    let mut last = Opened::More;
    for bytes in script {
        last = opening.step(&mut BytesMut::from(*bytes), &mut out);
    }
    (last, String::from_utf8(out.to_vec()).expect("ASCII"))
}

#[test]
fn greets_and_reads_what_the_server_can() {
    let (opened, sent) = open(&["220 mx ESMTP\r\n", "250-mx\r\n250 PIPELINING\r\n"]);
    let expected = Capabilities { pipelining: true, ..Capabilities::default() };
    assert_eq!(opened, Opened::Ready(expected));
    assert_eq!(sent, "EHLO gate.test\r\n");
}

#[test]
fn says_lhlo_where_lmtp_is_spoken_and_nothing_else() {
    let open = |script: &[&str]| {
        let mut opening = Opening::new("gate.test", Starttls::Off).speaking(Protocol::Lmtp);
        let (mut out, mut last) = (BytesMut::new(), Opened::More);
        for bytes in script {
            last = opening.step(&mut BytesMut::from(*bytes), &mut out);
        }
        (last, String::from_utf8(out.to_vec()).expect("ASCII"))
    };
    let (opened, sent) = open(&["220 mx LMTP\r\n", "250-mx\r\n250 PIPELINING\r\n"]);
    let there = Capabilities { pipelining: true, lmtp: true, ..Capabilities::default() };
    assert_eq!((opened, sent.as_str()), (Opened::Ready(there), "LHLO gate.test\r\n"));
    let (opened, sent) = open(&["220 mx\r\n", "500 what\r\n"]);
    assert!(matches!(opened, Opened::Failed(_)), "{opened:?}");
    assert_eq!(sent, "LHLO gate.test\r\n");
    let mut out = BytesMut::new();
    let _ = Opening::within_tls("gate.test", Protocol::Lmtp, &mut out);
    assert_eq!(out, "LHLO gate.test\r\n");
}

#[test]
fn falls_back_to_helo() {
    let (opened, sent) = open(&["220 mx\r\n", "502 what\r\n", "250 mx\r\n"]);
    assert_eq!(opened, Opened::Ready(Capabilities::default()));
    assert_eq!(sent, "EHLO gate.test\r\nHELO gate.test\r\n");
}

#[test]
fn a_server_that_will_not_have_us_is_never_final_for_the_client() {
    for greeting in [
        "554 go away\r\n",
        "421 busy\r\n",
        "521 no mail\r\n",
        "250-a\r\n550 b\r\n",
        "220 a\r\n250 b\r\n",
    ] {
        let (opened, _) = open(&[greeting]);
        let Opened::Failed(failed) = opened else { panic!("{greeting}: {opened:?}") };
        assert_eq!(failed.for_client().code.get(), 451, "{greeting}");
    }
}

fn introduced(script: &[&str]) -> (Opened, Introduction, String) {
    let client = Identity::of("192.0.2.7".parse().expect("an address"), 4711);
    let opening = Opening::new("gate.test", Starttls::Opportunistic);
    let mut opening = opening.introducing(Some(Box::new(client)));
    let (mut out, mut last) = (BytesMut::new(), Opened::More);
    for bytes in script {
        last = opening.step(&mut BytesMut::from(*bytes), &mut out);
    }
    let sent = String::from_utf8(out.to_vec()).expect("ASCII");
    (last, opening.introduction().clone(), sent)
}

const OFFERS_XCLIENT: &str = "250-mx\r\n250-DSN\r\n250 XCLIENT NAME ADDR PORT HELO\r\n";

#[test]
fn behind_xclient_only_the_second_ehlo_counts() {
    let script = ["220 mx\r\n", OFFERS_XCLIENT, "220 mx\r\n", "250-mx\r\n250 PIPELINING\r\n"];
    let (opened, introduction, sent) = introduced(&script);
    let expected = Capabilities { pipelining: true, ..Capabilities::default() };
    assert_eq!((opened, introduction), (Opened::Ready(expected), Introduction::Done));
    let line = "XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE] PORT=4711 HELO=[UNAVAILABLE]\r\n";
    assert_eq!(sent, format!("EHLO gate.test\r\n{line}EHLO gate.test\r\n"));
}

#[test]
fn without_xclient_the_mail_goes_all_the_same() {
    let (opened, introduction, _) = introduced(&["220 mx\r\n", "250 mx\r\n"]);
    assert_eq!(opened, Opened::Ready(Capabilities::default()));
    assert_eq!(introduction, Introduction::NotOffered);
    let both = "250-mx\r\n250-STARTTLS\r\n250 XCLIENT ADDR\r\n";
    let script = ["220 mx\r\n", both, "454 no TLS now\r\n"];
    let (_, _, sent) = introduced(&script);
    assert!(sent.ends_with("STARTTLS\r\nXCLIENT ADDR=192.0.2.7\r\n"), "{sent}");
    let refused = ["220 mx\r\n", OFFERS_XCLIENT, "550 5.7.0 not you\r\n"];
    let (opened, introduction, _) = introduced(&refused);
    assert!(matches!(opened, Opened::Ready(before) if before.dsn), "{opened:?}");
    assert!(matches!(introduction, Introduction::Refused(_)), "{introduction:?}");
    let (opened, ..) = introduced(&["220 mx\r\n", OFFERS_XCLIENT, "421 later\r\n"]);
    assert!(matches!(opened, Opened::Failed(_)), "{opened:?}");
}

const OFFERS_TLS: &str = "250-mx\r\n250-DSN\r\n250 STARTTLS\r\n";

#[test]
fn tls_is_asked_for_where_it_is_offered() {
    let script = ["220 mx\r\n", OFFERS_TLS, "220 go\r\n"];
    for starttls in [Starttls::Opportunistic, Starttls::Required] {
        let (opened, sent) = open_with(starttls, &script);
        assert_eq!(opened, Opened::Handshake);
        assert_eq!(sent, "EHLO gate.test\r\nSTARTTLS\r\n");
    }
    let (opened, _) = open_with(Starttls::Off, &["220 mx\r\n", OFFERS_TLS]);
    assert!(matches!(opened, Opened::Ready(_)));
}

#[test]
fn required_tls_that_is_stripped_or_refused_is_no_delivery() {
    let stripped: &[&str] = &["220 mx\r\n", "250 mx\r\n"];
    let refused: &[&str] = &["220 mx\r\n", OFFERS_TLS, "454 not now\r\n"];
    for script in [stripped, refused] {
        let (opened, _) = open_with(Starttls::Required, script);
        let Opened::Failed(failed) = opened else { panic!("{opened:?}") };
        assert_eq!(failed.for_client().status, Some(EnhancedStatus::new(4, 7, 5)));
        let (opened, _) = open_with(Starttls::Opportunistic, script);
        assert!(matches!(opened, Opened::Ready(_)), "{opened:?}");
    }
}

#[test]
fn a_byte_behind_the_220_is_an_injection() {
    for injected in ["220 go\r\n250-mx\r\n250 DSN\r\n", "220 go\r\n2"] {
        let script = ["220 mx\r\n", OFFERS_TLS, injected];
        let (opened, _) = open_with(Starttls::Opportunistic, &script);
        assert!(matches!(opened, Opened::Failed(_)), "{opened:?}");
    }
}

#[test]
fn within_tls_only_the_second_ehlo_counts() {
    let mut out = BytesMut::new();
    let mut opening = Opening::within_tls("gate.test", Protocol::Smtp, &mut out);
    assert_eq!(&out[..], b"EHLO gate.test\r\n");
    let opened = opening.step(&mut BytesMut::from("250-mx\r\n250 STARTTLS\r\n"), &mut out);
    let expected = Capabilities { starttls: true, ..Capabilities::default() };
    assert_eq!(opened, Opened::Ready(expected));
}
