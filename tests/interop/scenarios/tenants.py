"""Customers of one platform behind one Postfix: what one of them may no longer write to, the others still may."""

from gate import Gate
from lab import expect, free_port, wait_for
from mail import Message
from postfix import Postfix
from scenarios.auth import PASSWORD, USER, Secrets

# By what the gate knows each customer, and the sender of its mail.
CUSTOMERS = {
    "shop": "news@shop.test",  # the listener
    "news": "daily@news.test",  # the client's network
    "club": "board@club.test",  # the login
    "fans": "fans@fans.test",  # the sender's domain
    "acme": "bounce-acme-17@mail.test",  # a part of the sender
}
# Each has somebody who will have nothing more of it.
ANGRY = {tenant: f"angry-at-{tenant}@plain.test" for tenant in CUSTOMERS}
UNKNOWN = "nobody@trusted.test"

TENANTS = """\
[[tenant]]
name = "news"
networks = ["127.0.0.2"]
[[tenant]]
name = "club"
users = ["{user}"]
[[tenant]]
name = "fans"
senders = ["fans.test"]
[[tenant]]
name = "{{}}"
senders = ["bounce-{{}}-*@mail.test"]
[[listen]]
address = "127.0.0.1:{open}"
[[listen]]
address = "127.0.0.1:{login}"
{secrets}
"""
SERVICES = """\
news unix - - n - - smtp
  -o smtp_bind_address=127.0.0.2
club unix - - n - - smtp
  -o smtp_tls_security_level=encrypt
  -o smtp_sasl_auth_enable=yes
  -o smtp_sasl_security_options=noanonymous
  -o smtp_sasl_password_maps=texthash:{passwords}
"""


class Platform:
    """One Postfix that sends the mail of each customer its own way to one gate, and a receiver."""

    def __init__(self, lab):
        self.receiver = Postfix(lab, "receiver", [*ANGRY.values(), "somebody@trusted.test"])
        opened, login = free_port(), free_port()
        secrets = Secrets(lab)
        self.gate = Gate(lab, self.receiver.port, trusted=["trusted.test"], tenant="shop", more=TENANTS.format(
            user=USER, open=opened, login=login, secrets=secrets.local()))
        ways = {"shop": f"smtp:[127.0.0.1]:{self.gate.port}", "news": f"news:[127.0.0.1]:{opened}",
                "club": f"club:[127.0.0.1]:{login}", "fans": f"smtp:[127.0.0.1]:{opened}", "acme": f"smtp:[127.0.0.1]:{opened}"}
        table, passwords = lab.root / "ways", lab.root / "passwords"
        table.write_text("".join(f"{sender} {ways[tenant]}\n" for tenant, sender in CUSTOMERS.items()))
        passwords.write_text(f"[127.0.0.1]:{login} {USER}:{PASSWORD}\n")
        self.client = Postfix(lab, "client", CUSTOMERS.values(), smtp_send_xforward_command="yes",
                              services=SERVICES.format(passwords=passwords),
                              sender_dependent_default_transport_maps=f"texthash:{table}")

    def send(self, tenant, *recipients):
        """One message of this customer; what became of each recipient, in the words of Postfix's log."""
        message = Message(sender=CUSTOMERS[tenant])
        message.send(self.client.port, list(recipients))
        queue_id = self.client.queue_id(message)

        def over():
            told = {it.recipient: it for it in self.client.outcomes() if it.queue_id == queue_id}
            return told if len(told) == len(recipients) else None

        told = wait_for(over, lambda: f"mail of {tenant}: {self.client.tail()}{self.gate.tail()}")
        for recipient, it in told.items():
            line = ["event=rcpt", f"recipient={recipient} ", f"message={queue_id} "]
            found = wait_for(lambda: self.gate.logged(*line), self.gate.tail)
            expect(f" tenant={tenant} " in found[-1], f"not as mail of {tenant}: {found}")
        return message, told


def by_tenant(gate):
    [report] = gate.json("report", "--by", "tenant")
    return {row["name"]: (row["delivered"], row["hard"]["count"], row["refused"]["causes"]) for row in report["rows"]}


def test_a_complaint_holds_for_one_customer(lab):
    platform = Platform(lab)
    gate, client = platform.gate, platform.client
    for number, (tenant, address) in enumerate(ANGRY.items()):
        if number % 2:
            gate.command("blacklist", address, "--tenant", tenant, "--reason", "called us")
        else:
            [done] = gate.post("complaints", addresses=[address], tenant=tenant, source="a feedback loop")["results"]
            expect(done["done"] and done["after"] == "blacklisted", done)
    sent = []
    for tenant, sender in CUSTOMERS.items():
        message, told = platform.send(tenant, *ANGRY.values())
        sent.append((tenant, message))
        for whose, address in ANGRY.items():
            status, text = told[address].status, told[address].text
            if whose == tenant:
                expect(status == "bounced" and "said: 550 5.7.1 rcptgate: blacklisted for this sender since" in text,
                       f"{tenant} to {address}: {text}")
            else:
                expect(status == "sent", f"{tenant} to {address}: {text}")
        report, = wait_for(lambda: client.box(sender), lambda: f"a bounce to {sender}: {client.tail()}")
        expect(ANGRY[tenant].encode() in report and b"blacklisted for this sender" in report, report)
    client.wait_empty()
    platform.receiver.wait_empty()
    for whose, address in ANGRY.items():
        got = sum(message.id.encode() in raw for _, message in sent for raw in platform.receiver.box(address))
        expect(got == len(CUSTOMERS) - 1, f"{address} has {got} messages")
        expect(not platform.receiver.logged(f"from=<{CUSTOMERS[whose]}> to=<{address}>"), f"asked for {address}")

    # What is true of the address is true for all.
    _, told = platform.send("fans", UNKNOWN)
    expect("rcptgate:" not in told[UNKNOWN].text, told)
    for tenant in CUSTOMERS:
        _, told = platform.send(tenant, UNKNOWN)
        expect("rcptgate: user unknown, quarantined since" in told[UNKNOWN].text, told)

    # One customer is written to again; that changes nothing for the others.
    gate.command("release", ANGRY["club"], "--from", "blacklist", "--tenant", "club", "--reason", "subscribed again")
    _, told = platform.send("club", *ANGRY.values())
    expect([it.status for it in told.values()] == ["sent"] * len(ANGRY), told)
    _, told = platform.send("news", ANGRY["news"])
    expect("blacklisted for this sender" in told[ANGRY["news"]].text, told)

    wanted = {
        "shop": (4, 0, {"blacklist": 1, "quarantine_long_term": 1}), "acme": (4, 0, {"blacklist": 1, "quarantine_long_term": 1}),
        "news": (4, 0, {"blacklist": 2, "quarantine_long_term": 1}), "club": (9, 0, {"blacklist": 1, "quarantine_long_term": 1}),
        "fans": (4, 1, {"blacklist": 1, "quarantine_long_term": 1})}
    wait_for(lambda: by_tenant(gate) == wanted, lambda: f"the report: {by_tenant(gate)}")
    blacklisted = [row["address"] for row in gate.json("list", "--standing", "blacklisted", "--tenant", "acme")]
    expect(blacklisted == [ANGRY["acme"]], blacklisted)
