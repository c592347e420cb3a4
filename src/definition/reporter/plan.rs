//! What changing a reporter costs: nothing, it is read at the next mail.

use std::fmt::Display;

use super::{
    AttachedLogs, BuildGenerator, Lookup, Message, MissingGenerator, ReporterDefinition, WatchedWorkers,
};
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
        let (told, tells) = ((&self.builds, &self.missing), (&new.builds, &new.missing));
        out.extend(change("generators", &told, &tells, |(builds, missing)| {
            let shown: Vec<_> = builds.iter().map(of_builds).chain(missing.iter().map(of_workers)).collect();
            if shown.is_empty() { "{}".to_owned() } else { shown.join("; ") }
        }));
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

/// A generator for people: which builds it tells, in which form, and with what.
fn of_builds(generator: &BuildGenerator) -> String {
    let modes: Vec<&str> = generator.mode.iter().map(|mode| mode.word()).collect();
    let mut out = format!("builds ({})", modes.join(", "));
    let schedulers = generator.schedulers.as_ref().map(|names| texts(names));
    let builders = generator.builders.as_ref().map(|names| texts(names));
    let (tags, branches) = (generator.tags.clone(), generator.branches.clone());
    let narrowed = [("of", builders), ("of the tags", tags), ("by", schedulers), ("on", branches)];
    for (word, names) in narrowed {
        out.extend(names.map(|names| format!(" {word} {}", names.shown())));
    }
    let logs = match &generator.logs {
        AttachedLogs::None => String::new(),
        AttachedLogs::All => ", all logs".to_owned(),
        AttachedLogs::Named(names) => format!(", logs {}", names.shown()),
    };
    format!("{out} ({}{logs})", form(&generator.message))
}

/// A generator for people: whose absence it tells, and in which form.
fn of_workers(generator: &MissingGenerator) -> String {
    let workers = match &generator.workers {
        WatchedWorkers::All => "all workers".to_owned(),
        WatchedWorkers::Named(names) => names.shown(),
    };
    format!("{workers} ({})", form(&generator.message))
}

fn form(message: &Message) -> String {
    let text = if message.template.is_some() { "a text of its own" } else { "our text" };
    format!("{}, {text}", message.template_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::reporter::BuildMode;

    #[test]
    fn a_changed_generator_of_builds_is_told_with_all_that_narrows_it() {
        let old = ReporterDefinition::bare("mail");
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        let builds = BuildGenerator {
            mode: [BuildMode::Problem, BuildMode::Failing].into(),
            tags: names(&["release"]),
            branches: names(&["main", "dev"]),
            logs: AttachedLogs::Named(vec!["stdio".to_owned()]),
            ..BuildGenerator::of_all(Message::own())
        };
        let new = ReporterDefinition { builds: vec![builds], ..old.clone() };
        let changes = old.changes(&new);
        let told: Vec<_> = changes.iter().map(|it| (it.option, it.old.as_str(), it.new.as_str())).collect();
        let new = r#"builds (failing, problem) of the tags { "release" } on { "main", "dev" } (html, our text, logs { "stdio" }); all workers (plain, our text)"#;
        assert_eq!(told, [("generators", "all workers (plain, our text)", new)]);
        assert_eq!(changes[0].cost, Cost::InPlace);
    }
}
