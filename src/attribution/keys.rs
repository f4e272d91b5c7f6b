//! The keys of a message: what tells messages apart, and what makes a campaign of them.

use super::pattern::{AddressPattern, Match};

/// Longest name of a header field, in bytes.
const NAME_MAX: usize = 76;

/// Where a key is read. The first source that has one decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// XFORWARD IDENT with the client's address: the queue id of the client.
    Xforward,
    /// ENVID of RFC 3461.
    Envid,
    /// The part of the envelope sender at `{}`.
    Sender(AddressPattern),
    /// A header field; its name in lower case. Known behind DATA only.
    Header(String),
}

/// Where the keys of messages are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    message: Vec<KeySource>,
    campaign: Vec<KeySource>,
}

/// What an envelope shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signs<'a> {
    /// The client's address, which makes its queue ids unique.
    pub client: &'a str,
    /// XFORWARD IDENT.
    pub ident: Option<&'a str>,
    /// ENVID, as it was sent.
    pub envid: Option<&'a str>,
    /// The envelope sender without angle brackets, its local part unquoted; the null sender is empty.
    pub sender: &'a str,
}

impl KeySource {
    /// Reads `xforward`, `envid`, `sender:bounce-{}@*`, `header:X-Campaign`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "xforward" => Ok(Self::Xforward),
            None if text == "envid" => Ok(Self::Envid),
            Some(("sender", pattern)) => {
                let pattern = AddressPattern::parse(pattern)?;
                if !pattern.has_part() {
                    return Err(
                        "the pattern says with {} which part of the sender it is".to_owned()
                    );
                }
                Ok(Self::Sender(pattern))
            }
            Some(("header", name)) if is_field_name(name) => {
                Ok(Self::Header(name.to_ascii_lowercase()))
            }
            Some(("header", _)) => Err("expected the name of a header field".to_owned()),
            Some(_) | None => {
                Err("expected \"xforward\", \"envid\", \"sender:PATTERN\" or \"header:NAME\""
                    .to_owned())
            }
        }
    }

    fn read(&self, signs: &Signs<'_>) -> Option<String> {
        match self {
            Self::Xforward => signs.ident.map(|ident| format!("{}/{ident}", signs.client)),
            Self::Envid => signs.envid.map(|envid| format!("envid/{envid}")),
            Self::Sender(pattern) => match pattern.find(signs.sender)? {
                Match::Part(part) => Some(format!("sender/{part}")),
                Match::Whole => None,
            },
            Self::Header(_) => None,
        }
    }
}

impl Keys {
    /// Keys that are read in these places, in order; what is not given stays.
    ///
    /// # Errors
    /// A header cannot be the key of a message: a recipient is refused before there is one.
    pub fn with(
        self,
        message: Option<Vec<KeySource>>,
        campaign: Option<Vec<KeySource>>,
    ) -> Result<Self, String> {
        let message = message.unwrap_or(self.message);
        let campaign = campaign.unwrap_or(self.campaign);
        if message.iter().any(|source| matches!(source, KeySource::Header(_))) {
            return Err("a header comes too late: most recipients are refused before there is one"
                .to_owned());
        }
        Ok(Self { message, campaign })
    }

    /// The key of the message. None: messages are told apart by sender, recipient and time.
    pub fn message(&self, signs: &Signs<'_>) -> Option<String> {
        self.message.iter().find_map(|source| source.read(signs))
    }

    /// The campaign, as far as the envelope tells it. None: the header's word, else sender and day.
    pub fn campaign(&self, signs: &Signs<'_>) -> Option<String> {
        self.campaign.iter().find_map(|source| source.read(signs))
    }

    /// The header fields, in order and in lower case, whose word on the campaign goes before what this envelope says of it.
    pub fn headers(&self, signs: &Signs<'_>) -> impl Iterator<Item = &str> {
        let asked = self.campaign.iter().take_while(|source| source.read(signs).is_none());
        asked.filter_map(|source| match source {
            KeySource::Header(name) => Some(name.as_str()),
            KeySource::Xforward | KeySource::Envid | KeySource::Sender(_) => None,
        })
    }
}

/// The client's queue id tells messages apart, else ENVID, which tells campaigns apart too.
impl Default for Keys {
    fn default() -> Self {
        Self {
            message: vec![KeySource::Xforward, KeySource::Envid],
            campaign: vec![KeySource::Envid],
        }
    }
}

/// Whether a campaign is the one that somebody means: by its whole key, or by its name alone, `spring` for `sender/spring`.
pub fn is_campaign(key: &str, meant: &str) -> bool {
    key == meant || key.split_once('/').is_some_and(|(_, name)| name == meant)
}

/// RFC 5322 §2.2: printable ASCII without the colon.
fn is_field_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}
