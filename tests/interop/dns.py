"""A name service of its own: NSD answers for every name there is, Unbound validates and says so (AD). Nothing is asked outside."""

import datetime
import re
import subprocess

from lab import HERE, Process, accepts, expect, free_port, missing, wait_for

NSD = """\
server:
  ip-address: {address}@{port}
  username: nsd
  server-count: 1
  database: ""
  zonesdir: "{home}"
  pidfile: "{home}/nsd.pid"
  xfrdfile: "{home}/xfrd.state"
  zonelistfile: "{home}/zone.list"
  xfrdir: "{home}"
  verbosity: 1
remote-control:
  control-enable: no
"""

# Outgoing ports stay above those that the lab gives to servers. The names below `test` are blocked by default (RFC 6761).
UNBOUND = """\
server:
  directory: "{home}"
  chroot: ""
  username: unbound
  pidfile: "{home}/unbound.pid"
  interface: {address}@{port}
  access-control: 0.0.0.0/0 allow
  access-control: ::0/0 allow
  do-daemonize: no
  use-syslog: no
  logfile: ""
  verbosity: 1
  val-log-level: 2
  num-threads: 1
  outgoing-port-avoid: 0-65535
  outgoing-port-permit: 40000-60000
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: "{anchor}"
  trust-anchor-signaling: no
  local-zone: "test." nodefault
  local-zone: "2.0.192.in-addr.arpa." nodefault
  local-zone: "100.51.198.in-addr.arpa." nodefault
forward-zone:
  name: "."
  forward-addr: {address}@{authority}
remote-control:
  control-enable: no
"""

SOA = """\
$ORIGIN {origin}
$TTL {ttl}
@ SOA ns.lab. hostmaster.lab. 1 60 60 60 {ttl}
@ NS ns.lab.
"""


class Zone:
    """What one zone holds. `records` are owners ("@" is the zone itself) to a record, or several, as a zone file has them without
    class and TTL: {"@": "MX 10 mx1", "mx1": ["A 127.0.0.2", "AAAA ::2"]}. Of a signed zone the signatures over the types in
    `bogus` are spoilt: whoever validates gets SERVFAIL for those, and every other answer."""

    def __init__(self, records=None, signed=False, bogus=(), ttl=60):
        self.records = {owner: [told] if isinstance(told, str) else list(told) for owner, told in (records or {}).items()}
        self.signed = signed or bool(bogus)
        self.bogus = set(bogus)
        self.ttl = ttl

    def text(self, origin, delegations):
        lines = [f"{owner} {record}" for owner, told in self.records.items() for record in told]
        return SOA.format(origin=origin, ttl=self.ttl) + "".join(f"{line}\n" for line in [*lines, *delegations])


