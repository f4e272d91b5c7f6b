"""The gate itself, and the world around it that most scenarios need."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from exim import Exim
from lab import HERE, REPOSITORY, Process, expect, free_port, wait_for
from mail import SENDER, reports, with_id
from postfix import Postfix

BINARY = Path(os.environ.get("INTEROP_GATE", REPOSITORY / "target/debug/rcptgate"))

LISTENER = """\
[[listen]]
address  = "{address}"
protocol = "{protocol}"
clients  = [{clients}]
{listen_tls}
{tenant}
"""

CONFIG = """\
hostname = "gate.test"
data_dir = "data"
{listeners}
[downstream]
{route}
tls   = "{downstream_tls}"
{downstream_more}
{dns}
[lists]
disposable         = "disposable-domains.txt"
builtin_disposable = true
trusted            = "trusted-domains.txt"
allow              = "allow.txt"
[policy]
preset = "quarantine"
mode   = "{mode}"
[admin]
listen = "127.0.0.1:{admin}"
[log]
format = "text"
{more}
"""


class Gate:
    """`rcptgate serve` with a configuration and a store of its own. `downstream` is the port of the next hop, or the lines that say
    how else it is found. It listens at `addresses`, one port for all of them, and lives in `place`; `user` is a number, with root's
    `capabilities` as in "+net_admin". All mail is on the account of `tenant`; with none the rest of the configuration decides, to which
    `more` belongs."""

    def __init__(self, lab, downstream, trusted=(), mode="enforce", protocol="smtp",
                 listen_tls='tls = "off"', downstream_tls="off", downstream_more="", clients='"127.0.0.0/8"', dns="",
                 port=None, addresses=("127.0.0.1",), place=HERE, user=None, capabilities=None,
                 tenant="default", more=""):
        self.port, self.admin = port or free_port(), free_port()
        self.place = place
        self.home = lab.folder(f"gate-{self.port}")
        self.config = self.home / "rcptgate.toml"
        ends = [f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}" for address in addresses]
        route = f'route = "fixed"\nhosts = ["127.0.0.1:{downstream}"]' if isinstance(downstream, int) else downstream
        self.config.write_text(CONFIG.format(
            listeners="".join(LISTENER.format(address=end, protocol=protocol, clients=clients, listen_tls=listen_tls,
                                             tenant=f'tenant = "{tenant}"' if tenant else "")
                              for end in ends),
            route=route, admin=self.admin, mode=mode, downstream_tls=downstream_tls, downstream_more=downstream_more,
            dns=dns, more=more))
        for name, lines in (("trusted-domains", trusted), ("disposable-domains", ()), ("allow", ())):
            (self.home / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
        self.binary, self.as_user = BINARY, []
        if user:
            self.binary = place.show(BINARY)
            self.as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
            if capabilities:
                self.as_user += [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]
            os.chown(self.home, user, user)
        self.process = None
        # Of what a scenario makes on purpose, the part of the line by which it is known.
        self.expected_errors = ()
        lab.keep(self)
        self.begin()

    def begin(self):
        words = [*self.as_user, self.binary, "serve", "-c", self.config]
        self.process = Process(self.place.command(words), self.home / "gate.log")

        def ready():
            expect(self.process.running(), f"the gate ended at once:\n{self.process.said()}")
            return "ready" in self.process.said()

        wait_for(ready, lambda: f"the gate is ready:\n{self.process.said()}")

    def stop(self):
        if self.process and self.process.running():
            code = self.process.stop()
            expect(code == 0, f"the gate ended with {code} on SIGTERM:\n{self.tail()}")

    def kill(self):
        """Without a chance to put anything in order."""
        self.process.stop(signal.SIGKILL)

    def follow(self, policy):
        """Starts anew under this policy file."""
        self.stop()
        (self.home / "policy.toml").write_text(policy)
        self.config.write_text(self.config.read_text().replace('preset = "quarantine"', 'file = "policy.toml"'))
        self.begin()

    def command(self, *words):
        """An operator's command; returns what it prints."""
        done = subprocess.run(
            self.place.command([self.binary, *words, "-c", self.config]), capture_output=True, text=True, timeout=60, check=False)
        expect(done.returncode == 0, f"rcptgate {' '.join(words)}: {done.returncode} {done.stdout}{done.stderr}")
        return done.stdout

    def json(self, *words):
        """What a command says to programs: the values of its lines."""
        return [json.loads(line) for line in self.command(*words, "--json").splitlines()]

    def lookup(self, address):
        """What a RCPT of this address would get, and why."""
        [found] = self.json("lookup", address)
        return found

    def post(self, path, **body):
        """A request to the API, as another system makes it; returns the answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.admin}/api/v1/{path}", json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {(self.home / 'data/admin.token').read_text().strip()}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def metric(self, name):
        """The value of a figure without labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=60) as answer:
            [value] = re.findall(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
            return float(value)

    def log(self):
        return self.process.output.read_text(errors="replace")

    def logged(self, *parts):
        """The log's lines that contain all of `parts`, over every start so far. Mail never waits for the log, so a line that is
        not there yet is given a moment."""
        until = time.monotonic() + 0.5
        while True:
            found = [line for line in self.log().splitlines() if all(part in line for part in parts)]
            if found or time.monotonic() > until:
                return found
            time.sleep(0.02)

    def inspect(self):
        """What must not be in its log, whatever the scenario is about."""
        errors = [line for line in self.log().splitlines() if "panicked" in line or " ERROR " in line]
        odd = [line for line in errors if not any(part in line for part in self.expected_errors)]
        expect(not odd, f"the gate's log has {odd}")

    def tail(self, lines=15):
        return "\n    ".join(["", *self.log().splitlines()[-lines:]])


class World:
    """client MTA -> gate -> downstream MTA, both Postfix unless a kind says otherwise. The client delivers bounces to the
    sender's own mailbox. `client`, `downstream` and `gate` are further arguments of each."""

    def __init__(self, lab, mailboxes, trusted=(), mode="enforce", client=None, downstream=None, gate=None,
                 client_kind=Postfix, downstream_kind=Postfix):
        self.downstream = downstream_kind(lab, "downstream", mailboxes, **(downstream or {}))
        self.gate = Gate(lab, self.downstream.port, trusted, mode, **(gate or {}))
        self.begin_client(lab, client_kind, client, (gate or {}).get("protocol") == "lmtp")

    def begin_client(self, lab, client_kind, client, lmtp):
        if client_kind is Exim:
            lines = (client or {}).get("transport", ())
            route = {"way": self.gate.port}
            client = (client or {}) | {"transport": (*lines, "protocol = lmtp") if lmtp else lines}
        elif lmtp:
            route = {"default_transport": f"lmtp:inet:[127.0.0.1]:{self.gate.port}", "lmtp_send_xforward_command": "yes"}
        else:
            route = {"relayhost": f"[127.0.0.1]:{self.gate.port}", "smtp_send_xforward_command": "yes"}
        self.client = client_kind(lab, "client", [SENDER], **route | (client or {}))

    def send(self, message, *recipients):
        return message.send(self.client.port, list(recipients))

    def downstreams(self):
        return {"downstream": self.downstream}

    def box(self, address):
        """The messages that were delivered to this address."""
        return self.downstream.box(address)

    def arrived(self, message, address, patience=60):
        """Waits for the message in the downstream's mailbox; it must be there once."""
        found = wait_for(lambda: with_id(self.box(address), message),
                         lambda: f"delivery to {address}: {self.tails()}", patience)
        expect(len(found) == 1, f"{address} has the message {len(found)} times")
        return found[0]

    def bounced(self, message, *addresses):
        """Waits for reports about all of `addresses`; returns their texts in that order."""
        def told():
            said = reports(with_id(self.client.box(SENDER), message))
            return said if all(address in said for address in addresses) else None

        said = wait_for(told, lambda: f"bounces of {', '.join(addresses)}: {self.tails()}")
        return [said[address] for address in addresses]

    def settled(self):
        """Waits until no MTA has anything left to do."""
        self.client.wait_empty()
        for downstream in self.downstreams().values():
            downstream.wait_empty()

    def tails(self):
        servers = {"client": self.client, "gate": self.gate} | self.downstreams()
        return "".join(f"\n  {name}:{server.tail()}" for name, server in servers.items())
