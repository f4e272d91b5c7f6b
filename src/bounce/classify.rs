//! From a reply to its meaning. (To be written: the interface stands.)

use std::sync::Arc;

use super::{Category, Effect, Scope, Stage};
use crate::smtp::reply::Reply;

/// What a reply means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classification {
    /// Why.
    pub category: Category,
    /// Whom it is about.
    pub scope: Scope,
    /// What it can do: `none` unless the scope is the recipient or its domain.
    pub effect: Effect,
    /// The rule that decided.
    pub rule: Arc<str>,
}

/// The compiled rules.
#[derive(Debug)]
pub struct Classifier {}

impl Classifier {
    /// The rules that come with the program.
    pub fn builtin() -> Self {
        Self {}
    }

    /// Classifies one reply. `recipients` is the number of recipients that the reply is about (for a reply after DATA, those accepted).
    pub fn classify(
        &self,
        _stage: Stage,
        _reply: &Reply,
        _recipients: u32,
        _receiver: Option<&str>,
    ) -> Classification {
        Classification {
            category: Category::Undetermined,
            scope: Scope::Message,
            effect: Effect::None,
            rule: "none".into(),
        }
    }
}
