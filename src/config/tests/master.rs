//! `c`: what it takes, in whatever way it is filled, and what it says of the rest of Buildbot's keys.

use super::{checked, problems};
use crate::definition::{
    MasterDefinition, ReconfigPlan, known,
    options::{CONSTRUCTORS, Constructor, Default, Kind, MASTER},
};

/// Typed by hand from Buildbot 4.3.0, `MasterConfig._known_config_keys`, so that the table is not its own witness.
const BUILDBOTS_KEYS: [&str; 40] = [
    "buildbotNetUsageData",
    "buildbotURL",
    "buildCacheSize",
    "builders",
    "caches",
    "change_source",
    "codebaseGenerator",
    "codebases",
    "configurators",
    "changeCacheSize",
    "changeHorizon",
    "db",
    "db_url",
    "logCompressionLimit",
    "logCompressionMethod",
    "logEncoding",
    "logMaxSize",
    "logMaxTailSize",
    "manhole",
    "machines",
    "collapseRequests",
    "metrics",
    "mq",
    "multiMaster",
    "prioritizeBuilders",
    "projects",
    "properties",
    "protocols",
    "revlink",
    "schedulers",
    "secretsProviders",
    "select_next_worker",
    "services",
    "title",
    "titleURL",
    "user_managers",
    "validation",
    "www",
    "workers",
    "status",
];

const HEAD: &str = "local plugins = require 'buildbot.plugins'
local worker, util, steps, schedulers, reporters = plugins.worker, plugins.util, plugins.steps, plugins.schedulers, plugins.reporters
";

async fn definition(lines: &str) -> MasterDefinition {
    checked(&format!("{HEAD}{lines}")).await.definition
}

#[tokio::test]
async fn what_means_nothing_here_may_stand_as_it_does_in_buildbot() {
    let text = format!(
        "{HEAD}c.buildbotNetUsageData = None\nc.protocols = {{ ['null'] = {{}} }}\nc.workers = {{ worker.LocalWorker 'w' }}"
    );
    assert_eq!(problems(&text).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_buildbot_has_is_told_from_what_nobody_has_and_what_older_ones_had_has_its_new_name() {
    let said = problems(&format!(
        "{HEAD}steps.Git {{}}\nsteps.Gitt {{}}\nworker.KubeLatentWorker('k')\nc.slaves = {{}}\n\
         util.BuilderConfig {{ name = 'b', slavenames = {{ 'w' }}, factory = util.BuildFactory() }}\n\
         require('buildbot.plugins').buildslave.BuildSlave('s', 'p')"
    ))
    .await;
    let holds = |part: &str| assert!(said.iter().any(|line| line.contains(part)), "{part}: {said:#?}");
    holds("`steps.Git` is not in Lunabot yet, ");
    holds("there is no `steps.Gitt`, did you mean `steps.Git`, which is not in Lunabot yet?");
    holds("`worker.KubeLatentWorker` is not in Lunabot yet");
    holds("unknown option `c.slaves`, it is `c.workers` now");
    holds("unknown option `slavenames`, it is `workernames` now");
    holds("there is no `buildslave.BuildSlave`, it is `worker.Worker` now");
}

#[tokio::test]
async fn each_key_of_buildbots_is_an_option_or_known_to_be_absent() {
    for key in BUILDBOTS_KEYS {
        let is_known = MASTER.option(key).is_some() || MASTER.not_yet.contains(&key);
        assert!(is_known || known::is_ignored("c", key), "c.{key} is unknown");
    }
    for key in MASTER.not_yet {
        let told = problems(&format!("c.{key} = 5\nc.workers = {{ nil }}")).await;
        let line = format!("`c.{key}`");
        let told: Vec<_> = told.iter().filter(|problem| problem.contains(&line)).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("master.cfg.lua:1") && !told[0].contains("unknown"), "{told:?}");
    }
}

#[tokio::test]
async fn each_option_that_is_known_and_absent_is_told_so() {
    let calls = CONSTRUCTORS.iter().flat_map(|made| made.not_yet.iter().map(move |option| (*made, *option)));
    for (constructor, option) in calls {
        let told = problems(&format!("{HEAD}{}", call(constructor, option))).await;
        let line = format!("`{option}`");
        let told: Vec<_> = told.iter().filter(|problem| problem.contains(&line)).collect();
        assert_eq!(told.len(), 1, "{}: {told:?}", constructor.path());
        assert!(!told[0].contains("unknown option"), "{}: {told:?}", constructor.path());
    }
}

/// A call with what it must have by names, and one option besides.
fn call(constructor: &Constructor, option: &str) -> String {
    let required = constructor.options().filter(|spec| matches!(spec.default, Default::Required));
    let mut given: Vec<String> = required
        .map(|spec| {
            let value = match spec.kind {
                Kind::Seconds { .. } => "60",
                Kind::Object(_) => "util.BuildFactory()",
                Kind::Function => "function() end",
                _ if spec.name == "fromaddr" => "'a@localhost'",
                _ => "'x'",
            };
            format!("{} = {value}", spec.name)
        })
        .collect();
    given.push(format!("{option} = 5"));
    format!("{} {{ {} }}", constructor.path(), given.join(", "))
}

#[tokio::test]
async fn lists_that_are_there_from_the_start_may_be_filled_and_emptied() {
    let one = definition("c.workers = { worker.LocalWorker 'w' }").await;
    for form in [
        "c['workers'] = { worker.LocalWorker 'w' }",
        "c.workers = { worker.LocalWorker 'w' } c.workers = c.workers",
        "c.workers = nil table.insert(c.workers, worker.LocalWorker 'w')",
        "table.insert(c.workers, 1, worker.LocalWorker 'w')",
        "local w = c.workers w[#w + 1] = worker.LocalWorker 'w'",
        "c.workers[1] = worker.LocalWorker 'w' c.services, c.status = {}, nil",
    ] {
        assert_eq!(definition(form).await, one, "{form}");
    }
}

#[tokio::test]
async fn the_order_in_which_a_pool_is_made_never_matters() {
    let pool = |names: &str| {
        format!(
            "for _, name in ipairs {{ {names} }} do
  table.insert(c.workers, worker.LocalWorker(name))
  table.insert(c.reporters, reporters.MailNotifier(name .. '@localhost', {{ watchedWorkers = {{ {names} }} }}))
end
c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ {names} }}, factory = util.BuildFactory() }} }}"
        )
    };
    let first = definition(&pool("'a', 'b', 'c'")).await;
    let second = definition(&pool("'c', 'a', 'b'")).await;
    assert_eq!(first, second);
    assert!(ReconfigPlan::between(&first, &second).is_empty());
}

