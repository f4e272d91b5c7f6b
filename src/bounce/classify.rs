//! From a reply to its meaning.
//!
//! The order of questions (what each is worth was measured on real replies): the class digit, the stage, then the text of the
//! innermost reply, and only then the codes. Whatever is not understood is `undetermined` and does nothing: a missed bounce
//! costs one more bounce, a false one takes a living person off every list.

mod specimens;

use std::sync::{Arc, LazyLock};

use super::normalize::{Normal, normalize};
use super::rules::{self, Counts, Draft, Hit, Rule, RuleFault, Rules};
use super::{Category, Effect, Scope, Stage};
use crate::smtp::reply::{Reply, Severity};

pub use super::normalize::{read_reply, status_of};

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

/// The compiled rules; cheap to clone.
#[derive(Clone, Debug)]
pub struct Classifier {
    rules: Arc<Rules>,
}

/// The rules that come with the program.
pub const BUILTIN: &str = include_str!("../../config/classification.toml");

static COMPILED: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    // The file is part of the program, and a test takes it through `from_toml`, which tells every fault.
    Arc::new(rules::compile(BUILTIN, None).rules)
});

impl Classifier {
    /// The rules that come with the program.
    pub fn builtin() -> Self {
        Self { rules: COMPILED.clone() }
    }

    /// The rules of a file in the form of `config/classification.toml`, and no others.
    ///
    /// # Errors
    /// As [`Classifier::with_own`].
    pub fn from_toml(text: &str) -> Result<Self, Vec<RuleFault>> {
        Self::checked(rules::compile(text, None))
    }

    /// The rules of an operator's file in the same form, and behind them the built-in ones that it does not turn off. With
    /// `replace = true` the file stands alone.
    ///
    /// # Errors
    /// Every fault with its line: what does not parse or compile, a rule that can never win, every specimen that its rule does not
    /// win (with the rule that does) or wins and must not, and a rule that takes specimens of a built-in one and does not say so.
    pub fn with_own(text: &str) -> Result<Self, Vec<RuleFault>> {
        Self::checked(rules::compile(text, Some(&COMPILED)))
    }

    fn checked(mut draft: Draft) -> Result<Self, Vec<RuleFault>> {
        let classifier = Self { rules: Arc::new(std::mem::take(&mut draft.rules)) };
        let shown = specimens::faults(&classifier, &draft);
        let dead = draft.dead();
        let mut faults = draft.faults;
        faults.extend(dead.into_iter().chain(shown));
        faults.sort_by_key(|fault| fault.line);
        if faults.is_empty() { Ok(classifier) } else { Err(faults) }
    }

    /// Classifies one reply. `recipients` is the number of recipients that the reply is about (for a reply after DATA, those accepted).
    /// `receiver` is the name of the host that gave it; a port may follow.
    pub fn classify(
        &self,
        stage: Stage,
        reply: &Reply,
        recipients: u32,
        receiver: Option<&str>,
    ) -> Classification {
        match before_words(stage, reply) {
            Some(found) => found,
            None => self.read(stage, reply, receiver).meaning(recipients),
        }
    }

    /// Reads the words of a refusal, and its codes.
    pub(super) fn read(&self, stage: Stage, reply: &Reply, receiver: Option<&str>) -> Reading<'_> {
        let normal = normalize(reply);
        // A report of what another host said at MAIL is about the sender, wherever the report itself comes up.
        let stage = normal.stage.unwrap_or(stage);
        let decisive = self.hit(&normal, stage, receiver);
        Reading { normal, stage, decisive }
    }

    /// How many rules there are, and whose.
    pub fn counts(&self) -> Counts {
        self.rules.counts()
    }

    /// The rules' names, in order of precedence.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.rules.names()
    }

    pub(super) fn compiled(&self) -> &Rules {
        &self.rules
    }

    /// What can be said of a reply without any code: nothing.
    pub fn without_code() -> Classification {
        nothing("no-code")
    }

    /// Text decides before codes, and the quoted reply before the one that quotes it.
    fn hit(&self, normal: &Normal, stage: Stage, receiver: Option<&str>) -> Option<Decisive<'_>> {
        let layers = normal.layers.iter().enumerate();
        let hits: Vec<_> = layers
            .filter_map(|(layer, text)| Some((layer, self.rules.find(text, stage, receiver)?)))
            .collect();
        let whole = hits.last().filter(|(_, hit)| hit.rule.whole);
        whole.or_else(|| hits.iter().find(|(_, hit)| hit.by_text)).or_else(|| hits.first()).copied()
    }
}

