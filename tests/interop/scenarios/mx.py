"""The gate itself looks up who takes the mail of each domain: several domains in one message, unknown users, and what DNS says."""

import json

from dns import Zone
from exim import Exim
from lab import expect, wait_for
from mail import Message, with_id
from routes import Routes

ONE, TWO, ALSO_TWO, THREE = "good@one.test", "good@two.test", "other@two.test", "good@three.test"
UNKNOWN = "unknown@two.test"
# two.test and three.test have one mail host.
RECEIVERS = {"mx.one.test": [ONE], "mx.two.test": [TWO, ALSO_TWO, THREE]}
ONE_BY_ONE = {"protocol": "smtp", "client": {"smtp_destination_recipient_limit": "1"}}


def all_arrive(world, message, *addresses):
    for address in addresses:
        world.arrived(message, address)
    world.settled()
    for address in addresses:
        expect(len(with_id(world.box(address), message)) == 1, f"{address} has it twice")


def transactions(world, host, message):
    """How many times this message came to a receiver."""
    return len(world.receivers[host].logged(f"message-id={message.id}"))


def verdict(world, address):
    return json.loads(world.gate.command("lookup", address, "--json"))


def test_one_message_goes_to_each_domain_one_recipient_at_a_time(lab):
    world = Routes(lab, RECEIVERS, **ONE_BY_ONE)
    message = world.send(Message(), ONE, TWO, THREE, ALSO_TWO)
    all_arrive(world, message, ONE, TWO, THREE, ALSO_TWO)
    expect(not world.client.logged("status=deferred"), f"something was put off: {world.tails()}")


def unknown_is_learnt(lab, **door):
    world = Routes(lab, RECEIVERS, trusted=["two.test"], **door)
    message = world.send(Message(), ONE, UNKNOWN, TWO)
    [text] = world.bounced(message, UNKNOWN)
    expect("550 5.1.1" in text and "User unknown" in text and "rcptgate:" not in text, f"not the receiver's words: {text}")
    all_arrive(world, message, ONE, TWO)
    expect(verdict(world, UNKNOWN)["verdict"] == "refuse", verdict(world, UNKNOWN))
    receiver = world.receivers["mx.two.test"]
    seen, calls = receiver.logged(UNKNOWN), receiver.logged(" connect from ")
    again = world.send(Message(), UNKNOWN)
    [text] = world.bounced(again, UNKNOWN)
    expect("550 5.7.1 rcptgate:" in text, text)
    expect(receiver.logged(UNKNOWN) == seen and receiver.logged(" connect from ") == calls, "the receiver was called for it")
    all_arrive(world, world.send(Message(), TWO), TWO)


def test_an_unknown_user_is_learnt_over_lmtp(lab):
    unknown_is_learnt(lab)


def test_an_unknown_user_is_learnt_over_smtp(lab):
    unknown_is_learnt(lab, **ONE_BY_ONE)


def test_other_domains_are_believed_after_three(lab):
    world = Routes(lab, RECEIVERS)
    # Bounces within an hour count once, unless a policy says otherwise.
    world.gate.follow('[hard]\nmin_gap = "0s"\n')
    for before in range(3):
        expect(verdict(world, UNKNOWN)["verdict"] == "forward", f"refused after {before}")
        [text] = world.bounced(world.send(Message(), UNKNOWN), UNKNOWN)
        expect("rcptgate:" not in text, text)
    [text] = world.bounced(world.send(Message(), UNKNOWN), UNKNOWN)
    expect("550 5.7.1 rcptgate:" in text, text)


def test_a_mail_host_may_be_trusted_for_all_its_domains(lab):
    world = Routes(lab, RECEIVERS)
    world.gate.follow('trusted_receivers = ["mx.two.test"]\n')
    for address, trusted in [("unknown@three.test", True), ("unknown@one.test", False)]:
        world.bounced(world.send(Message(), address), address)
        found = verdict(world, address)
        expect((found["verdict"] == "refuse") == trusted, found)


BOGUS = Zone({"@": "MX 10 mx.one.test."}, bogus=["MX"])


