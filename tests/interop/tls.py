"""A certificate for the gate and its neighbours."""

import subprocess


class Certificate:
    """Self-signed, for gate.test, localhost and 127.0.0.1."""

    def __init__(self, lab):
        folder = lab.folder("tls")
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=gate.test",
             "-addext", "subjectAltName=DNS:gate.test,DNS:localhost,IP:127.0.0.1",
             "-keyout", self.key, "-out", self.certificate],
            check=True, capture_output=True)
        self.key.chmod(0o600)

    def listener(self, tls):
        """The gate's lines for it; `tls` is a value of that key."""
        return f'tls = "{tls}"\ncertificate = "{self.certificate}"\nkey = "{self.key}"'
