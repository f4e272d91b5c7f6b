"""The world in which the gate itself looks for who takes the mail of a domain."""

from dns import Dns, Zone
from gate import Gate, World
from lab import free_port, wait_for
from postfix import Postfix

ROUTE = """\
route = "mx"
port = {port}
{refused}
"""

# The resolver is on this machine and validates: what it vouches for counts.
RESOLVER = """\
[dns]
servers = ["{resolver}"]
dnssec = "{dnssec}"
"""


class Routes(World):
    """client MTA → gate → whom MX names. `receivers` are mail hosts to their mailboxes, each a Postfix with a loopback address
    of its own and one port for all; the domains of the mailboxes get MX records that name them. `zones` says more of a zone: what is
    in it besides, whether it is signed, what is spoilt; "{port}" in an owner's name is the port. `settings` are a receiver's own;
    `refused` is the line about networks that MX must not lead to, of which loopback is one by default."""

    def __init__(self, lab, receivers, zones=None, trusted=(), protocol="lmtp", dnssec="trust-ad", tls="off", more="",
                 settings=None, refused="refused_networks = []", gate=None, client=None, client_kind=Postfix):
        self.port = free_port()
        self.receivers, self.domains = {}, {}
        made = {}
        for number, (host, mailboxes) in enumerate(receivers.items(), 2):
            address = f"127.0.0.{number}"
            self.receivers[host] = Postfix(
                lab, host, mailboxes, port=self.port, addresses=(address,),
                **{"myhostname": host, "smtpd_relay_restrictions": "reject_unauth_destination"} | (settings or {}).get(host, {}))
            label, _, domain = host.partition(".")
            made.setdefault(domain, {}).setdefault(label, []).append(f"A {address}")
            for served in sorted({mailbox.rpartition("@")[2] for mailbox in mailboxes}):
                self.domains[served] = self.receivers[host]
                made.setdefault(served, {}).setdefault("@", []).append(f"MX 10 {host}.")
        self.dns = Dns(lab, {name: self.whole(made.get(name, {}), (zones or {}).get(name, Zone()))
                             for name in [*made, *(name for name in zones or {} if name not in made)]})
        self.gate = Gate(lab, ROUTE.format(port=self.port, refused=refused or ""), trusted, protocol=protocol, downstream_tls=tls,
                         downstream_more=more, dns=RESOLVER.format(resolver=self.dns.resolver, dnssec=dnssec), **(gate or {}))
        self.begin_client(lab, client_kind, client, protocol == "lmtp")

    def whole(self, made, told):
        records = dict(made)
        for owner, more in told.records.items():
            owner = owner.replace("{port}", str(self.port))
            records[owner] = records.get(owner, []) + more
        return Zone(records, told.signed, told.bogus, told.ttl)

    def downstreams(self):
        return self.receivers

    def box(self, address):
        return self.domains[address.rpartition("@")[2]].box(address)

    def deferred(self, address, text):
        """Waits until the client, a Postfix, has put this recipient off with a text that matches; returns the lines."""
        return wait_for(lambda: self.client.logged(rf"to=<{address}>.* status=deferred .*{text}"),
                        lambda: f"{address} deferred, {text}: {self.tails()}")
