"""The web server of MTA-STS: policies by domain, over HTTPS."""

import http.server
import ssl
import threading

from lab import free_port


class Policies:
    """Serves `texts`, domains to policies, as `mta-sts.DOMAIN` on one port of 127.0.0.1. `asked` are the names that came."""

    def __init__(self, lab, authority, texts):
        self.port = free_port()
        self.texts = dict(texts)
        self.asked = []
        issued = authority.issue(*(f"mta-sts.{domain}" for domain in texts))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.certificate, issued.key)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self.handler())
        # The handshake belongs to the thread of its connection: one that fails must not end the server.
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        lab.keep(self)

    def handler(self):
        policies = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = (self.headers["Host"] or "").partition(":")[0]
                policies.asked.append(name)
                text = policies.texts.get(name.removeprefix("mta-sts."))
                if text is None or self.path != "/.well-known/mta-sts.txt":
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        return Handler

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def policy(mode, *hosts, max_age=86_400):
    """The text of a policy: "enforce", "testing" or "none", and patterns of mail hosts."""
    return "".join(f"{line}\r\n" for line in [
        "version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts), f"max_age: {max_age}"])


def announced(name="1"):
    """The records that a zone needs besides: that there is a policy, and where."""
    return {"_mta-sts": f'TXT "v=STSv1; id={name};"', "mta-sts": "A 127.0.0.1"}