class Dns:
    """Both servers, behind a signed root that delegates to `zones`: names such as "signed.test" to `Zone`s. What no zone has does
    not exist. `port` is where Unbound listens, at `address` within `place`."""

    def __init__(self, lab, zones, address="127.0.0.1", port=None, place=HERE):
        self.address, self.place = address, place
        self.port, self.authority = port or free_port(), free_port()
        self.home = lab.folder(f"dns-{self.port}", owner="nsd")
        self.zones = dict(zones)
        self.keys = {}
        self.nsd = self.unbound = None
        lab.keep(self)
        self.begin()

    @property
    def resolver(self):
        """What the gate has in `servers`."""
        return f"{self.address}:{self.port}"

    def zone(self, name, records, signed=False, bogus=(), ttl=60):
        """Replaces one zone, or adds it; in force, and nothing remembered of before, when this returns."""
        self.zones[name] = Zone(records, signed, bogus, ttl)
        self.reload()

    def reload(self):
        self.stop()
        self.begin()

    def begin(self):
        every = {".": Zone({"ns.lab.": f"A {self.address}"}, signed=True)}
        every |= {f"{name}.": zone for name, zone in self.zones.items()}
        delegations = {name: [] for name in every}
        for name, zone in every.items():
            if zone.signed and name not in self.keys:
                self.keys[name] = self.run("ldns-keygen", "-r", "/dev/urandom", "-a", "ECDSAP256SHA256", "-k", name).strip()
            if name != ".":
                above = max((other for other in every if name.endswith(f".{other}")), key=len, default=".")
                delegations[above].append(f"{name} NS ns.lab.")
                if zone.signed:
                    delegations[above].append((self.home / f"{self.keys[name]}.ds").read_text().strip())
        for name, zone in every.items():
            self.write(name, zone, delegations[name])
        self.start(every)

    def write(self, name, zone, delegations):
        file = self.home / f"{name}zone"
        file.write_text(zone.text(name, delegations))
        if not zone.signed:
            return
        # Signed since yesterday, so that a clock that is set back a little breaks nothing.
        since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
        self.run("ldns-signzone", "-i", f"{since:%Y%m%d}", "-o", name, "-f", file, file, self.keys[name])
        file.write_text("".join(spoilt(line, zone.bogus) for line in file.read_text().splitlines(keepends=True)))

    def start(self, names):
        config = self.home / "nsd.conf"
        config.write_text(NSD.format(address=self.address, port=self.authority, home=self.home) + "".join(
            f'zone:\n  name: "{name}"\n  zonefile: "{name}zone"\n' for name in names))
        self.nsd = self.process("nsd", "-d", "-c", config)
        config = self.home / "unbound.conf"
        config.write_text(UNBOUND.format(
            address=self.address, port=self.port, home=self.home, authority=self.authority,
            anchor=self.home / f"{self.keys['.']}.key"))
        self.unbound = self.process("unbound", "-d", "-c", config)

        def up():
            for process in (self.nsd, self.unbound):
                expect(process.running(), f"{process.command} ended at once: {process.said()}")
            # drill takes its time over a server that is not there yet.
            listening = all(self.place.within(lambda: accepts(port, self.address)) for port in (self.authority, self.port))
            return listening and self.ask("ns.lab", "A") == ("NOERROR", True, [self.address])

        wait_for(up, lambda: f"a signed answer: {self.ask('ns.lab', 'A')}\n{self.said()}")

    def process(self, program, *words):
        return Process(self.place.command([program, *words]), self.home / f"{program}.log", cwd=self.home)

    def run(self, *words):
        done = subprocess.run(words, cwd=self.home, capture_output=True, text=True, check=False)
        expect(done.returncode == 0, f"{words}: {done.returncode} {done.stdout}{done.stderr}")
        return done.stdout

    def ask(self, name, kind):
        """What Unbound answers: the code in words, whether it proved the answer (AD), and the records of this type."""
        done = subprocess.run(
            self.place.command(["drill", "-D", "-p", str(self.port), f"@{self.address}", name, kind]),
            capture_output=True, text=True, check=False)
        code = re.search(r"rcode: (\w+)", done.stdout)
        flags = re.search(r";; flags: ([a-z ]*)", done.stdout)
        records = re.findall(rf"^\S+\t\d+\tIN\t{kind}\t(.*)$", done.stdout, re.MULTILINE)
        return code and code[1], bool(flags) and "ad" in flags[1].split(), sorted(records)

    def said(self):
        return f"{self.nsd.said()}\n{self.unbound.said()}"

    def stop(self):
        for process in (self.unbound, self.nsd):
            if process:
                process.stop()


def spoilt(line, kinds):
    """The line of a zone file; a signature over one of these types is made to be of something else."""
    kind = re.match(r"\S+\t\d+\tIN\tRRSIG\t(\w+) ", line)
    if not kind or kind[1] not in kinds:
        return line
    start, _, signature = line.rstrip().rpartition(" ")
    return f"{start} {'B' if signature[0] == 'A' else 'A'}{signature[1:]}\n"


def needed():
    """What this machine lacks to run a name service here, in words; empty when all is there."""
    return missing(**{"nsd": "nsd", "unbound": "unbound", "drill": "ldnsutils", "ldns-keygen": "ldnsutils",
                      "ldns-signzone": "ldnsutils"})
