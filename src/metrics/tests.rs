use super::*;

#[test]
fn counts_what_happened() {
    let metrics = Metrics::new();
    metrics.decided("refuse", "quarantine");
    metrics.finished("delivered", "dane", true);
    metrics.finished("refused", "none", false);
    metrics.observe(&Observed { ready: true, unlearnt: 3, noted: 5, ..Observed::default() });
    metrics.outages(1, 2, 30);
    let text = metrics.text();
    for line in ["outages_open 1", "outages_unresolved 2", "held_total 30"] {
        assert!(text.contains(&format!("rcptgate_{line}")), "{text}");
    }
    assert!(text.contains("rcptgate_rcpt_total{verdict=\"refuse\",reason=\"quarantine\"} 1"));
    assert!(text.contains("rcptgate_accepted_client_gone_total 1"), "{text}");
    assert!(text.contains("rcptgate_unlearnt_total 3"), "{text}");
    assert!(text.contains("rcptgate_noted_total 5"), "{text}");
    assert!(text.contains("rcptgate_message_tls_total{tls=\"dane\"} 1"), "{text}");
    // What was not delivered was protected by nothing.
    assert!(!text.contains("tls=\"none\""), "{text}");
}

#[test]
fn the_way_out_is_read_whenever_somebody_asks() {
    let metrics = Metrics::new();
    let nothing = metrics.text();
    assert!(nothing.contains("rcptgate_dns_question_total{kind=\"asked\"} 0"), "{nothing}");
    let counted = std::sync::atomic::AtomicU64::new(0);
    metrics.read_outward(move || {
        let remembered = 10 * (counted.fetch_add(1, Ordering::Relaxed) + 1);
        Outward { remembered, asked: 2, kept: 3 }
    });
    for remembered in [10, 20] {
        let text = metrics.text();
        let line = format!("rcptgate_dns_question_total{{kind=\"remembered\"}} {remembered}");
        assert!(text.contains(&line), "{text}");
        assert!(text.contains("rcptgate_dns_question_total{kind=\"asked\"} 2"), "{text}");
        assert!(text.contains("rcptgate_kept_connections 3"), "{text}");
    }
}
