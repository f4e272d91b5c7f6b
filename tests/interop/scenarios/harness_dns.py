"""The lab's name service and receivers, without the gate: what the scenarios with routes of their own take for granted."""

import smtplib
import ssl

from dns import Dns, Zone
from lab import expect, free_port
from mail import SENDER
from postfix import Postfix
from tls import Authority

MAIL = {"@": "MX 10 mx", "mx": "A 127.0.0.2"}


def test_what_is_signed_is_proved_and_what_is_spoilt_is_no_answer(lab):
    record = Authority(lab).issue("mx.signed.test").tlsa()
    dns = Dns(lab, {
        "signed.test": Zone(MAIL | {"_25._tcp.mx": record}, signed=True),
        "plain.test": Zone(MAIL),
        "bogus.test": Zone(MAIL, bogus=["MX"]),
        "null.test": Zone({"@": "MX 0 ."}, signed=True),
    })
    for name, kind, answer in [
        ("signed.test", "MX", ("NOERROR", True, ["10 mx.signed.test."])),
        ("mx.signed.test", "A", ("NOERROR", True, ["127.0.0.2"])),
        ("_25._tcp.mx.signed.test", "TLSA", ("NOERROR", True, [record.removeprefix("TLSA ")])),
        ("plain.test", "MX", ("NOERROR", False, ["10 mx.plain.test."])),
        ("bogus.test", "MX", ("SERVFAIL", False, [])),
        ("mx.bogus.test", "A", ("NOERROR", True, ["127.0.0.2"])),
        ("null.test", "MX", ("NOERROR", True, ["0 ."])),
        # What is not there is proved not to be, unless nobody signed the zone.
        ("mx.signed.test", "AAAA", ("NOERROR", True, [])),
        ("nobody.signed.test", "A", ("NXDOMAIN", True, [])),
        ("nobody.plain.test", "A", ("NXDOMAIN", False, [])),
        ("nothing.example", "MX", ("NXDOMAIN", True, [])),
    ]:
        found = dns.ask(name, kind)
        expect(found == answer, f"{name} {kind}: {found}, not {answer}\n{dns.said()}")


def test_a_zone_is_changed_while_the_lab_runs(lab):
    dns = Dns(lab, {"signed.test": Zone(MAIL, signed=True)})
    dns.zone("signed.test", {"@": "MX 10 other"}, signed=True)
    dns.zone("sub.signed.test", {"@": "MX 10 mx"})
    expect(dns.ask("signed.test", "MX") == ("NOERROR", True, ["10 other.signed.test."]), dns.ask("signed.test", "MX"))
    expect(dns.ask("sub.signed.test", "MX") == ("NOERROR", False, ["10 mx.sub.signed.test."]), "not delegated")


def test_receivers_share_a_port_and_have_certificates(lab):
    authority, port = Authority(lab), free_port()
    names = {"127.0.0.2": "mx.one.test", "127.0.0.3": "mx.two.test"}
    for address, name in names.items():
        domain = name.partition(".")[2]
        Postfix(lab, name, [f"good@{domain}"], port=port, addresses=(address,), **authority.issue(name).postfix())
    for address, name in names.items():
        context = ssl.create_default_context(cafile=authority.certificate)
        with smtplib.SMTP(timeout=60) as session:
            session.connect(address, port)
            # The name that the certificate must prove.
            session._host = name
            session.starttls(context=context)
            session.mail(SENDER)
            domain = name.partition(".")[2]
            expect(session.rcpt(f"good@{domain}")[0] == 250, "the mailbox is not known")
            code, text = session.rcpt(f"nobody@{domain}")
            expect((code, text[:5]) == (550, b"5.1.1"), f"{code} {text}")
