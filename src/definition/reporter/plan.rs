//! What changing a reporter costs: nothing, it is read at the next mail.

use std::fmt::Display;

use super::{BuildMails, Lookup, MissingGenerator, ReporterDefinition, WatchedWorkers};
use crate::{
    definition::{
        plan::{Cost, FieldChange, Planned, changes},
        shown::Shown,
    },
    model::Place,
};

impl Planned for ReporterDefinition {
    const NOUN: &'static str = "reporter";

    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = changes!(self, new;
            "relayhost" relay_host InPlace,
            "extraHeaders" extra_headers InPlace,
        );
        out.extend(change("fromaddr", &self.from, &new.from, ToString::to_string));
        out.extend(change("smtpPort", &self.port, &new.port, ToString::to_string));
        out.extend(change("useTls", &self.security, &new.security, ToString::to_string));
        let (users, told) = (&self.tells_interested_users, &new.tells_interested_users);
        out.extend(change("sendToInterestedUsers", users, told, ToString::to_string));
        out.extend(change("dumpMailsToLog", &self.logs_mails, &new.logs_mails, ToString::to_string));
        let (old, recipients) = (&self.extra_recipients, &new.extra_recipients);
        out.extend(change("extraRecipients", old, recipients, |addresses| texts(addresses).shown()));
        out.extend(change("lookup", &self.lookup, &new.lookup, |lookup| match lookup {
            None => "None".to_owned(),
            Some(Lookup::Domain(domain)) => domain.shown(),
            Some(Lookup::Function(_)) => "a function".to_owned(),
        }));
        out.extend(change("builders", &self.builds, &new.builds, |builds| match builds {
            BuildMails::All => "all".to_owned(),
            BuildMails::Of(names) => names.shown(),
            BuildMails::None => "{}".to_owned(),
        }));
        out.extend(change("generators", &self.missing, &new.missing, |missing| shown(missing)));
        if self.login != new.login {
            out.push(FieldChange::hidden("smtpPassword", Cost::InPlace));
        }
        out
    }
}

/// The change between two values, if they differ; of those that look alike, that there is one.
fn change<T: PartialEq>(
    option: &'static str,
    old: &T,
    new: &T,
    shown: impl Fn(&T) -> String,
) -> Option<FieldChange> {
    (old != new).then(|| {
        let (was, is) = (shown(old), shown(new));
        let is = if was == is { "another of the same look".to_owned() } else { is };
        FieldChange { option, old: was, new: is, cost: Cost::InPlace }
    })
}

fn texts(list: &[impl Display]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// Generators for people: whose absence they tell, and in which form.
fn shown(generators: &[MissingGenerator]) -> String {
    let one = |generator: &MissingGenerator| {
        let workers = match &generator.workers {
            WatchedWorkers::All => "all workers".to_owned(),
            WatchedWorkers::Named(names) => names.shown(),
        };
        let text = if generator.message.template.is_some() { "a text of its own" } else { "our text" };
        format!("{workers} ({}, {text})", generator.message.template_type)
    };
    generators.iter().map(one).collect::<Vec<_>>().join("; ")
}
