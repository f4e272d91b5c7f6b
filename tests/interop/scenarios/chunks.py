"""BDAT (RFC 3030) through the gate to Postfix, which has it from version 3.4 on."""

import smtplib

from gate import World
from lab import expect
from mail import SENDER, Message, body_of

GOOD = "good@plain.test"


def session(world):
    """A session that is offered CHUNKING: the gate knows the next hop from a first message."""
    first = Message()
    first.send(world.gate.port, [GOOD])
    world.arrived(first, GOOD)
    client = smtplib.SMTP("127.0.0.1", world.gate.port, timeout=60)
    client.ehlo()
    expect(client.has_extn("chunking"), f"not offered: {client.esmtp_features}")
    expect(not client.has_extn("binarymime"), "offered, which Postfix does not have")
    return client


def group(content, sizes):
    """MAIL, RCPT and chunks of these sizes, the rest being the last one, as one write."""
    said = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{GOOD}>\r\n".encode()
    for size in sizes:
        said += b"BDAT %d\r\n" % size + content[:size]
        content = content[size:]
    return said + b"BDAT %d LAST\r\n" % len(content) + content


def test_chunks_arrive_as_one_message(lab):
    world = World(lab, [GOOD])
    client = session(world)
    body = b".\r\n..\r\nBDAT 5 LAST\r\nRSET\r\n" + b"0123456789\r\n" * 20_000 + b"\r\n.\r\n"
    for sizes in ([], [1000], [300, 70_001, 65_536]):
        message = Message(body)
        client.sock.sendall(group(message.bytes, sizes))
        for _ in range(3 + len(sizes)):
            code, text = client.getreply()
            expect(code == 250, f"{sizes}: {code} {text}")
        expect(body_of(world.arrived(message, GOOD)) == body, f"{sizes}: changed on the way")
    client.quit()


def test_a_message_without_its_last_chunk_does_not_arrive(lab):
    world = World(lab, [GOOD])
    lost = Message(b"never\r\n")
    for ending in (b"", b"RSET\r\n", b"QUIT\r\n", b"BDAT 10 LAST\r\nhalf"):
        client = session(world)
        whole = group(lost.bytes, [len(lost.bytes)])
        client.sock.sendall(whole.removesuffix(b"BDAT 0 LAST\r\n") + ending)
        for _ in range(3):
            code, text = client.getreply()
            expect(code == 250, f"{ending}: {code} {text}")
        client.close()
    # What follows on the same way arrives, and only that.
    after = Message(b"after\r\n")
    after.send(world.gate.port, [GOOD])
    world.arrived(after, GOOD)
    box = world.downstream.box(GOOD)
    expect(not [raw for raw in box if lost.id.encode() in raw], "a message without an end arrived")
