"""Messages: made, handed in, and read where they arrive."""

import email
import itertools
import smtplib
from pathlib import Path

SENDER = "news@sender.test"
_numbers = itertools.count(1)


class Message:
    """Bytes with an identity that survives every hop."""

    def __init__(self, body=b"hello\r\n", sender=SENDER, headers=b""):
        self.id = f"<{next(_numbers)}.interop@sender.test>"
        self.sender = sender
        self.body = body
        self.bytes = (
            f"From: {sender}\r\nTo: someone@example.test\r\nSubject: interop\r\nMessage-ID: {self.id}\r\n"
            "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n").encode() + headers + b"\r\n" + body

    def send(self, port, recipients, options=()):
        """Hands the message to the MTA on `port` in one transaction; every recipient must be accepted there."""
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as session:
            refused = session.sendmail(self.sender, recipients, self.bytes, mail_options=options)
            assert not refused, refused
        return self


def folder(address):
    """Where below a server's mail directory the mailbox is."""
    user, _, domain = address.rpartition("@")
    return f"{domain}/{user}"


def read_maildir(path):
    """Every message in a Maildir as bytes with CRLF, the order of arrival."""
    if not Path(path, "new").is_dir():
        return []
    files = sorted(Path(path, "new").iterdir(), key=lambda file: (file.stat().st_mtime_ns, file.name))
    return [file.read_bytes().replace(b"\n", b"\r\n") for file in files]


def body_of(raw):
    return raw.partition(b"\r\n\r\n")[2]


def reports(bounces):
    """What delivery reports say, by final recipient: the diagnostic text, folded lines joined."""
    said = {}
    for raw in bounces:
        for part in email.message_from_bytes(raw).walk():
            recipient = (part["Final-Recipient"] or "").rpartition(";")[2].strip()
            if recipient:
                said[recipient] = " ".join((part["Diagnostic-Code"] or part["Status"] or "").split())
    return said


def with_id(messages, message):
    """Those of `messages` that are, or report about, this one."""
    return [raw for raw in messages if message.id.encode() in raw]
