"""A receiver that refuses, as unknown, mailboxes that took mail before: nobody is lost by it, and an operator says what it was."""

from dns import Zone
from gate import World
from lab import expect, wait_for
from mail import Message
from routes import Routes
from temper import UNKNOWN, Temper

# One provider of several domains; a company of its own; a small place whose addresses somebody made up.
PROVIDER = [f"user{n}@{domain}.test" for domain in ("one", "two", "three", "four") for n in range(20)]
COMPANY = [f"clerk{n}@company.test" for n in range(60)]
SMALL = [f"good{n}@small.test" for n in range(3)]
MADE_UP = [f"made-up{n}@small.test" for n in range(25)]
EVERYBODY = PROVIDER + COMPANY + SMALL
# One Postfix under several names, to start no more than it takes.
HOST = "mx.provider.net"
ZONES = {
    "company.test": Zone({"@": "MX 5 mx.company.com."}), "company.com": Zone({"mx": "A 127.0.0.2"}),
    "small.test": Zone({"@": "MX 5 mx.small.com."}), "small.com": Zone({"mx": "A 127.0.0.2"}),
}
# Three in ten of each domain, none of which comes to an alarm by itself at the provider.
MAD = [address for number, address in enumerate(PROVIDER) if number % 10 in (2, 5, 8)]
GONE = [address for number, address in enumerate(COMPANY) if number % 10 in (1, 4, 7, 9)]


def quarantined(gate):
    return sorted(row["address"] for row in gate.json("list") if row["standing"].startswith("quarantined"))


def is_quarantined(gate, addresses):
    """Waits until these are in quarantine, and nobody else: what counts or no longer counts is folded beside the mail."""
    wait_for(lambda: quarantined(gate) == sorted(addresses), lambda: f"only {addresses} in quarantine: {quarantined(gate)}")


def outages(gate):
    """By their keys."""
    [said] = gate.json("outages", "list")
    return {outage["key"]: outage for outage in said["outages"]}


def figures_say(gate, lasting, unresolved):
    """Waits for these figures: mail and its log go on while the order about an outage is on its way to the disk."""
    def told():
        return gate.metric("rcptgate_outages_open"), gate.metric("rcptgate_outages_unresolved")

    wait_for(lambda: told() == (lasting, unresolved), lambda: f"{lasting} outages, {unresolved} to be resolved: {told()}")


def everybody_gets(world, message, addresses):
    """The receiver has the message for all of these; it keeps none, or taking down so many mailboxes would be most of the work."""
    world.settled()
    receiver = world.receivers[HOST]
    ids = [line.split(": ")[1] for line in receiver.logged(f"cleanup.*message-id={message.id}")]
    got = [outcome.recipient for outcome in receiver.outcomes("discard") if outcome.queue_id in ids and outcome.status == "sent"]
    expect(sorted(got) == sorted(addresses), f"{len(got)} recipients in place of {len(addresses)}: {world.tails()}")


