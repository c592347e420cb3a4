//! What Buildbot has: the names in its plugins, what older Buildbots called them, and what may be left as it is.
//!
//! A name that stands here and not in the [table of options](super::options) is no misspelling: the error says that it is
//! not in Lunabot yet.
//!
//! # Laws
//! - A name that is in Lunabot may stand here as well; so this list needs no change when something is built.
//!
//! # Source
//! Buildbot 4.3.0; names of older versions from its release notes.

mod plugins;

use plugins::MEMBERS;

use super::options::{CONSTRUCTORS, Constructor, MASTER};

/// What older Buildbots had, by module and name, and what to write instead.
const FORMER: &[(&str, &str, &str)] = &[
    ("buildslave", "BuildSlave", "it is `worker.Worker` now"),
    ("buildslave", "LocalBuildSlave", "it is `worker.LocalWorker` now"),
    ("buildslave", "EC2LatentBuildSlave", "it is `worker.EC2LatentWorker` now"),
    ("buildslave", "LibVirtSlave", "it is `worker.LibVirtWorker` now"),
    ("buildslave", "OpenStackLatentBuildSlave", "it is `worker.OpenStackLatentWorker` now"),
    ("buildslave", "DockerLatentBuildSlave", "it is `worker.DockerLatentWorker` now"),
    (
        "worker",
        "AbstractLatentWorker",
        "write `worker.LatentWorker` with functions: `start_instance`, `stop_instance`",
    ),
    ("worker", "AbstractWorker", "it is `worker.Worker`"),
    ("schedulers", "Scheduler", "it is `schedulers.SingleBranchScheduler` now"),
    ("util", "WithProperties", "write `util.Interpolate \"%(prop:name)s\"`"),
    ("util", "SlaveLock", "it is `util.WorkerLock` now"),
    ("util", "SlaveChoiceParameter", "it is `util.WorkerChoiceParameter` now"),
    ("util", "enforceChosenSlave", "it is `util.enforceChosenWorker` now"),
];

/// What does the work of something that is not there.
const INSTEAD: &[(&str, &str, &str)] = &[
    ("steps", "Git", "`steps.ShellCommand { command = { \"git\", \"clone\", url, \".\" } }` does for now"),
    ("steps", "Compile", "it is `steps.ShellCommand { name = \"compile\", command = \"make all\" }`"),
    ("steps", "Configure", "it is `steps.ShellCommand { name = \"configure\", command = \"./configure\" }`"),
    ("steps", "Test", "it is `steps.ShellCommand { name = \"test\", command = \"make test\" }`"),
    ("steps", "SetPropertiesFromEnv", "`steps.SetPropertyFromCommand` reads a variable by `printenv NAME`"),
    ("steps", "ShellSequence", "several `steps.ShellCommand` do the same"),
    ("steps", "SetProperties", "several `steps.SetProperty` do the same"),
    ("steps", "JSONPropertiesDownload", "`steps.JSONStringDownload` takes a table"),
    ("schedulers", "Nightly", "`schedulers.Periodic` asks at an even pace"),
    ("util", "GNUAutoconf", "`util.BuildFactory` with `steps.ShellCommand` does the same"),
];

/// Options of older Buildbots, and their names now.
const FORMER_OPTIONS: &[(&str, &str)] = &[
    ("slavename", "workername"),
    ("slavenames", "workernames"),
    ("slavebuilddir", "workerbuilddir"),
    ("slavesrc", "workersrc"),
    ("slavesrcs", "workersrcs"),
    ("slavedest", "workerdest"),
    ("nextSlave", "nextWorker"),
    ("mergeRequests", "collapseRequests"),
];

/// Keys of `c` of older Buildbots, and what to write instead.
const FORMER_KEYS: &[(&str, &str)] = &[
    ("slaves", "it is `c.workers` now"),
    ("bots", "it is `c.workers` now"),
    ("slavePortnum", "write `c.protocols = { pb = { port = 9989 } }`"),
    ("projectName", "it is `c.title` now"),
    ("projectURL", "it is `c.titleURL` now"),
    ("mergeRequests", "it is `c.collapseRequests` now"),
    ("sources", "it is `c.change_source` now"),
    ("debugPassword", "leave it out: there is no debug client any more"),
];

/// Keys of Buildbot's `c` that Lunabot has in no form yet, beside those that its own table names.
const KEYS: &[&str] = &[
    "buildCacheSize",
    "caches",
    "change_source",
    "changeCacheSize",
    "changeHorizon",
    "codebaseGenerator",
    "codebases",
    "configurators",
    "logCompressionLimit",
    "logCompressionMethod",
    "logEncoding",
    "logMaxSize",
    "logMaxTailSize",
    "machines",
    "manhole",
    "metrics",
    "mq",
    "multiMaster",
    "projects",
    "properties",
    "reporters",
    "revlink",
    "secretsProviders",
    "services",
    "status",
    "user_managers",
    "validation",
    "www",
];

/// What is there of `util` and no constructor makes.
const FUNCTIONS: &[&str] = &[
    "CANCELLED",
    "EXCEPTION",
    "FAILURE",
    "FlattenList",
    "Interpolate",
    "Property",
    "RETRY",
    "Results",
    "SKIPPED",
    "SUCCESS",
    "Secret",
    "Transform",
    "WARNINGS",
    "renderer",
];

