//! The laws of a plan, over configurations made at random.

mod latent;
mod reporter;

use std::{num::NonZeroU32, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    definition::{
        Collapse, DatabaseDefinition, EnvironmentValue, LockAccess, LockDefinition, LockKind, LockMode,
        Passwords, SchedulerKind, SecretsProviderKind, StepDefinition, Text, TlsFiles, WorkerKind, Worth,
        address::Mailbox,
        listener::Protocol,
        options::SHELL_COMMAND,
        record::{self, Record},
    },
    model::{BuilderName, LockName, Place, Places, PropertyValue, SchedulerName, Secret, WorkerName},
};

fn worths(properties: BTreeMap<String, PropertyValue>) -> BTreeMap<String, Worth> {
    properties.into_iter().map(|(name, value)| (name, value.into())).collect()
}

fn place() -> impl Strategy<Value = Place> {
    (1..1000u32).prop_map(|line| Place::new("master.cfg.lua", line))
}

/// Few names, so that two configurations share some of them.
fn name() -> impl Strategy<Value = String> {
    "[a-d]"
}

fn properties() -> impl Strategy<Value = BTreeMap<String, PropertyValue>> {
    let value = prop_oneof![
        any::<bool>().prop_map(PropertyValue::from),
        any::<i64>().prop_map(PropertyValue::from),
        "[a-z]{0,3}".prop_map(PropertyValue::from),
        Just(serde_json::json!({ "a": [1, null] })),
    ];
    prop::collection::btree_map("[a-c]", value, 0..3)
}

fn seconds() -> impl Strategy<Value = Option<Duration>> {
    prop::option::of((1..4u64).prop_map(Duration::from_secs))
}

fn worker() -> impl Strategy<Value = WorkerDefinition> {
    let kind = prop_oneof![
        prop::collection::vec("[a-c]", 1..3).prop_map(|texts| WorkerKind::Remote {
            passwords: Passwords::new(texts.into_iter().map(|text| Secret::new(text).into()).collect())
                .expect("none is empty"),
        }),
        "[a-c]".prop_map(|workdir| WorkerKind::Local { workdir: workdir.into() }),
        latent::latent().boxed().prop_map(|latent| WorkerKind::Latent(Box::new(latent))),
    ];
    let mail = "[a-b]".prop_map(|name| Mailbox::parse(&format!("{name}@x")).expect("it is an address"));
    let mails = prop::collection::vec(mail, 0..2);
    let told = (mails, locks());
    let keepalive = (seconds(), seconds());
    (name(), kind, 0..3u32, properties(), properties(), keepalive, seconds(), told, place()).prop_map(
        |(name, kind, builds, properties, defaults, (keepalive, timeout), missing, (mails, locks), place)| {
            WorkerDefinition {
                kind,
                max_builds: NonZeroU32::new(builds),
                properties: worths(properties),
                default_properties: worths(defaults),
                keepalive_interval: keepalive,
                keepalive_timeout: timeout,
                missing_timeout: missing,
                notify_on_missing: mails,
                notify_on_return: builds.is_multiple_of(2),
                locks,
                place,
                ..WorkerDefinition::bare(&name)
            }
        },
    )
}

fn locks() -> impl Strategy<Value = Vec<LockAccess>> {
    let mode = prop_oneof![(0..3u32).prop_map(LockMode::Counting), Just(LockMode::Exclusive)];
    let access =
        ("[a-b]", 1..3u32, any::<bool>(), mode, place()).prop_map(|(name, max, of_worker, mode, place)| {
            let name = LockName::new(&name).expect("a letter is a name");
            let for_worker = BTreeMap::from([(WorkerName::new("a").expect("a letter is a name"), max)]);
            let kind = if of_worker {
                LockKind::Worker { max_count_for_worker: for_worker }
            } else {
                LockKind::Master
            };
            let lock = LockDefinition { name, kind, max_count: max, place: place.clone() };
            LockAccess { lock: Arc::new(lock), mode, place }
        });
    prop::collection::vec(access, 0..2)
}

