"""Every fault that smtp-sink can play, for every command, and what the client must see and the gate must not learn.

Its refusals read like an unknown user, to tempt the gate: only one that answers RCPT may be believed.
"""

import json
from collections import namedtuple

from gate import Gate
from lab import expect, free_port, wait_for
from mail import SENDER, Message, with_id
from postfix import Postfix, SmtpSink
from talk import Talk

HARD, SOFT = "550 5.1.1 User unknown", "450 4.1.1 User unknown"
TEMPTING = ("-B", HARD, "-b", SOFT)

# What each command is answered, by its beginning; several where the moment decides. None: not reached.
Row = namedtuple("Row", "options rcpt data end")
PASSES = ("250 2.1.", "354 ", "250 2.0.0 ")
NOT_TAKING = ("451 4.3.2 rcptgate: the next hop is not taking mail", "554 5.5.1 rcptgate:", None)
HUNG_UP = ("451 4.4.1 rcptgate: the next hop hung up", "554 5.5.1 rcptgate:", None)
LOST = "451 4.4.2 rcptgate: connection to the next hop lost"
CLOSING = "451 4.0.0 Server closing connection"
NOBODY = ("554 5.5.1 rcptgate:", LOST, CLOSING)

REFUSES = [
    Row("-f CONNECT", *NOT_TAKING),
    Row("-f EHLO", *PASSES),  # HELO then, as a server that is too old for EHLO wants it
    Row("-f EHLO,HELO", *NOT_TAKING),
    Row("-f MAIL", HARD, NOBODY, None),
    Row("-f RCPT", HARD, NOBODY, None),
    Row("-f DATA", "250 ", HARD, None),
    Row("-f .", "250 ", "354 ", HARD),
    Row("-f RSET", *PASSES),
    Row("-f QUIT", *PASSES),
    Row("-r CONNECT", *NOT_TAKING),
    Row("-r EHLO", *NOT_TAKING),
    Row("-r MAIL", SOFT, NOBODY, None),
    Row("-r RCPT", SOFT, NOBODY, None),
    Row("-r DATA", "250 ", SOFT, None),
    Row("-r .", "250 ", "354 ", SOFT),
    Row("-r RSET", *PASSES),
    Row("-r QUIT", *PASSES),
]
LEAVES = [
    Row("-q CONNECT", *HUNG_UP),
    Row("-q EHLO", *HUNG_UP),
    Row("-e -q HELO", *HUNG_UP),
    Row("-q MAIL", LOST, NOBODY, None),
    Row("-q RCPT", LOST, NOBODY, None),
    Row("-q DATA", "250 ", LOST, None),
    Row("-q .", "250 ", "354 ", "451 4.4.2 rcptgate: the next hop was lost before its final reply, outcome unknown"),
    Row("-q RSET", *PASSES),
    Row("-q QUIT", *PASSES),
    # A 421 ends the connection to the next hop, not the client's.
    Row("-Q CONNECT", *NOT_TAKING),
    Row("-Q EHLO", *NOT_TAKING),
    Row("-Q MAIL", CLOSING, NOBODY, None),
    Row("-Q RCPT", CLOSING, NOBODY, None),
    Row("-Q DATA", "250 ", CLOSING, None),
    Row("-Q .", "250 ", "354 ", CLOSING),
    Row("-Q RSET", *PASSES),
    Row("-Q QUIT", *PASSES),
]
ODD = [
    # Refused within the content. Coming with the 354 in one segment it answers nothing that was sent yet.
    Row("-A 0", "250 ", ("354 ", "451 4.5.0 rcptgate:"), ("550 5.0.0 This violates SMTP", "451 4.5.0 rcptgate:", LOST)),
    Row("-A 1", "250 ", "354 ", "550 5.0.0 This violates SMTP"),
    # Slow. Without -p smtp-sink itself answers pipelined commands in the wrong order while it delays one.
    Row("-H 1", *PASSES),
    Row("-w 1", *PASSES),
    Row("-p -W MAIL:1", *PASSES),
    Row("-p -W RCPT:1", *PASSES),
    Row("-p -W DATA:1", *PASSES),
    Row("-W .:1", *PASSES),
    # Can less, or says it oddly.
    Row("-T 100", *PASSES),
    Row("-8", *PASSES),
    Row("-a", *PASSES),
    Row("-p", *PASSES),
    Row("-E", *PASSES),
    Row("-N", *PASSES),
    Row("-C", *PASSES),
    Row("-F", *PASSES),
    Row("-e", *PASSES),
    Row("-P", *PASSES),
    Row("-8 -a -p -E -N -C -F", *PASSES),
    Row("-L", *NOT_TAKING),  # LMTP where SMTP was configured
]


def is_one_of(reply, wanted):
    return any(reply.startswith(text) for text in ([wanted] if isinstance(wanted, str) else wanted))


