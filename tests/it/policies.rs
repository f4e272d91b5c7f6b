//! The presets as an operator chooses them: in the configuration, in a copy of the file, in the running gate.

use std::fs;
use std::path::Path;

use super::admin::Served;
use super::cli::Home;
use super::harness::{Client, Downstream};

const PRESETS: [&str; 4] = ["quarantine", "marketo", "salesforce", "activecampaign"];

fn with_policy(home: &Home, policy: &str) {
    let text = fs::read_to_string(home.path("rcptgate.toml")).expect("a configuration");
    let text = text.split("[policy]").next().unwrap_or_default();
    home.write("rcptgate.toml", &format!("{text}[policy]\n{policy}\n"));
}

#[test]
fn every_preset_can_be_chosen_and_copied_and_no_other() {
    let home = Home::new();
    for name in PRESETS {
        with_policy(&home, &format!("preset = \"{name}\""));
        home.ok(&["check"]);
        let file = format!("config/policies/{name}.toml");
        let file = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
        home.write("mine.toml", &file.expect("a file of that name"));
        with_policy(&home, "file = \"mine.toml\"");
        home.ok(&["check"]);
    }
    with_policy(&home, "preset = \"mailchimp\"");
    let end = home.run(&["check"]);
    assert_eq!(end.code, 78, "{end:?}");
    for words in PRESETS.into_iter().chain(["mailchimp", "policy.preset"]) {
        assert!(end.err.contains(words), "{words:?} in {end:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_preset_answers_in_the_running_gate() {
    let gone = "550 5.1.1 no such user";
    let full = "552 5.2.2 mailbox full";
    let answers = [("RCPT TO:<gone@", gone), ("RCPT TO:<full@", full)];
    let quarantined = "550 5.7.1 rcptgate: quarantined until";
    let put_off = "450 4.7.1 rcptgate: quarantined until";
    let unknown = "550 5.7.1 rcptgate: user unknown, quarantined since";
    for (name, second_gone, second_full) in [
        ("quarantine", gone, quarantined),
        ("marketo", unknown, put_off),
        ("salesforce", gone, full),
        ("activecampaign", unknown, full),
    ] {
        let downstream = Downstream::answering(&answers).await;
        let home = Home::new();
        let text = fs::read_to_string(home.path("rcptgate.toml")).expect("a configuration");
        let text = text.replace("127.0.0.1:9", &downstream.address.to_string());
        home.write("rcptgate.toml", &text);
        with_policy(&home, &format!("preset = \"{name}\""));
        let served = Served::begin(&home);
        let mut client = Client::connect(served.door()).await;
        client.expect("220").await;
        client.ask("EHLO client.test", "250").await;
        for (address, first, second) in
            [("gone@y.test", gone, second_gone), ("full@y.test", full, second_full)]
        {
            for expected in [first, second] {
                let told = client.write_to(address).await;
                assert!(told.starts_with(expected), "{name}: {address}: {told}");
            }
        }
        client.quit().await;
    }
}
