//! Names: what may be asked for, and what is believed to be one.

use hickory_resolver::proto::rr::Name;

/// RFC 1035 §2.3.4, in the form with dots and without the last one.
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// A host name in the one form that is used from here on: lower case, no last dot. `None` if it is none.
///
/// Letters, digits, hyphens and underscores, wherever they stand in a label: mail hosts exist that RFC 1123 would not allow, and
/// what matters is that no name from outside can start a line, a field or an argument.
pub(super) fn host_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let good = name.len() <= NAME_MAX && name.split('.').all(|label| is_label(label.as_bytes()));
    good.then(|| name.to_ascii_lowercase())
}

/// A name out of an answer; the root is the empty name.
pub(super) fn from_answer(name: &Name) -> Option<String> {
    let mut text = String::new();
    for label in name.iter() {
        // By octets: the text of a name has escapes, and a dot may be part of a label.
        if !is_label(label) {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(str::from_utf8(label).ok()?);
    }
    text.make_ascii_lowercase();
    (text.len() <= NAME_MAX).then_some(text)
}

/// The name as it is asked for: from the root, so that no search list applies.
pub(super) fn absolute(host: &str) -> Option<Name> {
    let mut name = Name::from_labels(host.split('.').map(str::as_bytes)).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn is_label(label: &[u8]) -> bool {
    let fits = !label.is_empty() && label.len() <= LABEL_MAX;
    fits && label.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn host_names_have_one_form() {
        let check = |text: &str, name: Option<&str>| assert_eq!(host_name(text).as_deref(), name);
        check("MX1.Example.COM", Some("mx1.example.com"));
        check("mx.example.", Some("mx.example"));
        check("localhost", Some("localhost"));
        check("_25._tcp.mx.example", Some("_25._tcp.mx.example"));
        check("xn--bcher-kva.example", Some("xn--bcher-kva.example"));
        check("-a-.example", Some("-a-.example"));
        check("", None);
        check(".", None);
        check("..", None);
        check("a..b", None);
        check(".a", None);
        check("a b.example", None);
        check("a\r\nb.example", None);
        check("a\\.b", None);
        check("bücher.example", None);
        check("[192.0.2.1]", None);
        check("2001:db8::1", None);
        let label = "a".repeat(63);
        check(&label, Some(&label));
        check(&format!("{label}a"), None);
        let long = [label.as_str(), &label, &label, &label[..61]].join(".");
        assert_eq!(long.len(), 253);
        check(&long, Some(&long));
        check(&format!("{long}."), Some(&long));
        check(&format!("{long}a"), None);
    }

    #[test]
    fn labels_of_an_answer_are_octets() {
        let name = |labels: &[&[u8]]| Name::from_labels(labels.iter().copied()).expect("a name");
        assert_eq!(from_answer(&name(&[b"MX", b"example"])).as_deref(), Some("mx.example"));
        assert_eq!(from_answer(&Name::root()).as_deref(), Some(""));
        let bad: [&[u8]; 6] =
            [b"a.b", b"a b", b"a\r\nRCPT TO:<x>", b"a\0", "bücher".as_bytes(), b"a/b"];
        for label in bad {
            assert_eq!(from_answer(&name(&[label, b"example"])), None, "{label:?}");
        }
    }

    proptest! {
        /// What is asked for comes back as what was asked for.
        #[test]
        fn a_good_name_survives(text in "([A-Za-z0-9_-]{1,20}\\.){0,5}[A-Za-z0-9_-]{1,20}\\.?") {
            let host = host_name(&text).expect("a host name");
            let asked = absolute(&host).expect("a name");
            prop_assert!(asked.is_fqdn());
            prop_assert_eq!(from_answer(&asked), Some(host));
        }

        /// Whatever comes from outside, what is let in cannot end a line or a field.
        #[test]
        fn nothing_odd_gets_in(text in any::<String>()) {
            if let Some(host) = host_name(&text) {
                prop_assert!(host.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'='));
                prop_assert!(absolute(&host).is_some());
            }
        }
    }
}
