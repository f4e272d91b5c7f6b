"""Other ways in and out than plain SMTP: LMTP from the client, TLS on both legs."""

import subprocess

from gate import World
from lab import REPOSITORY, expect, wait_for
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


def make_dev_pair(folder, *names):
    return subprocess.run(
        [REPOSITORY / "certs/make-dev-pair", "-o", folder, *names], capture_output=True, text=True, check=False)


def make_pair(folder):
    done = make_dev_pair(folder, "gate.test", "127.0.0.1")
    expect(done.returncode == 0, done.stderr)
    return folder / "dev.pem", folder / "dev.key"


def test_tls_on_both_legs(lab):
    certificate, key = make_pair(lab.folder("tls"))
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
    wait_for(lambda: world.gate.logged("event=message", "tls=required", "trust=untrusted"), world.gate.tail)


def test_the_development_pair_is_made_once_and_proves_both_sides(lab):
    """The downstream Postfix demands a certificate and has to show one; the same pair serves for both."""
    folder = lab.folder("tls")
    certificate, key = make_pair(folder)
    expect(key.stat().st_mode & 0o777 == 0o600, f"the key is readable: {key.stat().st_mode:o}")
    before = key.read_bytes()
    again = make_dev_pair(folder)
    expect(again.returncode == 65 and "there already" in again.stderr, f"{again}")
    key.unlink()
    again = make_dev_pair(folder)
    expect(again.returncode == 65 and not key.exists(), f"half a pair is completed by another: {again}")
    key.write_bytes(before)
    key.chmod(0o600)
    wrong = make_dev_pair(lab.folder("wrong"), "a,IP:192.0.2.1")
    expect(wrong.returncode == 65, f"a name that says more than a name: {wrong}")
    expect(not list((lab.root / "wrong").iterdir()), "something is left over")

    world = World(
        lab, [GOOD],
        downstream={"smtpd_tls_security_level": "encrypt", "smtpd_tls_cert_file": certificate,
                    "smtpd_tls_key_file": key, "smtpd_tls_CAfile": certificate, "smtpd_tls_req_ccert": "yes",
                    "smtpd_tls_received_header": "yes"},
        gate={"downstream_tls": "verify",
              "downstream_more": f'ca = "{certificate}"\ncertificate = "{certificate}"\nkey = "{key}"'})
    message = world.send(Message(), GOOD)
    raw = world.arrived(message, GOOD)
    expect(b"(Client CN \"rcptgate development\"" in raw, f"the downstream saw the certificate: {raw!r}")
    wait_for(lambda: world.gate.logged("event=message", "tls=verify", "trust=verified"), world.gate.tail)
