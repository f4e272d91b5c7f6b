//! The lists of each exporter, with own specimens.

use super::*;

#[test]
fn amazon_ses() {
    check(
        "{\"EmailAddress\":\"a@x.test\",\"Reason\":\"BOUNCE\",\"LastUpdateTime\":\"2020-04-10T21:03:05-07:00\"}\n\
         {\"EmailAddress\":\"b@x.test\",\"Reason\":\"COMPLAINT\",\"LastUpdateTime\":1586556185.5}\n",
        &[
            "a@x.test hard 2020-04-11T04:03:05Z shop [] quarantined_long_term",
            "b@x.test complaint 2020-04-10T22:03:05.500Z shop [] blacklisted",
        ],
    );
    let bulk = [
        "a@x.test hard - shop [] quarantined_long_term",
        "b@x.test complaint - shop [] blacklisted",
    ];
    check("a@x.test,BOUNCE\nb@x.test, COMPLAINT\n", &bulk);
    check(
        "{\"emailAddress\":\"a@x.test\",\"reason\":\"BOUNCE\"}\n{\"emailAddress\":\"b@x.test\",\"reason\":\"COMPLAINT\"}",
        &bulk,
    );
}

#[test]
fn sendgrid() {
    let bounces =
        "status,reason,email,created\n5.1.1,\"550 5.1.1 no, really\",a@x.test,1443651125\n";
    refused(bounces, &Wanted::default(), "--kind hard for bounces");
    check_with(
        bounces,
        &kind(ImportKind::Hard),
        &[
            "a@x.test hard 2015-09-30T22:12:05Z shop [5.1.1 550 5.1.1 no, really] quarantined_long_term",
        ],
    );
    check(
        "email,created,ip\na@x.test,1443651125,192.0.2.1\n",
        &["a@x.test complaint 2015-09-30T22:12:05Z shop [] blacklisted"],
    );
    check(
        "email,reason,created\na@x.test,Mail domain is unknown,1443651125\n",
        &["a@x.test hard 2015-09-30T22:12:05Z shop [Mail domain is unknown] quarantined_long_term"],
    );
    // An address and a date, which any list may be: only the operator knows what it lists.
    refused("email,created\na@x.test,1443651125\n", &Wanted::default(), "say --kind KIND");
}

#[test]
fn mailgun() {
    check(
        "address,code,error,created_at\na@x.test,550,No such mailbox,\"Mon, 06 May 2024 18:11:58 UTC\"\n\
         b@x.test,550,,\"Mon, 01 Jan 0001 00:00:00 UTC\"\n",
        &[
            "a@x.test hard 2024-05-06T18:11:58Z shop [550 No such mailbox] quarantined_long_term",
            "b@x.test hard - shop [550] quarantined_long_term",
        ],
    );
    check(
        "{\"address\":\"a@x.test\",\"tags\":[\"*\"],\"created_at\":\"Tue, 07 Jan 2025 19:25:45 UTC\"}\n",
        &["a@x.test unsubscribe 2025-01-07T19:25:45Z shop [*] blacklisted"],
    );
}

#[test]
fn a_reply_of_class_4_is_never_hard() {
    check(
        "address,code,error,created_at\n\
         a@x.test,421,Try again,\"Mon, 06 May 2024 18:11:58 UTC\"\n\
         b@x.test,452,4.2.2 full,\n",
        &["a@x.test over_already", "b@x.test soft - shop [452 4.2.2 full] quarantined"],
    );
    let check = |detail: &str, transient: bool| {
        assert_eq!(crate::exchange::plan::is_transient(detail), transient, "{detail}");
    };
    check("421 later", true);
    check("450-4.2.1 later", true);
    check("4.2.2 452 full", true);
    check("550 5.1.1 no", false);
    check("5.4.4", false);
    check("42 is no code", false);
    check("4711", false);
    check("4.2", false);
    check("", false);
}

