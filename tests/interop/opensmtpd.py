"""Real OpenSMTPD as it comes from Debian, as a downstream that does not take two commands at once."""

import re

from jail import Jail
from lab import expect, free_port, greets, wait_for
from mail import folder, read_maildir

CONFIG = """\
table known file:/etc/known
table served file:/etc/served
smtp max-message-size 100M
listen on 127.0.0.1 port {port} hostname {name}.test
action box maildir "/var/mail/%{{rcpt.domain}}/%{{rcpt.user}}" virtual <known>
match from any for domain <served> action box
"""


class OpenSmtpd:
    def __init__(self, lab, name, mailboxes, port=None):
        self.name = name
        self.port = port or free_port()
        self.jail = Jail(
            lab, name, ["usr/sbin/smtpd", "usr/sbin/smtpctl", "usr/libexec/opensmtpd/mail.maildir", "bin/sh"],
            {"opensmtpd": 61_002, "opensmtpq": 61_003, "vmail": 61_004})
        for path in ("var/lib/opensmtpd/empty", "var/run"):
            self.jail.folder(path, "root")
        self.jail.folder("var/mail", "vmail")
        self.jail.folder("var/spool/smtpd", "root", 0o711)
        self.jail.write("etc/known", "".join(f"{address} vmail\n" for address in mailboxes))
        self.jail.write("etc/served", "".join(
            f"{domain}\n" for domain in sorted({address.rpartition("@")[2] for address in mailboxes})))
        self.jail.write("etc/smtpd.conf", CONFIG.format(name=name, port=self.port))
        self.process = None
        lab.keep(self)
        self.begin()

    def begin(self):
        """In the foreground, its log on standard error."""
        self.process = self.jail.start("/usr/sbin/smtpd", "-d")

        def up():
            expect(self.process.running(), f"{self.name} ended at once: {self.text()}")
            return greets(self.port)

        wait_for(up, lambda: f"{self.name} greets on {self.port}: {self.text()}")

    def stop(self):
        if self.process is not None and self.process.running():
            self.process.stop()
            wait_for(lambda: not greets(self.port), f"{self.name} no longer listens")

    def text(self):
        return self.process.output.read_text(errors="replace")

    def logged(self, pattern):
        """The log's lines that match, over every start so far."""
        return [line for line in self.text().splitlines() if re.search(pattern, line)]

    def box(self, address):
        return read_maildir(self.jail.root / "var/mail" / folder(address))

    def queued(self):
        return sum(1 for path in (self.jail.root / "var/spool/smtpd/queue").rglob("*") if path.is_file())

    def wait_empty(self):
        wait_for(lambda: self.queued() == 0, lambda: f"{self.name} has an empty queue: {self.tail()}", 120)

    def tail(self, lines=15):
        return "\n    ".join(["", *self.text().splitlines()[-lines:]])
