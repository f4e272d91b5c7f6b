"""What Postfix and Exim do with the codes that the gate answers: why a refusal is 550, a hold 450, and never 421 or 452."""

import re

from exim import Exim
from gate import World
from lab import expect, wait_for
from mail import SENDER, Message, with_id
from postfix import SmtpSink

GOOD, OTHER, ELSEWHERE = "good@plain.test", "other@plain.test", "good@elsewhere.test"
REFUSED, SECOND, HELD = "refused@plain.test", "second@plain.test", "held@plain.test"
BOXES = [GOOD, OTHER, ELSEWHERE, REFUSED, SECOND, HELD]
KINDS = {"postfix": {}, "exim": {"client_kind": Exim}}


def deferral(world, address, text):
    """Waits until the client has logged that this recipient is put off with this text."""
    pattern = {"Exim": rf"== {address} .*{text}"}.get(
        type(world.client).__name__, rf"to=<{address}>.* status=deferred .*{text}")
    return wait_for(lambda: world.client.logged(pattern), lambda: f"{address} deferred, {text}: {world.tails()}")


def refusal_bounces_at_once(lab, kind):
    world = World(lab, BOXES, **KINDS[kind])
    for address in (REFUSED, SECOND):
        world.gate.command("quarantine", address, "--reason", "for good")
    message = world.send(Message(), GOOD, REFUSED, OTHER, SECOND, ELSEWHERE)
    for text in world.bounced(message, REFUSED, SECOND):
        expect("550 5.7.1 rcptgate: quarantined" in text, text)
    for address in (GOOD, OTHER, ELSEWHERE):
        world.arrived(message, address)
    world.settled()
    expect(len(with_id(world.client.box(SENDER), message)) == 1, "more than one report for one message")
    # The session is not taken for broken: no deferral, no host set aside.
    expect(not world.client.logged("deferred| == "), f"something was put off: {world.tails()}")


def test_postfix_bounces_a_refusal_at_once(lab):
    refusal_bounces_at_once(lab, "postfix")


def test_exim_bounces_a_refusal_at_once(lab):
    refusal_bounces_at_once(lab, "exim")


def on_hold(lab, kind, addresses, boxes):
    """A world that has learnt of full mailboxes and holds them for two hours, though they have room again."""
    table = lab.root / "access"
    table.write_text("".join(f"{address} 552 5.2.2 over quota\n" for address in addresses))
    world = World(lab, boxes, downstream={
        "smtpd_recipient_restrictions": f"check_recipient_access texthash:{table}"}, **KINDS[kind])
    world.gate.follow('[soft]\nsteps = ["2h"]\n')
    for text in world.bounced(world.send(Message(), *addresses), *addresses):
        expect("552 5.2.2" in text and "over quota" in text, text)
    world.settled()
    table.write_text("")
    world.downstream.stop()
    world.downstream.begin()
    return world


def hold_defers_only_its_recipient(lab, kind):
    world = on_hold(lab, kind, [HELD], BOXES)
    seen = len(world.downstream.logged(HELD))
    message = world.send(Message(), GOOD, HELD, OTHER, ELSEWHERE)
    deferral(world, HELD, r"450 4\.7\.1 rcptgate: quarantined until")
    for address in (GOOD, OTHER, ELSEWHERE):
        world.arrived(message, address)
    # Neither the same domain nor another one has to wait meanwhile, and the hold is tried again.
    for address in (OTHER, ELSEWHERE):
        world.arrived(world.send(Message(), address), address)
    wait_for(lambda: len(world.gate.logged("event=rcpt verdict=defer", HELD)) >= 2,
             lambda: f"tried again: {world.tails()}")
    expect(len(world.downstream.logged(HELD)) == seen, f"{HELD} reached the downstream")
    no_host_is_set_aside(world)
    world.gate.command("release", HELD, "--reason", "over")
    world.arrived(message, HELD)
    world.settled()
    expect(len(with_id(world.downstream.box(GOOD), message)) == 1, "delivered again with the one that was held")
    expect(not with_id(world.client.box(SENDER), message), "the hold bounced")


def no_host_is_set_aside(world):
    """The gate is the only host of a client: a record against it would hold up everything."""
    expect(not world.client.logged(r"retry time not reached for any host"), f"the host is set aside: {world.tails()}")
    if isinstance(world.client, Exim):
        against_host = records_of_hosts(world.client)
        expect(not against_host, f"retry records of the host: {against_host}")


def records_of_hosts(exim):
    """Those with an address or a message in their key hold up nothing else."""
    return [key for key in exim.retries() if re.fullmatch(r"T:127\.0\.0\.1:127\.0\.0\.1:\d+", key)]


def test_exim_sets_aside_a_host_that_says_421(lab):
    """What the gate must not do to its client, and that the record would be seen if it did."""
    sink = SmtpSink(lab, "-Q", "RCPT")
    client = Exim(lab, "client", [SENDER], way=sink.port)
    Message().send(client.port, [GOOD, OTHER])
    wait_for(lambda: records_of_hosts(client), lambda: f"a record of the host: {client.retries()} {client.tail()}")


