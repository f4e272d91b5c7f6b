//! What other systems report: Q14, Q15, S20.

use super::*;

#[tokio::test]
async fn q14_q15_a_complaint_blacklists_for_its_tenant_and_keeps_its_time() {
    let desk = Desk::open().await;
    let report = r#"{"addresses":["A@b.test","c@b.test"],"tenant":"acme","at":"2026-01-02T03:04:05Z","source":"fbl"}"#;
    let (status, body) = desk.post("/api/v1/complaints", report).await;
    let results = &json(&body)["results"];
    assert_eq!((status, &results[0]["address"]), (200, &"a@b.test".into()), "{body}");
    assert_eq!((&results[0]["done"], &results[1]["after"]), (&true.into(), &"blacklisted".into()));
    let (_, body) = desk.get("/api/v1/lookup?address=a%40b.test&tenant=acme").await;
    let found = &json(&body)["answers"][0];
    assert_eq!((&found["verdict"], &found["reason"]), (&"refuse".into(), &"blacklist".into()));
    assert_eq!(found["complained"], "2026-01-02T03:04:05Z", "{body}");
    let (_, body) = desk.get("/api/v1/lookup?address=a%40b.test&tenant=other").await;
    assert_eq!(json(&body)["answers"][0]["verdict"], "forward", "{body}");
    // The same again is known; an earlier one moves the time.
    let (_, body) = desk.post("/api/v1/complaints", report).await;
    assert_eq!(json(&body)["results"][0]["done"], false, "{body}");
    let earlier = report.replace("2026", "2025");
    desk.post("/api/v1/complaints", &earlier).await;
    let (_, body) = desk.get("/api/v1/lookup?address=a%40b.test&tenant=acme").await;
    assert_eq!(json(&body)["answers"][0]["complained"], "2025-01-02T03:04:05Z", "{body}");
    let (_, body) = desk.get("/api/v1/explain?address=a%40b.test&tenant=acme").await;
    let events = json(&body)["events"].as_array().map(Vec::len);
    assert_eq!(events, Some(2), "{body}");
}

#[tokio::test]
async fn s20_an_opening_clears_where_the_policy_says_so_and_is_kept_only_then() {
    let opened = r#"{"addresses":["gone@gmail.com","stranger@b.test"]}"#;
    for (preset, clears) in [("salesforce", true), ("quarantine", false)] {
        let desk = Desk::with_policy(preset, Fault::default()).await;
        desk.bounce("gone@gmail.com").await;
        let (status, body) = desk.post("/api/v1/engagements", opened).await;
        let results = &json(&body)["results"];
        assert_eq!((status, &results[0]["done"]), (200, &clears.into()), "{preset}: {body}");
        assert_eq!(results[0]["before"], "quarantined_long_term", "{body}");
        assert_eq!(results[1]["done"], false, "{body}");
        let (_, body) = desk.get("/api/v1/lookup?address=gone%40gmail.com").await;
        let verdict = if clears { "forward" } else { "refuse" };
        assert_eq!(json(&body)["answers"][0]["verdict"], verdict, "{preset}: {body}");
        let (_, body) = desk.get("/api/v1/stats").await;
        assert_eq!(json(&body)["learnt"], if clears { 2 } else { 1 }, "{preset}: {body}");
        // There is nothing left to clear.
        let (_, body) = desk.post("/api/v1/engagements", opened).await;
        assert_eq!(json(&body)["results"][0]["done"], false, "{preset}: {body}");
    }
}

