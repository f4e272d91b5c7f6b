"""By what messages and campaigns are known, as real clients name them; and that a message which is put off is one bounce at most."""

from exim import Exim
from gate import World
from lab import expect, wait_for
from mail import Message
from temper import FULL, WAITING, Temper

KEYS = """\
[keys]
campaign = ["sender:bounce-{}-*@sender.test", "header:X-Campaign", "envid"]
"""
HEADER = b"X-Campaign: autumn\r\n"


def refused(world, message, address, *, envid=None, local=False):
    """Hands in one message, by sendmail(1) or SMTP, and waits for its refusal; returns the event and the client's queue id."""
    if local:
        world.client.sendmail(message, [address], *(["-V", envid] if envid else []))
    else:
        message.send(world.client.port, [address], [f"ENVID={envid}"] if envid else [])
    queue_id = world.client.queue_id(message)
    outcome, = wait_for(lambda: [it for it in world.client.outcomes() if it.queue_id == queue_id],
                        lambda: f"{address}: {world.tails()}")
    expect(outcome.status == "bounced" and "rcptgate:" not in outcome.text, outcome)
    event, = world.gate.json("events", "--address", address)
    return event, queue_id


def test_a_campaign_goes_by_its_sender_its_header_or_its_envelope(lab):
    temper = Temper(lab)
    world = World(lab, ["good@plain.test", "full@plain.test"], downstream=temper.postfix(), gate={"more": KEYS})
    gate = world.gate
    # Until the gate has seen what its next hop can do it offers no DSN, and Postfix keeps ENVID to itself.
    message = Message()
    message.send(world.client.port, ["good@plain.test"], ["ENVID=too-early"])
    world.arrived(message, "good@plain.test")

    event, queue_id = refused(world, Message(), "one@plain.test", envid="mailing-1")
    expect((event["message"], event["campaign"]) == (f"127.0.0.1/{queue_id}", "envid/mailing-1"), event)
    wait_for(lambda: gate.logged(
        "event=learn", "recipient=one@plain.test ", f"message={queue_id} ", "campaign=envid/mailing-1 "), gate.tail)

    # Of mail that programs hand in by sendmail(1) Postfix tells no queue id.
    event, _ = refused(world, Message(), "two@plain.test", envid="mailing-2", local=True)
    expect((event["message"], event["campaign"]) == ("envid/mailing-2", "envid/mailing-2"), event)
    event, _ = refused(world, Message(), "three@plain.test", local=True)
    expect((event["message"], event["campaign"]) == (None, None), event)

    # A header is known where the outcome comes behind DATA, and not at RCPT; a part of the sender always.
    temper.at_end["full@plain.test"] = FULL
    event, queue_id = refused(world, Message(headers=HEADER), "full@plain.test", envid="mailing-3")
    expect((event["message"], event["campaign"]) == (f"127.0.0.1/{queue_id}", "autumn"), event)
    expect((event["stage"], event["category"]) == ("end-of-data", "mailbox_full"), event)
    wait_for(lambda: gate.logged("event=message", "outcome=refused", f"message={queue_id} ", "campaign=autumn "), gate.tail)
    event, _ = refused(world, Message(headers=HEADER), "four@plain.test", envid="mailing-4")
    expect(event["campaign"] == "envid/mailing-4", event)
    event, _ = refused(world, Message(sender="bounce-spring-9@sender.test", headers=HEADER), "five@plain.test", envid="mailing-5")
    expect(event["campaign"] == "sender/spring", event)
    expect([event["address"] for event in gate.json("events", "--campaign", "spring")] == ["five@plain.test"], "asked by name")

    # VERP puts the recipient into the sender, and this one needs quotes.
    world.client.sendmail(Message(sender="bounce-summer-1@sender.test"), ['"j doe"@plain.test'], "-XV")
    event, = wait_for(lambda: gate.json("events", "--campaign", "summer"), world.tails)
    expect((event["address"], event["sender"]) == ('"j doe"@plain.test', '<"bounce-summer-1+j doe=plain.test"@sender.test>'), event)

    message = Message(headers=HEADER)
    world.arrived(world.send(message, "good@plain.test"), "good@plain.test")
    wanted = {"@sender.test": (1, 1), "envid/mailing-1": (0, 1), "envid/mailing-2": (0, 1), "envid/mailing-4": (0, 1),
              "sender/spring": (0, 1), "sender/summer": (0, 1), "autumn": (1, 1)}
    wait_for(lambda: by_campaign(gate) == wanted, lambda: f"the report: {by_campaign(gate)}")


