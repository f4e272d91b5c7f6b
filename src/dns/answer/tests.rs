use std::net::IpAddr;
use std::str::FromStr;

use hickory_resolver::proto::op::{MessageType, OpCode};
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::proto::rr::rdata::{A, CNAME, MX, SOA, TXT};
use proptest::prelude::*;

use super::*;
use crate::routing::records::Exchange;

fn name(text: &str) -> Name {
    Name::from_str(text).expect("a name")
}

fn question(kind: RecordType) -> Query {
    Query::query(name("d.test."), kind)
}

fn message(question: &Query, code: ResponseCode, answers: Vec<Record>) -> Message {
    let mut message = Message::new(1, MessageType::Response, OpCode::Query);
    message.metadata.response_code = code;
    message.queries = vec![question.clone()];
    message.answers = answers;
    message
}

/// As it comes from a server: what hickory makes an error of is one.
fn read_message<T: Row>(question: &Query, message: Message, trust: bool) -> (Outcome<T>, Duration) {
    let response = DnsResponse::from_message(message).expect("a response");
    let came = DnsError::from_response(response).map_err(NetError::from);
    read(question, &came, trust)
}

fn mx(ttl: u32, preference: u16, host: &str) -> Record {
    Record::from_rdata(name("d.test."), ttl, RData::MX(MX::new(preference, name(host))))
}

fn alias(owner: &str, target: &str) -> Record {
    Record::from_rdata(name(owner), 300, RData::CNAME(CNAME(name(target))))
}

fn address(owner: &str) -> Record {
    Record::from_rdata(name(owner), 300, RData::A(A::new(192, 0, 2, 1)))
}

fn soa(ttl: u32, minimum: u32) -> Record {
    let data = SOA::new(name("ns.test."), name("root.test."), 1, 1, 1, 1, minimum);
    Record::from_rdata(name("test."), ttl, RData::SOA(data))
}

/// Seconds that an answer with this lifetime is held.
fn held(ttl: u32) -> u64 {
    let question = question(RecordType::MX);
    let message = message(&question, ResponseCode::NoError, vec![mx(ttl, 1, "mx.test.")]);
    let (outcome, span) = read_message::<Exchange>(&question, message, false);
    assert!(outcome.is_ok(), "{outcome:?}");
    span.as_secs()
}

#[test]
fn lifetimes_are_kept_within_bounds() {
    assert_eq!(held(0), 5);
    assert_eq!(held(300), 300);
    assert_eq!(held(604_800), 86_400);
    assert_eq!(held(i32::MAX as u32), 86_400);
    assert_eq!(held(1 << 31), 5);
    assert_eq!(held(u32::MAX), 5);
}

#[test]
fn the_shortest_lifetime_of_an_answer_counts() {
    let question = question(RecordType::MX);
    let answers = vec![mx(300, 1, "a.test."), mx(60, 2, "b.test.")];
    let message = message(&question, ResponseCode::NoError, answers);
    assert_eq!(read_message::<Exchange>(&question, message, false).1.as_secs(), 60);
}

#[test]
fn a_denial_holds_as_long_as_its_soa_says_and_five_minutes_at_most() {
    let check = |authority: Vec<Record>, seconds: u64| {
        let question = question(RecordType::MX);
        let mut message = message(&question, ResponseCode::NXDomain, vec![]);
        message.authorities = authority;
        let (outcome, span) = read_message::<Exchange>(&question, message, false);
        assert_eq!((outcome, span.as_secs()), (Err(LookupFault::NoSuchDomain), seconds));
    };
    check(vec![], 5);
    check(vec![soa(3600, 60)], 60);
    check(vec![soa(30, 60)], 30);
    check(vec![soa(3600, 3600)], 300);
    check(vec![soa(0, 0)], 5);
    check(vec![soa(u32::MAX, u32::MAX)], 5);
}

