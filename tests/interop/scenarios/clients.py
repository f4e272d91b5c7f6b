"""Whoever sends, the gate gives the same answers: Exim, msmtp, Python's smtplib, swaks. Postfix is in the other files."""

import smtplib
import ssl
import subprocess

from bodies import BODIES
from exim import Exim
from gate import Gate, World
from lab import expect, wait_for
from mail import SENDER, Message, body_of, with_id
from postfix import Postfix
from tls import Certificate

GOOD, OTHER, HELD = "good@plain.test", "other@elsewhere.test", "held@plain.test"
DISPOSABLE, UNKNOWN = "someone@yopmail.com", "unknown@trusted.test"
BOXES = [GOOD, OTHER, HELD, DISPOSABLE, "x@trusted.test"]


def refuses_and_learns(world):
    """One message to all kinds of recipients, and a second to the one that was just learnt."""
    world.gate.command("quarantine", HELD, "--reason", "hard bounces elsewhere")
    message = world.send(Message(), GOOD, HELD, DISPOSABLE, UNKNOWN, OTHER)
    held, disposable, unknown = world.bounced(message, HELD, DISPOSABLE, UNKNOWN)
    expect("550 5.7.1 rcptgate: quarantined" in held, held)
    expect("550 5.7.1 rcptgate: disposable" in disposable, disposable)
    expect("rcptgate:" not in unknown and "550 5.1.1" in unknown, f"not the downstream's text: {unknown}")
    world.arrived(message, GOOD)
    world.arrived(message, OTHER)
    [again] = world.bounced(world.send(Message(), UNKNOWN), UNKNOWN)
    expect("550 5.7.1 rcptgate: user unknown" in again, again)
    world.settled()
    for address in (HELD, DISPOSABLE):
        expect(not world.downstream.logged(address), f"{address} reached the downstream")


def test_exim_sends_over_smtp(lab):
    world = World(lab, BOXES, ["trusted.test"], client_kind=Exim)
    refuses_and_learns(world)
    expect(world.client.logged(rf" => {GOOD} .* L "), f"Exim did not pipeline: {world.tails()}")


def test_exim_sends_over_lmtp(lab):
    refuses_and_learns(World(lab, BOXES, ["trusted.test"], client_kind=Exim, gate={"protocol": "lmtp"}))


def test_exim_sends_over_tls(lab):
    own = Certificate(lab)
    world = World(lab, BOXES, ["trusted.test"], client_kind=Exim, gate={"listen_tls": own.listener("required")},
                  client={"transport": ["hosts_require_tls = *", "tls_verify_hosts ="]})
    refuses_and_learns(world)
    expect(world.client.logged(rf" => {GOOD} .* X=TLS1\.3"), f"Exim spoke no TLS: {world.tails()}")


def test_exim_bodies_arrive_as_sent(lab):
    world = World(lab, [GOOD], client_kind=Exim)
    for name, body in BODIES.items():
        message = world.send(Message(body, headers=b"Content-Transfer-Encoding: 8bit\r\n"), GOOD)
        expect(body_of(world.arrived(message, GOOD)) == body, f"{name}: arrived otherwise")


def test_exim_keeps_a_connection_for_several_messages(lab):
    world = World(lab, [GOOD], client_kind=Exim)
    world.gate.stop()
    messages = [world.send(Message(), GOOD) for _ in range(5)]
    wait_for(lambda: world.client.queued() == 5, lambda: f"all wait: {world.tails()}")
    world.gate.begin()
    for message in messages:
        world.arrived(message, GOOD)
    world.settled()


def msmtp(world, message, *recipients, options=("--tls=off",)):
    return subprocess.run(
        ["msmtp", "--host=127.0.0.1", f"--port={world.gate.port}", f"--from={SENDER}", "--auth=off", "--domain=ms.test",
         *options, "--", *recipients],
        input=message.bytes.replace(b"\r\n", b"\n"), capture_output=True, timeout=60, check=False)


