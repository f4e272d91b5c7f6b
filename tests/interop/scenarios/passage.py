"""What passes the gate arrives whole, once, and is never lost, whoever stops in between."""

import hashlib
import random
import re
from concurrent.futures import ThreadPoolExecutor

from bodies import BODIES
from exim import Exim
from gate import World
from lab import expect, wait_for
from mail import SENDER, Message, body_of, with_id
from postfix import Postfix, SmtpSink

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


def send_many(world, count, lines=1):
    """Hands in `count` messages, each of so many lines, over ten connections at a time."""
    messages = [Message(b"number %d\r\n" % number * lines) for number in range(count)]
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


def queue_ids(client, message):
    """What the client called this message in its queue."""
    inner = re.escape(message.id.strip("<>"))
    if isinstance(client, Exim):
        return [line.split()[2] for line in client.logged(f" <= .* id={inner}$")]
    return [line.split(": ")[1] for line in client.logged(f"message-id=<{inner}>")]


def times_in_doubt(client, message):
    """How often the client lost the gate between the end of data and its reply, and so had to send again (RFC 1047)."""
    lost = {Postfix: "status=deferred .*end of data -- message may be sent more than once",
            Exim: " == .*closed connection in response to end of data"}[type(client)]
    return sum(len(client.logged(f"{name}.*{lost}")) for name in queue_ids(client, message))


def kills_amid_traffic(lab, kind):
    """Killed at any moment: no message is missing, none is cut off, and one comes twice only if its client was in doubt."""
    world = World(lab, [GOOD], client_kind=kind)
    chance = random.Random()
    seed = chance.randrange(1 << 32)
    chance.seed(seed)
    print(f"       seed {seed}")
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_many, world, 100, 800)
        for _ in range(5):
            # A moment within some transaction: counted in log lines, which come several a message.
            until = len(world.gate.log().splitlines()) + chance.randrange(3, 25)
            wait_for(lambda: len(world.gate.log().splitlines()) >= until, lambda: f"mail flows: {world.tails()}")
            world.gate.kill()
            world.gate.begin()
        messages = sending.result()
    wait_for(lambda: min(copies(world, messages)) > 0, lambda: f"all arrive, seed {seed}: {world.tails()}", 120)
    world.settled()
    whole = {hashlib.sha256(message.body).digest() for message in messages}
    for raw in world.downstream.box(GOOD):
        expect(hashlib.sha256(body_of(raw)).digest() in whole, f"a message was cut off, seed {seed}: {raw[-200:]}")
    for message, count in zip(messages, copies(world, messages)):
        doubts = times_in_doubt(world.client, message)
        expect(count <= 1 + doubts, f"{message.id} came {count} times for {doubts} doubts, seed {seed}")
    expect(not world.client.box(SENDER), f"something bounced, seed {seed}")


def test_kills_amid_traffic_of_postfix(lab):
    kills_amid_traffic(lab, Postfix)


def test_kills_amid_traffic_of_exim(lab):
    kills_amid_traffic(lab, Exim)


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
