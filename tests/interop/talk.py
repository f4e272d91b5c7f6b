"""A client that says exactly what it is told and shows every reply."""

import re
import socket


class Talk:
    """One connection; every reply comes as one string, the lines of it joined by `|`."""

    def __init__(self, port, ehlo="EHLO talk.test"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.read = self.socket.makefile("rb")
        self.greeting = self.reply()
        self.extensions = self.say(ehlo) if ehlo else ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.read.close()
        self.socket.close()

    def write(self, data):
        self.socket.sendall(data)

    def reply(self):
        """The next reply; empty when the connection has ended."""
        lines = []
        while line := self.read.readline():
            lines.append(line.decode(errors="replace").rstrip("\r\n"))
            if not re.match(r"\d{3}-", lines[-1]):
                break
        return "|".join(lines)

    def say(self, *lines):
        """One reply for a line, a list of as many replies for several, which go out in one write."""
        self.write("".join(f"{line}\r\n" for line in lines).encode())
        replies = [self.reply() for _ in lines]
        return replies[0] if len(lines) == 1 else replies