#[tokio::test]
async fn reports_that_make_no_sense_change_nothing() {
    let desk = Desk::open().await;
    for (path, body, expected) in [
        ("complaints", r#"{"addresses":["a@b.test"]}"#, 422),
        ("complaints", r#"{"addresses":["a@b.test"],"tenant":"a b"}"#, 400),
        ("complaints", r#"{"addresses":["a@b.test","x"],"tenant":"t"}"#, 400),
        (
            "complaints",
            r#"{"addresses":["a@b.test"],"tenant":"t","at":"2999-01-01T00:00:00Z"}"#,
            400,
        ),
        ("complaints", r#"{"addresses":["a@b.test"],"tenant":"t","at":"yesterday"}"#, 422),
        ("complaints", r#"{"addresses":["a@b.test"],"tenant":"t","reason":"r"}"#, 422),
        ("engagements", r#"{"addresses":["x"]}"#, 400),
        ("engagements", r#"{"addresses":["a@b.test"],"at":"2999-01-01T00:00:00Z"}"#, 400),
        ("engagements", r#"{"addresses":"a@b.test"}"#, 422),
    ] {
        let (status, answer) = desk.post(&format!("/api/v1/{path}"), body).await;
        assert_eq!(
            (status, json(&answer)["error"].is_string()),
            (expected, true),
            "{body}: {answer}"
        );
    }
    let long = format!(
        r#"{{"addresses":["a@b.test"],"tenant":"t","source":"{}"}}"#,
        "x".repeat(desk::WORDS_MAX + 1)
    );
    assert_eq!(desk.post("/api/v1/complaints", &long).await.0, 400);
    let (_, body) = desk.get("/api/v1/stats").await;
    assert_eq!(json(&body)["learnt"], 0, "{body}");
}

#[tokio::test]
async fn m13_m14_bounces_are_listed_by_category_and_invalid_addresses_by_standing() {
    let desk = Desk::open().await;
    desk.bounce("gone@gmail.com").await;
    desk.post("/api/v1/blacklist", r#"{"address":"c@b.test","tenant":"acme","reason":"r"}"#).await;
    for (query, found) in [
        ("?category=user_unknown", true),
        ("?category=mailbox_full", false),
        ("?standing=quarantined_long_term", true),
        ("?standing=quarantined", false),
    ] {
        let (_, body) = desk.get(&format!("/api/v1/list{query}")).await;
        let rows = rows(&body);
        assert_eq!(rows.len(), usize::from(found), "{query}: {body}");
        for row in rows {
            assert_eq!(
                (&row["address"], &row["category"]),
                (&"gone@gmail.com".into(), &"user_unknown".into())
            );
            assert_eq!(row["cause"], "550 5.1.1 no such user", "{body}");
        }
    }
}

#[tokio::test]
async fn q16_the_blacklist_is_left_by_an_act_of_its_own_with_a_reason() {
    let desk = Desk::open().await;
    desk.bounce("a@gmail.com").await;
    desk.post("/api/v1/complaints", r#"{"addresses":["a@gmail.com"],"tenant":"acme"}"#).await;
    let release = |more: &str| format!(r#"{{"addresses":["a@gmail.com"],"tenant":"acme"{more}}}"#);
    let reason = async || {
        let (_, body) = desk.get("/api/v1/lookup?address=a%40gmail.com&tenant=acme").await;
        json(&body)["answers"][0]["reason"].clone()
    };
    for (more, expected) in [
        (r#","from":"blacklist""#, 422),
        (r#","from":"blacklist","reason":"  ""#, 400),
        (r#","reason":"asked by phone""#, 200),
    ] {
        let (status, body) = desk.post("/api/v1/release", &release(more)).await;
        assert_eq!((status, reason().await), (expected, "blacklist".into()), "{more}: {body}");
    }
    // On the blacklist of another tenant it is not.
    let other = r#"{"addresses":["a@gmail.com"],"tenant":"blue","from":"blacklist","reason":"r"}"#;
    let (_, body) = desk.post("/api/v1/release", other).await;
    assert_eq!(json(&body)["results"][0]["done"], false, "{body}");
    desk.bounce("a@gmail.com").await;
    let more = r#","from":"blacklist","reason":"Mr A. asked in writing","by":"eve""#;
    let (status, _) = desk.post("/api/v1/release", &release(more)).await;
    assert_eq!((status, reason().await), (200, "quarantine_long_term".into()));
    let (_, body) = desk.get("/api/v1/explain?address=a%40gmail.com&tenant=acme").await;
    assert!(body.contains("Mr A. asked in writing") && body.contains("eve"), "{body}");
}

#[tokio::test]
async fn q24_whether_one_address_is_in_quarantine() {
    let desk = Desk::open().await;
    desk.bounce("gone@gmail.com").await;
    for (address, standing) in
        [("gone%40gmail.com", "quarantined_long_term"), ("never.tried%40gmail.com", "clear")]
    {
        let (_, body) = desk.get(&format!("/api/v1/lookup?address={address}")).await;
        assert_eq!(json(&body)["answers"][0]["standing"], standing, "{body}");
    }
}
