"""Whose TLS is believed on the way to the domain's own mail hosts: DANE and MTA-STS, and that nothing goes in the clear instead."""

from dns import Zone
from lab import expect, wait_for
from mail import Message
from policies import Policies, announced, policy
from routes import Routes
from tls import Authority

GOOD, HOST = "good@one.test", "mx.one.test"
# Where DANE looks: at the port that is called.
TLSA = "_{port}._tcp.mx"


def is_kept_back(world, address=GOOD):
    """The message waits with the client, and the receiver has not been told a word of it."""
    world.send(Message(), address)
    world.deferred(address, r"451 4\.[47]\.\d+ rcptgate:")
    receiver = world.domains[address.rpartition("@")[2]]
    expect(not receiver.logged(r"from=<|to=<|message-id=|RCPT from"), f"the receiver was told: {world.tails()}")
    expect(not receiver.box(address), "it was delivered")


def is_delivered(world, *proof, address=GOOD):
    """Over TLS, and the gate's line about the message says what was proved."""
    message = world.send(Message(), address)
    raw = world.arrived(message, address)
    expect(b"using TLSv1" in raw, f"delivered in the clear: {raw!r}")
    wait_for(lambda: world.gate.logged("event=message", *proof), lambda: f"{proof}: {world.gate.tail()}")


def dane(lab, zone, settings):
    return Routes(lab, {HOST: [GOOD]}, zones={"one.test": zone}, settings={HOST: settings}, tls="opportunistic",
                  more="dane = true\nmta_sts = false")


def test_a_host_proves_itself_by_its_own_record(lab):
    issued = Authority(lab).issue(HOST)
    world = dane(lab, Zone({TLSA: issued.tlsa()}, signed=True), issued.postfix())
    is_delivered(world, "tls=dane")


def test_a_host_proves_itself_by_its_authority(lab):
    authority = Authority(lab)
    world = dane(lab, Zone({TLSA: authority.tlsa()}, signed=True), authority.issue(HOST).postfix())
    is_delivered(world, "tls=dane")


def test_a_certificate_that_the_record_does_not_name(lab):
    authority = Authority(lab)
    wrong = Zone({TLSA: authority.issue("other.test").tlsa()}, signed=True, ttl=1)
    world = dane(lab, wrong, authority.issue(HOST).postfix())
    is_kept_back(world)
    # The record is put right, and the message goes out at the next attempt.
    zone = world.dns.zones["one.test"]
    zone.records[TLSA.replace("{port}", str(world.port))] = [authority.tlsa()]
    world.dns.reload()
    wait_for(lambda: world.box(GOOD), lambda: f"delivered when the record is right: {world.tails()}")


def test_a_record_that_cannot_be_proved(lab):
    issued = Authority(lab).issue(HOST)
    is_kept_back(dane(lab, Zone({TLSA: issued.tlsa()}, bogus=["TLSA"]), issued.postfix()))


def test_a_host_with_a_record_that_offers_no_tls(lab):
    is_kept_back(dane(lab, Zone({TLSA: Authority(lab).issue(HOST).tlsa()}, signed=True), {}))


def test_a_record_in_a_zone_that_nobody_signed_says_nothing(lab):
    authority = Authority(lab)
    world = dane(lab, Zone({TLSA: authority.issue("other.test").tlsa()}), authority.issue(HOST).postfix())
    is_delivered(world, "tls=opportunistic")


def mta_sts(lab, text, issued, authority):
    """`text` is the policy of one.test, None when its server has none; the mail host shows `issued`."""
    served = Policies(lab, authority, {"one.test": text})
    world = Routes(lab, {HOST: [GOOD]}, zones={"one.test": Zone(announced())}, settings={HOST: issued.postfix()},
                   tls="opportunistic", more="\n".join([
                       "dane = false", "mta_sts = true", f"mta_sts_port = {served.port}",
                       f'mta_sts_ca = "{authority.certificate}"']))
    return world, served


def test_a_policy_and_a_certificate_that_fits(lab):
    authority = Authority(lab)
    world, served = mta_sts(lab, policy("enforce", HOST), authority.issue(HOST), authority)
    is_delivered(world, "tls=mta-sts")
    expect(served.asked == ["mta-sts.one.test"], f"{served.asked}")
    # Fetched once, kept for as long as it says.
    is_delivered(world, "tls=mta-sts")
    expect(served.asked == ["mta-sts.one.test"], f"{served.asked}")


def test_a_policy_and_a_certificate_of_nobody(lab):
    authority = Authority(lab)
    world, _ = mta_sts(lab, policy("enforce", HOST), Authority(lab, "impostor").issue(HOST), authority)
    is_kept_back(world)


def test_a_policy_and_a_certificate_of_another_name(lab):
    authority = Authority(lab)
    world, _ = mta_sts(lab, policy("enforce", HOST), authority.issue("other.test"), authority)
    is_kept_back(world)


def test_a_mail_host_that_the_policy_does_not_name(lab):
    authority = Authority(lab)
    world, _ = mta_sts(lab, policy("enforce", "*.elsewhere.test"), authority.issue(HOST), authority)
    is_kept_back(world)


def test_a_policy_that_is_only_tried(lab):
    authority = Authority(lab)
    world, _ = mta_sts(lab, policy("testing", HOST), Authority(lab, "impostor").issue(HOST), authority)
    is_delivered(world)


def test_a_policy_that_cannot_be_had(lab):
    """RFC 8461 §5: whoever has never seen a policy delivers as if there were none."""
    authority = Authority(lab)
    world, served = mta_sts(lab, None, Authority(lab, "impostor").issue(HOST), authority)
    is_delivered(world)
    expect(served.asked[:1] == ["mta-sts.one.test"], f"{served.asked}")
