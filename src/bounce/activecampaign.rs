//! ActiveCampaign's table of bounce codes, as data: `config/labels/activecampaign.tsv`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::smtp::status::EnhancedStatus;

/// What the table calls a hard bounce whose reply has no code.
pub const NO_CODE: EnhancedStatus = EnhancedStatus::new(9, 1, 1);

/// ActiveCampaign's two types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Bounced at once.
    Hard,
    /// Bounced at the third in a row.
    Soft,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its type.
    pub kind: Kind,
    /// What it means there, in our words.
    pub means: &'static str,
}

const TEXT: &str = include_str!("../../config/labels/activecampaign.tsv");

static TABLE: LazyLock<BTreeMap<EnhancedStatus, Row>> =
    LazyLock::new(|| TEXT.lines().filter_map(row).collect());

/// What the table says of a code; nothing if it does not list it.
pub fn listed(code: EnhancedStatus) -> Option<Row> {
    TABLE.get(&code).copied()
}

/// Every row, by code.
pub fn rows() -> impl Iterator<Item = (EnhancedStatus, Row)> {
    TABLE.iter().map(|(code, row)| (*code, *row))
}

/// Reads a line; comments are none. A test holds that no other line is lost.
fn row(line: &'static str) -> Option<(EnhancedStatus, Row)> {
    let mut fields = line.split('\t');
    let (code, kind, means) = (fields.next()?, fields.next()?, fields.next()?);
    let mut numbers = code.split('.');
    let class = numbers.next()?.parse().ok()?;
    let subject = numbers.next()?.parse().ok()?;
    let detail = numbers.next()?.parse().ok()?;
    let kind = match kind {
        "hard" => Kind::Hard,
        "soft" => Kind::Soft,
        _ => return None,
    };
    Some((EnhancedStatus::new(class, subject, detail), Row { kind, means }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a11_fifty_rows_seven_of_them_soft() {
        let lines = TEXT.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(
            (lines, rows().count()),
            (50, 50),
            "a line is malformed, or a code is there twice"
        );
        let soft: Vec<String> = rows()
            .filter(|(_, row)| row.kind == Kind::Soft)
            .map(|(code, _)| code.to_string())
            .collect();
        assert_eq!(soft, ["4.2.2", "5.2.0", "5.2.1", "5.2.2", "5.3.1", "5.4.5", "5.5.3"]);
        assert_eq!(listed(NO_CODE).map(|row| row.kind), Some(Kind::Hard));
    }

    #[test]
    fn what_is_not_listed() {
        for (class, subject, detail) in [
            (4, 1, 1),
            (4, 2, 1),
            (5, 1, 9),
            (5, 1, 10),
            (5, 4, 14),
            (5, 7, 8),
            (5, 7, 26),
            (5, 8, 0),
        ] {
            assert_eq!(listed(EnhancedStatus::new(class, subject, detail)), None);
        }
    }
}