#[test]
fn each_code_is_what_it_says() {
    let question = question(RecordType::MX);
    for code in 0..=23_u16 {
        let code = ResponseCode::from((code >> 4) as u8, (code & 15) as u8);
        let (outcome, _) =
            read_message::<Exchange>(&question, message(&question, code, vec![]), true);
        let good = if code == ResponseCode::NoError {
            outcome == Err(LookupFault::NoRecords)
        } else if code == ResponseCode::NXDomain {
            outcome == Err(LookupFault::NoSuchDomain)
        } else {
            matches!(outcome, Err(LookupFault::Failed(_)))
        };
        assert!(good, "{code}: {outcome:?}");
        // Records beside a failure are no answer.
        if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            let message = message(&question, code, vec![mx(300, 1, "mx.test.")]);
            let (outcome, span) = read_message::<Exchange>(&question, message, true);
            assert!(matches!(outcome, Err(LookupFault::Failed(_))), "{code}: {outcome:?}");
            assert_eq!(span, FAILURE);
        }
    }
}

#[test]
fn a_referral_says_nothing() {
    let question = question(RecordType::MX);
    let mut message = message(&question, ResponseCode::NoError, vec![]);
    let ns = RData::NS(hickory_resolver::proto::rr::rdata::NS(name("ns.test.")));
    message.authorities = vec![Record::from_rdata(name("test."), 300, ns)];
    let (outcome, _) = read_message::<Exchange>(&question, message.clone(), false);
    assert!(matches!(outcome, Err(LookupFault::Failed(_))), "{outcome:?}");
    message.authorities.push(soa(60, 60));
    let (outcome, _) = read_message::<Exchange>(&question, message, false);
    assert_eq!(outcome, Err(LookupFault::NoRecords));
}

#[test]
fn an_answer_to_another_question_is_none() {
    let asked = question(RecordType::MX);
    let other = Query::query(name("other.test."), RecordType::MX);
    for code in [ResponseCode::NoError, ResponseCode::NXDomain] {
        for answers in [vec![], vec![mx(300, 1, "mx.test.")]] {
            let (outcome, _) =
                read_message::<Exchange>(&asked, message(&other, code, answers), true);
            let wanted = LookupFault::Failed("answer to another question".into());
            assert_eq!(outcome, Err(wanted), "{code}");
        }
    }
}

/// `count` aliases in a row, then an address.
fn chain(count: usize) -> Vec<Record> {
    let owner =
        |index: usize| if index == 0 { "d.test.".into() } else { format!("a{index}.test.") };
    let mut records: Vec<Record> =
        (0..count).map(|index| alias(&owner(index), &owner(index + 1))).collect();
    records.push(address(&owner(count)));
    // The order within an answer means nothing.
    records.reverse();
    records
}

#[test]
fn aliases_are_followed_and_loops_are_not() {
    let question = question(RecordType::A);
    let outcome = |code: ResponseCode, answers: Vec<Record>| {
        read_message::<IpAddr>(&question, message(&question, code, answers), false).0
    };
    for (count, end) in [(0, "d.test"), (1, "a1.test"), (16, "a16.test")] {
        let records = vec![IpAddr::from([192, 0, 2, 1])];
        let found = Found { records, authentic: false, name: end.to_owned() };
        assert_eq!(outcome(ResponseCode::NoError, chain(count)), Ok(found), "{count}");
    }
    let too_many = Err(LookupFault::Failed("too many aliases".into()));
    assert_eq!(outcome(ResponseCode::NoError, chain(17)), too_many);
    let ring = vec![alias("d.test.", "e.test."), alias("e.test.", "D.test.")];
    assert_eq!(outcome(ResponseCode::NoError, ring), too_many);
    assert_eq!(outcome(ResponseCode::NoError, vec![alias("d.test.", "d.test.")]), too_many);
    let odd = Name::from_labels([b"a b".as_slice(), b"test"]).expect("labels");
    let leading = Record::from_rdata(name("d.test."), 300, RData::CNAME(CNAME(odd.clone())));
    let end = Record::from_rdata(odd, 300, RData::A(A::new(192, 0, 2, 1)));
    let no_name = Err(LookupFault::Failed("an alias leads to what is no name".into()));
    assert_eq!(outcome(ResponseCode::NoError, vec![leading, end]), no_name);
    // An alias to nothing.
    let dangling = || vec![alias("d.test.", "gone.test.")];
    assert_eq!(outcome(ResponseCode::NXDomain, dangling()), Err(LookupFault::NoSuchDomain));
    assert_eq!(outcome(ResponseCode::NoError, dangling()), Err(LookupFault::NoRecords));
    // What is not on the way is not part of the answer.
    let stray = vec![address("stray.test.")];
    assert_eq!(outcome(ResponseCode::NoError, stray), Err(LookupFault::NoRecords));
}

