"""What `rcptgate report` counts, and lists by cause, against what Postfix wrote down of the same mail."""

from collections import Counter, defaultdict

from dns import Zone
from lab import expect, wait_for
from mail import Message
from routes import Routes
from temper import FULL, LISTED, Temper

GREY = "450 4.2.0 Greylisted, try again later"
SPAM = "554 5.7.1 Message rejected as spam"
GOOD = [f"good{n}@{domain}.test" for domain in ("one", "two") for n in range(4)]
UNKNOWN = ["gone1@one.test", "gone2@one.test", "gone3@two.test"]
FULL_ONES = ["full1@one.test", "full2@two.test"]
LISTING, LATER, STRICT, HELD, DISPOSABLE = (
    "listing@one.test", "later@two.test", "strict@two.test", "held@one.test", "someone@yopmail.com")
BOXES = [*GOOD, *FULL_ONES, LISTING, LATER, STRICT, HELD]
SPRING, AUTUMN, BOARD = "bounce-spring@shop.test", "bounce-autumn@shop.test", "bounce-board@club.test"

# One Postfix under two names.
HOST = "mx.one.net"
ZONES = {"two.test": Zone({"@": "MX 5 mx.two.net."}), "two.net": Zone({"mx": "A 127.0.0.2"})}
ORGANISATIONS = {"one.test": "one.net", "two.test": "two.net"}
TENANTS = """\
[keys]
campaign = ["sender:bounce-{}@*"]
[[tenant]]
name = "shop"
senders = ["shop.test"]
[[tenant]]
name = "club"
senders = ["club.test"]
"""
# All reports of non-delivery to one place; nobody reads them here.
CLIENT = {"virtual_mailbox_domains": "shop.test, club.test", "virtual_mailbox_maps": "static:reports/"}


def kind(outcome):
    """What a report is to call it."""
    if outcome.status == "sent":
        return "delivered"
    if "said: 550 5.7.1 rcptgate:" in outcome.text:
        return "refused"
    if outcome.status == "deferred":
        return "deferred"
    status = outcome.text.split("said: ")[1].split()[1]
    return {"5.1.1": "hard", "5.2.2": "soft", "5.7.1": "blocked"}[status]


def place(outcome):
    """Under what it is counted, by what."""
    domain = outcome.recipient.rpartition("@")[2]
    user, _, sender = outcome.sender.partition("@")
    return {
        "tenant": sender.removesuffix(".test"),
        "campaign": "sender/" + user.removeprefix("bounce-"),
        # What the gate refuses has no mail host.
        "receiver": domain if kind(outcome) == "refused" else ORGANISATIONS[domain],
    }


def logged(client):
    """What Postfix wrote down, as reports have it: by what, and under which name, how often each."""
    counts = {"tenant": defaultdict(Counter), "campaign": defaultdict(Counter), "receiver": defaultdict(Counter)}
    for outcome in client.outcomes():
        for by, name in place(outcome).items():
            counts[by][name][kind(outcome)] += 1
    return {by: {name: +counter for name, counter in rows.items()} for by, rows in counts.items()}


def count(row):
    told = {name: row[name]["count"] for name in ("hard", "soft", "blocked", "deferred", "refused")}
    expect(row["sent"] == row["delivered"] + sum(told.values()) - told["refused"] and not row["technical"]["count"], row)
    return +Counter(told | {"delivered": row["delivered"]})


def reported(gate):
    """The same by the gate, in which days are one more way to look at it."""
    reports = {by: gate.json("report", "--by", by)[0] for by in ("tenant", "campaign", "receiver", "day")}
    days = reports.pop("day")["rows"]
    for report in reports.values():
        expect(sum((count(day) for day in days), Counter()) == count(report["total"]), f"{days} are not {report['total']}")
    return {by: {row["name"]: count(row) for row in report["rows"]} for by, report in reports.items()}


def addresses(gate, *words):
    return sorted(row["address"] for row in gate.json("list", *words))


def test_reports_say_what_postfix_wrote_down(lab):
    temper = Temper(lab)
    world = Routes(lab, {HOST: BOXES}, ZONES, settings={HOST: temper.postfix()}, client=CLIENT,
                   gate={"tenant": None, "more": TENANTS})
    gate, client = world.gate, world.client
    gate.command("quarantine", HELD, "--reason", "asked us to")
    temper.at_rcpt = dict.fromkeys(FULL_ONES, FULL) | {LISTING: LISTED, LATER: GREY}
    temper.at_end = {STRICT: SPAM}

    world.send(Message(sender=SPRING), *GOOD, *UNKNOWN, *FULL_ONES, LISTING, LATER, HELD, DISPOSABLE)
    world.deferred(LATER, "Greylisted")
    client.flush()
    wait_for(lambda: len(client.logged(f"to=<{LATER}>.*status=deferred")) >= 2, world.tails)
    temper.at_rcpt.pop(LATER)
    client.flush()
    world.settled()
    # Full mailboxes are quarantined by now, for both customers.
    world.send(Message(sender=AUTUMN), *GOOD[2:6], UNKNOWN[0], *FULL_ONES)
    world.send(Message(sender=BOARD), *GOOD[5:], UNKNOWN[2], FULL_ONES[0], LISTING)
    world.send(Message(sender=BOARD), STRICT)
    world.settled()

    wanted = logged(client)
    expect({kind for row in wanted["tenant"].values() for kind in row}
           == {"delivered", "hard", "soft", "blocked", "deferred", "refused"}, f"not all happened: {wanted}")
    wait_for(lambda: reported(gate) == wanted, lambda: f"{reported(gate)}\nis not {wanted}")
    only, = gate.json("report", "--by", "campaign", "--tenant", "shop", "--receiver", "two.net")[0]["rows"][:1]
    expect(only["name"] == "sender/spring" and count(only) == Counter(
        delivered=5, hard=1, soft=1, deferred=wanted["receiver"]["two.net"]["deferred"]), only)
    whys = {(row["outcome"], row["cause"]): row["count"] for row in gate.json("report", "--by", "cause")[0]["causes"]}
    expect(whys == {("bounced", "user_unknown"): 5, ("bounced", "mailbox_full"): 2, ("bounced", "blocked"): 2,
                    ("bounced", "spam_content"): 1, ("deferred", "deferred"): wanted["tenant"]["shop"]["deferred"]}, whys)

    expect(addresses(gate, "--category", "user_unknown") == UNKNOWN, addresses(gate, "--category", "user_unknown"))
    expect(addresses(gate, "--category", "mailbox_full") == FULL_ONES, addresses(gate, "--category", "mailbox_full"))
    expect(addresses(gate, "--domain", "two.test") == sorted([UNKNOWN[2], FULL_ONES[1]]), addresses(gate, "--domain", "two.test"))
    expect(addresses(gate) == sorted([*UNKNOWN, *FULL_ONES, HELD]), addresses(gate))

    # A start forgets nothing.
    gate.stop()
    gate.begin()
    expect(reported(gate) == wanted, f"{reported(gate)}\nis not {wanted}")
