//! What the session leaves a connection to the next hop as: fit for others, told goodbye, or broken off.

use std::collections::HashMap;

use rcptgate::routing::{Destination, RouteId};
use rcptgate::session::{Auth, ClientTls, Farewell, Settings, TellClient};
use rcptgate::smtp::reply::Reply;

use crate::rig::{Rig, capabilities, settings};

const PIPELINING: &str = "PIPELINING CHUNKING";

/// What happens on a connection that has just been asked for.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// The client says this.
    Client(&'static str),
    /// The next hop does.
    Hop(&'static str),
    HopEnds,
    ClientLeaves,
    ClientBreaks,
    Expires,
    Drains,
}

use Turn::{Client, ClientBreaks, ClientLeaves, Drains, Expires, Hop, HopEnds};

fn rig_of(settings: Settings) -> Rig {
    let mut rig = Rig::new(settings, HashMap::new());
    rig.client(b"EHLO client.test\r\n");
    rig
}

/// A recipient is on its way, over a fresh connection.
fn begun(mut rig: Rig) -> Rig {
    rig.client(b"MAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\n");
    rig.connect(capabilities(PIPELINING));
    rig
}

fn turn(rig: &mut Rig, turn: Turn) {
    let bytes = |lines: &str| format!("{}\r\n", lines.replace('\n', "\r\n")).into_bytes();
    match turn {
        Client(lines) => rig.client(&bytes(lines)),
        Hop(lines) => rig.downstream(&bytes(lines)),
        HopEnds => rig.downstream_fin(),
        ClientLeaves => rig.client_fin(),
        ClientBreaks => rig.client_reset(),
        Expires => rig.expire(),
        Drains => rig.drain(),
    }
}

const ACCEPTED: Turn = Hop("250 ok\n250 ok");
/// A message that the next hop has taken.
const MESSAGE: [Turn; 5] =
    [ACCEPTED, Client("DATA"), Hop("354 go"), Client("body\n."), Hop("250 taken")];

/// What becomes of the first connection.
fn farewell(turns: &[Turn]) -> Option<Farewell> {
    let mut rig = begun(rig_of(settings()));
    turns.iter().for_each(|one| turn(&mut rig, *one));
    rig.hops.first().expect("a connection").closed
}

fn check(expected: Farewell, dialogues: &[&[Turn]]) {
    for turns in dialogues {
        assert_eq!(farewell(turns), Some(expected), "{turns:?}");
    }
}

#[test]
fn behind_a_whole_transaction_a_connection_is_fit_for_others() {
    let behind = |end: Turn| [MESSAGE.as_slice(), &[end]].concat();
    check(
        Farewell::Keep,
        &[
            &behind(Client("QUIT")),
            &behind(ClientLeaves),
            &behind(ClientBreaks),
            &behind(Expires),
            &behind(Drains),
            // Refused as a whole is over as well.
            &[
                ACCEPTED,
                Client("DATA"),
                Hop("354 go"),
                Client("body\n."),
                Hop("550 no"),
                Client("QUIT"),
            ],
            // RSET, once it is answered.
            &[ACCEPTED, Client("RSET"), Hop("250 ok"), Client("QUIT")],
            &[Hop("250 ok\n550 no"), Client("RSET"), Hop("250 ok"), Client("QUIT")],
            &[Hop("550 no\n503 no"), Client("RSET"), Hop("250 ok"), Client("QUIT")],
            // The gate says it itself behind a refused DATA, and EHLO.
            &[ACCEPTED, Client("DATA"), Hop("451 no"), Hop("250 ok"), Client("QUIT")],
            &[ACCEPTED, Client("EHLO again.test"), Hop("250 ok"), Client("QUIT")],
            // Another transaction that went no further than MAIL here.
            &[MESSAGE.as_slice(), &[Client("MAIL FROM:<s@x.test>\nQUIT")]].concat(),
        ],
    );
}

#[test]
fn with_a_transaction_left_open_it_is_told_goodbye() {
    check(
        Farewell::Quit,
        &[
            &[ACCEPTED, Client("QUIT")],
            &[Hop("250 ok\n550 no"), Client("QUIT")],
            &[Hop("550 no\n503 no"), Client("QUIT")],
            &[ACCEPTED, ClientLeaves],
            &[ACCEPTED, ClientBreaks],
            &[ACCEPTED, Expires],
            &[
                MESSAGE.as_slice(),
                &[Client("MAIL FROM:<s@x.test>\nRCPT TO:<b@y.test>"), ACCEPTED, Client("QUIT")],
            ]
            .concat(),
        ],
    );
}

#[test]
fn whatever_is_out_of_step_breaks_it_off() {
    let goodbye = Hop("421 4.3.2 closing");
    check(
        Farewell::Abort,
        &[
            // It says that it closes, wherever.
            &[goodbye],
            &[Hop("250 ok\n421 closing")],
            &[ACCEPTED, Client("DATA"), goodbye],
            &[ACCEPTED, Client("DATA"), Hop("354 go"), Client("body\n."), goodbye],
            &[MESSAGE.as_slice(), &[goodbye]].concat(),
            &[ACCEPTED, Client("RSET"), goodbye],
            // It does.
            &[HopEnds],
            &[MESSAGE.as_slice(), &[HopEnds]].concat(),
            &[ACCEPTED, Client("DATA"), Hop("354 go"), Client("body"), HopEnds],
            // Words too many, or none that can be read.
            &[Hop("250 ok\n250 ok\n250 ok")],
            &[Hop("250 ok\nhello")],
            &[MESSAGE.as_slice(), &[Hop("250 and another thing")]].concat(),
            &[ACCEPTED, Client("DATA"), Hop("250 taken")],
            // A reply to come.
            &[Client("QUIT"), Expires],
            &[ClientBreaks],
            &[ACCEPTED, Client("RSET\nQUIT")],
            &[ACCEPTED, Client("RSET"), Expires],
            &[ACCEPTED, Client("RSET"), Hop("502 what is that"), Client("QUIT")],
            // Content without an end.
            &[ACCEPTED, Client("DATA"), Hop("354 go"), Client("body"), ClientBreaks],
            &[ACCEPTED, Client("DATA"), Hop("354 go"), Client("body"), ClientLeaves],
            &[ACCEPTED, Client("DATA"), Hop("354 go"), Client("body"), Expires],
            &[ACCEPTED, Client("DATA"), Hop("354 go"), Client("body\n."), Expires],
            &[ACCEPTED, Client("DATA\nNOOP")],
        ],
    );
}

#[test]
fn a_client_that_was_somebody_leaves_nothing_to_others() {
    // Who logged in there.
    let relayed = Settings { tls: ClientTls::Up, auth: Auth::Relay, ..settings() };
    let mut rig = Rig::new(relayed, HashMap::new());
    rig.client(b"EHLO client.test\r\n");
    rig.connect(capabilities("PIPELINING AUTH=PLAIN"));
    rig.client(b"AUTH PLAIN AGFubgBzZWNyZXQ=\r\n");
    rig.downstream(b"235 2.7.0 welcome\r\n");
    rig.client(b"MAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\n");
    MESSAGE.iter().for_each(|one| turn(&mut rig, *one));
    rig.client(b"QUIT\r\n");
    assert_eq!(rig.hops.first().and_then(|hop| hop.closed), Some(Farewell::Quit));
    // Who is somebody else from here on: the next hop may have been told of the one before.
    let access = rcptgate::session::Access {
        clients: vec!["192.0.2.0/24".parse().expect("a network")],
        xforward: Vec::new(),
    };
    let renamed =
        Settings { xclient: Some(access.into()), tell_client: TellClient::Xclient, ..settings() };
    let mut rig = begun(rig_of(renamed));
    MESSAGE.iter().for_each(|one| turn(&mut rig, *one));
    rig.client(b"XCLIENT ADDR=192.0.2.7\r\n");
    assert_eq!(rig.hops.first().and_then(|hop| hop.closed), Some(Farewell::Quit));
}

fn elsewhere(domain: &str) -> Destination {
    Destination { route: RouteId(1), domain: Some(domain.into()) }
}

/// Two recipients of `y.test`, and one of `z.test`.
fn two_ways() -> Rig {
    let mut rig = rig_of(settings());
    for (address, domain) in
        [("a@y.test", "y.test"), ("b@y.test", "y.test"), ("a@z.test", "z.test")]
    {
        rig.destinations.insert(address.into(), elsewhere(domain));
    }
    rig
}

/// A connection that leads elsewhere is left for others, and one of the right kind asked for.
#[test]
fn another_destination_is_another_connection() {
    let mut rig = begun(two_ways());
    MESSAGE.iter().for_each(|one| turn(&mut rig, *one));
    rig.client(b"MAIL FROM:<s@x.test>\r\nRCPT TO:<b@y.test>\r\n");
    assert!(!rig.opening);
    MESSAGE.iter().for_each(|one| turn(&mut rig, *one));
    rig.client(b"MAIL FROM:<s@x.test>\r\nRCPT TO:<a@z.test>\r\n");
    assert_eq!(rig.hops.first().and_then(|hop| hop.closed), Some(Farewell::Keep));
    assert_eq!(rig.opens, [(Some(elsewhere("y.test")), false), (Some(elsewhere("z.test")), false)]);
    // With a RSET in between whose reply is due, it is of no use to anybody.
    let mut rig = begun(two_ways());
    turn(&mut rig, ACCEPTED);
    rig.client(b"RSET\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<a@z.test>\r\n");
    assert_eq!(rig.hops.first().and_then(|hop| hop.closed), Some(Farewell::Abort));
    assert!(rig.opening);
}

/// E04. Who goes elsewhere waits until it is known whether anybody was accepted before, and the transaction goes on.
#[test]
fn e04_who_goes_elsewhere_is_put_off_in_turn() {
    let mut rig = two_ways();
    let _ = rig.replies();
    rig.client(
        b"MAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\nRCPT TO:<a@z.test>\r\nRCPT TO:<b@y.test>\r\n",
    );
    rig.connect(capabilities(PIPELINING));
    assert_eq!(rig.replies(), ["250 2.1.0 rcptgate: sender ok"]);
    rig.downstream(b"250 ok\r\n250 first\r\n");
    let put_off = "452 4.5.3 rcptgate: one destination domain per transaction";
    assert_eq!(rig.replies(), ["250 2.0.0 first", put_off]);
    rig.downstream(b"550 5.1.1 second\r\n");
    assert_eq!(rig.replies(), ["550 5.1.1 second"]);
    // Where nobody is reached, or accepted, the next one has it.
    let mut rig = two_ways();
    rig.client(b"MAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\nRCPT TO:<a@z.test>\r\n");
    rig.cannot_connect(Reply::from_text("451 4.4.1 rcptgate: not there").expect("a reply"));
    assert!(rig.opening);
    let opens = [(Some(elsewhere("y.test")), false), (Some(elsewhere("z.test")), false)];
    assert_eq!(rig.opens, opens);
}

/// K02, K03. What the domain itself says is about each recipient, and told when it is on disk.
#[test]
fn k03_a_domain_that_takes_no_mail_is_told_when_it_is_on_disk() {
    let mut rig = two_ways();
    rig.hold_tickets = true;
    rig.client(b"MAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\nRCPT TO:<b@y.test>\r\nNOOP\r\n");
    let _ = rig.replies();
    rig.takes_no_mail(Reply::from_text("556 5.1.10 rcptgate: none").expect("a reply"));
    assert_eq!(rig.replies(), Vec::<String>::new());
    assert!(rig.settle("b@y.test"));
    assert_eq!(rig.replies(), Vec::<String>::new());
    assert!(rig.settle("a@y.test"));
    let none = "556 5.1.10 rcptgate: none";
    assert_eq!(rig.replies(), [none, none, "250 2.0.0 rcptgate: ok"]);
    // That nobody could say is about nobody, and waits for nothing.
    rig.client(b"RSET\r\nMAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\n");
    rig.cannot_connect(Reply::from_text("451 4.4.3 rcptgate: what").expect("a reply"));
    assert_eq!(rig.replies().last().map(String::as_str), Some("451 4.4.3 rcptgate: what"));
    assert!(!rig.has_tickets());
}

/// One that served another client before is replaced once by a fresh one, and nobody is put off for its sake.
#[test]
fn a_kept_connection_that_is_dead_is_replaced_by_a_fresh_one() {
    for lost in [HopEnds, Hop("421 4.4.2 idle")] {
        let mut rig = two_ways();
        rig.client(b"MAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\nRCPT TO:<b@y.test>\r\n");
        rig.connect_kept(capabilities(PIPELINING));
        let _ = rig.replies();
        turn(&mut rig, lost);
        assert_eq!(rig.hops.first().and_then(|hop| hop.closed), Some(Farewell::Abort), "{lost:?}");
        let to = || Some(elsewhere("y.test"));
        assert_eq!(rig.opens, [(to(), false), (to(), true)], "{lost:?}");
        rig.connect(capabilities(PIPELINING));
        rig.downstream(b"250 ok\r\n250 ok\r\n250 ok\r\n");
        assert_eq!(rig.replies(), ["250 2.0.0 ok", "250 2.0.0 ok"]);
        // The fresh one has no such excuse.
        turn(&mut rig, lost);
        assert!(!rig.opening);
    }
    // Nor has one that has answered.
    let mut rig = two_ways();
    rig.client(b"MAIL FROM:<s@x.test>\r\nRCPT TO:<a@y.test>\r\n");
    rig.connect_kept(capabilities(PIPELINING));
    rig.downstream(b"250 ok\r\n");
    rig.downstream_fin();
    assert!(!rig.opening);
    assert_eq!(rig.replies().last().map(|reply| reply.starts_with("451 4.4.2")), Some(true));
    // Nor a fresh one from the start.
    let mut rig = begun(two_ways());
    rig.downstream_fin();
    assert!(!rig.opening);
}
