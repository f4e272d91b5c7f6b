"""Other ways in and out than plain SMTP: LMTP from the client, TLS on both legs."""

import subprocess

from gate import World
from lab import expect, wait_for
from mail import Message

GOOD, OTHER, UNKNOWN = "good@plain.test", "other@plain.test", "unknown@trusted.test"


def test_postfix_delivers_over_lmtp(lab):
    world = World(lab, [GOOD, OTHER, "x@trusted.test"], trusted=["trusted.test"], gate={"protocol": "lmtp"})
    message = world.send(Message(), GOOD, "d@yopmail.com", UNKNOWN, OTHER)
    world.arrived(message, GOOD)
    world.arrived(message, OTHER)
    disposable, unknown = world.bounced(message, "d@yopmail.com", UNKNOWN)
    expect("rcptgate: disposable" in disposable, disposable)
    expect("rcptgate:" not in unknown and "5.1.1" in unknown, unknown)
    world.settled()
    again = world.send(Message(), UNKNOWN)
    [refused] = world.bounced(again, UNKNOWN)
    expect("rcptgate:" in refused, refused)


def test_tls_on_both_legs(lab):
    folder = lab.folder("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=gate.test",
         "-addext", "subjectAltName=DNS:gate.test,IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True)
    key.chmod(0o600)
    world = World(
        lab, [GOOD],
        client={"smtp_tls_security_level": "encrypt", "smtp_tls_loglevel": "1"},
        downstream={"smtpd_tls_security_level": "encrypt", "smtpd_tls_cert_file": certificate,
                    "smtpd_tls_key_file": key, "smtpd_tls_received_header": "yes"},
        gate={"listen_tls": f'tls = "required"\ncertificate = "{certificate}"\nkey = "{key}"',
              "downstream_tls": "required"})
    message = world.send(Message(), GOOD)
    raw = world.arrived(message, GOOD)
    expect(b"using TLSv1" in raw, "the downstream saw no TLS")
    wait_for(lambda: world.client.logged(r"Untrusted TLS connection established to 127.0.0.1"),
             lambda: f"the client spoke TLS: {world.tails()}")
    expect(world.gate.logged("event=message", "tls=required"), "the log says what protected the way")
