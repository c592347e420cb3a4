//! The whole of a configuration: as read ([`Draft`]), and as checked ([`MasterDefinition`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    definition::{
        BuilderDefinition, Collapse, DatabaseDefinition, Hook, ListenerDefinition, ReporterDefinition,
        SchedulerDefinition, SecretName, SecretUse, SecretsProvider, WorkerDefinition, Worth,
        hook::Interpreter,
        listener::ListenerId,
        options,
        plan::{Cost, FieldChange, Planned, changes},
        problem::Problem,
        record::{Record, Value},
        secret_use,
    },
    model::{BuilderName, Place, Places, ReporterName, SchedulerName, WorkerName},
};

/// A configuration as it was read: lists as they were written, duplicates and all, and what was wrong so far.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The options of `c` itself.
    pub settings: Settings,
    /// `c.workers`.
    pub workers: Vec<WorkerDefinition>,
    /// `c.builders`.
    pub builders: Vec<BuilderDefinition>,
    /// `c.schedulers`.
    pub schedulers: Vec<SchedulerDefinition>,
    /// `c.reporters`, `c.services` and `c.status`.
    pub reporters: Vec<ReporterDefinition>,
    /// `c.protocols`.
    pub listeners: Vec<ListenerDefinition>,
    /// `c.secretsProviders`.
    pub secrets_providers: Vec<SecretsProvider>,
    /// The secrets that it names, and where.
    pub secrets: BTreeMap<SecretName, SecretUse>,
    /// Who calls its functions.
    pub interpreter: Interpreter,
    /// Names of parts that could not be read. They were meant to be there, so that naming one is no second mistake.
    pub unreadable: BTreeSet<String>,
    /// Whether parts without a known name could not be read. Then a name that is not there may be theirs.
    pub is_incomplete: bool,
    /// What is wrong so far.
    pub problems: Vec<Problem>,
    /// The configuration's main file, as place of what has no other.
    pub place: Place,
}

/// What concerns the master as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What the installation is called.
    pub title: String,
    /// Where people find more about the project.
    pub title_url: String,
    /// Where the web interface is reached from outside.
    pub buildbot_url: String,
    /// Set on each build, under all other properties.
    pub properties: BTreeMap<String, Worth>,
    /// What becomes of an older request when a newer one comes in, unless its builder says it.
    pub collapse: Collapse,
    /// Says in which order builders are served.
    pub prioritize_builders: Option<Hook>,
    /// Chooses the worker of a build, unless its builder has a function for it.
    pub select_next_worker: Option<Hook>,
    /// Where the master keeps what it must not forget.
    pub database: DatabaseDefinition,
    /// Where they were written.
    pub places: Places,
}

/// A configuration that obeys all laws. Parts are shared, so that a copy of the whole costs little.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterDefinition {
    /// What concerns the master as a whole; absent only from [`MasterDefinition::nothing`].
    pub settings: Option<Arc<Settings>>,
    /// Workers by name.
    pub workers: BTreeMap<WorkerName, Arc<WorkerDefinition>>,
    /// Builders by name; each names only workers that are defined, and has at least one that may run its builds.
    pub builders: BTreeMap<BuilderName, Arc<BuilderDefinition>>,
    /// Schedulers by name; each names at least one builder, and only builders that are defined.
    pub schedulers: BTreeMap<SchedulerName, Arc<SchedulerDefinition>>,
    /// Reporters by name; each names only workers and builders that are defined.
    pub reporters: BTreeMap<ReporterName, Arc<ReporterDefinition>>,
    /// Ports by what is spoken and where; no two need one socket.
    pub listeners: BTreeMap<ListenerId, Arc<ListenerDefinition>>,
    /// Providers of secrets by what they are called; if there are none, the master's folder `secrets` is one.
    pub secrets_providers: BTreeMap<String, Arc<SecretsProvider>>,
    /// Who calls its functions.
    pub interpreter: Interpreter,
}

impl MasterDefinition {
    /// Before the start and after the end: no worker, no builder, nothing.
    pub const fn nothing() -> Self {
        Self {
            settings: None,
            workers: BTreeMap::new(),
            builders: BTreeMap::new(),
            schedulers: BTreeMap::new(),
            reporters: BTreeMap::new(),
            listeners: BTreeMap::new(),
            secrets_providers: BTreeMap::new(),
            interpreter: Interpreter::none(),
        }
    }

    /// What becomes of an older request of a builder when a newer one comes in.
    pub fn collapse(&self, builder: &BuilderName) -> &Collapse {
        let of_builder = self.builders.get(builder).and_then(|builder| builder.collapse.as_ref());
        let of_all = || self.settings.as_ref().map(|settings| &settings.collapse);
        of_builder.or_else(of_all).unwrap_or(&Collapse::Alike)
    }

    /// One line: how many there are of each.
    pub fn summary(&self) -> String {
        let count = |n: usize, noun: &str| if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") };
        let mut parts = vec![
            count(self.workers.len(), "worker"),
            count(self.builders.len(), "builder"),
            count(self.schedulers.len(), "scheduler"),
        ];
        if !self.reporters.is_empty() {
            parts.push(count(self.reporters.len(), "reporter"));
        }
        parts.join(", ")
    }
}

