//! Reporters made at random.

use proptest::prelude::*;

use super::{name, place, properties};
use crate::{
    definition::{
        ReporterDefinition, Text,
        address::{Address, Mailbox},
        reporter::{
            AttachedLogs, BuildGenerator, BuildMode, Login, Lookup, Message, MissingGenerator, Security,
            TemplateType, WatchedWorkers,
        },
    },
    model::{BuilderName, ReporterName, SchedulerName, Secret, WorkerName},
};

pub(super) fn reporter() -> impl Strategy<Value = ReporterDefinition> {
    let security = prop_oneof![Just(Security::IfOffered), Just(Security::StartTls), Just(Security::Smtps)];
    let login = prop::option::of(("[a-b]", "[a-b]").prop_map(|(user, password)| Login {
        user: Secret::new(user).into(),
        password: Secret::new(format!("bot:{password}")).into(),
    }));
    let workers = prop_oneof![
        Just(WatchedWorkers::All),
        "[a-b]".prop_map(|name| WatchedWorkers::Named(vec![
            WorkerName::new(&name).expect("a letter is a name")
        ])),
    ];
    let builds = build_generator();
    let missing = (workers, message()).prop_map(|(workers, message)| MissingGenerator { workers, message });
    let lookup = prop::option::of("[a-b]".prop_map(Lookup::Domain));
    let headers = prop::collection::btree_map("[A-B]", "[a-b]".prop_map(Text::Plain), 0..2);
    let told = (prop::collection::vec(builds, 0..3), prop::collection::vec(missing, 0..3));
    (name(), "[a-b]", security, login, any::<[bool; 2]>(), lookup, headers, told, place()).prop_map(
        |(name, text, security, login, [users, logs], lookup, extra_headers, (builds, missing), place)| {
            ReporterDefinition {
                name: ReporterName::new(&name).expect("a letter is a name"),
                from: Mailbox::parse(&format!("{text}@x")).expect("an address"),
                port: if text == "a" { 25 } else { 26 },
                extra_recipients: vec![Address::new(&format!("{text}@y")).expect("an address")],
                relay_host: text,
                security,
                login,
                tells_interested_users: users,
                lookup,
                extra_headers,
                logs_mails: logs,
                builds,
                missing,
                place,
            }
        },
    )
}

fn build_generator() -> impl Strategy<Value = BuildGenerator> {
    let mode = prop::sample::subsequence(BuildMode::EACH.to_vec(), 1..3);
    let names = || prop::option::of(prop::collection::vec("[a-b]", 1..3));
    let logs = prop_oneof![
        Just(AttachedLogs::None),
        Just(AttachedLogs::All),
        "[a-b]".prop_map(|name| AttachedLogs::Named(vec![name])),
    ];
    (mode, names(), names(), names(), names(), logs, message()).prop_map(
        |(mode, builders, tags, schedulers, branches, logs, message)| {
            let builder = |name: &String| BuilderName::new(name).expect("a letter is a name");
            let scheduler = |name: &String| SchedulerName::new(name).expect("a letter is a name");
            BuildGenerator {
                mode: mode.into_iter().collect(),
                builders: builders.map(|names| names.iter().map(builder).collect()),
                tags,
                schedulers: schedulers.map(|names| names.iter().map(scheduler).collect()),
                branches,
                logs,
                message,
            }
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    (prop::option::of("[a-b]"), any::<bool>(), properties()).prop_map(|(text, html, context)| {
        let template_type = if html { TemplateType::Html } else { TemplateType::Plain };
        Message { template: text.clone(), subject: text, template_type, context }
    })
}