fn environment() -> impl Strategy<Value = BTreeMap<String, EnvironmentValue>> {
    let value = prop_oneof![
        Just(EnvironmentValue::Unset),
        "[a-b]".prop_map(|text| EnvironmentValue::Set(Text::Plain(text))),
    ];
    prop::collection::btree_map("[A-B]", value, 0..2)
}

fn step() -> impl Strategy<Value = StepDefinition> {
    ("[a-c]", "[a-c]", any::<[bool; 4]>(), seconds(), environment(), place()).prop_map(
        |(name, command, [halt, flunk, log, always], timeout, env, place)| {
            let mut record = Record::new(&SHELL_COMMAND, place);
            record.values = BTreeMap::from([
                ("name", record::Value::Text(Text::Plain(name))),
                ("command", record::Value::Text(Text::Plain(command))),
                ("haltOnFailure", record::Value::Bool(halt)),
                ("flunkOnFailure", record::Value::Bool(flunk)),
                ("logEnviron", record::Value::Bool(log)),
                ("alwaysRun", record::Value::Bool(always)),
                ("timeout", timeout.map_or(record::Value::None, record::Value::Seconds)),
                ("env", record::Value::Environment(env)),
            ]);
            StepDefinition::from_record(&record, &mut Vec::new()).expect("the options are good")
        },
    )
}

fn builder() -> impl Strategy<Value = BuilderDefinition> {
    let workers = prop::collection::vec("[a-d]", 1..3);
    let steps = prop::collection::vec(step(), 0..3);
    let words = (prop::option::of("[a-b]"), locks());
    (name(), workers, steps, "[a-b]", environment(), properties(), words, 0..2_u32, place()).prop_map(
        |(name, workers, steps, dir, env, properties, (description, locks), retries, place)| {
            BuilderDefinition {
                worker_names: workers
                    .iter()
                    .map(|name| WorkerName::new(name).expect("a letter is a name"))
                    .collect(),
                steps: steps.into(),
                worker_build_dir: dir,
                env,
                properties: worths(properties.clone()),
                default_properties: worths(properties),
                locks,
                tags: description.iter().cloned().collect(),
                description,
                max_builds_per_worker: retries + 1,
                max_retries: retries,
                collapse: (retries > 0).then_some(Collapse::Alike),
                place,
                ..BuilderDefinition::bare(&name)
            }
        },
    )
}

fn scheduler() -> impl Strategy<Value = SchedulerDefinition> {
    let kind = prop_oneof![
        ("[a-b]", "[a-b]").prop_map(|(label, reason)| SchedulerKind::Force {
            button_name: label.clone(),
            label,
            reason_string: reason.clone(),
            reason,
        }),
        (1..3u64, "[a-b]").prop_map(|(interval, reason)| SchedulerKind::Periodic {
            interval: Duration::from_secs(interval),
            reason,
        }),
        "[a-b]".prop_map(|reason| SchedulerKind::Triggerable { reason }),
    ];
    (name(), prop::collection::vec("[a-d]", 1..3), 0..2, properties(), kind, place()).prop_map(
        |(name, builders, priority, properties, kind, place)| SchedulerDefinition {
            name: SchedulerName::new(&name).expect("a letter is a name"),
            builder_names: builders
                .iter()
                .map(|name| BuilderName::new(name).expect("a letter is a name"))
                .collect(),
            priority,
            properties,
            kind,
            place,
        },
    )
}

fn settings() -> impl Strategy<Value = Settings> {
    let database = prop_oneof![
        "[a-b]".prop_map(|path| DatabaseDefinition::Sqlite { path: path.into() }),
        "[a-b]".prop_map(|password| DatabaseDefinition::Postgres {
            url: Secret::new(format!("postgresql://bot:{password}@db/ci")),
        }),
    ];
    let place = place();
    ("[a-b]", "[a-b]", properties(), database, place).prop_map(|(title, url, properties, database, place)| {
        Settings {
            title,
            title_url: url.clone(),
            buildbot_url: url,
            properties: worths(properties),
            collapse: Collapse::Alike,
            prioritize_builders: None,
            select_next_worker: None,
            database,
            places: Places { whole: place, options: BTreeMap::new() },
        }
    })
}