def converse(gate, sink, row, number, pipelined):
    """One transaction to two recipients, one that is reset, QUIT: each reply against the table."""
    where = f"smtp-sink {row.options}, {'pipelined' if pipelined else 'in turn'}"
    people = [f"{who}{number}@trusted.test" for who in ("a", "b")]
    lines = [f"MAIL FROM:<{SENDER}>", *(f"RCPT TO:<{address}>" for address in people), "DATA"]
    with Talk(gate.port) as client:
        replies = client.say(*lines) if pipelined else [client.say(line) for line in lines]
        told = f"{where}: {replies}"
        expect(replies[0].startswith("250 2.1.0 rcptgate:"), told)
        expect(all(is_one_of(reply, row.rcpt) for reply in replies[1:3]), told)
        expect(is_one_of(replies[3], row.data), told)
        if replies[3].startswith("354"):
            end = client.say(f"Subject: {number}\r\n\r\nwhole {number}\r\n.")
            expect(is_one_of(end, row.end), f"{where}: end of data answered {end}")
        else:
            end = ""
        # Whatever happened over there, this connection is as good as new.
        again = client.say(f"MAIL FROM:<{SENDER}>", f"RCPT TO:<c{number}@trusted.test>", "RSET", "NOOP")
        # After -A a refusal looks like any, until the end of the connection arrives: perhaps behind the next command.
        wanted = (row.rcpt, LOST) if row.options.startswith("-A") else row.rcpt
        expect(is_one_of(again[1], wanted), f"{where}: RCPT in the next transaction answered {again}")
        expect([again[0][:3], again[2][:3], again[3][:3]] == ["250"] * 3, f"{where}: afterwards {again}")
        expect(client.say("QUIT").startswith("221"), f"{where}: QUIT")
    whole = sum(b"whole %d\n" % number in transaction for transaction in sink.transactions())
    expect(whole == 1 if end.startswith("250") else whole <= (1 if row.options.endswith(" .") else 0),
           f"{where}: {whole} messages for {end}")


def table(lab, rows):
    """Every row in both ways with one gate; at the end it knows those that RCPT was refused for, and nobody else."""
    port = free_port()
    gate = Gate(lab, port, trusted=["trusted.test"])
    unknown = []
    for number, (row, pipelined) in enumerate((row, pipelined) for row in rows for pipelined in (False, True)):
        sink = SmtpSink(lab, *TEMPTING, *row.options.split(), port=port)
        converse(gate, sink, row, number, pipelined)
        sink.stop()
        if row.options == "-f RCPT":
            unknown += [f"{who}{number}@trusted.test" for who in "abc"]
    known = [json.loads(line)["address"] for line in gate.command("list", "--json").splitlines()]
    expect(sorted(known) == sorted(unknown), f"the gate holds {known}, not {unknown}")


def test_a_next_hop_that_refuses(lab):
    table(lab, REFUSES)


def test_a_next_hop_that_leaves(lab):
    table(lab, LEAVES)


def test_a_next_hop_that_is_odd(lab):
    table(lab, ODD)


# With a real client: what it logs for both recipients of a message.
FOR_POSTFIX = [
    ("-f MAIL", "bounced", r"550 5\.1\.1 User unknown"),
    ("-f RCPT", "bounced", r"550 5\.1\.1 User unknown"),
    ("-f DATA", "bounced", r"550 5\.1\.1 User unknown"),
    ("-f .", "bounced", r"550 5\.1\.1 User unknown"),
    ("-A 1", "bounced", r"550 5\.0\.0 This violates SMTP"),
    ("-f CONNECT", "deferred", r"451 4\.3\.2 rcptgate: the next hop is not taking mail"),
    ("-r MAIL", "deferred", r"450 4\.1\.1 User unknown"),
    ("-r RCPT", "deferred", r"450 4\.1\.1 User unknown"),
    ("-r DATA", "deferred", r"450 4\.1\.1 User unknown"),
    ("-r .", "deferred", r"450 4\.1\.1 User unknown"),
    ("-q CONNECT", "deferred", r"451 4\.4\.1 rcptgate: the next hop hung up"),
    ("-q RCPT", "deferred", r"451 4\.4\.2 rcptgate: connection to the next hop lost"),
    ("-q DATA", "deferred", r"451 4\.4\.2 rcptgate: connection to the next hop lost"),
    ("-q .", "deferred", r"451 4\.4\.2 rcptgate: .* outcome unknown"),
    ("-Q RCPT", "deferred", r"451 4\.0\.0 Server closing connection"),
    ("-Q DATA", "deferred", r"451 4\.0\.0 Server closing connection"),
    ("-Q .", "deferred", r"451 4\.0\.0 Server closing connection"),
]


def test_what_postfix_makes_of_it(lab):
    port = free_port()
    gate = Gate(lab, port)
    client = Postfix(lab, "client", [SENDER], relayhost=f"[127.0.0.1]:{gate.port}",
                     minimal_backoff_time="1000s", maximal_backoff_time="1000s")
    waiting = []
    for number, (options, status, text) in enumerate(FOR_POSTFIX):
        sink = SmtpSink(lab, *TEMPTING, *options.split(), port=port)
        people = [f"{who}{number}@plain.test" for who in "ab"]
        message = Message(b"row %d\r\n" % number).send(client.port, people)
        for address in people:
            wait_for(lambda: client.logged(rf"to=<{address}>.* status={status} .*{text}"),
                     lambda: f"smtp-sink {options}: {status} {text}: {client.tail()}{gate.tail()}")
        if status == "bounced":
            wait_for(lambda: with_id(client.box(SENDER), message), lambda: f"a bounce: {client.tail()}")
        else:
            waiting.append(number)
        sink.stop()
    expect(not client.logged(r"relay=127\.0\.0\.1.*status=sent"), "sent, though nobody took anything")
    # What was put off arrives once somebody takes it.
    sink = SmtpSink(lab, port=port)
    client.flush()
    client.wait_empty()
    for number in range(len(FOR_POSTFIX)):
        expect(len(client.logged(rf"to=<[ab]{number}@.*status=sent")) == (2 if number in waiting else 0),
               f"{FOR_POSTFIX[number]}: {client.tail(40)}")