/// What may stand there as it does in Buildbot, and means nothing here: by table and name.
const IGNORED: &[(&str, &str)] = &[("c", "buildbotNetUsageData"), ("c.protocols", "null")];

/// What is to be said of a name that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Buildbot has it; perhaps something else does its work.
    NotYet(Option<&'static str>),
    /// An older Buildbot had it.
    Former(&'static str),
}

/// Of a member of `buildbot.plugins`, if Buildbot has or had it.
pub fn member(module: &str, name: &str) -> Option<Known> {
    let module = if module == "status" { "reporters" } else { module };
    let hint = |list: &'static [(&str, &str, &'static str)]| {
        list.iter().find(|(of, known, _)| *of == module && *known == name).map(|(_, _, hint)| *hint)
    };
    if let Some(hint) = hint(FORMER) {
        return Some(Known::Former(hint));
    }
    members(module).contains(&name).then(|| Known::NotYet(hint(INSTEAD)))
}

/// All members that a module of Buildbot's plugins has.
pub fn members(module: &str) -> &'static [&'static str] {
    let module = if module == "status" { "reporters" } else { module };
    MEMBERS.iter().find(|(name, _)| *name == module).map_or(&[], |(_, members)| members)
}

/// What Buildbot has in a module and Lunabot has not, with what does its work.
pub fn absent(module: &str) -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    let is_there = move |name: &str| {
        let is_made = |made: &&Constructor| made.module == module && made.name == name;
        (module == "util" && FUNCTIONS.contains(&name)) || CONSTRUCTORS.iter().any(is_made)
    };
    members(module).iter().filter(move |name| !is_there(name)).filter_map(move |name| {
        match member(module, name) {
            Some(Known::NotYet(instead)) => Some((*name, instead)),
            _ => None,
        }
    })
}

/// The keys that Buildbot's `c` has and Lunabot's has not.
pub fn absent_keys() -> impl Iterator<Item = &'static str> {
    let mut keys: Vec<&str> = KEYS.iter().chain(MASTER.not_yet).copied().collect();
    keys.retain(|key| MASTER.option(key).is_none());
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
}

/// The modules of `buildbot.plugins`.
pub fn modules() -> impl Iterator<Item = &'static str> {
    MEMBERS.iter().map(|(module, _)| *module)
}

/// Of a key of `c`.
pub fn key(name: &str) -> Option<Known> {
    if let Some((_, hint)) = FORMER_KEYS.iter().find(|(former, _)| *former == name) {
        return Some(Known::Former(hint));
    }
    KEYS.contains(&name).then_some(Known::NotYet(None))
}

/// The name that an option has now, if this is one of older Buildbots.
pub fn option(name: &str) -> Option<&'static str> {
    FORMER_OPTIONS.iter().find(|(former, _)| *former == name).map(|(_, now)| *now)
}

/// Whether an option may stand in a table and means nothing here. Tables are known by the names of their constructors.
pub fn is_ignored(table: &str, option: &str) -> bool {
    IGNORED.contains(&(table, option))
}

/// The one sentence for all that Buildbot has and Lunabot has not: `` `steps.Git` `` or ``option `locks` ``.
pub fn not_yet(what: &str) -> String {
    format!("{what} is not in Lunabot yet")
}

/// A hint for a misspelt name, whether it is in Lunabot or Buildbot's only.
pub fn did_you_mean(name: &str, is_here: bool) -> String {
    if is_here {
        format!("did you mean `{name}`?")
    } else {
        not_yet(&format!("did you mean `{name}`, which")) + "?"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn what_buildbot_has_is_told_from_what_nobody_has() {
        assert!(matches!(member("steps", "Git"), Some(Known::NotYet(Some(_)))));
        assert_eq!(member("reporters", "MailNotifier"), member("status", "MailNotifier"));
        assert_eq!(member("worker", "KubeLatentWorker"), Some(Known::NotYet(None)));
        assert!(matches!(member("buildslave", "BuildSlave"), Some(Known::Former(_))));
        assert_eq!(member("steps", "Gitt"), None);
        assert_eq!(option("slavenames"), Some("workernames"));
        assert!(is_ignored("c", "buildbotNetUsageData") && !is_ignored("c", "title"));
    }

    #[test]
    fn what_is_named_as_former_is_not_there() {
        for constructor in CONSTRUCTORS {
            for option in constructor.options() {
                assert_eq!(super::option(option.name), None, "{}", constructor.path());
            }
            assert!(
                !matches!(member(constructor.module, constructor.name), Some(Known::Former(_))),
                "{}",
                constructor.path()
            );
        }
        for option in MASTER.options() {
            assert!(!matches!(key(option.name), Some(Known::Former(_))), "c.{}", option.name);
        }
    }

    #[test]
    fn what_is_built_of_buildbot_s_names_is_known_as_buildbot_s() {
        for path in ["worker.Worker", "util.BuilderConfig", "steps.ShellCommand", "schedulers.ForceScheduler"]
        {
            let (module, name) = path.split_once('.').unwrap();
            assert!(members(module).contains(&name), "{path}");
        }
    }
}
