"""Whoever receives, the gate says the same: Exim and OpenSMTPD. Postfix is in the other files, smtp-sink in `sink`."""

import smtplib
import socket

from bodies import BODIES
from exim import Exim
from gate import World
from lab import expect, wait_for
from mail import SENDER, Message, body_of
from opensmtpd import OpenSmtpd
from postfix import Postfix
from tls import Certificate

GOOD, OTHER, HELD = "good@plain.test", "other@elsewhere.test", "held@plain.test"
UNKNOWN = "unknown@trusted.test"
BOXES = [GOOD, OTHER, HELD, "x@trusted.test"]


def refuses_and_learns(lab, kind, unknown_text, **options):
    world = World(lab, BOXES, ["trusted.test"], downstream_kind=kind, **options)
    world.gate.command("quarantine", HELD, "--reason", "hard bounces elsewhere")
    message = world.send(Message(), GOOD, HELD, UNKNOWN, OTHER)
    held, unknown = world.bounced(message, HELD, UNKNOWN)
    expect("550 5.7.1 rcptgate: quarantined" in held, held)
    expect("rcptgate:" not in unknown and unknown_text in unknown, f"not the downstream's text: {unknown}")
    world.arrived(message, GOOD)
    world.arrived(message, OTHER)
    world.settled()
    expect(not world.downstream.logged(HELD), f"{HELD} reached the downstream")
    return world


def refused_by_gate(world, *addresses):
    for text in world.bounced(world.send(Message(), *addresses), *addresses):
        expect("550 5.7.1 rcptgate: user unknown" in text, text)


def test_exim_receives(lab):
    refused_by_gate(refuses_and_learns(lab, Exim, "550 5.1.1 User unknown"), UNKNOWN)


def test_exim_on_both_sides(lab):
    world = refuses_and_learns(lab, Exim, "550 5.1.1 User unknown", client_kind=Exim)
    refused_by_gate(world, UNKNOWN)


def test_exim_receives_from_an_lmtp_door(lab):
    refused_by_gate(refuses_and_learns(lab, Exim, "550 5.1.1 User unknown", gate={"protocol": "lmtp"}), UNKNOWN)


def test_opensmtpd_receives(lab):
    world = refuses_and_learns(lab, OpenSmtpd, "524 5.2.4 Mailing list expansion problem")
    # It says the same of a recipient that is not there and of a fault of its own, so nobody is held for it.
    expect("clear" in world.gate.command("lookup", UNKNOWN), "learnt from a text that does not say so")
    early = world.downstream.logged(r"(?i)pipelin|result=\"500")
    expect(not early, f"the gate talked early: {early}")


def test_opensmtpd_drops_who_pipelines(lab):
    """What the scenarios with it rest on: without the gate, two commands at once are the end."""
    downstream = OpenSmtpd(lab, "downstream", [GOOD])
    with socket.create_connection(("127.0.0.1", downstream.port), timeout=60) as peer:
        peer.recv(1000)
        peer.sendall(b"EHLO x.test\r\n")
        peer.recv(1000)
        peer.sendall(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{GOOD}>\r\nDATA\r\n".encode())
        said = b""
        while part := peer.recv(1000):
            said += part
    expect(b"500 5.5.1" in said or b"500 5.0.0" in said, f"it said {said}")


def test_opensmtpd_behind_clients_that_pipeline(lab):
    good = [f"good{n}@plain.test" for n in range(30)]
    world = World(lab, good, downstream_kind=OpenSmtpd, client_kind=Exim)
    for client in (world.client, Postfix(lab, "second", [SENDER], relayhost=f"[127.0.0.1]:{world.gate.port}")):
        for _ in range(3):
            message = Message().send(client.port, good)
            for address in good:
                world.arrived(message, address)
        client.wait_empty()
    expect(not world.gate.logged("verdict=forward", "reply=\"4"), f"something was deferred: {world.tails()}")


def test_bodies_arrive_as_sent_at_exim(lab):
    bodies_arrive(World(lab, [GOOD], downstream_kind=Exim))


def test_bodies_arrive_as_sent_at_opensmtpd(lab):
    bodies_arrive(World(lab, [GOOD], downstream_kind=OpenSmtpd))


def bodies_arrive(world):
    with smtplib.SMTP("127.0.0.1", world.gate.port, timeout=60) as smtp:
        for name, body in BODIES.items():
            message = Message(body, headers=b"Content-Transfer-Encoding: 8bit\r\n")
            smtp.sendmail(SENDER, [GOOD], message.bytes, mail_options=["BODY=8BITMIME"])
            expect(body_of(world.arrived(message, GOOD)) == body, f"{name}: arrived otherwise")


def test_exim_refuses_the_content(lab):
    world = World(lab, [GOOD, OTHER], downstream_kind=Exim,
                  downstream={"data": ["deny condition = ${if match{$message_body}{VIAGRA}}",
                                       "     message = 5.7.1 This message looks like spam"]})
    message = world.send(Message(b"VIAGRA\r\n"), GOOD, OTHER)
    for text in world.bounced(message, GOOD, OTHER):
        expect("550 5.7.1 This message looks like spam" in text, text)
    for address in (GOOD, OTHER):
        expect("clear" in world.gate.command("lookup", address), "content was held against a recipient")
    world.settled()


def test_tls_towards_exim(lab):
    own = Certificate(lab)
    place = "/etc/exim4"
    world = World(lab, [GOOD], downstream_kind=Exim, gate={"downstream_tls": "required"}, downstream={
        "settings": [f"tls_certificate = {place}/cert.pem", f"tls_privatekey = {place}/key.pem",
                     "tls_advertise_hosts = *"],
        "files": {"etc/exim4/cert.pem": own.certificate, "etc/exim4/key.pem": own.key}})
    message = world.send(Message(), GOOD)
    world.arrived(message, GOOD)
    wait_for(lambda: world.downstream.logged(r"<= .* X=TLS1\.3"), lambda: f"Exim saw no TLS: {world.tails()}")