#[test]
fn the_best_hundred_are_kept() {
    let question = question(RecordType::MX);
    let hosts = |index: u16| mx(300, 1000 - index, &format!("mx{index}.test."));
    let message = message(&question, ResponseCode::NoError, (0..1000).map(hosts).collect());
    let (outcome, _) = read_message::<Exchange>(&question, message, false);
    let records = outcome.expect("records").records;
    assert_eq!(records.len(), 100);
    assert_eq!(records.first().map(|record| record.preference), Some(1));
    assert_eq!(records.last().map(|record| record.preference), Some(100));
}

#[test]
fn a_host_that_is_no_name_is_left_out() {
    let odd = |host: &[&[u8]]| {
        let host = Name::from_labels(host.iter().copied()).expect("labels");
        Record::from_rdata(name("d.test."), 300, RData::MX(MX::new(1, host)))
    };
    let question = question(RecordType::MX);
    let outcome = |answers: Vec<Record>| {
        read_message::<Exchange>(
            &question,
            message(&question, ResponseCode::NoError, answers),
            false,
        )
        .0
    };
    let bad = || odd(&[b"a\r\nRCPT TO:<x@y>", b"test"]);
    let good = Exchange { preference: 5, host: "mx.test".into() };
    let found = outcome(vec![bad(), mx(300, 5, "MX.test."), odd(&[b"a b"])]).expect("records");
    assert_eq!(found.records, [good]);
    assert!(matches!(outcome(vec![bad()]), Err(LookupFault::Failed(_))));
}

#[test]
fn strings_of_a_text_are_joined() {
    let text = |parts: &[&[u8]]| {
        let text = RData::TXT(TXT::from_bytes(parts.to_vec()));
        Record::from_rdata(name("d.test."), 300, text)
    };
    let question = question(RecordType::TXT);
    let answers = vec![text(&[b"v=STSv1; ", b"id=1;"]), text(&[b"\xff"])];
    let message = message(&question, ResponseCode::NoError, answers);
    let (outcome, _) = read_message::<String>(&question, message, false);
    assert_eq!(outcome.expect("texts").records, ["v=STSv1; id=1;"]);
}

#[test]
fn authentic_is_what_a_trusted_server_calls_so() {
    let question = question(RecordType::MX);
    for (bit, trust) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut message = message(&question, ResponseCode::NoError, vec![mx(300, 1, "mx.test.")]);
        message.metadata.authentic_data = bit;
        let (outcome, _) = read_message::<Exchange>(&question, message, trust);
        assert_eq!(outcome.expect("records").authentic, bit && trust);
    }
}

proptest! {
    /// Any web of aliases ends, and a lifetime is always within its bounds.
    #[test]
    fn any_aliases_come_to_an_end(links in proptest::collection::vec((0..20_u8, 0..20_u8), 0..60)) {
        let owner = |index: u8| if index == 0 { "d.test.".to_owned() } else { format!("a{index}.test.") };
        let mut answers: Vec<Record> =
            links.iter().map(|(from, to)| alias(&owner(*from), &owner(*to))).collect();
        answers.push(address(&owner(7)));
        let question = question(RecordType::A);
        let message = message(&question, ResponseCode::NoError, answers);
        let (_, span) = read_message::<IpAddr>(&question, message, false);
        prop_assert!((SHORTEST..=LONGEST).contains(&span));
    }
}