impl Draft {
    /// A draft from the record of `c`; `problems` are those that reading it found.
    pub fn from_record(record: &Record, mut problems: Vec<Problem>) -> Self {
        let mut lost = Lost::default();
        let mut draft = Self {
            settings: Settings::from_record(record, &mut problems),
            workers: parts(record, "workers", &mut problems, &mut lost, WorkerDefinition::from_record),
            builders: parts(record, "builders", &mut problems, &mut lost, BuilderDefinition::from_record),
            schedulers: parts(
                record,
                "schedulers",
                &mut problems,
                &mut lost,
                SchedulerDefinition::from_record,
            ),
            reporters: ["reporters", "services", "status"]
                .into_iter()
                .flat_map(|option| {
                    parts(record, option, &mut problems, &mut lost, ReporterDefinition::from_record)
                })
                .collect(),
            listeners: match record.get("protocols") {
                Some(Value::Record(protocols)) => {
                    ListenerDefinition::all_from_record(&protocols, &mut problems)
                }
                _ => Vec::new(),
            },
            secrets_providers: parts(
                record,
                "secretsProviders",
                &mut problems,
                // Nothing names them.
                &mut Lost::default(),
                SecretsProvider::from_record,
            ),
            secrets: secret_use::used(record, &mut problems),
            interpreter: Interpreter::none(),
            unreadable: BTreeSet::new(),
            is_incomplete: false,
            problems: Vec::new(),
            place: record.place.clone(),
        };
        draft.unreadable = lost.names;
        draft.is_incomplete = lost.nameless;
        draft.problems = problems;
        draft
    }
}

/// What could not be read.
#[derive(Default)]
struct Lost {
    names: BTreeSet<String>,
    nameless: bool,
}

/// The definitions of a list; those that could not be read go to `lost`.
fn parts<T>(
    record: &Record,
    option: &str,
    problems: &mut Vec<Problem>,
    lost: &mut Lost,
    read: impl Fn(&Record, &mut Vec<Problem>) -> Option<T>,
) -> Vec<T> {
    let Some(Value::Objects(parts)) = record.values.get(option) else { return Vec::new() };
    let mut out = Vec::with_capacity(parts.len());
    for part in parts {
        match (!part.broken).then(|| read(part, problems)).flatten() {
            Some(definition) => out.push(definition),
            None => match part.is_given("name").then(|| part.text("name")).flatten() {
                Some(name) => {
                    lost.names.insert(name);
                }
                None => lost.nameless = true,
            },
        }
    }
    out
}

impl Settings {
    fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Self {
        let nested = match record.get("db") {
            Some(Value::Record(db)) => db.hidden("db_url").map(|url| (url, db.place.clone())),
            _ => None,
        };
        // Buildbot takes both `c['db_url']` and `c['db'] = {'db_url': …}`.
        let flat = record.hidden("db_url").map(|url| (url, record.place_of("db_url")));
        if nested.is_some() && flat.is_some() {
            problems.push(Problem::error(
                record.place_of("db_url"),
                "`c.db` and `c.db_url` are both given; keep one of them",
            ));
        }
        let database =
            nested.or(flat).and_then(|(url, place)| match DatabaseDefinition::parse(url.expose()) {
                Ok(database) => Some(database),
                Err(error) => {
                    problems.push(Problem::error(place, format!("`db_url`: {error}")));
                    None
                }
            });
        Self {
            title: record.text("title").unwrap_or_default(),
            title_url: record.text("titleURL").unwrap_or_default(),
            buildbot_url: record.text("buildbotURL").unwrap_or_default(),
            properties: record.properties("properties"),
            collapse: Collapse::from_record(record).unwrap_or(Collapse::Alike),
            prioritize_builders: record.hook("prioritizeBuilders"),
            select_next_worker: record.hook("select_next_worker"),
            database: database.unwrap_or_else(|| DatabaseDefinition::Sqlite {
                path: options::DEFAULT_DATABASE_FILE.into(),
            }),
            places: Places { whole: record.place.clone(), options: record.places.clone() },
        }
    }
}

impl Planned for Settings {
    const NOUN: &'static str = "setting";
    const IS_THE_MASTER: bool = true;

    fn name(&self) -> &'static str {
        "c"
    }

    fn place(&self) -> &Place {
        &self.places.whole
    }

    fn place_of(&self, option: &str) -> &Place {
        // Buildbot's other way to name the database.
        let flat = || self.places.options.get("db_url").filter(|_| option == "db");
        self.places.options.get(option).or_else(flat).unwrap_or_else(|| self.place())
    }

    fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = changes!(self, new;
            "title" title InPlace,
            "titleURL" title_url InPlace,
            "buildbotURL" buildbot_url InPlace,
            "properties" properties InPlace,
            "collapseRequests" collapse InPlace,
            "prioritizeBuilders" prioritize_builders InPlace,
            "select_next_worker" select_next_worker InPlace,
        );
        if self.database != new.database {
            let (old, new) = (self.database.shown(), new.database.shown());
            // Two URLs may differ in nothing but the password, which is not shown.
            out.push(if old == new {
                FieldChange::hidden("db", Cost::Replace)
            } else {
                FieldChange::new("db", &old, &new, Cost::Replace)
            });
        }
        out
    }
}
