"""An operator's own rule reads a receiver's words wrongly; what came of it is taken back, and nothing else is."""

from gate import World
from lab import expect, wait_for
from mail import Message
from temper import Temper

MINDED = [f"minded{n}@plain.test" for n in range(12)]
GONE = "gone@plain.test"
WORDS = "554 5.7.1 See the rules of this house"
RULE = """\
[[rule]]
name = "house-rules"
category = "{category}"
text = ["rules of this house"]
specimens = ["554 5.7.1 <a@b.test>: Recipient address rejected: See the rules of this house"]
"""


def standings(gate):
    return {row["address"]: row["category"] for row in gate.json("list")}


def said_by_gate(world, message, *addresses):
    """Waits for the bounces of these; whether each has the gate's words."""
    return ["rcptgate: user unknown, quarantined since" in text for text in world.bounced(message, *addresses)]


def test_what_a_wrong_rule_did_is_taken_back(lab):
    temper = Temper(lab)
    rules = lab.root / "my-rules.toml"
    rules.write_text(RULE.format(category="user_unknown"))
    world = World(lab, MINDED, trusted=["plain.test"], downstream=temper.postfix(),
                  gate={"more": f'[classification]\nfile = "{rules}"\n'})
    gate = world.gate
    temper.at_rcpt = dict.fromkeys(MINDED, WORDS)
    expect(not any(said_by_gate(world, world.send(Message(), *MINDED, GONE), *MINDED, GONE)), "refused before it was learnt")
    expect(all(said_by_gate(world, world.send(Message(), *MINDED, GONE), *MINDED, GONE)), "it was not learnt")

    # The rule is put right; what it did stays until it is taken back.
    rules.write_text(RULE.format(category="policy"))
    wait_for(lambda: gate.logged("event=reload", "result=swapped", "my-rules.toml"), gate.tail)
    expect(len(standings(gate)) == len(MINDED) + 1, standings(gate))
    told, = gate.json("replay", "--rules", str(rules), "--diff")
    expect((told["released"], told["quarantined"], told["read_otherwise"]) == (len(MINDED), 0, len(MINDED)), told)
    told, = gate.json("undo", "--rule", "house-rules", "--since", "1h", "--dry-run")
    expect((told["done"], told["addresses"]) == (False, len(MINDED)), told)
    expect(len(standings(gate)) == len(MINDED) + 1, f"a dry run did something: {standings(gate)}")
    told, = gate.json("undo", "--rule", "house-rules", "--since", "1h", "--reason", "the rule was wrong", "--yes")
    expect((told["done"], told["changed"]) == (True, len(MINDED)), told)
    expect(standings(gate) == {GONE: "user_unknown"}, standings(gate))
    told = said_by_gate(world, world.send(Message(), *MINDED, GONE), *MINDED, GONE)
    expect(told == [False] * len(MINDED) + [True], told)
    expect(standings(gate) == {GONE: "user_unknown"}, f"learnt again: {standings(gate)}")
    temper.at_rcpt.clear()
    message = world.send(Message(), *MINDED)
    for address in MINDED:
        world.arrived(message, address)