def test_a_receiver_goes_mad_and_a_company_closes(lab):
    temper = Temper(lab)
    # One refusal would do for each of them, were it not for the guard.
    domains = sorted({address.rpartition("@")[2] for address in EVERYBODY})
    world = Routes(lab, {HOST: EVERYBODY}, ZONES, trusted=domains,
                   settings={HOST: temper.postfix() | {"virtual_transport": "discard:taken"}})
    gate = world.gate
    gate.expected_errors = ("event=outage result=began",)
    everybody_gets(world, world.send(Message(), *EVERYBODY), EVERYBODY)

    temper.at_rcpt = dict.fromkeys(MAD + GONE, UNKNOWN)
    message = world.send(Message(), *EVERYBODY, *MADE_UP)
    texts = world.bounced(message, *MAD, *GONE, *MADE_UP)
    expect(not any("rcptgate:" in text for text in texts), f"not the receiver's own words: {texts}")
    everybody_gets(world, message, set(EVERYBODY) - set(MAD) - set(GONE))

    for key in ("receiver provider.net", "domain company.test"):
        began = wait_for(lambda: gate.logged("event=outage", "result=began", f'key="{key}"'), lambda: f"no alarm: {gate.tail(40)}")
        expect(len(began) == 1, began)
    figures_say(gate, lasting=2, unresolved=2)
    # What those who never took mail were refused with counts at once.
    is_quarantined(gate, MADE_UP)
    wait_for(lambda: gate.logged("event=learn", "result=held", "recipient="), gate.tail)
    held = {key: (outage["state"], outage["events"]) for key, outage in outages(gate).items()}
    expect(held == {"receiver provider.net": ("open", len(MAD)), "domain company.test": ("open", len(GONE))}, held)

    # A start changes nothing.
    gate.stop()
    gate.begin()
    expect({key: (outage["state"], outage["events"]) for key, outage in outages(gate).items()} == held, outages(gate))
    is_quarantined(gate, MADE_UP)

    it = outages(gate)["receiver provider.net"]["id"]
    gate.command("outages", "void", it, "--reason", "the provider has confirmed it", "--yes")
    is_quarantined(gate, MADE_UP)
    it = outages(gate)["domain company.test"]["id"]
    gate.command("outages", "apply", it, "--reason", "the company has closed that office", "--yes")
    is_quarantined(gate, MADE_UP + GONE)
    expect(gate.metric("rcptgate_outages_unresolved") == 0, "all are resolved")

    # The provider is well again; those who are gone are refused by the gate now, and nobody asks the company.
    temper.at_rcpt = dict.fromkeys(GONE, UNKNOWN)
    temper.said.clear()
    message = world.send(Message(), *PROVIDER, *GONE)
    for text in world.bounced(message, *GONE):
        expect("550 5.7.1 rcptgate: user unknown, quarantined since " in text, text)
    everybody_gets(world, message, PROVIDER)
    expect(temper.said == [], f"asked all the same: {temper.said}")
    expect(gate.command("verify").startswith("ok"), gate.command("verify"))


def test_an_outage_ends_by_itself_and_what_comes_then_counts(lab):
    temper, boxes = Temper(lab), [f"user{n}@big.test" for n in range(60)]
    world = World(lab, boxes, trusted=["big.test"], downstream=temper.postfix() | {"virtual_transport": "discard:taken"})
    gate = world.gate
    gate.expected_errors = ("event=outage result=began",)
    gate.follow('[outage]\nmin_recipients = 5\nquiet = "1s"\n')
    world.send(Message(), *boxes)
    world.settled()
    refused, rest = boxes[:8], boxes[8:]
    temper.at_rcpt = dict.fromkeys(refused, UNKNOWN)
    world.bounced(world.send(Message(), *refused), *refused)
    wait_for(lambda: gate.logged("event=outage", "result=began", 'key="domain big.test"'), gate.tail)
    is_quarantined(gate, [])

    # It is well again, and enough mail shows it.
    temper.at_rcpt = {}

    def over():
        world.send(Message(), *rest)
        world.settled()
        return "result=ended" in gate.log()

    wait_for(over, gate.tail)
    figures_say(gate, lasting=0, unresolved=1)
    # Those who leave now leave for good, whatever is still held of others.
    temper.at_rcpt = {rest[0]: UNKNOWN}
    world.bounced(world.send(Message(), rest[0]), rest[0])
    is_quarantined(gate, [rest[0]])
    [text] = world.bounced(world.send(Message(), rest[0]), rest[0])
    expect("rcptgate: user unknown, quarantined since" in text, text)

    # Mail to some of those that were refused arrives; whatever is said of the rest then, these have proved themselves.
    world.send(Message(), *refused[:3])
    world.settled()
    it = outages(gate)["domain big.test"]
    expect((it["state"], it["events"]) == ("ended", len(refused)), it)
    gate.command("outages", "apply", it["id"], "--reason", "nobody there says that it was a mistake", "--yes")
    is_quarantined(gate, [rest[0], *refused[3:]])