fn listener() -> impl Strategy<Value = ListenerDefinition> {
    let protocol = prop_oneof![Just(Protocol::Pb), Just(Protocol::Msgpack)];
    let tls = prop::option::of(("[a-b]", prop::option::of("[a-b]")).prop_map(|(cert, client_ca)| TlsFiles {
        key: cert.clone().into(),
        cert: cert.into(),
        chain: None,
        client_ca: client_ca.map(Into::into),
    }));
    (protocol, 1..4u16, tls, prop::option::of(1..3u32), place()).prop_map(
        |(protocol, port, tls, backlog, place)| {
            let mut listener = ListenerDefinition::new(protocol, ([127, 0, 0, 1], port).into(), place);
            listener.tls = tls;
            listener.backlog = backlog;
            listener
        },
    )
}

fn secrets_provider() -> impl Strategy<Value = SecretsProvider> {
    let kind = prop_oneof![
        ("[a-b]", "[a-b]", any::<bool>()).prop_map(|(dir, suffix, strip)| SecretsProviderKind::Files {
            dir: dir.into(),
            suffixes: vec![suffix],
            strip,
        }),
        "[a-b]".prop_map(|prefix| SecretsProviderKind::Environment { prefix }),
        (prop::option::of("[a-b]"), prop::option::of("[a-b]")).prop_map(|(phrase, dir)| {
            SecretsProviderKind::Pass {
                phrase: phrase.map(|text| Secret::new(format!("bot:{text}"))),
                dir: dir.map(Into::into),
            }
        }),
        ("[a-b]", 1..3u64, any::<bool>()).prop_map(|(word, limit, strip)| SecretsProviderKind::Command {
            words: vec![word],
            limit: Duration::from_secs(limit),
            strip,
        }),
    ];
    ("[a-c]", 1..4usize, kind, place()).prop_map(|(name, order, kind, place)| SecretsProvider {
        name,
        order,
        kind,
        place,
    })
}

fn by<K: Ord, T>(list: Vec<T>, key: impl Fn(&T) -> K) -> BTreeMap<K, Arc<T>> {
    list.into_iter().map(|item| (key(&item), Arc::new(item))).collect()
}

fn definition() -> impl Strategy<Value = MasterDefinition> {
    (
        // Boxed: together, they are more than the stack of a test's thread.
        prop::option::of(settings()).boxed(),
        prop::collection::vec(worker().boxed(), 0..4),
        prop::collection::vec(builder().boxed(), 0..4),
        prop::collection::vec(scheduler().boxed(), 0..4),
        prop::collection::vec(reporter::reporter().boxed(), 0..4),
        prop::collection::vec(listener().boxed(), 0..4),
        prop::collection::vec(secrets_provider().boxed(), 0..4),
    )
        .prop_map(|(settings, workers, builders, schedulers, reporters, listeners, providers)| {
            MasterDefinition {
                interpreter: crate::definition::Interpreter::none(),
                settings: settings.map(Arc::new),
                workers: by(workers, |worker| worker.name.clone()),
                builders: by(builders, |builder| builder.name.clone()),
                schedulers: by(schedulers, |scheduler| scheduler.name.clone()),
                reporters: by(reporters, |reporter| reporter.name.clone()),
                listeners: by(listeners, |listener| listener.id),
                secrets_providers: by(providers, |provider| provider.name.clone()),
            }
        })
}

#[test]
fn a_very_long_value_is_shortened() {
    let change =
        FieldChange::between("x", &"a".repeat(1000), &String::new(), Cost::InPlace).expect("they differ");
    assert!(change.old.len() < 400 && change.old.ends_with("… (1002 characters)"), "{}", change.old);
}

