//! J09: what the program says at its start of name servers and of DANE.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use crate::cli::Home;

const MX: &str = "route = \"mx\"\nmta_sts = false";
const FAR: &str = "servers = [\"192.0.2.1\"]";
/// In the line that says it.
const UNUSED: &str = "dane_not_in_use";

/// A program that runs.
struct Gate {
    home: Home,
    process: Child,
    log: BufReader<ChildStdout>,
}

impl Gate {
    fn start(downstream: &str, dns: &str) -> Self {
        let home = Home::new();
        home.write("rcptgate.toml", &config(downstream, dns));
        let mut process =
            home.command(&["serve"]).stdout(Stdio::piped()).spawn().expect("it starts");
        let log = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { home, process, log }
    }

    /// The lines of the log about this, up to the one with these words.
    fn said_until(&mut self, end: &str, about: &str) -> Vec<String> {
        let (mut lines, mut line) = (Vec::new(), String::new());
        while !line.contains(end) {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).expect("a line"), 0, "no {end}: {lines:?}");
            lines.push(line.clone());
        }
        lines.retain(|line| line.contains(about));
        lines
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn config(downstream: &str, dns: &str) -> String {
    format!(
        "data_dir = \"data\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
         [downstream]\n{downstream}\n[dns]\n{dns}\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n"
    )
}

/// The lines of the log about this, of a program with this configuration, from its start until it was ready.
fn said(downstream: &str, dns: &str, about: &str) -> Vec<String> {
    Gate::start(downstream, dns).said_until(" event=ready ", about)
}

#[test]
fn that_dane_is_not_in_use_is_said_once_and_why() {
    let lines = said(MX, FAR, UNUSED);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let words = [" INFO ", " event=tls ", "192.0.2.1 is not on this machine"];
    assert!(words.iter().all(|word| line.contains(word)), "{line}");
    let lines = said(MX, "dnssec = \"off\"", UNUSED);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let words = [" INFO ", " event=tls ", "dns.dnssec is"];
    assert!(words.iter().all(|word| line.contains(word)), "{line}");
    // Somebody relies on it.
    let lines = said(&format!("{MX}\ndane = true"), FAR, UNUSED);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.contains(" WARN "), "{line}");
    for (downstream, dns) in [
        (MX, "servers = [\"127.0.0.1\"]"),
        (&format!("{MX}\ndane = false"), FAR),
        (&format!("{MX}\ntls = \"off\""), FAR),
    ] {
        assert_eq!(said(downstream, dns, UNUSED), [""; 0], "{downstream} {dns}");
    }
}

/// Routes come with a reload, too; what was told at the start is not told again.
#[test]
fn a_reload_that_asks_for_dane_is_told_the_same() {
    let mut gate = Gate::start("hosts = [\"127.0.0.1:9\"]", FAR);
    assert_eq!(gate.said_until(" event=ready ", UNUSED), [""; 0]);
    let swapped = "result=swapped routes=";
    gate.home.write("rcptgate.toml", &config(MX, FAR));
    assert_eq!(gate.said_until(swapped, UNUSED).len(), 1);
    gate.home.write("rcptgate.toml", &config(&format!("{MX}\nport = 26"), FAR));
    assert_eq!(gate.said_until(swapped, UNUSED), [""; 0]);
    gate.home.write("rcptgate.toml", &config(&format!("{MX}\ndane = true"), FAR));
    assert_eq!(gate.said_until(swapped, UNUSED).len(), 1);
}

#[test]
fn a_distant_server_that_is_trusted_is_warned_about() {
    const WORD: &str = "dns.dnssec trusts";
    let trust = |server: &str| format!("servers = [\"{server}\"]\ndnssec = \"trust-ad\"");
    let lines = said(MX, &trust("192.0.2.1"), WORD);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let words = [" WARN ", " event=tls ", "192.0.2.1, which is not on this machine"];
    assert!(words.iter().all(|word| line.contains(word)), "{line}");
    assert_eq!(said(MX, &trust("127.0.0.1"), WORD), [""; 0]);
}