/// The place of a layer among the layers, and the rule that decided by it.
pub(super) type Decisive<'a> = (usize, Hit<'a>);

/// A refusal that was read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) normal: Normal,
    /// The command that was answered, which the text may tell better.
    pub(super) stage: Stage,
    pub(super) decisive: Option<Decisive<'a>>,
}

impl Reading<'_> {
    /// What it means.
    pub(super) fn meaning(&self, recipients: u32) -> Classification {
        let Some((_, hit)) = self.decisive else { return nothing("none") };
        let category = category_at(self.stage, hit.rule.category, self.normal.transient);
        let scope = scope_at(self.stage, category, recipients, hit);
        let effect = match scope {
            Scope::Recipient | Scope::Domain => category.effect(),
            Scope::Session | Scope::Message => Effect::None,
        };
        Classification { category, scope, effect, rule: hit.rule.name.clone() }
    }
}

/// What is known without a look at the words.
pub(super) fn before_words(stage: Stage, reply: &Reply) -> Option<Classification> {
    match reply.severity() {
        Severity::Completion | Severity::Intermediate => Some(nothing("not-a-failure")),
        Severity::Transient | Severity::Permanent => {
            (stage == Stage::Lookup).then(|| no_mail_there(reply))
        }
    }
}

/// What DNS itself says of a domain: that it does not exist (RFC 3463 X.1.2), or takes no mail (RFC 7505).
fn no_mail_there(reply: &Reply) -> Classification {
    if reply.severity() != Severity::Permanent {
        return nothing("lookup-failed");
    }
    let category = Category::DomainUnknown;
    let null = reply.status.is_some_and(|status| (status.subject, status.detail) == (1, 10));
    let rule = if null { "dns-null-mx" } else { "dns-no-such-domain" };
    Classification { category, scope: Scope::Domain, effect: category.effect(), rule: rule.into() }
}

fn nothing(rule: &str) -> Classification {
    Classification {
        category: Category::Undetermined,
        scope: Scope::Message,
        effect: Effect::None,
        rule: rule.into(),
    }
}

/// The category after class digit and stage have had their say.
fn category_at(stage: Stage, category: Category, transient: bool) -> Category {
    match (stage, category) {
        // Before RCPT nobody but the sender can be unknown.
        (
            Stage::Lookup
            | Stage::Connect
            | Stage::Ehlo
            | Stage::Starttls
            | Stage::Auth
            | Stage::Mail,
            Category::UserUnknown | Category::DomainUnknown,
        ) => Category::AuthFailed,
        // A 4yz is never hard: the receiver itself says that it does not know yet.
        (_, Category::UserUnknown | Category::DomainUnknown | Category::Undetermined)
            if transient =>
        {
            Category::Deferred
        }
        (_, category) => category,
    }
}

/// Whom a reply is about.
fn scope_at(stage: Stage, category: Category, recipients: u32, hit: Hit<'_>) -> Scope {
    let scope = scope_of(hit.rule, category);
    match stage {
        Stage::Lookup
        | Stage::Connect
        | Stage::Ehlo
        | Stage::Starttls
        | Stage::Auth
        | Stage::Rset
        | Stage::Quit => Scope::Session,
        Stage::Mail => Scope::Message,
        Stage::Rcpt | Stage::Dsn => scope,
        // The answer to a message is an answer to all its recipients, and a code alone may be about its content.
        Stage::Data | Stage::EndOfData if recipients == 1 && hit.by_text => scope,
        Stage::Data | Stage::EndOfData => match scope {
            Scope::Session => Scope::Session,
            Scope::Message | Scope::Domain | Scope::Recipient => Scope::Message,
        },
    }
}

fn scope_of(rule: &Rule, category: Category) -> Scope {
    rule.scope.unwrap_or(match category {
        Category::UserUnknown
        | Category::MailboxFull
        | Category::MailboxInactive
        | Category::Deferred
        | Category::Undetermined
        | Category::Complaint
        | Category::AutoReply => Scope::Recipient,
        Category::DomainUnknown => Scope::Domain,
        Category::Throttled | Category::Technical => Scope::Session,
        Category::Blocked
        | Category::AuthFailed
        | Category::SpamContent
        | Category::MessageRejected
        | Category::Policy => Scope::Message,
    })
}

#[cfg(test)]
mod tests;