#[test]
fn sparkpost() {
    let row = |source: &str| {
        format!(
            "a@x.test,non_transactional,{source},why,2017-10-01T12:00:00+00:00,2017-10-01T12:00:00+00:00\n"
        )
    };
    let head = "recipient,type,source,description,created,updated\n";
    let rows = [
        "Bounce Rule",
        "Spam Complaint",
        "List Unsubscribe",
        "Unsubscribe Link",
        "Manually Added",
        "Compliance",
    ];
    let text: String = std::iter::once(head.to_owned()).chain(rows.map(row)).collect();
    let is = |kind: &str, becomes: &str| {
        format!("a@x.test {kind} 2017-10-01T12:00:00Z shop [why] {becomes}")
    };
    let expected = [
        is("hard", "quarantined_long_term"),
        is("complaint", "blacklisted"),
        is("unsubscribe", "blacklisted"),
        is("unsubscribe", "blacklisted"),
        is("blocked", "quarantined_long_term"),
        is("blocked", "quarantined_long_term"),
    ];
    check(&text, &expected.each_ref().map(String::as_str));
}

#[test]
fn postmark() {
    let row = |reason: &str, origin: &str| {
        format!(
            "{{\"EmailAddress\":\"a@x.test\",\"SuppressionReason\":\"{reason}\",\"Origin\":\"{origin}\",\"CreatedAt\":\"2019-12-17T08:58:33-05:00\"}}\n"
        )
    };
    let text = [
        row("HardBounce", "Recipient"),
        row("SpamComplaint", "Recipient"),
        row("ManualSuppression", "Recipient"),
        row("ManualSuppression", "Customer"),
        row("ManualSuppression", "Admin"),
    ];
    check(
        &text.concat(),
        &[
            "a@x.test hard 2019-12-17T13:58:33Z shop [] quarantined_long_term",
            "a@x.test complaint 2019-12-17T13:58:33Z shop [] blacklisted",
            "a@x.test unsubscribe 2019-12-17T13:58:33Z shop [] blacklisted",
            "a@x.test blocked 2019-12-17T13:58:33Z shop [] quarantined_long_term",
            "a@x.test blocked 2019-12-17T13:58:33Z shop [] quarantined_long_term",
        ],
    );
}

#[test]
fn mailchimp() {
    check(
        "\"Email Address\",\"First Name\",MEMBER_RATING,OPTIN_TIME,CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,LEID,EUID\n\
         a@x.test,\"Ann, really\",2,\"2020-01-01 08:00:00\",\"2024-03-01 09:00:00\",Spring,1,f00\n",
        &["a@x.test hard 2024-03-01T09:00:00Z shop [Spring] quarantined_long_term"],
    );
    check(
        "Email Address,MEMBER_RATING,OPTIN_TIME,UNSUB_TIME,UNSUB_REASON,LEID,EUID\n\
         a@x.test,2,,2024-03-01 09:00:00,NORMAL,1,f00\n",
        &["a@x.test unsubscribe 2024-03-01T09:00:00Z shop [NORMAL] blacklisted"],
    );
    check(
        "Email Address,MEMBER_RATING,OPTIN_TIME,LEID,EUID\na@x.test,2,2020-01-01 08:00:00,1,f00\n",
        &["a@x.test active_without_reset"],
    );
    check(
        "{\"email_address\":\"a@x.test\",\"status\":\"cleaned\",\"last_changed\":\"2024-03-01T09:00:00+00:00\"}\n\
         {\"email_address\":\"b@x.test\",\"status\":\"pending\",\"last_changed\":\"2024-03-01T09:00:00+00:00\"}\n",
        &["a@x.test hard 2024-03-01T09:00:00Z shop [] quarantined_long_term", "b@x.test skipped"],
    );
}

