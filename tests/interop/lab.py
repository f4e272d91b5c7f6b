"""A small mail world on loopback: processes, ports and waiting. Nothing outside its own temporary directory is touched."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 60  # seconds; only a failure ever waits this long


class Failed(AssertionError):
    """A scenario's expectation was not met."""


def expect(condition, what):
    if not condition:
        raise Failed(what)


def wait_for(condition, what, patience=PATIENCE):
    """Returns the first true value of `condition()`, looked at again and again."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            detail = what() if callable(what) else what
            raise Failed(f"not within {patience} s: {detail}")
        time.sleep(0.02)


def missing(**packages):
    """What is not installed, in words, of these commands, each with its Debian package."""
    return [f"{command} is not installed (apt-get install {package})" for command, package in packages.items()
            if shutil.which(command) is None]


class Here:
    """Where things run when no namespace is said: on this machine as it is."""

    def command(self, words):
        """The words that run this command there."""
        return words

    def within(self, call):
        """Makes this call there: what sockets it opens belong there."""
        return call()


HERE = Here()
_given = set()


def free_port():
    """A port that nobody listens on and that this run has not given out before. It lies below the range from which
    the kernel takes ports for outgoing connections, so that nobody comes by it while its server is restarted.
    Scenarios that run at the same time each have a part of that range."""
    slot, _, slots = os.environ.get("INTEROP_PORTS", "0/1").partition("/")
    width = 20_000 // int(slots)
    first = 10_000 + int(slot) * width
    while True:
        port = random.randrange(first, first + width)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def accepts(port, address="127.0.0.1"):
    """Whether something on this port takes connections, whatever it says then."""
    try:
        socket.create_connection((address, port), timeout=5).close()
        return True
    except OSError:
        return False


def greets(port, address="127.0.0.1"):
    """Whether something on this port says 220."""
    try:
        with socket.create_connection((address, port), timeout=5) as peer:
            return peer.recv(4) == b"220 "
    except OSError:
        return False


def processes_of(folder):
    """Processes that work in this directory, have it as their root or were configured from it, other than this one."""
    mine = os.fsencode(folder)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            about = os.fsencode(os.readlink(entry / "cwd")) + os.fsencode(os.readlink(entry / "root"))
            about += (entry / "environ").read_bytes()
            about += (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if mine in about:
            found.append(int(entry.name))
    return found


class Process:
    """A child that is ended by its process id, together with what it started."""

    def __init__(self, command, output, **options):
        self.command = [str(word) for word in command]
        self.output = Path(output)
        self.start = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as sink:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                start_new_session=True, **options)

    def said(self):
        """What this process has printed so far."""
        with self.output.open("rb") as text:
            text.seek(self.start)
            return text.read().decode(errors="replace")

    def running(self):
        return self.child.poll() is None

    def stop(self, how=signal.SIGTERM):
        if self.running():
            self.child.send_signal(how)
        try:
            return self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failed(f"{self.command[0]} did not end within {PATIENCE} s of {how.name}")


class Lab:
    """Owns the directory and everything started in it; leaving the `with` block removes all of it."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="rcptgate-interop-"))
        # Postfix drops its privileges and must still be able to walk in.
        self.root.chmod(0o755)
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            for part in reversed(self.started):
                try:
                    part.stop()
                except Exception as problem:  # the rest must still be stopped
                    print(f"  stopping: {problem}")
            left = self.left_over()
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            if left:
                print(f"  had to kill {left}")
        finally:
            shutil.rmtree(self.root, ignore_errors=True)

    def left_over(self):
        """Processes that work in this lab's directory or were configured from it, other than this one."""
        return processes_of(self.root)

    def folder(self, name, owner=None):
        path = self.root / name
        path.mkdir(parents=True)
        if owner:
            shutil.chown(path, owner)
        return path

    def keep(self, part):
        self.started.append(part)
        return part
