//! Times as exporters write them. Those without a zone are taken as UTC.

use std::time::Duration;

use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

use crate::time::Timestamp;

/// Dates that stand for "unknown" in more than one exporter, and a day around them, as zones move them: zero, and the year 1.
const UNKNOWN: [Timestamp; 2] = [Timestamp::from_secs(0), Timestamp::from_secs(-62_135_596_800)];
const DAY: Duration = Duration::from_secs(86_400);
/// Numbers from here on are milliseconds: as seconds this would be the year 5138.
const MILLIS_FROM: f64 = 1e11;

/// Reads a time, of any year that can be written; `None` when the text stands for "unknown".
///
/// Understood: seconds or milliseconds since 1970; RFC 3339; `2019-11-29 16:36:40`, with or without `UTC`; `2019-11-29`; RFC 2822.
/// Dates with slashes are not: 03/04/2024 is two days.
///
/// # Errors
/// Says what is wrong with it.
pub fn read(text: &str) -> Result<Option<Timestamp>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let known = || number(text).or_else(|| text.parse().ok()).or_else(|| civil(text));
    let at = match known() {
        Some(at) => Some(at),
        None => mail(text)?,
    };
    let unknown =
        |at: Timestamp| UNKNOWN.iter().any(|zero| at.since(*zero) <= DAY && zero.since(at) <= DAY);
    match at {
        Some(at) => Ok(Some(at).filter(|at| !unknown(*at))),
        None if text.contains('/') => Err(SLASHES.to_owned()),
        None => Err("not a time that is understood: write it as 2026-11-23T10:00:00Z".to_owned()),
    }
}

const SLASHES: &str =
    "a date with slashes is read differently here and there: write it as 2026-11-23";

fn number(text: &str) -> Option<Timestamp> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+'))
    {
        return None;
    }
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    let millis = if number < MILLIS_FROM { number * 1000.0 } else { number };
    // Saturates; what is far in the future is refused as that.
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of milliseconds is wanted")]
    Some(Timestamp::from_millis(millis.round() as i64))
}

fn civil(text: &str) -> Option<Timestamp> {
    let bare = ["UTC", "GMT"].into_iter().find_map(|zone| text.strip_suffix(zone));
    let civil: DateTime = bare.unwrap_or(text).trim_end().parse().ok()?;
    let at = civil.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp::from_millis(at.as_millisecond()))
}

/// RFC 5322 §3.3; `UTC` is no zone there, and Mailgun writes it. `None` for what is no such date at all.
///
/// # Errors
/// It is one, and the weekday is another: which of the two is wrong nobody can tell.
fn mail(text: &str) -> Result<Option<Timestamp>, String> {
    let text =
        text.strip_suffix("UTC").map_or_else(|| text.to_owned(), |bare| format!("{bare}GMT"));
    let at = |zoned: Zoned| Timestamp::from_millis(zoned.timestamp().as_millisecond());
    if let Ok(zoned) = rfc2822::parse(&text) {
        return Ok(Some(at(zoned)));
    }
    let lenient = rfc2822::DateTimeParser::new().relaxed_weekday(true);
    let Ok(zoned) = lenient.parse_zoned(&text) else { return Ok(None) };
    Err(format!("the weekday does not fit the date: that day is a {}", zoned.strftime("%A")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_of_the_exporters_are_understood() {
        let check = |text: &str, expected: &str| {
            let at = read(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(at.map(|at| at.to_string()).unwrap_or_default(), expected, "{text}");
        };
        check("1443651125", "2015-09-30T22:12:05Z");
        check("1443651125.5", "2015-09-30T22:12:05.500Z");
        check("1.443651125E9", "2015-09-30T22:12:05Z");
        check("1443651125000", "2015-09-30T22:12:05Z");
        check("2020-04-10T21:03:05-07:00", "2020-04-11T04:03:05Z");
        check("2020-04-10T21:03:05.123456+00:00", "2020-04-10T21:03:05.123Z");
        check("2017-05-01T12:30:00Z", "2017-05-01T12:30:00Z");
        check("2019-11-29 16:36:40 UTC", "2019-11-29T16:36:40Z");
        check(" 2024-03-01 09:00:00 ", "2024-03-01T09:00:00Z");
        check("2024-03-01", "2024-03-01T00:00:00Z");
        check("Mon, 06 May 2024 18:11:58 UTC", "2024-05-06T18:11:58Z");
        check("Mon, 6 May 2024 18:11:58 +0200", "2024-05-06T16:11:58Z");
        for unknown in [
            "",
            "  ",
            "0",
            "Mon, 01 Jan 0001 00:00:00 UTC",
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:00:00Z",
        ] {
            check(unknown, "");
        }
        // Whoever asks says from which year on it makes sense.
        check("1971-03-01", "1971-03-01T00:00:00Z");
        for bad in ["yesterday", "03/04/2024", "12:00", "2024-13-01", "-5", "1e999", "inf", "NaN"] {
            assert!(read(bad).is_err(), "{bad}: {:?}", read(bad));
        }
    }

    #[test]
    fn a_wrong_weekday_is_called_one() {
        let why = read("Tue, 06 May 2024 18:11:58 +0000").expect_err("a Monday");
        assert_eq!(why, "the weekday does not fit the date: that day is a Monday");
        let why = read("Tue, 32 May 2024 18:11:58 +0000").expect_err("no date");
        assert!(why.starts_with("not a time"), "{why}");
    }
}
