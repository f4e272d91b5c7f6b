"""Real Exim as it comes from Debian, as a client that sends everything else to the gate and as a downstream."""

import re
import shutil

from jail import Jail
from lab import expect, free_port, greets, processes_of, wait_for
from mail import folder, read_maildir

CONFIG = """\
primary_hostname = {name}.test
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
host_lookup =
rfc1413_hosts =
rfc1413_query_timeout = 0s
keep_environment =
dns_again_means_nonexist = *
log_file_path = /var/log/exim4/%slog
notifier_socket =
log_selector = -queue_run +smtp_confirmation +pipelining +tls_cipher
# Everything at once and again soon: the defaults spare a busy machine.
smtp_accept_max = 200
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
recipients_max = 0
message_size_limit = 100M
check_spool_space = 0
check_spool_inodes = 0
deliver_drop_privilege = true
smtp_banner = {name}.test ESMTP Exim
acl_smtp_rcpt = rcpt
acl_smtp_data = data
{settings}
domainlist served = {domains}

begin acl
rcpt:
{rcpt}
  deny    message = 5.1.1 User unknown
          domains = +served
          !verify = recipient
  accept
data:
{data}
  accept

begin routers
box:
  driver = accept
  domains = +served
  # What a look-up returns is trusted as a file's name; what a client said is not.
  address_data = ${{lookup{{$local_part@$domain}}lsearch{{/etc/mailboxes}}{{$value}}fail}}
  transport = box
nobody:
  driver = redirect
  domains = +served
  data = :fail: 5.1.1 User unknown
  allow_fail
way:
  driver = manualroute
  route_list = * 127.0.0.1::{way} byname
  self = send
  transport = way

begin transports
box:
  driver = appendfile
  maildir_format
  directory = /var/mail/$address_data
  create_directory
  user = Debian-exim
way:
  driver = smtp
  allow_localhost
  message_linelength_limit = 100000
{transport}

begin retry
* * F,1d,1s
"""


class Exim:
    """`way` is the port that everything without a mailbox here goes to; `transport`, `settings`, `rcpt` and `data` are
    lines for the transport that goes there, the main part and the two ACLs; `files` are copied to paths in its root."""

    def __init__(self, lab, name, mailboxes, way=9, transport=(), settings=(), rcpt=(), data=(), files=None,
                 port=None):
        self.name = name
        self.port = port or free_port()
        self.jail = Jail(lab, name, ["usr/sbin/exim4", "usr/sbin/exim_dumpdb"], {"Debian-exim": 61_001})
        for path in ("var/spool/exim4", "var/log/exim4", "var/mail"):
            self.jail.folder(path, "Debian-exim")
        (self.jail.root / "usr/sbin/exim").symlink_to("exim4")
        self.jail.write("etc/mailboxes", "".join(f"{address}: {folder(address)}\n" for address in mailboxes))
        self.jail.write("etc/exim4/exim4.conf", CONFIG.format(
            name=name, port=self.port, way=way, settings="\n".join(settings or ["tls_advertise_hosts ="]),
            domains=" : ".join(sorted({address.rpartition("@")[2] for address in mailboxes})),
            transport="".join(f"  {line}\n" for line in transport),
            rcpt="".join(f"  {line}\n" for line in rcpt), data="".join(f"  {line}\n" for line in data)))
        for path, source in (files or {}).items():
            shutil.chown(self.jail.write(path, source.read_text()), self.jail.users["Debian-exim"])
        self.process = None
        lab.keep(self)
        self.begin()

    def begin(self):
        """In the foreground, looking through its queue every second."""
        self.process = self.jail.start("/usr/sbin/exim4", "-bdf", "-q1s")

        def up():
            expect(self.process.running(), f"{self.name} ended at once: {self.process.said()} {self.text()}")
            return greets(self.port)

        wait_for(up, lambda: f"{self.name} greets on {self.port}: {self.process.said()} {self.text()}")

    def stop(self):
        if self.process is not None and self.process.running():
            self.process.stop()
            # What it was delivering just then goes on without it.
            wait_for(lambda: not processes_of(self.jail.root), f"{self.name} has ended all deliveries")
            wait_for(lambda: not greets(self.port), f"{self.name} no longer listens")

    def text(self):
        log = self.jail.root / "var/log/exim4"
        return "".join(file.read_text(errors="replace") for file in sorted(log.glob("*log")))

    def logged(self, pattern):
        """The lines of its logs, that of panics included, that match."""
        return [line for line in self.text().splitlines() if re.search(pattern, line)]

    def box(self, address):
        return read_maildir(self.jail.root / "var/mail" / folder(address))

    def queued(self):
        return len({path.name[:-2] for path in (self.jail.root / "var/spool/exim4/input").rglob("*-H")})

    deferred = queued

    def wait_empty(self):
        wait_for(lambda: self.queued() == 0,
                 lambda: f"{self.name} has an empty queue, {self.queued()} are left: {self.tail()}", 120)

    def retries(self):
        """The keys of its retry records: `R:` for an address, `T:` for a host or for an address at a host."""
        if not (self.jail.root / "var/spool/exim4/db/retry").exists():
            return []
        return [line.split()[0] for line in self.jail.run(
            "/usr/sbin/exim_dumpdb", "/var/spool/exim4", "retry").splitlines() if re.match(r"\s*[RT]:", line)]

    def tail(self, lines=15):
        return "\n    ".join(["", *self.text().splitlines()[-lines:]])