#[tokio::test]
async fn what_a_second_assignment_drops_is_a_warning_and_what_it_keeps_is_none() {
    let dropped = |text: &'static str| async move {
        let warnings = checked(&format!("{HEAD}{text}")).await.warnings;
        let told = warnings.iter().filter(|warning| warning.kind == "value that is set again");
        told.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        dropped("c.workers = { worker.LocalWorker 'a' }\nc.workers = { worker.LocalWorker 'b' }").await,
        [
            "master.cfg.lua:4:1: warning: `c.workers` is set again; what it was given at master.cfg.lua:3:1 is dropped, \
          add to it with `table.insert(c.workers, …)`"
        ]
    );
    let ports = "c.workers = { worker.LocalWorker 'a' } c.protocols.pb = { port = 9989 }
c.protocols = { msgpack_experimental_v7 = { port = 9990 } }";
    assert_eq!(
        dropped(ports).await,
        [
            "master.cfg.lua:4:1: warning: `c.protocols` is set again; what it was given is dropped, add to it with \
          `c.protocols.KEY = …`"
        ]
    );
    for kept in [
        "c.workers = { worker.LocalWorker 'a' } c.workers = c.workers",
        "c.workers = { worker.LocalWorker 'a' } c.workers = { c.workers[1], worker.LocalWorker 'b' }",
        "c.workers = {} c.workers = { worker.LocalWorker 'a' }",
        "c.title = 'a' c.title = 'b' c.workers = { worker.LocalWorker 'a' }",
        "c = { workers = {} } c = {} c.workers = { worker.LocalWorker 'a' }",
    ] {
        assert!(dropped(kept).await.is_empty(), "{kept}");
    }
}

#[tokio::test]
async fn a_changed_reporter_and_changed_properties_are_read_in_place_and_show_no_secret() {
    let text = |host: &str, password: &str, site: &str| {
        format!(
            "c.workers = {{ worker.LocalWorker 'w' }}
c.properties = {{ site = '{site}' }}
c.status = {{ reporters.MailNotifier('a@localhost', '{host}', {{ name = 'm', smtpUser = 'ci', smtpPassword = '{password}' }}) }}"
        )
    };
    let before = definition(&text("localhost", "sesame-1", "lab")).await;
    let after = definition(&text("smtp.example.org", "sesame-2", "hall")).await;
    assert_eq!(
        ReconfigPlan::between(&before, &after).lines(),
        [
            "~ setting \"c\": properties { site = \"lab\" } -> { site = \"hall\" } (in place)",
            "~ reporter \"m\": relayhost \"localhost\" -> \"smtp.example.org\" (in place)",
            "~ reporter \"m\": smtpPassword … -> … (in place)",
        ]
    );
    assert_eq!(after.summary(), "1 worker, 0 builders, 0 schedulers, 1 reporter");
}
