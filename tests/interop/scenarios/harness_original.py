"""The rules in config/nftables, without the gate: each is correct, and what it redirects can be told from what it does not."""

import contextlib
import ipaddress
import socket
import subprocess
import threading

from interception import BOXES, ONE, TWO, Interception, records
from lab import expect, wait_for
from mail import Message, with_id
from mailnet import FIRST, GATE_PORT, GATE_USER, HOST, OUTSIDE, ROUTER, SECOND, one_machine, with_router
from namespace import RULES, Namespace, ruled

ORIGINAL = {socket.AF_INET: (socket.IPPROTO_IP, 80, 16), socket.AF_INET6: (socket.IPPROTO_IPV6, 80, 28)}
TRANSPARENT = {socket.AF_INET: (socket.IPPROTO_IP, 19), socket.AF_INET6: (socket.IPPROTO_IPV6, 75)}


def destination(peer):
    """Where this connection was going before it was redirected, as the kernel has it."""
    raw = peer.getsockopt(*ORIGINAL[peer.family])
    where = raw[4:8] if peer.family == socket.AF_INET else raw[8:24]
    return f"{ipaddress.ip_address(where)} {int.from_bytes(raw[2:4], 'big')}"


def serve(lab, place, addresses, port, greeting):
    """Says `greeting(connection)` to everybody who connects, one after another, and waits until they go."""
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = place.within(lambda: socket.create_server((address, port), family=family))

        def accept(listener=listener):
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer:
                        peer.sendall(f"{greeting(peer)}\n".encode())
                        peer.recv(1)

        threading.Thread(target=accept, daemon=True).start()
        lab.keep(Closing(listener))


class Closing:
    def __init__(self, listener):
        self.listener = listener

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def heard(place, address, port=25, user=0):
    """The greeting that this user gets there; empty when the connection is refused."""
    done = subprocess.run(
        place.command(["setpriv", f"--reuid={user}", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}; head -n 1 <&3"]),
        capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip()


def visitor(peer):
    return f"receiver, to {peer.getpeername()[0]}"


def signpost(peer):
    return f"gate, for {destination(peer)}, from {peer.getpeername()[0]}"


def same(found, wanted):
    expect(found == wanted, f"{found!r}, not {wanted!r}")


def test_each_rule_set_is_valid_as_it_is_shipped(lab):
    place = Namespace(lab, "check")
    files = sorted(RULES.glob("*.nft"))
    same([file.name for file in files], ["redirect-forward.nft", "redirect-output.nft", "tproxy-source.nft"])
    for file in files:
        # No user of that name need be on the machine of the test.
        named = 'define gate_user = "rcptgate"' in file.read_text()
        copy = ruled(lab.root, file.name, {"gate_user": GATE_USER} if named else {})
        place.run("nft", "-c", "-f", copy)
        same(place.run("nft", "list", "ruleset"), "")
        place.run("nft", "-f", copy)
        once = place.run("nft", "list", "ruleset")
        expect("table inet rcptgate" in once, once)
        place.run("nft", "-f", copy)
        same(place.run("nft", "list", "ruleset"), once)
        place.run("nft", "flush", "ruleset")


def test_what_a_machine_sends_is_redirected_but_for_the_gate(lab):
    host, net = one_machine(lab)
    serve(lab, net, [*FIRST, *SECOND], 25, visitor)
    serve(lab, host, ["127.0.0.1", "::1"], GATE_PORT, signpost)
    same(heard(host, FIRST[0]), f"receiver, to {HOST[0]}")
    host.rules("redirect-output.nft", gate_user=GATE_USER, gate_port=GATE_PORT)
    for own, address in [(HOST[0], FIRST[0]), (HOST[1], FIRST[1]), (HOST[0], SECOND[0]), (HOST[1], SECOND[1])]:
        same(heard(host, address), f"gate, for {address} 25, from {own}")
        same(heard(host, address, user=GATE_USER), f"receiver, to {own}")
        same(heard(host, own), "")
    # Not redirected, and to be told from what is: it was going to the listener itself.
    for own in ("127.0.0.1", "::1"):
        same(heard(host, own, GATE_PORT), f"gate, for {own} {GATE_PORT}, from {own}")


def test_what_passes_a_router_is_redirected_and_what_it_sends_is_not(lab):
    host, router, net = with_router(lab)
    serve(lab, net, [*FIRST, *SECOND], 25, visitor)
    serve(lab, router, ROUTER, GATE_PORT, signpost)
    same(heard(host, FIRST[0]), f"receiver, to {HOST[0]}")
    router.rules("redirect-forward.nft", inside='"host"', gate_port=GATE_PORT)
    for own, outside, address in [(HOST[0], OUTSIDE[0], FIRST[0]), (HOST[1], OUTSIDE[1], SECOND[1])]:
        same(heard(host, address), f"gate, for {address} 25, from {own}")
        same(heard(router, address), f"receiver, to {outside}")
    for address in ROUTER:
        same(heard(host, address, GATE_PORT), "")


def test_connections_in_a_clients_name_come_back(lab):
    host, router, net = with_router(lab)
    serve(lab, net, [*FIRST, *SECOND], 25, visitor)
    serve(lab, router, ROUTER, GATE_PORT, signpost)
    router.rules("redirect-forward.nft", inside='"host"', gate_port=GATE_PORT)
    router.rules("tproxy-source.nft", gate_user=0)
    # As routers have it: what belongs to no connection is dropped.
    router.run("nft", "add table inet filter; add chain inet filter input { type filter hook input priority 0; policy drop; }; "
               "add rule inet filter input ct state established,related accept; add rule inet filter input iifname host accept; "
               "add rule inet filter input meta l4proto icmpv6 accept")
    router.keep_marked()
    for own, address in zip(HOST, FIRST):
        with host.within(lambda: socket.create_connection((address, 25), timeout=10)) as client:
            said = client.makefile().readline().strip()
            same(said, f"gate, for {address} 25, from {own}")
            # The same port as the client's, which is the hardest case: only the zone tells the two connections apart.
            port = client.getsockname()[1]
            same(impersonate(router, own, port, address), f"receiver, to {own}")


def impersonate(place, source, port, address):
    """What is heard at this address by one who comes from an address that is not its own."""
    def call():
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        with socket.socket(family) as peer:
            peer.setsockopt(*TRANSPARENT[family], 1)
            peer.settimeout(10)
            peer.bind((source, port))
            peer.connect((address, 25))
            return peer.makefile().readline().strip()

    return place.within(call)


def test_the_network_without_a_gate(lab):
    """What an unmodified Postfix does alone: it takes the first address that it gets, and port 25."""
    world = Interception(lab, zones=records({"mx.one.test": BOXES["mx.one.test"]}, ["A"])
                         | records({"mx.two.test": BOXES["mx.two.test"]}, ["AAAA"]), intercepted=False)
    message = world.send(Message(), ONE, TWO)
    for address, own in ((ONE, HOST[0]), (TWO, HOST[1])):
        wait_for(lambda: with_id(world.box(address), message), lambda: f"{address}: {world.client.tail()}")
        receiver = world.domains[address.rpartition("@")[2]]
        expect(receiver.logged(rf" connect from \S*\[{own}\]"), receiver.tail())
    world.client.wait_empty()
