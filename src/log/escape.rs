//! Text from strangers, made harmless to show.

use std::fmt::Write as _;

/// Characters of one value that are shown.
pub(super) const VALUE_MAX: usize = 1024;

/// Letters and symbols by class that nevertheless show nothing: Hangul fillers and the blank Braille pattern.
const BLANKS: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];

/// Whether a character shows itself where it stands and nowhere else: no control, no invisible, no direction mark, no
/// combining mark, no blank but the space.
pub fn shows(character: char) -> bool {
    match character {
        ' '..='~' => true,
        _ if BLANKS.contains(&character) => false,
        // The standard library knows which characters print: the rest it escapes.
        _ => !character.is_ascii() && character.escape_debug().len() == 1,
    }
}

/// The text as one harmless line: `\n`, `\u{1b}` and the like for whatever does not show itself, cut at `max` characters.
pub fn visible(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    for (index, character) in text.chars().enumerate() {
        if index == max {
            shown.push('…');
            break;
        }
        push(&mut shown, character);
    }
    shown
}

fn push(shown: &mut String, character: char) {
    if shows(character) {
        shown.push(character);
    } else {
        shown.extend(character.escape_default());
    }
}

/// What an octet of a value asks for: nothing, quotes around the value, or a closer look at its characters.
const ASKS: [u8; 256] = asks();
const QUOTES: u8 = 1;
const CLOSER_LOOK: u8 = 2;

const fn asks() -> [u8; 256] {
    let mut table = [CLOSER_LOOK; 256];
    let mut octet = b' ';
    while octet <= b'~' {
        #[expect(
            clippy::indexing_slicing,
            reason = "an octet is within 256, and this runs at compile time"
        )]
        {
            table[octet as usize] = match octet {
                b'"' | b'\\' => CLOSER_LOOK,
                b' ' | b'=' => QUOTES,
                _ => 0,
            };
        }
        octet += 1;
    }
    table
}

/// What the octets of a value ask for together. Nearly all values are short and plain, and need not be taken apart.
fn asked(value: &str) -> u8 {
    if value.len() > VALUE_MAX {
        return CLOSER_LOOK;
    }
    let ask = |octet: u8| ASKS.get(usize::from(octet)).copied().unwrap_or(CLOSER_LOOK);
    value.bytes().fold(0, |all, octet| all | ask(octet))
}

/// Appends a value of a `key=value` line; in quotes unless it is one plain word.
pub(super) fn push_text_value(line: &mut String, value: &str) {
    match asked(value) {
        0 if !value.is_empty() => return line.push_str(value),
        0 | QUOTES => {
            line.push('"');
            line.push_str(value);
            return line.push('"');
        }
        _ => {}
    }
    let plain = |character: char| shows(character) && !matches!(character, ' ' | '"' | '=' | '\\');
    if value.chars().nth(VALUE_MAX).is_none() && value.chars().all(plain) {
        line.push_str(value);
        return;
    }
    line.push('"');
    for (index, character) in value.chars().enumerate() {
        match character {
            _ if index == VALUE_MAX => {
                line.push('…');
                break;
            }
            '"' | '\\' => line.extend(['\\', character]),
            _ => push(line, character),
        }
    }
    line.push('"');
}

/// Appends a JSON string. JSON itself asks for less: a terminal that shows the log asks for the rest.
pub(super) fn push_json_string(line: &mut String, value: &str) {
    line.push('"');
    if asked(value) & CLOSER_LOOK == 0 {
        line.push_str(value);
        line.push('"');
        return;
    }
    for (index, character) in value.chars().enumerate() {
        match character {
            _ if index == VALUE_MAX => {
                line.push('…');
                break;
            }
            '"' | '\\' => line.extend(['\\', character]),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            _ if shows(character) => line.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    _ = write!(line, "\\u{unit:04x}");
                }
            }
        }
    }
    line.push('"');
}
