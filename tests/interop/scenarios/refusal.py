"""Who may be written to: suppressed recipients are refused at the gate, the others pass, and what is learnt stays."""

import subprocess

from gate import World
from lab import REPOSITORY, expect, wait_for
from mail import SENDER, Message

GOOD, QUARANTINED, DISPOSABLE, UNKNOWN = (
    "good@trusted.test", "quarantined@plain.test", "someone@yopmail.com", "unknown@trusted.test")


def by_gate(text):
    expect("rcptgate:" in text and "550 5.7.1" in text, f"not refused by the gate: {text}")


def test_only_the_good_recipient_is_written_to(lab):
    # The suppressed ones exist downstream, so a leak would be delivered.
    world = World(lab, [GOOD, QUARANTINED, DISPOSABLE], trusted=["trusted.test"])
    world.gate.command("quarantine", QUARANTINED, "--reason", "hard bounces elsewhere")

    first = world.send(Message(), GOOD, QUARANTINED, DISPOSABLE, UNKNOWN)
    quarantined, disposable, unknown = world.bounced(first, QUARANTINED, DISPOSABLE, UNKNOWN)
    by_gate(quarantined)
    by_gate(disposable)
    expect("rcptgate:" not in unknown and "User unknown" in unknown, f"not the downstream's text: {unknown}")
    world.arrived(first, GOOD)
    world.settled()
    for address in (QUARANTINED, DISPOSABLE):
        expect(not world.downstream.logged(address), f"{address} reached the downstream")
        expect(not world.downstream.box(address), f"{address} was delivered")

    # One refusal by a trusted domain is enough, for a process that was killed as well.
    for end in (None, world.gate.kill):
        if end:
            end()
            world.gate.begin()
        attempts, connections = world.downstream.logged(UNKNOWN), world.downstream.logged(" connect from ")
        again = world.send(Message(), UNKNOWN)
        by_gate(*world.bounced(again, UNKNOWN))
        expect(world.downstream.logged(UNKNOWN) == attempts, "the unknown recipient was tried again")
        expect(world.downstream.logged(" connect from ") == connections, "the downstream was called for nothing")

    # The good one is still good.
    world.arrived(world.send(Message(), GOOD), GOOD)


def test_other_domains_are_tolerated_twice(lab):
    world = World(lab, ["good@plain.test"])
    texts = []
    for _ in range(3):
        texts += world.bounced(world.send(Message(), "nobody@plain.test"), "nobody@plain.test")
    expect(not any("rcptgate:" in text for text in texts[:2]), f"refused too early: {texts}")


def test_a_blacklist_belongs_to_its_tenant(lab):
    mine, other = "mine@plain.test", "other@plain.test"
    world = World(lab, [mine, other])
    world.gate.command("blacklist", mine, "--tenant", "default", "--reason", "complained by phone")
    world.gate.command("blacklist", other, "--tenant", "somebody-else", "--reason", "complained by phone")
    message = world.send(Message(), mine, other)
    by_gate(*world.bounced(message, mine))
    world.arrived(message, other)
    expect(not world.downstream.logged(mine), f"{mine} reached the downstream")


def test_release_and_allow_open_the_way_at_once(lab):
    released, allowed = "released@plain.test", "friend@yopmail.com"
    world = World(lab, [released, allowed])
    world.gate.command("quarantine", released, "--reason", "by mistake")
    first = world.send(Message(), released, allowed)
    for text in world.bounced(first, released, allowed):
        by_gate(text)
    world.gate.command("release", released, "--reason", "it was a mistake")
    world.gate.command("allow", allowed, "--reason", "a real customer")
    second = world.send(Message(), released, allowed)
    world.arrived(second, released)
    world.arrived(second, allowed)


def test_monitor_mode_forwards_everything(lab):
    address = "quarantined@plain.test"
    world = World(lab, [address], mode="monitor")
    world.gate.command("quarantine", address, "--reason", "would be refused")
    world.arrived(world.send(Message(), address), address)


def test_a_full_mailbox_does_not_kill_the_message_on_its_way(lab):
    address = "full@plain.test"
    access = lab.root / "access"
    access.write_text(f"{address} 452 4.2.2 Mailbox full\n")
    world = World(lab, [address], downstream={
        "smtpd_recipient_restrictions": f"check_recipient_access texthash:{access}"})
    message = world.send(Message(), address)
    wait_for(lambda: len(world.client.logged(r"status=deferred .*452 4\.2\.2 .*Mailbox full")) >= 3,
             lambda: f"three deferrals with the downstream's own text: {world.tails()}")
    access.write_text("")
    world.downstream.stop()
    world.downstream.begin()
    world.arrived(message, address)


def test_a_log_line_joins_both_queue_ids(lab):
    world = World(lab, [GOOD])
    message = world.send(Message(), GOOD)
    world.arrived(message, GOOD)
    world.settled()
    queue_id = world.client.logged(f"message-id={message.id}")[0].split(": ")[1]
    downstream_id = world.downstream.logged(f"message-id={message.id}")[0].split(": ")[1]
    expect(world.gate.logged("event=rcpt", queue_id, GOOD),
           f"no RCPT line names the client's queue id {queue_id}: {world.gate.tail()}")
    expect(world.gate.logged("event=message", queue_id, downstream_id),
           f"no line has both {queue_id} and {downstream_id}: {world.gate.tail()}")


def test_swaks_shows_the_refusal(lab):
    world = World(lab, [GOOD])
    world.gate.command("quarantine", QUARANTINED, "--reason", "shown by hand")
    for address in (QUARANTINED, DISPOSABLE):
        done = subprocess.run(
            ["swaks", "--server", f"127.0.0.1:{world.gate.port}", "--from", SENDER, "--to", address,
             "--quit-after", "RCPT"], capture_output=True, text=True, timeout=60, check=False)
        expect("<** 550 5.7.1 rcptgate:" in done.stdout, f"swaks shows no refusal:\n{done.stdout}{done.stderr}")
        print("       " + next(line for line in done.stdout.splitlines() if line.startswith("<**")))
    done = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{world.gate.port}", "--from", SENDER, "--to", GOOD],
        capture_output=True, text=True, timeout=60, check=False)
    expect(done.returncode == 0, f"swaks could not send:\n{done.stdout}{done.stderr}")


def test_postfix_calls_what_the_gate_refuses_suppressed(lab):
    # The table that is in the repository for it; what a receiver refuses stays as it is.
    table = f"regexp:{REPOSITORY}/config/snippets/postfix-suppressed"
    world = World(lab, [GOOD], trusted=["trusted.test"], client={"smtp_delivery_status_filter": table})
    world.gate.command("quarantine", QUARANTINED, "--reason", "hard bounces elsewhere")
    message = world.send(Message(), QUARANTINED, UNKNOWN)
    quarantined, unknown = world.bounced(message, QUARANTINED, UNKNOWN)
    by_gate(quarantined)
    expect("suppressed:" not in unknown, f"not the gate's refusal: {unknown}")
    line, = world.client.logged(f"to=<{QUARANTINED}>")
    expect("dsn=5.7.1, status=bounced (suppressed: host " in line, f"not marked: {line}")
