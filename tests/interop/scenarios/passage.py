"""What passes the gate arrives whole, once, and is never lost, whoever stops in between."""

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor

from bodies import BODIES
from gate import World
from lab import expect, wait_for
from mail import SENDER, Message, body_of, with_id
from postfix import SmtpSink

GOOD = "good@plain.test"


def same_body(raw, message):
    got, sent = body_of(raw), message.body
    expect(hashlib.sha256(got).digest() == hashlib.sha256(sent).digest(),
           f"{len(sent)} bytes sent, {len(got)} arrived, first difference at "
           f"{next((i for i, (a, b) in enumerate(zip(sent, got)) if a != b), min(len(sent), len(got)))}")


def test_bodies_arrive_as_sent(lab):
    world = World(lab, [GOOD], client={"smtp_line_length_limit": "0"})
    eight_bit = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    for name, body in BODIES.items():
        message = Message(body, headers=eight_bit)
        message.send(world.client.port, [GOOD], options=["BODY=8BITMIME"])
        raw = world.arrived(message, GOOD)
        same_body(raw, message)
        expect(b"Content-Transfer-Encoding: 8bit" in raw, f"{name}: converted on the way")


def test_a_large_message_arrives_as_sent(lab):
    world = World(lab, [GOOD])
    chance = random.Random(2)
    body = b"".join(bytes(chance.choices(b"abc.\t XYZ", k=chance.randrange(900))) + b"\r\n" for _ in range(11_700))
    expect(len(body) > 5_000_000, f"the body has only {len(body)} bytes")
    message = world.send(Message(body), GOOD)
    same_body(world.arrived(message, GOOD), message)


def test_two_hundred_recipients_in_one_message(lab):
    good = [f"good{n}@plain.test" for n in range(150)]
    unknown = [f"unknown{n}@plain.test" for n in range(20)]
    quarantined = [f"quarantined{n}@plain.test" for n in range(10)]
    disposable = [f"d{n}@yopmail.com" for n in range(20)]
    world = World(lab, good + quarantined + disposable)
    for address in quarantined:
        world.gate.command("quarantine", address, "--reason", "one of many")
    everyone = good + unknown + quarantined + disposable
    random.Random(3).shuffle(everyone)
    message = world.send(Message(), *everyone)
    for text in world.bounced(message, *quarantined, *disposable):
        expect("rcptgate:" in text, f"not the gate's: {text}")
    for text in world.bounced(message, *unknown):
        expect("rcptgate:" not in text and "User unknown" in text, f"not the downstream's: {text}")
    for address in good:
        world.arrived(message, address)
    world.settled()
    expect(not [a for a in quarantined + disposable if world.downstream.box(a)], "a suppressed one was written to")


def send_many(world, count):
    """Hands in `count` messages over ten connections at a time."""
    messages = [Message(b"number %d\r\n" % number) for number in range(count)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda message: world.send(message, GOOD), messages))
    return messages


def copies(world, messages):
    """How often each message arrived."""
    box = b"".join(world.downstream.box(GOOD))
    return [box.count(b"Message-ID: " + message.id.encode()) for message in messages]


def test_a_hundred_at_once_none_lost_none_twice(lab):
    world = World(lab, [GOOD])
    messages = send_many(world, 100)
    wait_for(lambda: min(copies(world, messages)) > 0, lambda: f"all arrive: {world.tails()}", 120)
    world.settled()
    expect(copies(world, messages) == [1] * 100, f"copies: {copies(world, messages)}")


def test_a_restart_amid_traffic_loses_and_repeats_nothing(lab):
    world = World(lab, [GOOD])
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_many, world, 60)
        wait_for(lambda: len(world.downstream.box(GOOD)) >= 5, lambda: f"mail flows: {world.tails()}")
        world.gate.stop()
        world.gate.begin()
        messages = sending.result()
    wait_for(lambda: min(copies(world, messages)) > 0, lambda: f"all arrive: {world.tails()}", 120)
    world.settled()
    expect(copies(world, messages) == [1] * 60, f"copies: {copies(world, messages)}")


def test_a_kill_amid_traffic_loses_nothing(lab):
    world = World(lab, [GOOD])
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_many, world, 60)
        for seen in (5, 20):
            wait_for(lambda: len(world.downstream.box(GOOD)) >= seen, lambda: f"mail flows: {world.tails()}")
            world.gate.kill()
            world.gate.begin()
        messages = sending.result()
    # A second copy is possible where the kill fell between the two 250s (RFC 1047); a missing one never is.
    wait_for(lambda: min(copies(world, messages)) > 0, lambda: f"all arrive: {world.tails()}", 120)
    world.settled()


def test_mail_waits_while_the_gate_is_down(lab):
    world = World(lab, [GOOD])
    world.gate.stop()
    message = world.send(Message(), GOOD)
    wait_for(world.client.deferred, lambda: f"deferred: {world.tails()}")
    world.gate.begin()
    world.arrived(message, GOOD)
    world.settled()


def test_mail_waits_while_the_downstream_is_down(lab):
    world = World(lab, [GOOD])
    world.downstream.stop()
    message = world.send(Message(), GOOD)
    wait_for(lambda: world.client.logged(r"status=deferred .*said: 4\d\d 4\.4\.\d rcptgate:"),
             lambda: f"deferred with the gate's own 4xx: {world.tails()}")
    expect(not world.client.box(SENDER), "it bounced")
    world.downstream.begin()
    world.arrived(message, GOOD)
    world.settled()
    expect("clear" in world.gate.command("lookup", GOOD), f"the outage was held against {GOOD}")


def test_a_downstream_that_dies_at_the_end_of_data_is_no_delivery(lab):
    world = World(lab, [GOOD])
    world.downstream.stop()
    # Takes the message, then closes instead of answering the final dot.
    sink = SmtpSink(lab, "-q", ".", port=world.downstream.port)
    message = world.send(Message(), GOOD)
    wait_for(lambda: world.client.logged(r"status=deferred"), lambda: f"deferred: {world.tails()}")
    expect(not world.client.logged(r"status=sent"), "the client was told 250 for a message that nobody took")
    sink.stop()
    world.downstream.begin()
    world.arrived(message, GOOD)
    expect(len(with_id(world.downstream.box(GOOD), message)) == 1, "delivered twice")
