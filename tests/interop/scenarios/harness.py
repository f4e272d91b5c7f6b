"""The lab itself, without the gate: what the other scenarios take for granted."""

from lab import expect, wait_for
from mail import SENDER, Message, body_of, with_id
from postfix import Postfix, SmtpSink


def test_postfix_delivers_and_bounces_without_a_gate(lab):
    downstream = Postfix(lab, "downstream", ["good@plain.test"])
    client = Postfix(lab, "client", [SENDER], relayhost=f"[127.0.0.1]:{downstream.port}")
    message = Message(b".dot first\r\n..two\r\nlast\r\n").send(client.port, ["good@plain.test", "nobody@plain.test"])

    [arrived] = wait_for(lambda: downstream.box("good@plain.test"), lambda: f"delivered: {client.tail()}")
    expect(body_of(arrived) == message.body, f"body arrived as {body_of(arrived)!r}")
    [bounce] = wait_for(lambda: with_id(client.box(SENDER), message), lambda: f"bounced: {client.tail()}")
    expect(b"550 5.1.1 <nobody@plain.test>" in bounce.replace(b"\r\n    ", b" "), bounce.decode(errors="replace"))
    client.wait_empty()


def test_mail_waits_while_the_next_hop_is_down(lab):
    downstream = Postfix(lab, "downstream", ["good@plain.test"])
    client = Postfix(lab, "client", [SENDER], relayhost=f"[127.0.0.1]:{downstream.port}")
    downstream.stop()
    message = Message().send(client.port, ["good@plain.test"])
    wait_for(client.deferred, lambda: f"deferred: {client.tail()}")
    downstream.begin()
    wait_for(lambda: with_id(downstream.box("good@plain.test"), message), lambda: f"delivered: {client.tail()}")
    client.wait_empty()


def test_smtp_sink_is_a_downstream(lab):
    sink = SmtpSink(lab, "-f", "RCPT")
    client = Postfix(lab, "client", [SENDER], relayhost=f"[127.0.0.1]:{sink.port}")
    message = Message().send(client.port, ["anyone@plain.test"])
    wait_for(lambda: with_id(client.box(SENDER), message), lambda: f"bounced: {client.tail()}")
