"""A receiver with a temper: what a real Postfix answers to each recipient, and may answer otherwise the next moment."""

import socketserver
import threading

from lab import free_port

UNKNOWN = "550 5.1.1 User unknown"
FULL = "552 5.2.2 Mailbox full"
WAITING = "452 4.2.2 Mailbox full"
LISTED = "554 5.7.1 Client host blocked using zen.spamhaus.org"


class Temper:
    """A policy service (SMTPD_POLICY_README) that Postfix asks. `at_rcpt` and `at_end` are addresses to the replies that RCPT, and the
    message itself if it is to nobody else, are refused with; a change holds for the next command. `said` is what it has refused so far."""

    def __init__(self, lab):
        self.at_rcpt, self.at_end, self.said = {}, {}, []
        self.port = free_port()
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), self.handler())
        # Postfix keeps its connections; nobody waits for their end.
        self.server.daemon_threads, self.server.block_on_close = True, False
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        lab.keep(self)

    def postfix(self):
        """The settings of a Postfix that asks it."""
        ask = f"check_policy_service inet:127.0.0.1:{self.port}"
        return {"smtpd_recipient_restrictions": ask, "smtpd_end_of_data_restrictions": ask}

    def answer(self, question):
        says = {"RCPT": self.at_rcpt, "END-OF-MESSAGE": self.at_end}.get(question.get("protocol_state"), {})
        reply = says.get(question.get("recipient"))
        if reply:
            self.said.append((question["recipient"], reply))
        return reply or "DUNNO"

    def handler(self):
        temper = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                question = {}
                for line in self.rfile:
                    name, is_pair, value = line.decode().rstrip("\n").partition("=")
                    if is_pair:
                        question[name] = value
                        continue
                    self.wfile.write(f"action={temper.answer(question)}\n\n".encode())
                    question = {}

        return Handler

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
