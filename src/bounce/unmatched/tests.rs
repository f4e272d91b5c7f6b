use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(second)
}

fn tally(room: usize, replies: &[(&str, Option<&str>)]) -> Unmatched {
    let mut tally = Unmatched::with_room(room);
    for (second, (reply, receiver)) in (0..).zip(replies) {
        tally.add(&Classifier::builtin(), Stage::Rcpt, reply, *receiver, at(second));
    }
    tally
}

const ODD: &str =
    "550 5.0.0 <a@a.example>: qwertz at mx1.a.example in 35 dog-years (4A1B2C3D4E5F6G)";

#[test]
fn replies_that_say_the_same_are_one_group() {
    let other = "550 5.0.0 <b@b.example>: Qwertz at mx9.b.example in 7 dog-years (9Z8Y7X6W5V4U3T)";
    let tally = tally(
        GROUPS_MAX,
        &[
            ("550 asdfgh", None),
            (ODD, Some("mx1.a.example:25")),
            (other, Some("mx9.b.example")),
            (other, Some("mx9.b.example:25")),
            ("550 5.1.1 user unknown", None),
        ],
    );
    assert_eq!((tally.undetermined, tally.understood, tally.left_out), (4, 1, 0));
    let groups = tally.groups();
    let counts: Vec<_> = groups.iter().map(|group| (group.text.as_str(), group.count)).collect();
    assert_eq!(counts, [("qwertz at <fqdn> in <n> dog years <id>", 3), ("asdfgh", 1)]);
    assert_eq!((groups[0].first, groups[0].last), (at(1), at(3)));
    assert_eq!(groups[0].receivers(), (2, false));
    assert_eq!(groups[0].receiver.as_deref(), Some("mx1.a.example"));
    assert_eq!(groups[0].reply, ODD);
}

#[test]
fn what_is_frequent_stays_whenever_it_comes() {
    let rare: Vec<_> = (0..500).map(|number| format!("550 rare{number}x")).collect();
    let mut tally = Unmatched::with_room(20);
    for (second, reply) in (0..).zip(&rare) {
        tally.add(&Classifier::builtin(), Stage::Rcpt, reply, None, at(second));
        if second >= 250 {
            tally.add(&Classifier::builtin(), Stage::Rcpt, "550 qwertz", None, at(second));
        }
        assert!(tally.groups.len() <= 20);
    }
    let groups = tally.groups();
    assert_eq!((groups[0].text.as_str(), groups[0].count), ("qwertz", 250));
    let kept: u64 = groups.iter().map(|group| group.count).sum();
    assert_eq!((tally.undetermined, kept + tally.left_out), (750, 750));
}

#[test]
fn what_is_kept_of_a_reply_is_bounded() {
    let long = format!("550 {}", "qwertz asdf ".repeat(2000));
    let host = "a".repeat(5000);
    let tally =
        tally(GROUPS_MAX, &[(&long, Some(&host)), (&format!("550 {}", "é".repeat(900)), None)]);
    for group in tally.groups() {
        assert!(group.text.len() <= TEXT_MAX && group.reply.len() <= REPLY_MAX);
        assert!(group.receiver.as_ref().is_none_or(|host| host.len() <= HOST_MAX));
    }
}

/// A skeleton with its category filled in is a rule that takes the replies it was made of, and others that say the same.
#[test]
fn a_skeleton_needs_nothing_but_its_category() {
    let others = [
        ODD,
        "550 asdfgh",
        "554 5.0.9",
        "599",
        "550-5.0.0 qwertz.\n550 5.0.0 asdf \"x\\y\" <a@b.example>, 100% (yes)",
        "550 5.0.0 кверти и так",
        "550 5.0.0 uiop \u{1b}[31m \u{9b}2J \u{202e}\u{2028} \"x\\y\" fghj",
    ];
    let replies: Vec<_> = others.iter().map(|reply| (*reply, None)).collect();
    let tally = tally(GROUPS_MAX, &replies);
    assert_eq!(tally.groups().len(), others.len());
    for group in tally.groups() {
        let skeleton = group.skeleton("mine").replace("\"?\"", "\"blocked\"");
        assert!(!skeleton.contains("a@"), "{skeleton}");
        assert!(skeleton.chars().all(|it| it == '\n' || shows(it)), "{skeleton:?}");
        let classifier = Classifier::with_own(&skeleton).map_err(|faults| {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            format!("{}\n{skeleton}", faults.join("\n"))
        });
        let classifier = classifier.unwrap_or_else(|faults| panic!("{faults}"));
        let mut again = Unmatched::with_room(GROUPS_MAX);
        again.add(&classifier, Stage::Rcpt, &group.reply, None, at(0));
        assert_eq!((again.undetermined, again.understood), (0, 1), "{skeleton}");
    }
}
