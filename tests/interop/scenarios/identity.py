"""Who the client is, across the gate: XCLIENT and XFORWARD between it and real software."""

import subprocess

from gate import Gate, World
from lab import expect, wait_for
from mail import SENDER, Message
from postfix import Postfix

GOOD = "good@plain.test"
# Postfix hides the keywords from those who are not listed.
XFORWARD = {"smtpd_authorized_xforward_hosts": "127.0.0.0/8"}
XCLIENT = {"smtpd_authorized_xclient_hosts": "127.0.0.0/8", "mynetworks": "127.0.0.0/8, 192.0.2.0/24"}
# The gate takes XCLIENT from loopback, and mail from loopback and one network.
LISTEN = 'xclient = ["127.0.0.0/8"]\nxforward = ["127.0.0.0/8"]'


def swaks(port, address, name, *options):
    """One message by swaks, as the client that it says by XCLIENT; its transcript."""
    done = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{port}", "--from", SENDER, "--to", GOOD, "--ehlo", "app.example",
         "--xclient-addr", address, "--xclient-name", name, *options],
        capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def gate_before(lab, downstream, tell_client):
    return Gate(lab, downstream.port, listen_tls=LISTEN, clients='"192.0.2.0/24"',
                downstream_more=f'tell_client = "{tell_client}"')


def test_the_origin_of_a_message_passes_from_postfix_to_postfix(lab):
    """The client's XFORWARD, IDENT and all, reaches the downstream's log as if there were no gate."""
    world = World(lab, [GOOD], client=XCLIENT, downstream=XFORWARD,
                  gate={"downstream_more": 'tell_client = "xforward"'})
    code, said = swaks(world.client.port, "192.0.2.77", "app.example")
    expect(code == 0, said)
    logged = wait_for(lambda: world.downstream.logged(r"orig_client=app\.example\[192\.0\.2\.77\]"),
                      lambda: f"the downstream knows the origin: {world.tails()}")
    queue_id = world.client.logged(r"client=app\.example\[192\.0\.2\.77\]")[0].split("]: ")[1].split(":")[0]
    expect(f"orig_queue_id={queue_id}" in logged[0], f"{queue_id}: {logged}")
    wait_for(lambda: world.gate.logged("event=message", "outcome=delivered", f"message={queue_id}"), world.tails)


def test_the_gate_tells_postfix_of_its_own_client_by_xforward(lab):
    downstream = Postfix(lab, "downstream", [GOOD], **XFORWARD)
    gate = gate_before(lab, downstream, "xforward")
    code, said = swaks(gate.port, "192.0.2.78", "app.example", "--xclient-login", "joe")
    expect(code == 0, said)
    wait_for(lambda: downstream.logged(r"orig_client=app\.example\[192\.0\.2\.78\]"),
             lambda: f"the downstream knows the client: {downstream.tail()}{gate.tail()}")
    wait_for(lambda: gate.logged("event=xclient", "client=192.0.2.78", "name=app.example"), gate.tail)
    wait_for(lambda: gate.logged("event=message", "client=192.0.2.78", "login=joe"), gate.tail)
    # Who may not relay does not, whoever says so for it.
    code, said = swaks(gate.port, "198.51.100.7", "evil.example")
    expect(code != 0 and "550 5.7.1 rcptgate: you may not relay" in said, said)


def test_the_gate_tells_postfix_of_its_own_client_by_xclient(lab):
    downstream = Postfix(lab, "downstream", [GOOD], **XCLIENT)
    gate = gate_before(lab, downstream, "xclient")
    code, said = swaks(gate.port, "192.0.2.79", "app.example")
    expect(code == 0, said)
    wait_for(lambda: downstream.logged(r"[0-9A-F]+: client=app\.example\[192\.0\.2\.79\]"),
             lambda: f"the downstream takes the client for its own: {downstream.tail()}{gate.tail()}")
    # A client without a name does not inherit the gate's.
    code, said = swaks(gate.port, "192.0.2.80", "[UNAVAILABLE]")
    expect(code == 0, said)
    wait_for(lambda: downstream.logged(r"[0-9A-F]+: client=unknown\[192\.0\.2\.80\]"),
             lambda: f"the client has no name: {downstream.tail()}{gate.tail()}")


def untold(lab, tell_client):
    downstream = Postfix(lab, "downstream", [GOOD])
    gate = gate_before(lab, downstream, tell_client)
    code, said = swaks(gate.port, "192.0.2.81", "app.example")
    expect(code == 0, said)
    wait_for(lambda: gate.logged("event=tell_client", "result=not_offered"), gate.tail)


def test_a_downstream_without_xforward_gets_the_mail(lab):
    untold(lab, "xforward")


def test_a_downstream_without_xclient_gets_the_mail(lab):
    untold(lab, "xclient")
