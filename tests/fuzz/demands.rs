//! What domains publish about the way to their mail hosts: answers of DNS, TLSA records, MTA-STS.

use rcptgate::dns::octets::{self, Kind, Values};
use rcptgate::routing::records::{Found, Tlsa};
use rcptgate::routing::sts::{Mode, Policy, PolicyId, is_host_name};
use rcptgate::routing::tlsa::{Answer, Dane, Demand, demand, is_usable};

/// A policy; and lines that are TXT records.
pub fn sts(bytes: &[u8]) {
    if let Ok(policy) = Policy::parse(bytes) {
        assert!(policy.mode == Mode::None || !policy.mx.is_empty(), "nobody may have the mail");
        assert!(policy.max_age.as_secs() <= 31_557_600);
        let text = policy.to_string();
        assert_eq!(Policy::parse(text.as_bytes()).as_ref(), Ok(&policy), "kept as another: {text}");
        for pattern in &policy.mx {
            let shown = pattern.to_string();
            let name = shown.strip_prefix("*.");
            assert!(is_host_name(name.unwrap_or(&shown)), "{shown}");
            assert_eq!(pattern.matches(name.unwrap_or(&shown)), name.is_none(), "{shown}");
            for host in [format!("a.{}", name.unwrap_or(&shown)), format!("a.b.{shown}")] {
                let fits = name.is_some() && !host.contains('*');
                assert_eq!(pattern.matches(&host), fits, "{shown} {host}");
            }
            assert!(!pattern.matches("") && !pattern.matches("."));
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let records: Vec<&str> = text.split('\n').collect();
    if let Some(id) = PolicyId::announced(&records) {
        let id = id.to_string();
        assert!((1..=32).contains(&id.len()) && id.bytes().all(|one| one.is_ascii_alphanumeric()));
        let mut about = records.iter().filter(|record| record.starts_with("v=STSv1;"));
        let own = about.next().expect("a record");
        assert!(own.contains(&format!("id={id}")) && about.next().is_none(), "{own}");
    }
}

/// TLSA records: whether they are signed, then usage, selector, matching and length of each, and its data.
pub fn tlsa(bytes: &[u8]) {
    let Some((signed, mut rest)) = bytes.split_first() else { return };
    let mut records = Vec::new();
    while let [usage, selector, matching, length, data @ ..] = rest {
        let (data, behind) = data.split_at(usize::from(*length).min(data.len()));
        let (usage, selector, matching) = (*usage, *selector, *matching);
        records.push(Tlsa { usage, selector, matching, data: data.to_vec() });
        rest = behind;
    }
    let found = Found { records, authentic: signed % 2 == 1, name: "mx.test".to_owned() };
    let counts = found.authentic && !found.records.is_empty();
    let asked = demand(&Answer::Found(found.clone()));
    match (Dane::of(&found), &asked) {
        (Dane::Usable(good), Demand::Dane(demanded)) => {
            assert!(counts && !good.is_empty() && good == *demanded);
            assert!(good.iter().all(|one| is_usable(one) && found.records.contains(one)));
        }
        (Dane::Unusable, Demand::TlsUnauthenticated) => {
            assert!(counts && !found.records.iter().any(is_usable));
        }
        (Dane::None, Demand::Opportunistic) => assert!(!counts),
        (of, demanded) => panic!("{of:?} demands {demanded:?}"),
    }
    // Neither their order nor one that nobody can use changes what they prove.
    let mut other = found;
    other.records.reverse();
    if counts {
        other.records.push(Tlsa { usage: 1, selector: 0, matching: 1, data: vec![0; 32] });
    }
    match (asked, demand(&Answer::Found(other))) {
        (Demand::Dane(one), Demand::Dane(mut two)) => {
            two.reverse();
            assert_eq!(one, two);
        }
        (one, two) => assert_eq!(one, two),
    }
}

/// Octets that come as an answer about `d.test`; the first says which one was asked for.
pub fn dns(bytes: &[u8]) {
    let Some((kind, octets)) = bytes.split_first() else { return };
    let kinds = [Kind::Mx, Kind::A, Kind::Aaaa, Kind::Tlsa, Kind::Txt, Kind::Cname];
    let Some(kind) = kinds.get(usize::from(*kind) % kinds.len()).copied() else { return };
    // RFC 4035 §3.2.3.
    let vouched = octets.get(3).is_some_and(|flags| flags & 0x20 != 0);
    let name = |name: &str| assert!(is_host_name(name) && *name == name.to_ascii_lowercase());
    let count = |count: usize, authentic: bool, end: &str| {
        assert!((1..=100).contains(&count) && count * 4 <= octets.len());
        assert!(vouched || !authentic);
        name(end);
    };
    match octets::read("d.test", kind, octets) {
        Ok(Values::Exchanges(found)) => {
            count(found.records.len(), found.authentic, &found.name);
            assert!(found.records.is_sorted_by_key(|one| one.preference));
            let hosts = found.records.iter().map(|one| one.host.as_str());
            hosts.filter(|host| !host.is_empty()).for_each(name);
        }
        Ok(Values::Addresses(found)) => {
            count(found.records.len(), found.authentic, &found.name);
            assert!(found.records.iter().all(|one| one.is_ipv4() == (kind == Kind::A)));
        }
        Ok(Values::Tlsa(found)) => count(found.records.len(), found.authentic, &found.name),
        Ok(Values::Texts(found)) => count(found.records.len(), found.authentic, &found.name),
        Ok(Values::Alias(authentic)) => assert!(vouched || !authentic),
        // What is logged of it is in words of ours.
        Err(fault) => assert!(!fault.to_string().chars().any(char::is_control)),
    }
}
