//! What passes, passes as it is: hundreds of bodies byte for byte, and an address under one name however it is spelt.

use rcptgate::event::{Act, Tenant, What};
use rcptgate::gate::Draft;
use rcptgate::smtp::address::RecipientKey;
use rcptgate::time::Timestamp;

use crate::dice::Dice;
use crate::harness::{Downstream, Lab};
use crate::rig::{Rig, capabilities, settings};

#[test]
fn c06_two_hundred_bodies_arrive_byte_for_byte() {
    let lines: [&[u8]; 14] = [
        b"..",
        b"...",
        b"..x",
        b".x",
        b"....",
        b"",
        b" ",
        b"\t",
        b"From x",
        b">From x",
        b"\xff\x80",
        b"MAIL FROM:<evil@x.test>",
        b"--boundary",
        b"text that is a little longer than the rest",
    ];
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let mut body = Vec::new();
        for _ in 0..dice.below(60) {
            let times = if dice.one_in(9) { 1 + dice.below(300) } else { 1 };
            body.extend_from_slice(&dice.pick(&lines).repeat(times));
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b".\r\n");
        let mut rig = Rig::new(settings(), std::collections::HashMap::new());
        rig.client(b"EHLO c\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\nDATA\r\n");
        rig.connect(capabilities("PIPELINING"));
        rig.downstream(b"250 ok\r\n250 ok\r\n354 go\r\n");
        dice.pieces(&body).iter().for_each(|piece| rig.client(piece));
        let hop = rig.hops.first().expect("a connection");
        let sent: Vec<u8> = hop.writes.iter().flatten().copied().collect();
        assert!(sent.ends_with(&body), "seed {seed}");
        assert_eq!(hop.wire.messages, [body], "seed {seed}");
    }
}

/// All of them `user@example.com`, or none that a server may take.
const SPELLINGS: [&str; 33] = [
    "<user@example.com>",
    "<USER@example.com>",
    "<user@EXAMPLE.com>",
    "<User@Example.Com>",
    "<\"user\"@example.com>",
    "<\"USER\"@example.com>",
    "<\"us\\er\"@example.com>",
    "<\"\\u\\s\\e\\r\"@example.com>",
    "<user@example.com.>",
    "<USER@EXAMPLE.COM.>",
    " <user@example.com>",
    "<@relay.test:user@example.com>",
    "<@a.test,@b.test:user@example.com>",
    "<@a.test:\"user\"@example.com.>",
    "<user@example.com> extra",
    "<user@example.com>extra",
    "<user@example.com",
    "user@example.com",
    "<user @example.com>",
    "<user@ example.com>",
    "<(comment)user@example.com>",
    "<user(comment)@example.com>",
    "<user@example.com(comment)>",
    "<user@@example.com>",
    "<user@example.com@example.com>",
    "<user@[example.com]>",
    "<user@\u{ff45}xample.com>",
    "<u\u{17f}er@example.com>",
    "<<user@example.com>>",
    "<user@example..com>",
    "<.user@example.com>",
    "<user.@example.com>",
    "<\"user@example.com>",
];

#[tokio::test]
async fn d01_no_spelling_gets_around_a_quarantine() {
    let lab = Lab::new(Downstream::answering(&[]).await).await;
    let what = What::Quarantine { until: None, act: Act::default() };
    let address = RecipientKey::parse("user@example.com").expect("an address");
    let draft = Draft { at: Timestamp::now(), address, tenant: Tenant::default(), what };
    lab.gate.learn(draft).await.expect("on disk");
    for spelling in SPELLINGS {
        let mut client = lab.client().await;
        client.ask("MAIL FROM:<a@x.test> SMTPUTF8", "250").await;
        client.send(&format!("RCPT TO:{spelling}")).await;
        let told = client.reply().await;
        let refused = ["550 5.7.1 rcptgate:", "501 5.1.3", "501 5.5.4", "555 5.5.4", "500 5.5"];
        assert!(refused.iter().any(|start| told.starts_with(start)), "{spelling}: {told}");
    }
    assert_eq!(lab.downstream.heard(), Vec::<String>::new());
}