def test_postfix_defers_only_the_one_on_hold(lab):
    hold_defers_only_its_recipient(lab, "postfix")


def test_exim_defers_only_the_one_on_hold(lab):
    hold_defers_only_its_recipient(lab, "exim")


def test_many_holds_are_no_reason_to_hang_up(lab):
    """452 would make Exim try the rest again on the same connection, at once and for ever; 450 does not."""
    held = [f"held{n}@plain.test" for n in range(20)]
    open_ones = [f"open{n}@plain.test" for n in range(20)]
    world = on_hold(lab, "exim", held, [*held, *open_ones])
    message = world.send(Message(), *held, *open_ones)
    for address in open_ones:
        world.arrived(message, address)
    deferral(world, held[0], r"450 4\.7\.1 rcptgate:")
    sessions = {re.search(r"session=(\w+)", line)[1] for line in world.gate.logged(held[0], "verdict=defer")}
    expect(len(world.gate.logged(held[0], "verdict=defer")) == len(sessions), "asked twice in one session")


def lost_next_hop_defers_and_recovers(lab, kind):
    """The next hop is down: 451 for each recipient, and the gate itself stays in good repute."""
    world = World(lab, BOXES, **KINDS[kind])
    world.gate.command("quarantine", REFUSED, "--reason", "for good")
    world.downstream.stop()
    waiting = world.send(Message(), GOOD, OTHER)
    deferral(world, GOOD, r"451 4\.4\.1 rcptgate:")
    # What needs no next hop is answered all the same.
    [text] = world.bounced(world.send(Message(), REFUSED), REFUSED)
    expect("550 5.7.1 rcptgate:" in text, text)
    no_host_is_set_aside(world)
    world.downstream.begin()
    # Mail that was not there during the outage goes out at once, without the next attempt at what waits.
    unrelated = world.send(Message(), ELSEWHERE)
    world.arrived(unrelated, ELSEWHERE)
    for address in (GOOD, OTHER):
        world.arrived(waiting, address)
    world.settled()
    no_host_is_set_aside(world)
    expect("clear" in world.gate.command("lookup", GOOD), f"the outage was held against {GOOD}")


def test_postfix_gets_over_a_lost_next_hop(lab):
    lost_next_hop_defers_and_recovers(lab, "postfix")


def test_exim_gets_over_a_lost_next_hop(lab):
    lost_next_hop_defers_and_recovers(lab, "exim")


def code_of_the_next_hop(lab, kind, reply, bounces):
    """A reply to one recipient comes out for that one, and the others of the message go on."""
    table = lab.root / "access"
    table.write_text(f"{HELD} {reply}\n")
    world = World(lab, BOXES, downstream={"smtpd_recipient_restrictions": f"check_recipient_access texthash:{table}"},
                  **KINDS[kind])
    message = world.send(Message(), GOOD, HELD, OTHER)
    code = re.escape(reply[:9])
    if bounces:
        [text] = world.bounced(message, HELD)
        expect(reply[:9] in text, text)
    else:
        # A 421 of the next hop would be taken for the gate's, and hold up everybody: it is passed on as 451.
        deferral(world, HELD, code.replace("421", "451"))
        expect(not world.client.box(SENDER), "a temporary reply bounced")
    if not reply.startswith("421"):
        for address in (GOOD, OTHER):
            world.arrived(message, address)
    no_host_is_set_aside(world)
    unrelated = world.send(Message(), ELSEWHERE)
    world.arrived(unrelated, ELSEWHERE)


def test_postfix_with_550_of_the_next_hop(lab):
    code_of_the_next_hop(lab, "postfix", "550 5.1.1 no such user", True)


def test_exim_with_550_of_the_next_hop(lab):
    code_of_the_next_hop(lab, "exim", "550 5.1.1 no such user", True)


def test_postfix_with_552_of_the_next_hop(lab):
    code_of_the_next_hop(lab, "postfix", "552 5.2.2 over quota", True)


def test_exim_with_552_of_the_next_hop(lab):
    code_of_the_next_hop(lab, "exim", "552 5.2.2 over quota", True)


def test_postfix_with_450_of_the_next_hop(lab):
    code_of_the_next_hop(lab, "postfix", "450 4.2.1 greylisted", False)


def test_exim_with_450_of_the_next_hop(lab):
    code_of_the_next_hop(lab, "exim", "450 4.2.1 greylisted", False)


def test_postfix_with_452_of_the_next_hop(lab):
    code_of_the_next_hop(lab, "postfix", "452 4.2.2 over quota", False)


def test_exim_with_452_of_the_next_hop(lab):
    code_of_the_next_hop(lab, "exim", "452 4.2.2 over quota", False)


def test_postfix_with_421_of_the_next_hop(lab):
    code_of_the_next_hop(lab, "postfix", "421 4.7.0 go away", False)


def test_exim_with_421_of_the_next_hop(lab):
    code_of_the_next_hop(lab, "exim", "421 4.7.0 go away", False)
