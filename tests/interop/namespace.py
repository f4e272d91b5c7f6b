"""Networks of their own, for what must happen on port 25 and with addresses that are not this machine's.

A namespace has no name: it is held by a process of the lab, and is gone with that process, its interfaces and rules as well.
Nothing of it is seen outside, so scenarios that run at the same time may use the same addresses.
"""

import ctypes
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import REPOSITORY, Process, expect, missing, wait_for

RULES = REPOSITORY / "config/nftables"
CLONE_NEWNET = 0x40000000

# It ends with the process that runs the scenario, even when that is killed.
HOLD = """\
mount --bind "$1" /etc/resolv.conf
ip link set lo up
# No address waits until nobody else was found to have it.
for all in all default; do echo 0 >/proc/sys/net/ipv6/conf/$all/accept_dad; done
echo held
exec sleep infinity
"""


class Namespace:
    """A network with nothing but a loopback; `name` is for the lab's eyes. It is a place: `Postfix`, `Dns` and `Gate` can live
    in it. Its files are the machine's, but for /etc/resolv.conf, which is `resolver`."""

    def __init__(self, lab, name):
        self.name = name
        self.home = lab.folder(f"namespace-{name}")
        self.resolver = self.home / "resolv.conf"
        self.resolver.write_text("")
        self.holder = Process(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "sh", "-ec", HOLD, "sh", self.resolver],
            self.home / "holder.log", cwd=self.home)
        lab.keep(self)

        def held():
            expect(self.holder.running(), f"no namespace to be had (needs CAP_SYS_ADMIN, CAP_NET_ADMIN): {self.holder.said()}")
            return "held" in self.holder.said()

        wait_for(held, lambda: f"the namespace {name} is there: {self.holder.said()}")
        # One thread stays in the network: sockets that it opens belong there, whoever uses them.
        self.thread = ThreadPoolExecutor(1, initializer=self.enter)

    def enter(self):
        libc = ctypes.CDLL(None, use_errno=True)
        network = os.open(f"/proc/{self.holder.child.pid}/ns/net", os.O_RDONLY)
        try:
            if libc.setns(network, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter the namespace {self.name}")
        finally:
            os.close(network)

    def within(self, call):
        """Makes this call in the namespace: what sockets it opens belong there."""
        return self.thread.submit(call).result()

    def command(self, words):
        """The words that run this command in the namespace."""
        return ["nsenter", f"--target={self.holder.child.pid}", "--net", "--mount", f"--wd={os.getcwd()}", "--", *words]

    def run(self, *words, **options):
        """Runs a command in the namespace to its end; returns what it printed."""
        done = subprocess.run(
            self.command([str(word) for word in words]), capture_output=True, text=True, check=False, **options)
        expect(done.returncode == 0, f"in {self.name}: {words}: {done.returncode} {done.stdout}{done.stderr}")
        return done.stdout

    def address(self, device, *addresses):
        """Each as "192.0.2.1/24"."""
        for address in addresses:
            self.run("ip", "address", "add", address, "dev", device)

    def route(self, *gateways):
        """The default routes, one a family."""
        for gateway in gateways:
            self.run("ip", *(["-6"] if ":" in gateway else []), "route", "add", "default", "via", gateway)

    def forward(self):
        """Makes a router of it."""
        self.run("sh", "-ec", "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")

    def show(self, file):
        """Where users who may not walk to this file see it in here."""
        shown = self.home / Path(file).name
        shown.touch()
        self.run("mount", "--bind", file, shown)
        return shown

    def ask(self, resolver):
        """Programs in here look names up at this address, port 53."""
        self.resolver.write_text(f"nameserver {resolver}\n")

    def rules(self, name, **defines):
        """Loads `config/nftables/NAME` with other values for its `define`s."""
        self.run("nft", "-f", ruled(self.home, name, defines))

    def keep_marked(self, mark="0x19", table="25"):
        """Packets with this mark are for this place, whatever their address."""
        for family in ("-4", "-6"):
            self.run("ip", family, "rule", "add", "fwmark", mark, "lookup", table)
            self.run("ip", family, "route", "add", "local", "default", "dev", "lo", "table", table)

    def stop(self):
        self.thread.shutdown()
        self.holder.stop()


def ruled(folder, name, defines):
    """A copy of `config/nftables/NAME` with other values for its `define`s, each of which must be there."""
    text = (RULES / name).read_text()
    for key, value in defines.items():
        before = [line for line in text.splitlines() if line.startswith(f"define {key} =")]
        expect(len(before) == 1, f"{name} defines {key} {len(before)} times")
        text = text.replace(before[0], f"define {key} = {value}")
    copy = Path(folder) / name
    copy.write_text(text)
    return copy


def join(one, other):
    """A cable: each gets a device with the other's name."""
    subprocess.run(
        ["ip", "link", "add", other.name, "netns", str(one.holder.child.pid), "type", "veth",
         "peer", "name", one.name, "netns", str(other.holder.child.pid)], check=True, capture_output=True)
    one.run("ip", "link", "set", other.name, "up")
    other.run("ip", "link", "set", one.name, "up")


def needed():
    """What this machine lacks to have networks of its own here, in words; empty when all is there."""
    return missing(ip="iproute2", nft="nftables", unshare="util-linux", nsenter="util-linux", setpriv="util-linux", mount="mount")