def what_dns_says(lab, **door):
    world = Routes(lab, {"mx.one.test": [ONE]}, trusted=["nowhere.test"], zones={
        "null.test": Zone({"@": "MX 0 ."}), "bogus.test": BOGUS, "lost.test": Zone({"@": "MX 10 nobody.one.test."})}, **door)
    message = world.send(Message(), "a@nowhere.test", "a@null.test", "a@bogus.test", "a@lost.test", ONE)
    nowhere, null = world.bounced(message, "a@nowhere.test", "a@null.test")
    expect("550 5.1.2 rcptgate:" in nowhere, nowhere)
    expect("556 5.1.10 rcptgate:" in null, null)
    world.deferred("a@bogus.test", r"451 4\.4\.3 rcptgate:")
    world.deferred("a@lost.test", r"451 4\.4\.4 rcptgate:")
    world.arrived(message, ONE)
    # That a domain is not there is known of the address; that nobody could say is nothing.
    expect(verdict(world, "a@nowhere.test")["verdict"] == "refuse", verdict(world, "a@nowhere.test"))
    for address in ("a@bogus.test", "a@lost.test"):
        expect(verdict(world, address)["standing"] == "clear", verdict(world, address))


def test_what_dns_says_of_a_domain_over_smtp(lab):
    what_dns_says(lab, **ONE_BY_ONE)


def test_a_domain_without_mx_is_its_own_mail_host(lab):
    world = Routes(lab, {"mx.one.test": [ONE]}, zones={"bare.test": Zone({"@": "A 127.0.0.2"})})
    message = world.send(Message(), "a@bare.test")
    # The receiver does not serve the domain, and says so in its own words: it was asked.
    [text] = world.bounced(message, "a@bare.test")
    expect("rcptgate:" not in text, text)
    expect(world.receivers["mx.one.test"].logged("a@bare.test"), f"nobody was asked: {world.tails()}")


def test_the_next_mail_host_is_tried(lab):
    world = Routes(lab, {"mx.one.test": [ONE]}, zones={
        "one.test": Zone({"@": ["MX 5 down", "MX 7 nobody"], "down": "A 127.0.0.99"})})
    message = world.send(Message(), ONE)
    all_arrive(world, message, ONE)
    expect(not world.client.logged("status=deferred"), f"put off for one host that is down: {world.tails()}")


def test_a_domain_leads_nobody_into_this_machine(lab):
    """Without a word in the configuration, loopback is no place that MX may name (K08)."""
    world = Routes(lab, {"mx.one.test": [ONE]}, refused=None)
    receiver = world.receivers["mx.one.test"]
    calls = receiver.logged(" connect from ")
    world.send(Message(), ONE)
    wait_for(lambda: world.client.logged(rf"to=<{ONE}>.* said: [45].* rcptgate:"), lambda: f"refused: {world.tails()}")
    expect(receiver.logged(" connect from ") == calls, f"the receiver was called: {world.tails()}")
    expect(verdict(world, ONE)["standing"] == "clear", "held against the address")


def test_exim_sends_other_domains_again_at_once(lab):
    """E04: 452 4.5.3 to the second domain of a transaction, and Exim begins the next one on the same connection."""
    world = Routes(lab, RECEIVERS, protocol="smtp", client_kind=Exim)
    message = world.send(Message(), ONE, TWO, THREE, ALSO_TWO)
    all_arrive(world, message, ONE, TWO, THREE, ALSO_TWO)
    expect(transactions(world, "mx.two.test", message) == 2, f"two.test and three.test were mixed: {world.tails()}")
    expect(not world.client.logged(" == "), f"something was put off: {world.tails()}")


def test_postfix_sends_one_domain_a_queue_run(lab):
    """E05: what happens without `smtp_destination_recipient_limit = 1`. Nothing is lost, but the third domain waits twice."""
    world = Routes(lab, RECEIVERS, protocol="smtp")
    message = world.send(Message(), ONE, TWO, THREE)
    all_arrive(world, message, ONE, TWO, THREE)
    put_off = world.client.logged(r"status=deferred .*452 4\.5\.3 .*rcptgate:")
    expect(len(put_off) == 3, f"two were put off, then one: {put_off}")