#[test]
fn brevo() {
    let row = |code: &str| {
        format!(
            "{{\"blockedAt\":\"2017-05-01T12:30:00Z\",\"email\":\"a@x.test\",\"reason\":{{\"code\":\"{code}\",\"message\":\"why\"}},\"senderEmail\":\"s@y.test\"}}\n"
        )
    };
    let codes = [
        "hardBounce",
        "contactFlaggedAsSpam",
        "unsubscribedViaMA",
        "unsubscribedViaEmail",
        "unsubscribedViaApi",
        "adminBlocked",
    ];
    let is = |kind: &str, becomes: &str| {
        format!("a@x.test {kind} 2017-05-01T12:30:00Z shop [why] {becomes}")
    };
    let expected = [
        is("hard", "quarantined_long_term"),
        is("complaint", "blacklisted"),
        is("unsubscribe", "blacklisted"),
        is("unsubscribe", "blacklisted"),
        is("unsubscribe", "blacklisted"),
        is("blocked", "quarantined_long_term"),
    ];
    check(&codes.map(row).concat(), &expected.each_ref().map(String::as_str));
}

#[test]
fn a_heading_in_plain_words_needs_no_mapping() {
    let expected = ["a@x.test hard 2024-03-01T00:00:00Z shop [550 no] quarantined_long_term"];
    for heading in [
        "address,kind,at,reason",
        "Email,Type,Date,Why",
        "E-Mail Address,Status,Created_At,Description",
        "recipient,bounce type,TIMESTAMP,Error",
    ] {
        check(&format!("{heading}\na@x.test,hard,2024-03-01,550 no\n"), &expected);
    }
    // What has no name that is known is not read.
    check(
        "first name;email;until;status;tenant;category\n\
         Eve;a@x.test;2026-03-01;soft;t1;mailbox_full\n",
        &["a@x.test soft - t1 [] quarantined"],
    );
    let form = |text: &str, wanted: &Wanted| {
        Reader::open(text.as_bytes(), wanted).expect("a form").form().to_owned()
    };
    let named = "name,Email,kind,score\n";
    assert_eq!(form(named, &Wanted::default()), "table with a heading (not read: name, score)");
    assert_eq!(form("email,kind\n", &Wanted::default()), "table with a heading");
    assert_eq!(form(named, &columns(&["address=Email", "kind=kind"])), "columns as told");
    let hard = ["a@x.test hard - shop [] quarantined_long_term"];
    check_with("Email,First name\na@x.test,Eve\n", &kind(ImportKind::Hard), &hard);
    refused("Email,First name\na@x.test,Eve\n", &Wanted::default(), "say --kind KIND");
    refused("email,recipient,kind\na@x.test,b@x.test,hard\n", &Wanted::default(), "no exporter");
    refused("name,kind\na@x.test,hard\n", &Wanted::default(), "no exporter");
    refused("{\"address\":\"a@x.test\",\"kind\":\"hard\"}\n", &Wanted::default(), "no exporter");
    let ses = Wanted { format: Some(Format::Ses), ..Wanted::default() };
    refused("address,kind\na@x.test,hard\n", &ses, "no file of ses");
}

/// What looks like the file of an exporter, and is none: it is told, not guessed at.
#[test]
fn nearly_is_not_a_form() {
    let mailgun = "address,code,error,created_at\na@x.test,550,no,2024-01-01\n";
    let ses = Wanted { format: Some(Format::Ses), ..Wanted::default() };
    refused(mailgun, &ses, "no file of ses that is known has these columns");
    let own = Wanted { format: Some(Format::Mailgun), ..Wanted::default() };
    assert_eq!(read_with(mailgun.as_bytes(), &own, &terms()).expect("a form").len(), 1);
    // With a column more it is any list, of which nothing says what its rows are.
    let more = [
        "email,created,reason,list\na@x.test,1,no,news\n",
        "email,created,ip,list\na@x.test,1,::1,news\n",
    ];
    for list in more {
        refused(list, &Wanted::default(), "say --kind KIND");
    }
    // Without a heading the values tell.
    refused("a@x.test,Ann\n", &Wanted::default(), "no exporter");
    check("a@x.test,BOUNCE\n", &["a@x.test hard - shop [] quarantined_long_term"]);
}