def test_msmtp_shows_the_refusal_and_sends_to_nobody(lab):
    world = World(lab, [GOOD, OTHER, HELD])
    world.gate.command("quarantine", HELD, "--reason", "by hand")
    good = Message()
    done = msmtp(world, good, GOOD, OTHER)
    expect(done.returncode == 0, f"msmtp: {done}")
    world.arrived(good, GOOD)
    world.arrived(good, OTHER)
    # It gives up a message of which one recipient is refused, possibly with DATA on its way already.
    mixed = Message()
    done = msmtp(world, mixed, GOOD, HELD)
    said = done.stderr.decode()
    expect(done.returncode == 65 and "550 5.7.1 rcptgate: quarantined" in said, f"msmtp: {done}")
    last = Message()
    expect(msmtp(world, last, GOOD).returncode == 0, "a message behind it")
    world.arrived(last, GOOD)
    world.downstream.wait_empty()
    expect(not with_id(world.downstream.box(GOOD), mixed), "the message that msmtp gave up was delivered")


def test_msmtp_verifies_the_certificate(lab):
    own = Certificate(lab)
    world = World(lab, [GOOD], gate={"listen_tls": own.listener("required")})
    message = Message()
    trusting = ("--tls=on", "--tls-starttls=on", f"--tls-trust-file={own.certificate}")
    done = msmtp(world, message, GOOD, options=trusting)
    expect(done.returncode == 0, f"msmtp: {done}")
    world.arrived(message, GOOD)
    done = msmtp(world, Message(), GOOD)
    expect(done.returncode != 0 and b"530 5.7.0 rcptgate:" in done.stderr, f"msmtp without TLS: {done}")


def session(world, **options):
    return smtplib.SMTP("127.0.0.1", world.gate.port, local_hostname="smtplib.test", timeout=60, **options)


def test_smtplib_is_told_who_was_refused(lab):
    world = World(lab, BOXES, ["trusted.test"])
    world.gate.command("quarantine", HELD, "--reason", "by hand")
    message = Message()
    with session(world) as smtp:
        refused = smtp.sendmail(SENDER, [GOOD, HELD, DISPOSABLE, UNKNOWN, OTHER], message.bytes)
        expect(sorted(refused) == sorted([HELD, DISPOSABLE, UNKNOWN]), f"refused: {refused}")
        expect(refused[HELD][0] == 550 and refused[HELD][1].startswith(b"5.7.1 rcptgate: quarantined"), refused)
        expect(refused[UNKNOWN][0] == 550 and b"rcptgate:" not in refused[UNKNOWN][1], refused)
        # All refused: an exception with the same, and the session goes on.
        try:
            smtp.sendmail(SENDER, [HELD, UNKNOWN], message.bytes)
            expect(False, "smtplib saw no refusal")
        except smtplib.SMTPRecipientsRefused as all_refused:
            expect(sorted(all_refused.recipients) == sorted([HELD, UNKNOWN]), all_refused.recipients)
            expect(b"rcptgate: user unknown" in all_refused.recipients[UNKNOWN][1], all_refused.recipients)
        second = Message()
        expect(smtp.sendmail(SENDER, [GOOD], second.bytes) == {}, "the next message on this connection")
    for arrived in (message, second):
        world.arrived(arrived, GOOD)
    world.arrived(message, OTHER)
    expect(not world.downstream.logged(HELD), f"{HELD} reached the downstream")


def test_smtplib_bodies_arrive_as_sent(lab):
    world = World(lab, [GOOD])
    with session(world) as smtp:
        for name, body in BODIES.items():
            message = Message(body, headers=b"Content-Transfer-Encoding: 8bit\r\n")
            smtp.sendmail(SENDER, [GOOD], message.bytes, mail_options=["BODY=8BITMIME"])
            expect(body_of(world.arrived(message, GOOD)) == body, f"{name}: arrived otherwise")