proptest! {
    #[test]
    fn a_plan_leads_from_any_configuration_to_any_other(a in definition(), b in definition()) {
        let plan = ReconfigPlan::between(&a, &b);
        prop_assert_eq!(plan.apply(&a), b.clone());
        prop_assert_eq!(plan.is_empty(), a == b);
        prop_assert_eq!(plan.lines().is_empty(), a == b);
        let back = ReconfigPlan::between(&b, &a);
        prop_assert_eq!(back.apply(&plan.apply(&a)), a);
    }

    #[test]
    fn a_configuration_and_itself_elsewhere_need_no_plan(a in definition(), moved in 1..100u32) {
        let mut b = a.clone();
        for worker in b.workers.values_mut() {
            Arc::make_mut(worker).place.line += moved;
        }
        for builder in b.builders.values_mut() {
            let builder = Arc::make_mut(builder);
            builder.place.line += moved;
            builder.steps = builder.steps.iter().cloned().map(|mut step| {
                step.place.line += moved;
                step
            }).collect();
        }
        for reporter in b.reporters.values_mut() {
            Arc::make_mut(reporter).place.line += moved;
        }
        prop_assert!(ReconfigPlan::between(&a, &b).is_empty());
    }

    #[test]
    fn each_change_names_an_option_and_no_secret(a in definition(), b in definition()) {
        let plan = ReconfigPlan::between(&a, &b);
        for transition in &plan.workers {
            if let Transition::Change { fields, .. } = transition {
                prop_assert!(!fields.is_empty());
                prop_assert!(fields.iter().filter(|field| field.option == "password").all(|field| field.new == "…"));
            }
        }
        prop_assert!(plan.lines().iter().all(|line| !line.contains("bot:") && !line.contains(latent::HIDDEN)));
    }
}

fn worker_at(name: &str, workdir: &str, line: u32) -> WorkerDefinition {
    WorkerDefinition {
        kind: WorkerKind::Local { workdir: workdir.into() },
        place: Place::new("master.cfg.lua", line),
        ..WorkerDefinition::bare(name)
    }
}

fn settings_at(title: &str, path: &str, lines: [u32; 2]) -> Arc<Settings> {
    let options = ["title", "db_url"].into_iter().zip(lines);
    Arc::new(Settings {
        title: title.into(),
        title_url: String::new(),
        buildbot_url: String::new(),
        properties: BTreeMap::new(),
        collapse: Collapse::Alike,
        prioritize_builders: None,
        select_next_worker: None,
        database: DatabaseDefinition::Sqlite { path: path.into() },
        places: Places {
            whole: Place::new("master.cfg.lua", 0),
            options: options.map(|(option, line)| (option, Place::new("master.cfg.lua", line))).collect(),
        },
    })
}

#[test]
fn each_item_tells_where_it_is_written_and_what_goes_where_it_was() {
    let of = |settings, workers: Vec<WorkerDefinition>| MasterDefinition {
        settings: Some(settings),
        workers: by(workers, |worker| worker.name.clone()),
        ..MasterDefinition::nothing()
    };
    let old = of(settings_at("a", "a", [1, 2]), vec![worker_at("b", "b", 3), worker_at("c", "c", 4)]);
    let new = of(settings_at("b", "b", [11, 12]), vec![worker_at("b", "x", 13), worker_at("d", "d", 14)]);
    let plan = ReconfigPlan::between(&old, &new);
    let told: Vec<String> = plan
        .items()
        .into_iter()
        .map(|item| format!("{} [{}] {:?}", item.line, item.place, item.deed))
        .collect();
    assert_eq!(
        told,
        [
            "~ setting \"c\": title \"a\" -> \"b\" (in place) [master.cfg.lua:11] Change(InPlace)",
            "! setting \"c\": db sqlite a -> sqlite b (needs a restart) [master.cfg.lua:12] Refuse",
            "~ worker \"b\": workdir b -> x (cuts the link once) [master.cfg.lua:13] Change(Reattach)",
            "- worker \"c\" [master.cfg.lua:4] Remove",
            "+ worker \"d\" [master.cfg.lua:14] Add",
        ]
    );
    let refusals: Vec<String> = plan.refusals().iter().map(|it| format!("{}: {it}", it.place)).collect();
    assert_eq!(
        refusals,
        ["master.cfg.lua:12: `c.db` cannot change while the master runs (sqlite a -> sqlite b); restart it"]
    );
}
