"""Passwords: clients that log in with the gate, a gate that logs in with its next hop, a login that is relayed."""

import base64
import subprocess

from gate import BINARY, Gate, World
from lab import expect, wait_for
from mail import SENDER, Message

GOOD, USER, PASSWORD = "good@plain.test", "app@x.test", "correct horse/9"


class Secrets:
    """A certificate, and a file of users that may log in."""

    def __init__(self, lab):
        self.folder = lab.folder("secrets")
        certificate, key = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=gate.test",
             "-addext", "subjectAltName=DNS:gate.test,IP:127.0.0.1", "-keyout", key, "-out", certificate],
            check=True, capture_output=True)
        self.tls = f'tls = "starttls"\ncertificate = "{certificate}"\nkey = "{key}"\n'
        self.users = self.folder / "users.txt"
        self.give(PASSWORD)

    def give(self, password):
        done = subprocess.run([BINARY, "credentials", "add", USER, self.users], input=f"{password}\n",
                              capture_output=True, text=True, timeout=60, check=False)
        expect(done.returncode == 0, f"credentials add: {done.stdout}{done.stderr}")
        expect(password not in self.users.read_text(), "the password itself is in the file")

    def local(self):
        """The keys of a listener where everybody must log in."""
        return f'{self.tls}auth = "local"\nauth_required = true\ncredentials = "{self.users}"'


def swaks(gate, mechanism, password=PASSWORD, *more):
    """Sends with swaks over STARTTLS and a login; what it says, and how it ends."""
    return subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{gate.port}", "--tls", "--from", SENDER, "--to", GOOD, "--auth", mechanism,
         "--auth-user", USER, "--auth-password", password, "--auth-hide-password", *more],
        capture_output=True, text=True, timeout=120, check=False)


def sent(gate, mechanism, password=PASSWORD):
    """Sends a message of its own with swaks."""
    message = Message()
    done = swaks(gate, mechanism, password, "--header", f"Message-Id: {message.id}")
    expect(done.returncode == 0 and "235 2.7.0" in done.stdout, f"swaks {mechanism}:\n{done.stdout}{done.stderr}")
    return message


def keeps_quiet(*gates):
    """No password, and no line of an exchange, is in a log."""
    said = [PASSWORD, base64.b64encode(PASSWORD.encode()).decode(),
            base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()]
    for gate in gates:
        log = gate.log()
        expect(not any(word in log for word in said), "a password is in the log")


def test_swaks_logs_in_with_the_gate(lab):
    secrets = Secrets(lab)
    world = World(lab, [GOOD], gate={"listen_tls": secrets.local()})
    for mechanism in ("PLAIN", "LOGIN"):
        world.arrived(sent(world.gate, mechanism), GOOD)
        done = swaks(world.gate, mechanism, "wrong")
        expect(done.returncode != 0 and "535 5.7.8 rcptgate:" in done.stdout, f"swaks:\n{done.stdout}{done.stderr}")
    done = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{world.gate.port}", "--tls", "--from", SENDER, "--to", GOOD],
        capture_output=True, text=True, timeout=60, check=False)
    expect("530 5.7.0 rcptgate:" in done.stdout, f"swaks without a login:\n{done.stdout}{done.stderr}")
    expect(len(world.gate.logged("event=auth", "result=ok", f"user={USER}")) == 2, "logins are logged")
    expect(len(world.gate.logged("event=auth", "result=failed", f"user={USER}")) == 2, "failures are logged")
    keeps_quiet(world.gate)


def test_a_new_password_counts_at_once(lab):
    secrets = Secrets(lab)
    world = World(lab, [GOOD], gate={"listen_tls": secrets.local()})
    secrets.give("another one")
    wait_for(lambda: swaks(world.gate, "PLAIN", "another one", "--quit-after", "AUTH").returncode == 0,
             lambda: f"the new password: {world.tails()}")
    expect(swaks(world.gate, "PLAIN", PASSWORD, "--quit-after", "AUTH").returncode != 0, "the old one still counts")
    done = subprocess.run([BINARY, "credentials", "remove", USER, "-c", world.gate.config], capture_output=True,
                          text=True, timeout=60, check=False)
    expect(done.returncode == 0, f"credentials remove: {done.stdout}{done.stderr}")
    wait_for(lambda: swaks(world.gate, "PLAIN", "another one", "--quit-after", "AUTH").returncode != 0,
             lambda: f"the user that was removed: {world.tails()}")


def test_the_gate_logs_in_with_its_next_hop(lab):
    secrets = Secrets(lab)
    world = World(lab, [GOOD], gate={"listen_tls": secrets.local()})
    file = secrets.folder / "password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    own = f'required"\nusername = "{USER}"\npassword_file = "{file}'
    first = Gate(lab, world.gate.port, downstream_tls=own)
    message = Message()
    message.send(first.port, [GOOD])
    world.arrived(message, GOOD)
    keeps_quiet(first, world.gate)


def test_a_login_is_relayed(lab):
    secrets = Secrets(lab)
    world = World(lab, [GOOD], gate={"listen_tls": secrets.local()})
    first = Gate(lab, world.gate.port, listen_tls=f'{secrets.tls}auth = "relay"\nauth_required = true',
                 downstream_tls="required")
    for mechanism in ("PLAIN", "LOGIN"):
        world.arrived(sent(first, mechanism), GOOD)
    done = swaks(first, "LOGIN", "wrong")
    expect("535 5.7.8 rcptgate: wrong name or password" in done.stdout, f"swaks:\n{done.stdout}{done.stderr}")
    keeps_quiet(first, world.gate)
