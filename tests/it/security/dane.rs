//! J08: DANE from DNS to the handshake (RFC 7672).

use std::time::Duration;

use super::*;
use crate::live;

/// A domain whose mail host has TLSA records, all of it signed; the mail host proves no name.
async fn signed(answer: impl FnOnce(&World) -> Answer) -> World {
    published(World::new(&["elsewhere.test"]).await, answer)
}

fn published(world: World, answer: impl FnOnce(&World) -> Answer) -> World {
    world.mail_host("d.test", "mx.d.test");
    world.address("mx.d.test", Answer::signed);
    let answer = answer(&world);
    world.tlsa("mx.d.test", answer);
    world
}

#[tokio::test]
async fn a_host_that_its_records_name_gets_the_mail_and_no_other_does() {
    let world = signed(World::its_own).await;
    assert_eq!(world.told("a@d.test").await, TAKEN);
    assert_eq!(world.asked_for(), ["mx.d.test"]);
    // An announced key beside the one in use.
    let both = |world: &World| World::anothers().and(world.its_own());
    assert_eq!(signed(both).await.told("a@d.test").await, TAKEN);
    let world = signed(|_| World::anothers()).await;
    is_put_off(&world, &world.told("a@d.test").await);
    // Neither is it tried again in the clear, nor with whoever answers.
    let heard = world.hop.heard();
    assert_eq!(heard.iter().filter(|line| *line == "CONNECT").count(), 1, "{heard:?}");
}

#[tokio::test]
async fn records_forbid_the_clear() {
    let without_tls = World::in_the_clear().await;
    let world = published(without_tls, |_| World::anothers());
    is_put_off(&world, &world.told("a@d.test").await);
    for unusable in unusable() {
        let world = published(World::in_the_clear().await, |_| unusable);
        is_put_off(&world, &world.told("a@d.test").await);
    }
}

/// Usages 0 and 1, digests that are none, no data: none can be used, and all announce TLS (RFC 7672 §2.2).
fn unusable() -> Vec<Answer> {
    let of = |usage, matching, data: &[u8]| Answer::tlsa(usage, 1, matching, data).signed();
    vec![
        of(0, 1, &[7; 32]).and(of(1, 1, &[7; 32])),
        of(3, 1, &[1, 2, 3]),
        of(3, 1, &[]),
        of(2, 0, &[]),
        of(3, 9, &[7; 32]),
        of(200, 1, &[7; 32]),
    ]
}

#[tokio::test]
async fn records_of_no_use_demand_tls_with_whoever_answers() {
    for unusable in unusable() {
        let text = format!("{unusable:?}");
        let world = signed(|_| unusable).await;
        assert_eq!(world.told("a@d.test").await, TAKEN, "{text}");
        assert!(world.hop.heard().contains(&"TLS".to_owned()), "{text}");
    }
    // One that can be used decides alone.
    let mixed = |other: Answer| unusable().into_iter().fold(other, Answer::and);
    let world = signed(|world| mixed(world.its_own())).await;
    assert_eq!(world.told("a@d.test").await, TAKEN);
    let world = signed(|_| mixed(World::anothers())).await;
    is_put_off(&world, &world.told("a@d.test").await);
}

/// SERVFAIL is also what a resolver that validates makes of bogus signatures.
#[tokio::test]
async fn a_look_up_that_fails_puts_off_before_anything_is_sent() {
    for code in [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::NotImp] {
        let world = signed(|_| Answer::code(code)).await;
        is_put_off(&world, &world.told("a@d.test").await);
        assert!(world.hop.heard().is_empty(), "{code}: {:?}", world.hop.heard());
    }
}

#[test]
fn no_answer_about_records_puts_off_as_well() {
    live::run(async |clock| {
        let world = signed(|_| Answer::silence()).await;
        let lab = world.gate(Wish::default()).await;
        let asking = tokio::spawn(async move { tell(&lab, "a@d.test").await });
        // Both addresses, MX, and the records.
        world.dns.has_been_asked(4).await;
        clock.pass(Duration::from_secs(10)).await;
        is_put_off(&world, &asking.await.expect("an end"));
        assert!(world.hop.heard().is_empty(), "{:?}", world.hop.heard());
    });
}

/// Whoever could lead the mail elsewhere proves nothing: records are not even asked for (RFC 7672 §2.2.1, §2.2.2).
#[tokio::test]
async fn without_signatures_on_the_way_there_are_no_records() {
    let mx = |world: &World| {
        world.dns.answer("d.test", RecordType::MX, Answer::mx(&[(10, "mx.d.test.")]));
    };
    let address = |world: &World| world.address("mx.d.test", |answer| answer);
    for insecure in [mx as fn(&World), address] {
        let world = signed(|_| World::anothers()).await;
        insecure(&world);
        assert_eq!(world.told("a@d.test").await, TAKEN);
        assert!(!world.was_asked_for_tlsa("mx.d.test"));
    }
    // Records that nobody has signed are none, nor are there any for who does not trust the name servers, or does not want them.
    let unsigned = |_: &World| Answer::tlsa(3, 0, 1, &[7; 32]);
    assert_eq!(signed(unsigned).await.told("a@d.test").await, TAKEN);
    let world = signed(|_| World::anothers()).await;
    let off = RouteSettings { dane: false, ..world.way() };
    let lab = world.gate(Wish { rest: Some(off), ..Wish::default() }).await;
    assert_eq!(tell(&lab, "a@d.test").await, TAKEN);
    let distrusting = Resolver::new(&[world.dns.address], Dnssec::Off).expect("a resolver");
    let lab = world.gate(Wish { resolver: Some(distrusting), ..Wish::default() }).await;
    assert_eq!(tell(&lab, "a@d.test").await, TAKEN);
}

/// A domain that names no mail host is one itself.
#[tokio::test]
async fn a_domain_that_is_its_own_mail_host_may_have_records() {
    for (own, taken) in [(true, true), (false, false)] {
        let world = World::new(&["elsewhere.test"]).await;
        world.address("d.test", Answer::signed);
        world.tlsa("d.test", if own { world.its_own() } else { World::anothers() });
        let told = world.told("a@d.test").await;
        assert_eq!(told == TAKEN, taken, "{told}");
    }
}

/// The records of each host are its own: the next in order gets the mail when the first does not prove itself.
#[tokio::test]
async fn each_host_is_judged_by_its_own_records() {
    let world = World::new(&["elsewhere.test"]).await;
    let hosts = [(10, "one.d.test."), (20, "two.d.test.")];
    world.dns.answer("d.test", RecordType::MX, Answer::mx(&hosts).signed());
    for host in ["one.d.test", "two.d.test"] {
        world.address(host, Answer::signed);
    }
    world.tlsa("one.d.test", World::anothers());
    world.tlsa("two.d.test", world.its_own());
    assert_eq!(world.told("a@d.test").await, TAKEN);
    assert_eq!(world.asked_for(), ["one.d.test", "two.d.test"]);
}
