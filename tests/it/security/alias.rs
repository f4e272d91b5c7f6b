//! J08: TLSA records of a mail host that is an alias (RFC 7672 §2.2.2).

use super::*;

/// A mail host whose name is an alias, all of it signed.
async fn aliased(names: &[&str]) -> World {
    let world = World::new(names).await;
    world.mail_host("d.test", "mx.d.test");
    world.address("mx.d.test", |answer| answer.at("end.test.").signed());
    world
}

#[tokio::test]
async fn records_at_the_expanded_name_count_first() {
    let world = aliased(&["elsewhere.test"]).await;
    world.tlsa("end.test", world.its_own());
    world.tlsa("mx.d.test", World::anothers());
    assert_eq!(world.told("a@d.test").await, TAKEN);
    assert_eq!(world.asked_for(), ["end.test"]);
    assert!(!world.was_asked_for_tlsa("mx.d.test"));
    world.tlsa("end.test", World::anothers());
    world.tlsa("mx.d.test", world.its_own());
    let told = world.told("a@d.test").await;
    assert!(told.starts_with("451 4.7.5"), "{told}");
}

#[tokio::test]
async fn without_any_there_those_of_the_host_itself_count() {
    let nothing = [Answer::no_records(), Answer::no_such_domain(), Answer::tlsa(3, 0, 1, &[7; 32])];
    for none in nothing {
        let world = aliased(&["elsewhere.test"]).await;
        world.tlsa("end.test", none.clone());
        world.tlsa("mx.d.test", world.its_own());
        assert_eq!(world.told("a@d.test").await, TAKEN);
        assert_eq!(world.asked_for(), ["mx.d.test"]);
        world.tlsa("mx.d.test", World::anothers());
        let told = world.told("a@d.test").await;
        assert!(told.starts_with("451 4.7.5"), "{none:?}: {told}");
    }
    // Those of no use are some: TLS, with whoever answers, and nothing else is asked.
    let world = aliased(&["elsewhere.test"]).await;
    world.tlsa("end.test", Answer::tlsa(1, 1, 1, &[7; 32]).signed());
    world.tlsa("mx.d.test", World::anothers());
    assert_eq!(world.told("a@d.test").await, TAKEN);
    assert!(!world.was_asked_for_tlsa("mx.d.test"));
    // None at either: as if there were no DANE.
    let world = World::in_the_clear().await;
    world.mail_host("d.test", "mx.d.test");
    world.address("mx.d.test", |answer| answer.at("end.test.").signed());
    assert_eq!(world.told("a@d.test").await, TAKEN);
    assert!(world.was_asked_for_tlsa("end.test") && world.was_asked_for_tlsa("mx.d.test"));
}

#[tokio::test]
async fn a_look_up_that_fails_at_either_name_puts_off() {
    let failed = || Answer::code(ResponseCode::ServFail);
    for (expanded, initial) in [(Some(failed()), None), (None, Some(failed()))] {
        let world = World::in_the_clear().await;
        world.mail_host("d.test", "mx.d.test");
        world.address("mx.d.test", |answer| answer.at("end.test.").signed());
        world.tlsa("end.test", expanded.unwrap_or_else(Answer::no_records));
        world.tlsa("mx.d.test", initial.unwrap_or_else(|| world.its_own()));
        is_put_off(&world, &world.told("a@d.test").await);
        assert!(world.hop.heard().is_empty(), "{:?}", world.hop.heard());
    }
}

/// "Insecure CNAME": the alias is signed, where it leads is not.
#[tokio::test]
async fn a_signed_alias_that_leads_out_of_signed_zones_counts_at_its_own_name() {
    let leading = |first: Answer| async move {
        let world = World::new(&["elsewhere.test"]).await;
        world.mail_host("d.test", "mx.d.test");
        world.address("mx.d.test", |answer| answer.at("end.test."));
        world.dns.answer("mx.d.test", RecordType::CNAME, first);
        world.tlsa("end.test", World::anothers());
        world.tlsa("mx.d.test", world.its_own());
        world
    };
    let alias = || Answer::no_records().at("end.test.");
    let world = leading(alias().signed()).await;
    assert_eq!(world.told("a@d.test").await, TAKEN);
    assert_eq!(world.asked_for(), ["mx.d.test"]);
    assert!(!world.was_asked_for_tlsa("end.test"), "an attacker may have written that name");
    world.tlsa("mx.d.test", World::anothers());
    let told = world.told("a@d.test").await;
    assert!(told.starts_with("451 4.7.5"), "{told}");
    // It is not signed either: no DANE, and nothing is asked.
    let world = leading(alias()).await;
    world.tlsa("mx.d.test", World::anothers());
    assert_eq!(world.told("a@d.test").await, TAKEN);
    assert!(!world.was_asked_for_tlsa("mx.d.test") && !world.was_asked_for_tlsa("end.test"));
    // Nobody can say.
    let world = leading(Answer::code(ResponseCode::ServFail)).await;
    is_put_off(&world, &world.told("a@d.test").await);
}

/// RFC 7672 §3.2.2: what an authority has signed for.
#[tokio::test]
async fn a_certificate_may_have_the_expanded_name_or_the_domains() {
    for (names, taken) in [
        (["end.test"], true),
        (["d.test"], true),
        (["mail.test"], true),
        (["mx.d.test"], false),
        (["elsewhere.test"], false),
    ] {
        let world = World::new(&names).await;
        // The domain is an alias, too, and so is its mail host.
        let mx = Answer::mx(&[(10, "mx.d.test.")]).at("mail.test.").signed();
        world.dns.answer("d.test", RecordType::MX, mx);
        world.address("mx.d.test", |answer| answer.at("end.test.").signed());
        world.tlsa("end.test", world.its_authority());
        let told = world.told("a@d.test").await;
        assert_eq!(told == TAKEN, taken, "{names:?}: {told}");
    }
    // Where the records are the host's own, its own name counts.
    let world = aliased(&["mx.d.test"]).await;
    world.tlsa("mx.d.test", world.its_authority());
    assert_eq!(world.told("a@d.test").await, TAKEN);
}

/// A server of names that leads the families to different ends: the records of either hold for both, that of IPv6 first.
#[tokio::test]
async fn families_that_end_apart_never_weaken_each_other() {
    let apart = async |six: Answer, four: Answer| {
        let world = World::new(&["elsewhere.test"]).await;
        world.mail_host("d.test", "mx.d.test");
        world.address("mx.d.test", |answer| answer.at("four.test.").signed());
        // Nothing listens there.
        let v6 = Answer::addresses(&["::1"]).at("six.test.").signed();
        world.dns.answer("mx.d.test", RecordType::AAAA, v6);
        world.tlsa("six.test", six);
        world.tlsa("four.test", four);
        world.told("a@d.test").await
    };
    let told = apart(Answer::no_records(), World::anothers()).await;
    assert!(told.starts_with("451 4.7.5"), "{told}");
    let told = apart(World::anothers(), Answer::no_records()).await;
    assert!(told.starts_with("451 4.7.5"), "{told}");
    let told = apart(Answer::no_records(), Answer::code(ResponseCode::ServFail)).await;
    assert!(told.starts_with("451 4.7.5"), "{told}");
    let told = apart(Answer::no_records(), Answer::no_records()).await;
    assert_eq!(told, TAKEN);
}
