"""BDAT on both legs between real servers. Exim sends in chunks whenever they are offered; Postfix and Exim both offer them."""

import hashlib
import random

from bodies import BODIES
from exim import Exim
from gate import Gate, World
from lab import expect, free_port, wait_for
from mail import SENDER, Message, body_of, with_id
from opensmtpd import OpenSmtpd
from postfix import Postfix, SmtpSink
from talk import Talk

GOOD, OTHER, HELD, UNKNOWN = "good@plain.test", "other@plain.test", "held@plain.test", "unknown@trusted.test"
BOXES = [GOOD, OTHER, HELD, "x@trusted.test"]
CHUNKED = {Exim: r" <= .* K ", Postfix: r"disconnect from .* bdat="}


def arrives_in_chunks(lab, kind, **options):
    world = World(lab, BOXES, ["trusted.test"], client_kind=Exim, downstream_kind=kind, **options)
    world.gate.command("quarantine", HELD, "--reason", "by hand")
    # The gate offers what its next hop had when last seen: the first message introduces them.
    world.arrived(world.send(Message(), OTHER), OTHER)
    world.settled()
    chance = random.Random(5)
    large = b"".join(bytes(chance.choices(b"abc.\t XYZ", k=chance.randrange(900))) + b"\r\n" for _ in range(5_000))
    sent = {}
    for name, body in BODIES.items() | {("large", large)}:
        message = Message(body, headers=b"Content-Transfer-Encoding: 8bit\r\n")
        sent[name] = world.send(message, GOOD, HELD, UNKNOWN)
    for name, message in sent.items():
        held, unknown = world.bounced(message, HELD, UNKNOWN)
        expect("550 5.7.1 rcptgate: quarantined" in held, f"{name}: {held}")
        expect("550 5.1.1" in unknown or "rcptgate: user unknown" in unknown, f"{name}: {unknown}")
        got = body_of(world.arrived(message, GOOD))
        expect(hashlib.sha256(got).digest() == hashlib.sha256(message.body).digest(), f"{name}: arrived otherwise")
    world.settled()
    wait_for(lambda: world.downstream.logged(CHUNKED[kind]), lambda: f"chunks at the downstream: {world.tails()}")
    expect(world.client.logged(rf" => {GOOD} .* K "), f"Exim sent no chunks: {world.tails()}")
    expect(not world.downstream.logged(HELD), f"{HELD} reached the downstream")
    expect(not world.gate.logged("outcome=aborted"), f"something was broken off: {world.gate.tail()}")
    return world


def test_exim_to_exim(lab):
    arrives_in_chunks(lab, Exim)


def test_exim_to_postfix(lab):
    arrives_in_chunks(lab, Postfix)


def test_exim_over_lmtp_to_exim(lab):
    arrives_in_chunks(lab, Exim, gate={"protocol": "lmtp"})


def test_nobody_is_accepted(lab):
    """Exim sends the first chunk along with the recipients: it must be consumed, and the next message pass."""
    world = World(lab, BOXES, client_kind=Exim, downstream_kind=Exim)
    world.gate.command("quarantine", HELD, "--reason", "by hand")
    world.arrived(world.send(Message(), GOOD), GOOD)
    refused = world.send(Message(b"MAIL FROM:<evil@x.test>\r\n" * 5_000), HELD)
    [text] = world.bounced(refused, HELD)
    expect("550 5.7.1 rcptgate:" in text, text)
    message = world.send(Message(), GOOD)
    world.arrived(message, GOOD)
    world.settled()
    expect(not world.downstream.logged("evil"), "content was taken for commands")


def test_the_downstream_refuses_the_content(lab):
    world = World(lab, BOXES, client_kind=Exim, downstream_kind=Exim, downstream={
        "data": ["deny condition = ${if match{$message_body}{VIAGRA}}", "     message = 5.7.1 spam"]})
    world.arrived(world.send(Message(), GOOD), GOOD)
    for text in world.bounced(world.send(Message(b"VIAGRA\r\n"), GOOD, OTHER), GOOD, OTHER):
        expect("550 5.7.1 spam" in text, text)
    world.arrived(world.send(Message(), GOOD), GOOD)
    expect("clear" in world.gate.command("lookup", GOOD), "content was held against a recipient")


def whole_with_data(lab, kind):
    """A next hop without CHUNKING: it is not offered, and Exim sends with DATA."""
    world = World(lab, BOXES, client_kind=Exim, downstream_kind=kind)
    for name, body in BODIES.items():
        message = world.send(Message(body), GOOD)
        expect(body_of(world.arrived(message, GOOD)) == body, f"{name}: arrived otherwise")
    with Talk(world.gate.port) as client:
        expect("CHUNKING" not in client.extensions, f"offered: {client.extensions}")
    expect(not world.client.logged(rf" => {GOOD} .* K "), f"Exim sent chunks: {world.tails()}")


def test_opensmtpd_gets_data(lab):
    whole_with_data(lab, OpenSmtpd)


def test_chunking_ends_when_the_next_hop_loses_it(lab):
    """Offered from memory, then not there: put off once, and sent with DATA."""
    port = free_port()
    first = Postfix(lab, "first", [GOOD], port=port)
    gate = Gate(lab, port)
    client = Exim(lab, "client", [SENDER], way=gate.port)
    for _ in range(2):
        message = Message().send(client.port, [GOOD])
        wait_for(lambda: with_id(first.box(GOOD), message), lambda: f"arrived: {client.tail()}")
    wait_for(lambda: client.logged(rf" => {GOOD} .* K "), lambda: f"Exim sent chunks: {client.tail()}")
    client.wait_empty()
    first.stop()
    sink = SmtpSink(lab, port=port)
    Message(b"through the sink\r\n").send(client.port, [GOOD])
    client.wait_empty()
    expect(not client.box(SENDER), f"bounced: {client.tail()}")
    whole = [one for one in sink.transactions() if b"through the sink" in one]
    expect(len(whole) == 1, f"the sink got it {len(whole)} times: {client.tail()}{gate.tail()}")
    with Talk(gate.port) as talk:
        expect("CHUNKING" not in talk.extensions, f"still offered: {talk.extensions}")
