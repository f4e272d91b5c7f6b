"""Mail is intercepted on its way: delivered, learnt from and refused, and the MTA that sends it notices nothing."""

import socket

from dns import Zone
from interception import BOXES, ONE, THREE, TWO, Interception, records
from lab import expect, wait_for
from mail import Message
from mailnet import FIRST, GATE_PORT, GATE_USER, HOST

UNKNOWN = "unknown@three.test"


def delivered(world, message, address, family):
    """It arrived, once, over the client's own choice of address family."""
    world.arrived(message, address)
    ends = {"IPv4": HOST[0], "IPv6": HOST[1]}
    receiver = world.domains[address.rpartition("@")[2]]
    expect(receiver.logged(rf" connect from \S*\[{ends[family]}\]"), f"not over {family}: {world.tails()}")


def test_an_unmodified_postfix_delivers_through_the_gate(lab):
    world = Interception(lab, zones=records(BOXES, ["A"]))
    message = world.send(Message(), ONE, TWO)
    for address in (ONE, TWO):
        delivered(world, message, address, "IPv4")
        wait_for(lambda: world.gate.logged("event=rcpt", "verdict=forward", address), world.gate.tail)
    world.settled()
    expect(len(world.gate.logged("event=message")) == 2, world.gate.tail())


def test_an_unmodified_postfix_delivers_over_ipv6(lab):
    world = Interception(lab, zones=records(BOXES, ["AAAA"]))
    message = world.send(Message(), ONE, TWO)
    for address in (ONE, TWO):
        delivered(world, message, address, "IPv6")
        wait_for(lambda: world.gate.logged("event=rcpt", "verdict=forward", address), world.gate.tail)


def test_an_unknown_user_is_learnt_and_refused(lab):
    world = Interception(lab)
    message = world.send(Message(), ONE, UNKNOWN)
    [text] = world.bounced(message, UNKNOWN)
    expect("550 5.1.1" in text and "rcptgate:" not in text, f"not the receiver's words: {text}")
    world.arrived(message, ONE)
    world.settled()
    receiver = world.receivers["mx.two.test"]
    seen = receiver.logged(UNKNOWN)
    again = world.send(Message(), UNKNOWN, THREE)
    [text] = world.bounced(again, UNKNOWN)
    expect("550 5.7.1 rcptgate:" in text, text)
    world.arrived(again, THREE)
    expect(receiver.logged(UNKNOWN) == seen, "the unknown recipient reached the receiver")


def test_postfix_itself_goes_on_to_the_next_mail_host(lab):
    """Nobody is at the first one: the gate says nothing either, and hangs up."""
    boxes = {"mx.two.test": BOXES["mx.two.test"]}
    zones = records(boxes) | {"one.test": Zone({
        "@": ["MX 5 down", "MX 10 mx.two.test."], "down": f"A {FIRST[0]}"})}
    world = Interception(lab, boxes, zones)
    message = world.send(Message(), "a@one.test", TWO)
    world.arrived(message, TWO)
    # The second host was asked, and does not know the domain.
    [text] = world.bounced(message, "a@one.test")
    expect("rcptgate:" not in text, text)
    expect(world.client.logged(rf"lost connection with down\.one\.test\[{FIRST[0]}\] while receiving the initial server greeting"),
           f"greeted in the name of one who is down: {world.tails()}")
    expect(not world.gate.logged("event=rcpt", f"{FIRST[0]}:25"), world.gate.tail())


def test_a_receiver_that_is_down_is_tried_again(lab):
    world = Interception(lab)
    receiver = world.receivers["mx.one.test"]
    receiver.stop()
    message = world.send(Message(), ONE)
    wait_for(lambda: world.client.logged(rf"to=<{ONE}>.*status=deferred"), lambda: f"deferred: {world.tails()}")
    receiver.begin()
    world.arrived(message, ONE)
    expect("clear" in world.gate.command("lookup", ONE), "the outage was held against the address")


def test_a_connection_that_was_not_redirected_is_refused(lab):
    world = Interception(lab)
    for address in ("127.0.0.1", "::1"):
        with world.host.within(lambda: socket.create_connection((address, GATE_PORT), timeout=30)) as peer:
            said = peer.makefile("rb").readline()
            expect(not said.startswith(b"2"), f"greeted by {address}: {said!r}")
    world.arrived(world.send(Message(), ONE), ONE)


def test_a_router_does_it_for_other_machines(lab):
    world = Interception(lab, routed=True)
    message = world.send(Message(), ONE, TWO)
    for address in (ONE, TWO):
        world.arrived(message, address)
        wait_for(lambda: world.gate.logged("event=rcpt", "verdict=forward", address), world.gate.tail)


def keeps_the_clients_address(lab, family, name):
    world = Interception(lab, zones=records(BOXES, [family]), routed=True, more='source = "client"',
                         capabilities="+net_admin")
    world.site.rules("tproxy-source.nft", gate_user=GATE_USER)
    world.site.keep_marked()
    message = world.send(Message(), ONE, TWO)
    for address in (ONE, TWO):
        delivered(world, message, address, name)
        wait_for(lambda: world.gate.logged("event=rcpt", "verdict=forward", address), world.gate.tail)


def test_a_router_keeps_the_clients_address(lab):
    keeps_the_clients_address(lab, "A", "IPv4")


def test_a_router_keeps_the_clients_address_over_ipv6(lab):
    keeps_the_clients_address(lab, "AAAA", "IPv6")
