//! Whose mail a message is, and of which mailing: tenant, campaign, and the key that joins the attempts of one message.
//!
//! All of it is read off the envelope as the client sends it, but for a header that names the campaign: that one is known only
//! when the content has passed, and so only to outcomes behind DATA.

mod headers;
mod keys;
mod pattern;
mod tenants;

pub use headers::HeaderWatch;
pub use keys::{KeySource, Keys, Signs, is_campaign};
pub use pattern::{AddressPattern, Match};
pub use tenants::{TenantRule, Tenants};

#[cfg(test)]
mod tests;
