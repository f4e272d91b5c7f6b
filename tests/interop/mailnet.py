"""A mail host, a gate's place and an internet of documentation addresses, each a network of its own."""

from namespace import Namespace, join

# Whom the gate runs as. Nobody on this machine has to have the number.
GATE_USER = 61_025
GATE_PORT = 2525

HOST = "192.0.2.1", "2001:db8:1::1"
ROUTER = "192.0.2.254", "2001:db8:1::fe"
OUTSIDE = "203.0.113.1", "2001:db8:2::1"
INTERNET = "203.0.113.254", "2001:db8:2::fe"
FIRST, SECOND, RESOLVER = ("198.51.100.1", "2001:db8:3::1"), ("198.51.100.2", "2001:db8:3::2"), "198.51.100.53"


def with_prefixes(pair):
    return f"{pair[0]}/24", f"{pair[1]}/64"


def internet(lab):
    """Where the receivers are, and a resolver may be."""
    place = Namespace(lab, "internet")
    for pair in (FIRST, SECOND):
        place.address("lo", f"{pair[0]}/32", f"{pair[1]}/128")
    place.address("lo", f"{RESOLVER}/32")
    return place


def one_machine(lab):
    """The mail host, where the gate runs as well, and the internet."""
    net, host = internet(lab), Namespace(lab, "host")
    join(host, net)
    host.address("internet", *with_prefixes(HOST))
    net.address("host", *with_prefixes(ROUTER))
    host.route(*ROUTER)
    host.ask(RESOLVER)
    return host, net


def with_router(lab):
    """The mail host, a router where the gate runs, and the internet, which knows the way back to the mail host."""
    net, router, host = internet(lab), Namespace(lab, "router"), Namespace(lab, "host")
    join(host, router)
    join(router, net)
    router.forward()
    host.address("router", *with_prefixes(HOST))
    router.address("host", *with_prefixes(ROUTER))
    router.address("internet", *with_prefixes(OUTSIDE))
    net.address("router", *with_prefixes(INTERNET))
    host.route(*ROUTER)
    router.route(*INTERNET)
    net.route(*OUTSIDE)
    for place in (host, router):
        place.ask(RESOLVER)
    return host, router, net