def test_smtplib_starttls(lab):
    own = Certificate(lab)
    world = World(lab, [GOOD], gate={"listen_tls": own.listener("required")})
    message = Message()
    with session(world) as smtp:
        expect(smtp.mail(SENDER)[0] == 503, "MAIL before EHLO")
        smtp.ehlo()
        code, text = smtp.mail(SENDER)
        expect(code == 530 and b"rcptgate:" in text, f"MAIL in the clear: {code} {text}")
        smtp.starttls(context=ssl.create_default_context(cafile=own.certificate))
        expect(smtp.mail(SENDER)[0] == 503, "what was said in the clear is forgotten")
        smtp.ehlo()
        expect(not smtp.has_extn("starttls"), "STARTTLS within TLS")
        smtp.sendmail(SENDER, [GOOD], message.bytes)
    world.arrived(message, GOOD)


def test_smtplib_over_implicit_tls(lab):
    own = Certificate(lab)
    downstream = Postfix(lab, "downstream", [GOOD])
    gate = Gate(lab, downstream.port, listen_tls=own.listener("implicit"))
    message = Message()
    with smtplib.SMTP_SSL("127.0.0.1", gate.port, timeout=60,
                          context=ssl.create_default_context(cafile=own.certificate)) as smtp:
        expect(smtp.sendmail(SENDER, [GOOD], message.bytes) == {}, "refused")
    wait_for(lambda: with_id(downstream.box(GOOD), message), lambda: f"arrived: {gate.tail()}")


def swaks(world, *options, to=GOOD):
    done = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{world.gate.port}", "--ehlo", "swaks.test", "--from", SENDER, "--to", to,
         *options], capture_output=True, text=True, errors="replace", timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_swaks_pipelines(lab):
    world = World(lab, [GOOD, OTHER, HELD])
    world.gate.command("quarantine", HELD, "--reason", "by hand")
    code, said = swaks(world, "--pipeline", "--header", "X-One: 1", to=f"{GOOD},{HELD},{OTHER}")
    expect(code == 0 and "<** 550 5.7.1 rcptgate:" in said, said)
    wait_for(lambda: world.downstream.box(OTHER), lambda: f"arrived: {world.tails()}")
    code, said = swaks(world, "--pipeline", to=HELD)
    expect(code == 24 and "554 5.5.1 rcptgate:" in said, f"DATA for nobody, {code}: {said}")
    world.downstream.wait_empty()
    expect(len(world.downstream.box(GOOD)) == 1, "delivered otherwise than once")


def test_swaks_speaks_tls(lab):
    own = Certificate(lab)
    world = World(lab, [GOOD], gate={"listen_tls": own.listener("starttls")})
    for options in (("--tls",), ("--tls", "--pipeline"), ("--tls-optional-strict",), ()):
        code, said = swaks(world, *options)
        expect(code == 0, f"{options}: {said}")
    wait_for(lambda: len(world.downstream.box(GOOD)) == 4, lambda: f"all arrive: {world.tails()}")


# What swaks can be made to do, its exit code, a text that it must show.
RUDE = [
    (["--drop-after", "EHLO"], 0, ""),
    (["--drop-after", "MAIL"], 0, ""),
    (["--drop-after", "RCPT"], 0, ""),
    (["--drop-after", "DATA"], 0, "354"),
    (["--drop-after-send", "RCPT"], 0, ""),
    (["--drop-after-send", "DATA"], 0, ""),
    (["--ehlo", "two words"], 22, "501 5.5.4 rcptgate:"),
    (["--ehlo", "x" * 3000], 22, "500 5.5.2 rcptgate:"),
    (["--from", "no at sign"], 23, "501 5.1.7 rcptgate:"),
    (["--to", "a@b@c"], 24, "501 5.1.3 rcptgate:"),
    (["--to", "a b@plain.test"], 24, "501 5.1.3 rcptgate:"),
    (["--to", "gr\u00fcn@plain.test"], 24, "553 5.6.7 rcptgate:"),
]


def test_rude_swaks_delivers_nothing(lab):
    world = World(lab, [GOOD])
    for options, wanted, text in RUDE:
        code, said = swaks(world, *options)
        expect(code == wanted and text in said, f"{options}: exit {code}, {said}")
    polite = Message()
    with session(world) as smtp:
        smtp.sendmail(SENDER, [GOOD], polite.bytes)
    world.arrived(polite, GOOD)
    world.downstream.wait_empty()
    expect(len(world.downstream.box(GOOD)) == 1, "a message that was given up was delivered")
