"""Lists of another system come in, and go out again, while Postfix sends."""

import re
import threading

from gate import World
from lab import Failed, expect, wait_for
from mail import Message

DEAD = [f"dead{n}@plain.test" for n in range(8)]
ANGRY, BYSTANDER = "angry@plain.test", "bystander@plain.test"
SOURCE = '[[import_source]]\nname = "old-esp"\ntrust = true\n'
# As SendGrid's web pages export bounces and spam reports; times are seconds since 1970.
BOUNCES = "status,reason,email,created\n"
REPORTS = "ip,email,created\n"
TAKEN = "250 2.0.0"
IMPORTED = r"rcptgate: quarantined since \d{4}-\d\d-\d\d, imported from old-esp"


class Traffic:
    """Mail to one more of the dead and to the bystander, one message after another, until it is told to end. `came` has what became of
    each: the dead address and its text in Postfix's log."""

    def __init__(self, world):
        self.world, self.came, self.problem, self.ending = world, [], None, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.ending.is_set():
                dead = DEAD[len(self.came) % len(DEAD)]
                told = send(self.world, dead, BYSTANDER)
                expect(TAKEN in told[BYSTANDER], f"the bystander: {told}")
                self.came.append((dead, told[dead]))
        except Failed as problem:
            self.problem = problem

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def goes_on(self, by):
        """Waits for so many messages more; returns how many there are."""
        until = len(self.came) + by
        wait_for(lambda: len(self.came) >= until or self.problem, self.world.tails)
        expect(not self.problem, f"{self.problem}")
        return len(self.came)


def send(world, *recipients):
    """One message; what became of each recipient in the end: the text of Postfix's log."""
    message = world.send(Message(), *recipients)
    queue_id = world.client.queue_id(message)

    def over():
        told = {it.recipient: it.text for it in world.client.outcomes() if it.queue_id == queue_id}
        return told if len(told) == len(recipients) else None

    return wait_for(over, world.tails)


def bring(gate, name, *words):
    *_, done = gate.json("import", str(gate.home / name), "--source", "old-esp", "--reason", "moved from there", *words, "--yes")
    return done


def take_back(gate, batch):
    [undone] = gate.json("undo", "--batch", batch, "--reason", "the wrong list", "--yes")
    return undone


def test_a_list_comes_in_and_goes_while_postfix_sends(lab):
    world = World(lab, [*DEAD, ANGRY, BYSTANDER], gate={"more": SOURCE}, downstream={"virtual_transport": "discard:taken"})
    gate = world.gate
    strangers = "".join(f"5.1.1,550 5.1.1 no such user,stranger{n}@elsewhere.test,1700000000\n" for n in range(1000))
    rows = "".join(f'5.1.1,"550 5.1.1 <{address}>: no such user",{address},1717200000\n' for address in DEAD)
    (gate.home / "bounces.csv").write_text(BOUNCES + rows + strangers)
    (gate.home / "reports.csv").write_text(f"{REPORTS}192.0.2.1,{ANGRY},1717200000\n")

    with Traffic(world) as traffic:
        before = traffic.goes_on(by=3)
        done = bring(gate, "bounces.csv", "--kind", "hard")
        during = len(traffic.came)
        held = traffic.goes_on(by=5)
        undone = take_back(gate, done["batch"])
        gone = len(traffic.came)
        traffic.goes_on(by=5)
    expect((done["rows"], done["changed"], undone["changed"]) == (1008, 1008, 1008), f"{done} {undone}")
    for number, (dead, text) in enumerate(traffic.came):
        where = f"number {number} of {before}, {during}, {held}, {gone} to {dead}: {text}"
        # What was on its way at one of these moments, or came while one of the two worked, may have fared either way.
        if number < before or number > gone:
            expect(TAKEN in text, where)
        elif during < number < held:
            expect(re.search(IMPORTED, text), where)
        else:
            expect(TAKEN in text or re.search(IMPORTED, text), where)

    # Complaints go to the blacklist of the tenant.
    done = bring(gate, "reports.csv", "--tenant", "default")
    expect("rcptgate: blacklisted for this sender since 2024-06-01" in send(world, ANGRY)[ANGRY], world.tails())
    take_back(gate, done["batch"])
    expect(TAKEN in send(world, ANGRY)[ANGRY], world.tails())

    # Not all of a list is dead: an operator tries a few, and the same list once more does not bring them back.
    bring(gate, "bounces.csv", "--kind", "hard")
    active = gate.home / "active.txt"
    active.write_text("".join(f"{address}\n" for address in DEAD))
    told = gate.command("release", "--file", str(active), "--campaign-size", "200", "--slice", "3", "--reason", "they opened mail", "--yes")
    expect("at worst 1.50 % hard bounces of a mailing to 200" in told, told)
    bring(gate, "bounces.csv", "--kind", "hard")
    texts = send(world, *DEAD)
    expect(all(TAKEN in texts[address] for address in DEAD[:3]), texts)
    expect(all(re.search(IMPORTED, texts[address]) for address in DEAD[3:]), texts)
    world.settled()
    expect(gate.command("verify").startswith("ok"), gate.command("verify"))
