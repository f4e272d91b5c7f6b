"""A root directory of its own for a mail server whose paths are compiled in: Exim, OpenSMTPD.

Neither can be installed beside Postfix, and OpenSMTPD insists on /var/spool/smtpd. In a root of their own they have the paths,
the users and the set-uid programs of their packages, and the machine has none of them.
"""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

from lab import Process, expect

HERE = Path(__file__).resolve().parent
DEVICES = {"null": (1, 3), "zero": (1, 5), "urandom": (1, 9), "random": (1, 8)}


def unpacked():
    """Where `unpack` puts the packages."""
    return Path(subprocess.run(
        [HERE / "unpack", "--where"], capture_output=True, text=True, check=True).stdout.strip())


class Jail:
    """`programs` are paths within the packages or, if the packages lack them, on the machine; `users` are names to numbers."""

    def __init__(self, lab, name, programs, users):
        self.root = lab.folder(f"{name}/root")
        self.home = self.root.parent
        self.users = users
        for folder in ("tmp", "dev", "etc", "var/lib", "var/spool", "var/mail", "var/run"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "tmp").chmod(0o1777)
        for device, numbers in DEVICES.items():
            os.mknod(self.root / "dev" / device, 0o666 | stat.S_IFCHR, os.makedev(*numbers))
            (self.root / "dev" / device).chmod(0o666)
        people = {"root": 0, "nobody": 65534} | users
        self.write("etc/passwd", "".join(f"{n}:x:{i}:{i}::/nonexistent:/bin/sh\n" for n, i in people.items()))
        self.write("etc/group", "".join(f"{n}:x:{i}:\n" for n, i in people.items()))
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        self.write("etc/services", "smtp 25/tcp\nlmtp 24/tcp\n")
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
        for program in programs:
            self.install(program)

    def write(self, path, text):
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def folder(self, path, owner, mode=0o755):
        place = self.root / path
        place.mkdir(parents=True, exist_ok=True)
        os.chown(place, self.users.get(owner, 0), self.users.get(owner, 0))
        place.chmod(mode)
        return place

    def install(self, program):
        """The program with its mode (set-uid counts), and the libraries that it is linked with."""
        source = unpacked() / program
        if not source.exists():
            source = Path("/") / program
        told = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        expect("not found" not in told, f"{program} lacks libraries (tests/run installs them):\n{told}")
        for library in re.findall(r"(/\S+) \(0x", told):
            self.copy(Path(library), library.lstrip("/"))
        self.copy(source, program)

    def copy(self, source, path):
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            shutil.copyfile(source, place)
            place.chmod(stat.S_IMODE(source.stat().st_mode))

    def start(self, *command):
        return Process(["chroot", self.root, *command], self.home / "start.log", cwd=self.root)

    def run(self, *command):
        """Runs to its end; returns what it printed."""
        done = subprocess.run(["chroot", self.root, *command], capture_output=True, text=True, timeout=60, check=False)
        expect(done.returncode == 0, f"{command}: {done.returncode} {done.stdout}{done.stderr}")
        return done.stdout


def needed():
    """What is missing for Exim and OpenSMTPD, in words."""
    problems = []
    for program in ("usr/sbin/exim4", "usr/sbin/smtpd"):
        if not (unpacked() / program).exists():
            problems.append(f"{program} is not unpacked (tests/interop/unpack)")
        elif "not found" in subprocess.run(["ldd", unpacked() / program], capture_output=True, text=True).stdout:
            problems.append(f"{program} lacks libraries (tests/run installs them)")
    return problems