def by_campaign(gate):
    """What was delivered and what bounced."""
    [report] = gate.json("report", "--by", "campaign")
    return {row["name"]: (row["delivered"], row["hard"]["count"] + row["soft"]["count"]) for row in report["rows"]}


def deferred(temper, address, times):
    """Waits until the receiver has put it off so often."""
    wait_for(lambda: temper.said.count((address, WAITING)) >= times, lambda: f"{times} attempts at {address}: {temper.said}")


def put_off(lab, hurry, window, **client):
    """Messages that are put off, whatever the client says of them. `hurry(world)` has it try again. `window` stands for the three days
    after which a message that is still put off is a bounce; it is longer than the client waits before it tries again."""
    patient, given_up = "patient@plain.test", "given-up@plain.test"
    temper = Temper(lab)
    world = World(lab, [patient, given_up], downstream=temper.postfix(), **client)
    gate = world.gate
    temper.at_rcpt = {patient: WAITING, given_up: WAITING}
    first = world.send(Message(), patient)
    for times in range(1, 4):
        deferred(temper, patient, times)
        hurry(world)
    # So many attempts are none too many, nor is another message.
    second = world.send(Message(), patient)
    deferred(temper, patient, 5)
    found = gate.lookup(patient)
    expect((found["verdict"], found["standing"], found["softs"]) == ("forward", "on_watch", 0), found)
    temper.at_rcpt.pop(patient)
    hurry(world)
    for message in (first, second):
        world.arrived(message, patient)
    expect(not world.client.logged(r"rcptgate:"), f"the gate put itself in the way: {world.tails()}")
    found = gate.lookup(patient)
    expect((found["standing"], found["softs"]) == ("clear", 0), found)

    # That long, and it is one bounce; the next attempt is refused.
    gate.follow(f'[soft]\nretry_window = "{window}"\nmin_span = "1s"\n')
    temper.said.clear()
    message = world.send(Message(), given_up)
    wait_for(lambda: hurry(world) or not world.client.queued(), world.tails)
    [text] = world.bounced(message, given_up)
    expect("550 5.7.1 rcptgate: quarantined until " in text and "after 452 4.2.2" in text, text)
    expect(len(temper.said) > 1, f"refused after one attempt: {temper.said}")
    found = gate.lookup(given_up)
    expect((found["standing"], found["softs"], found["category"]) == ("quarantined", 1, "mailbox_full"), found)
    return [event["message"] for event in gate.json("events") if event["type"] == "soft"]


def test_postfix_tries_again_and_that_is_one_bounce(lab):
    def hurry(world):
        # While a delivery agent has it, a flush comes too early.
        wait_for(lambda: world.client.deferred() or not world.client.queued(), world.tails)
        world.client.flush()

    told = put_off(lab, hurry, "1s")
    # Three messages in all, and each attempt under its name.
    expect(len(set(told)) == 3 and all(key.startswith("127.0.0.1/") for key in told), told)


def test_exim_tries_again_and_that_is_one_bounce(lab):
    # It tries each second, and tells no names: sender and recipient join the attempts.
    told = put_off(lab, lambda world: None, "3s", client_kind=Exim)
    expect(set(told) == {None}, told)
