"""Real Postfix, several instances side by side, none of them the machine's own."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections import namedtuple
from pathlib import Path

from lab import HERE, Process, accepts, expect, free_port, greets, missing, wait_for
from mail import folder, read_maildir

# One attempt of a Postfix at a recipient: sent, deferred or bounced, and why.
Outcome = namedtuple("Outcome", "queue_id sender recipient status text")

LISTENER = "{address}:{port} inet n - n - - smtpd\n"
MASTER = """\
postlog   unix-dgram n - n - 1 postlogd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
lmtp      unix - - n - - lmtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
local     unix - n n - - local
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
"""

# What every instance here has in common: loopback only, own directories, no name service, quick to retry.
COMMON = {
    "compatibility_level": "3.6",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "mynetworks": "127.0.0.0/8",
    "mydestination": "",
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "local_transport": "error:5.1.1 no local mail here",
    "disable_dns_lookups": "yes",
    "smtp_host_lookup": "native",
    "smtpd_peername_lookup": "no",
    "smtpd_relay_restrictions": "permit_mynetworks, reject",
    "smtpd_recipient_restrictions": "",
    "smtpd_tls_security_level": "none",
    "smtp_tls_security_level": "none",
    "virtual_alias_maps": "",
    "virtual_uid_maps": "static:65534",
    "virtual_gid_maps": "static:65534",
    "virtual_mailbox_limit": "0",
    "mailbox_size_limit": "0",
    "message_size_limit": "50000000",
    "biff": "no",
    "queue_run_delay": "1s",
    # Times count in whole seconds: with 1 s a message can come up again within milliseconds, while its delivery agent still
    # holds it, and is then skipped until the queue manager starts anew.
    "minimal_backoff_time": "2s",
    "maximal_backoff_time": "3s",
    "queue_minfree": "0",
    "smtpd_error_sleep_time": "0",
    "smtpd_soft_error_limit": "1000",
    "smtpd_hard_error_limit": "1000",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_recipient_limit": "1000",
    "smtp_destination_recipient_limit": "500",
    "in_flow_delay": "0",
    "maximal_queue_lifetime": "1d",
}


class Postfix:
    """One instance; it delivers mail for `mailboxes` itself and sends the rest to `relayhost` when there is one. It listens at
    `addresses`, one port for all of them, of which the first is its own, and lives in `place`. `services` are more lines of master.cf."""

    def __init__(self, lab, name, mailboxes, port=None, addresses=("127.0.0.1",), place=HERE, services="", **settings):
        self.name = name
        self.port = port or free_port()
        self.addresses, self.place = addresses, place
        self.config = lab.folder(f"{name}/config")
        self.queue = lab.folder(f"{name}/queue")
        self.data = lab.folder(f"{name}/data", owner="postfix")
        self.mail = lab.folder(f"{name}/mail", owner=65534)
        self.log = self.config.parent / "mail.log"
        self.process = None
        self.configure(mailboxes, settings, services)
        self.make_queue()
        lab.keep(self)
        self.begin()

    def configure(self, mailboxes, settings, services):
        table = self.config / "mailboxes"
        table.write_text("".join(f"{address} {folder(address)}/\n" for address in mailboxes))
        domains = sorted({address.rpartition("@")[2] for address in mailboxes})
        main = COMMON | {
            "myhostname": f"{self.name}.test",
            "queue_directory": self.queue,
            "data_directory": self.data,
            "maillog_file": self.log,
            "maillog_file_prefixes": self.log.parent,
            "virtual_mailbox_domains": ", ".join(domains),
            "virtual_mailbox_maps": f"texthash:{table}",
            "virtual_mailbox_base": self.mail,
        } | settings
        (self.config / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in main.items()))
        listeners = [LISTENER.format(address=f"[{address}]" if ":" in address else address, port=self.port)
                     for address in self.addresses]
        (self.config / "master.cf").write_text("".join(listeners) + MASTER + services)

    def make_queue(self):
        """The directories that Postfix makes, with their owners, when a start finds none; that takes longer than most scenarios."""
        for place in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved",
                      "trace", "maildrop", "public"):
            path = self.queue / place
            path.mkdir()
            shared = place in ("maildrop", "public")
            shutil.chown(path, "postfix", "postdrop" if shared else "root")
            path.chmod({"maildrop": 0o1730, "public": 0o2710}.get(place, 0o700))
        (self.queue / "pid").mkdir()

    def begin(self):
        """In the foreground, as our own child, until it greets."""
        # Postfix removes this at a start, and leaves out the checks of its directories.
        (self.queue / "quick-start").touch()
        self.process = Process(
            self.place.command(["postfix", "-c", self.config, "start-fg"]), self.config.parent / "start.log")

        def up():
            expect(self.process.running(), f"{self.name} ended at once: {self.process.said()} {self.text()}")
            return self.greets(all)

        wait_for(up, lambda: f"{self.name} greets on {self.port}: {self.process.said()} {self.text()}")

    def stop(self):
        """Ends the master, which ends its own; `postfix stop` would do the same and hide the wait."""
        if self.process is None or not self.process.running():
            return
        master = wait_for(self.master, f"{self.name} has a master process")
        os.kill(master, signal.SIGTERM)
        self.process.child.wait(30)
        wait_for(lambda: not self.greets(any), f"{self.name} no longer listens")

    def greets(self, how):
        """Whether it greets, by `all` or `any` of its addresses."""
        return self.place.within(lambda: how(greets(self.port, address) for address in self.addresses))

    def master(self):
        try:
            return int((self.queue / "pid/master.pid").read_text())
        except (OSError, ValueError):
            return None

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def logged(self, pattern):
        """The log's lines that match."""
        return [line for line in self.text().splitlines() if re.search(pattern, line)]

    def box(self, address):
        """The messages delivered to this address."""
        return read_maildir(self.mail / folder(address))

    def queued(self):
        """How many messages wait here. Read twice, since a message may change folders while we look."""
        def count():
            places = ("maildrop", "incoming", "active", "deferred")
            return sum(1 for place in places for path in (self.queue / place).rglob("*") if path.is_file())
        return max(count(), count())

    def deferred(self):
        return sum(1 for path in (self.queue / "deferred").rglob("*") if path.is_file())

    def flush(self, queue_id=None):
        """Tries everything again now, or this message."""
        which = ["-i", queue_id] if queue_id else ["-f"]
        subprocess.run(["postqueue", "-c", self.config, *which], check=True)

    def sendmail(self, message, recipients, *options):
        """Hands the message in as programs on the machine do; by sendmail(1), which takes ENVID (`-V`)."""
        subprocess.run(["sendmail", "-C", self.config, "-i", "-f", message.sender, *options, *recipients],
                       input=message.bytes.replace(b"\r\n", b"\n"), check=True, timeout=60)

    def queue_id(self, message):
        """What it calls this message."""
        [line] = wait_for(lambda: self.logged(f"cleanup.*message-id={re.escape(message.id)}"), lambda: f"{message.id}: {self.tail()}")
        return line.split(": ")[1]

    def outcomes(self, agent="[ls]mtp"):
        """What became of every attempt that a delivery agent made, by default those of SMTP and LMTP, in order."""
        senders = dict(re.findall(r"qmgr\[\d+\]: (\w+): from=<([^>]*)>", self.text()))
        found = re.findall(rf"/{agent}\[\d+\]: (\w+): to=<([^>]+)>,.* status=(\w+) \((.*)\)$", self.text(), re.MULTILINE)
        return [Outcome(queue_id, senders.get(queue_id), recipient, status, text) for queue_id, recipient, status, text in found]

    def wait_empty(self):
        wait_for(lambda: self.queued() == 0,
                 lambda: f"{self.name} has an empty queue, {self.queued()} are left: {self.tail()}", 120)

    def tail(self, lines=15):
        return "\n    ".join(["", *self.text().splitlines()[-lines:]])


