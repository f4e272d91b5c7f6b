"""Certificates for the gate and its neighbours."""

import subprocess


def openssl(*words, **options):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, **options).stdout


def key_hash(certificate):
    """SHA-256 of the public key, in hexadecimal: what TLSA records with selector 1, matching type 1 hold."""
    key = openssl("x509", "-in", certificate, "-noout", "-pubkey")
    der = openssl("pkey", "-pubin", "-outform", "der", input=key)
    return openssl("dgst", "-sha256", "-r", input=der).split()[0].decode()


def tlsa(certificate, usage):
    """The TLSA record of this certificate; `usage` 3 says that it is the server's own, 2 that its issuer is this one."""
    return f"TLSA {usage} 1 1 {key_hash(certificate)}"


class Certificate:
    """Self-signed, for gate.test, localhost and 127.0.0.1."""

    def __init__(self, lab):
        folder = lab.folder("tls")
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=gate.test",
                "-addext", "subjectAltName=DNS:gate.test,DNS:localhost,IP:127.0.0.1",
                "-keyout", self.key, "-out", self.certificate)
        self.key.chmod(0o600)

    def listener(self, tls):
        """The gate's lines for it; `tls` is a value of that key."""
        return f'tls = "{tls}"\ncertificate = "{self.certificate}"\nkey = "{self.key}"'


class Issued:
    """A certificate of an `Authority`, for servers: the chain in one file, the key in another."""

    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key

    def tlsa(self):
        """The record of the server that shows it."""
        return tlsa(self.certificate, usage=3)

    def postfix(self):
        """The settings of a receiver that offers STARTTLS with it, and writes into the message what was spoken."""
        return {"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": self.certificate,
                "smtpd_tls_key_file": self.key, "smtpd_tls_received_header": "yes", "smtpd_tls_loglevel": "1"}


class Authority:
    """A certificate authority that nobody knows but who is told of `certificate`."""

    def __init__(self, lab, name="authority"):
        self.folder = lab.folder(name)
        self.certificate, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        openssl("req", "-x509", *self.new_key(self.key), "-days", "2", "-subj", f"/CN={name}", "-out", self.certificate,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def tlsa(self):
        """The record of a server that shows a certificate of this authority."""
        return tlsa(self.certificate, usage=2)

    @staticmethod
    def new_key(file):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file

    def issue(self, *names):
        """For these DNS names, valid for two days."""
        certificate, key, request, extensions = (
            self.folder / f"{names[0]}.{end}" for end in ("pem", "key", "csr", "ext"))
        openssl("req", *self.new_key(key), "-subj", f"/CN={names[0]}", "-out", request)
        extensions.write_text(
            "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName="
            + ",".join(f"DNS:{name}" for name in names) + "\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-days", "2", "-extfile", extensions, "-out", certificate)
        # Postfix and Python take the chain from the certificate's file.
        certificate.write_text(certificate.read_text() + self.certificate.read_text())
        key.chmod(0o600)
        return Issued(certificate, key)
