//! To whom it is told how a build ended.
//!
//! # Laws
//! - An address hears once.
//! - A person whose address nobody knows hears nothing, and that keeps nobody else from hearing.
//!
//! # Not here
//! Of which builds it is told (`ended`). Who wrote the changes of a build: this version knows no changes.
//!
//! # Source
//! Behaviour: Buildbot 4.3.0, `reporters.MailNotifier` and `utils.getResponsibleUsersForBuild`.

use std::collections::BTreeSet;

use tracing::warn;

use crate::{
    definition::{Address, Hook, HookArgument, HookCall, Hooks, Lookup, Mailbox, ReporterDefinition, Worth},
    model::PropertyValue,
    store::FinishedBuild,
};

/// Those to whom a reporter tells of a build, by address.
pub async fn recipients(
    reporter: &ReporterDefinition,
    build: &FinishedBuild,
    hooks: &dyn Hooks,
) -> Vec<Address> {
    let mut all: BTreeSet<Address> = reporter.extra_recipients.iter().cloned().collect();
    if reporter.tells_interested_users {
        for person in interested(build) {
            all.extend(address_of(reporter, &person, hooks).await);
        }
    }
    all.into_iter().collect()
}

/// The people behind a build: its `owner`, and its `owners`.
fn interested(build: &FinishedBuild) -> BTreeSet<String> {
    let owners = build.properties.get("owners").and_then(PropertyValue::as_array).into_iter().flatten();
    let owner = build.properties.get("owner").into_iter();
    let names = owner.chain(owners).filter_map(PropertyValue::as_str).map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

async fn address_of(reporter: &ReporterDefinition, person: &str, hooks: &dyn Hooks) -> Option<Address> {
    if let Some(Lookup::Function(hook)) = &reporter.lookup {
        return match asked(hook, person, hooks).await {
            Ok(address) => address,
            Err(why) => {
                warn!(reporter = %reporter.name, source = %hook.place, person, "`lookup` {why}");
                None
            }
        };
    }
    if let Ok(mailbox) = Mailbox::parse(person) {
        return Some(mailbox.address);
    }
    let Some(Lookup::Domain(domain)) = &reporter.lookup else { return None };
    Address::new(&format!("{person}@{domain}")).ok()
}

/// What a function says of a person; nothing if it knows no address.
async fn asked(hook: &Hook, person: &str, hooks: &dyn Hooks) -> Result<Option<Address>, String> {
    let arguments = vec![HookArgument::Value(person.into())];
    let answer = hooks.call(HookCall { hook: hook.id, arguments }).await;
    match answer.map_err(|error| format!("failed: {error}"))? {
        Worth::Plain(PropertyValue::Null | PropertyValue::Bool(false)) => Ok(None),
        Worth::Plain(PropertyValue::String(text)) => match Mailbox::parse(&text) {
            Ok(mailbox) => Ok(Some(mailbox.address)),
            Err(error) => Err(format!("returned no address: {error}")),
        },
        _ => Err("must return an address, or nil".to_owned()),
    }
}
