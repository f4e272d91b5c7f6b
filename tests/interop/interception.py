"""An unmodified Postfix that looks up MX itself, and whose connections to port 25 the kernel brings to the gate."""

from dns import Dns, Zone
from gate import Gate, World
from mail import SENDER
from mailnet import FIRST, GATE_PORT, GATE_USER, HOST, RESOLVER, ROUTER, SECOND, one_machine, with_router
from postfix import Postfix

ONE, TWO, THREE = "good@one.test", "good@two.test", "good@three.test"
# Mail hosts to their addresses and mailboxes; two.test and three.test have the same.
BOXES = {"mx.one.test": (FIRST, [ONE]), "mx.two.test": (SECOND, [TWO, THREE])}

# As Debian has it: the lab's usual settings take these away.
ANYWHERE = {"inet_interfaces": "all", "inet_protocols": "all"}
UNMODIFIED = ANYWHERE | {"disable_dns_lookups": "no", "smtp_host_lookup": "dns", "smtp_tls_security_level": "may"}
FINAL = ANYWHERE | {"smtpd_relay_restrictions": "reject_unauth_destination"}


def records(boxes, families=("A", "AAAA")):
    """Zones in which each domain has one mail host with the addresses of its receiver."""
    zones = {}
    for host, (addresses, mailboxes) in boxes.items():
        known = [f"{family} {address}" for family, address in zip(("A", "AAAA"), addresses) if family in families]
        label, _, domain = host.partition(".")
        zones.setdefault(domain, {})[label] = known
        for served in {mailbox.rpartition("@")[2] for mailbox in mailboxes}:
            zones.setdefault(served, {})["@"] = f"MX 10 {host}."
    return {name: Zone(told) for name, told in zones.items()}


class Interception(World):
    """`host` has the client and, unless there is a `router` for it, the gate; `net` has the receivers and the resolver.
    `intercepted` is False for a network in which nothing is redirected, and there is no gate."""

    def __init__(self, lab, boxes=None, zones=None, routed=False, intercepted=True, more="", **gate):
        boxes = BOXES if boxes is None else boxes
        if routed:
            self.host, self.site, self.net = with_router(lab)
        else:
            self.host, self.net = one_machine(lab)
            self.site = self.host
        self.dns = Dns(lab, records(boxes) if zones is None else zones, address=RESOLVER, port=53, place=self.net)
        self.receivers = {
            host: Postfix(lab, host, mailboxes, port=25, addresses=addresses, place=self.net, myhostname=host, **FINAL)
            for host, (addresses, mailboxes) in boxes.items()}
        self.domains = {mailbox.rpartition("@")[2]: self.receivers[host]
                        for host, (_, mailboxes) in boxes.items() for mailbox in mailboxes}
        self.client = Postfix(lab, "client", [SENDER], place=self.host, **UNMODIFIED)
        if intercepted:
            listen = ROUTER if routed else ("127.0.0.1", "::1")
            self.gate = Gate(
                lab, 'route = "original"', trusted=["three.test"], downstream_more=more, place=self.site, user=GATE_USER,
                port=GATE_PORT, addresses=listen, clients=f'"{HOST[0]}/32", "{HOST[1]}/128"', **gate)
            if routed:
                self.site.rules("redirect-forward.nft", inside='"host"', gate_port=GATE_PORT)
            else:
                self.site.rules("redirect-output.nft", gate_user=GATE_USER, gate_port=GATE_PORT)

    def downstreams(self):
        return self.receivers

    def box(self, address):
        return self.domains[address.rpartition("@")[2]].box(address)

    def send(self, message, *recipients):
        return self.host.within(lambda: super(Interception, self).send(message, *recipients))
