"""Several domains in one transaction: over LMTP each recipient gets what its own mail host says, and none waits for another."""

from lab import expect
from mail import Message
from routes import Routes
from scenarios.mx import ALSO_TWO, BOGUS, ONE, RECEIVERS, THREE, TWO, all_arrive, transactions, what_dns_says


def test_one_message_goes_to_each_domain_over_lmtp(lab):
    world = Routes(lab, RECEIVERS)
    message = world.send(Message(), ONE, TWO, THREE, ALSO_TWO)
    all_arrive(world, message, ONE, TWO, THREE, ALSO_TWO)
    # Two domains that share a mail host are not mixed there (E14): Google and others take one domain a transaction.
    expect(transactions(world, "mx.one.test", message) == 1, world.tails())
    expect(transactions(world, "mx.two.test", message) == 2, f"two.test and three.test were mixed: {world.tails()}")
    expect(not world.client.logged("status=deferred"), f"something was put off: {world.tails()}")


def test_what_dns_says_of_a_domain_over_lmtp(lab):
    what_dns_says(lab)


def test_a_domain_that_waits_holds_up_no_other(lab):
    """The first domain of a transaction has the others put off. When it gets nowhere itself, they must not wait for it for days."""
    world = Routes(lab, {"mx.one.test": [ONE]}, zones={"bogus.test": BOGUS}, protocol="smtp")
    message = world.send(Message(), "a@bogus.test", ONE)
    world.deferred("a@bogus.test", r"451 4\.4\.3 rcptgate:")
    world.arrived(message, ONE, patience=20)