class SmtpSink:
    """Postfix's smtp-sink: a downstream that misbehaves on demand, and keeps what it is sent."""

    def __init__(self, lab, *options, port=None):
        self.port = port or free_port()
        self.kept = lab.root / f"sink-{self.port}"
        if not self.kept.exists():
            lab.folder(self.kept.name, owner="nobody")
        self.process = Process(
            ["smtp-sink", "-c", "-u", "nobody", "-d", f"{self.kept}/m", *options, f"127.0.0.1:{self.port}", "64"],
            lab.root / f"sink-{self.port}.log")
        lab.keep(self)
        wait_for(lambda: accepts(self.port), lambda: f"smtp-sink listens: {self.process.said()}")

    def transactions(self):
        """Every transaction that came to it, as it dumps them: envelope, and content as far as it came."""
        whole = []
        for file in sorted(self.kept.iterdir()):
            # smtp-sink takes a message that was broken off away again, maybe at this moment.
            with contextlib.suppress(FileNotFoundError):
                whole.append(file.read_bytes())
        return whole

    def stop(self):
        self.process.stop()


def needed():
    """What this machine lacks to run Postfix here, in words; empty when all is there."""
    problems = []
    if os.getuid() != 0:
        problems.append("root is needed: Postfix starts as root and drops its privileges")
    problems += missing(**{"postfix": "postfix", "smtp-sink": "postfix", "swaks": "swaks", "msmtp": "msmtp"})
    # What lets a Postfix log in with the gate.
    if not list(Path("/usr/lib").glob("*/sasl2/libplain.so")):
        problems.append("Cyrus SASL cannot speak PLAIN (apt-get install libsasl2-modules)")
    try:
        pwd.getpwnam("postfix")
    except KeyError:
        problems.append("there is no user postfix")
    return problems
