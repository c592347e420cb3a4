//! Faults of Buildbot 4.3.0, each named with what stands in its place here.
//!
//! Each was seen on Buildbot itself, or read in its source. The first text of a row is what Buildbot does.
//!
//! # Not here
//! Faults of what is not there yet: of locks, of mails that are sent, and of the lives of instances.

use std::time::Duration;

use super::{checked, load_text};
use crate::definition::{
    IdlePolicy, LatentDefinition, ReconfigPlan, WorkerDefinition, WorkerKind,
    known::{self, Known},
    latent::Backend,
};

const HEAD: &str = "local plugins = require 'buildbot.plugins'
local worker, util, steps, schedulers, reporters =
  plugins.worker, plugins.util, plugins.steps, plugins.schedulers, plugins.reporters
c.protocols = { pb = { port = 9989 } }
c.workers = { worker.LocalWorker 'bot' }
";

/// What Buildbot takes and should not: from line 6 on, and the beginning of what is said of it.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "the check takes any type for `missing_timeout`, and the master dies at its start",
        "c.workers[2] = worker.Worker('a', 'b', { missing_timeout = 'soon' })",
        "master.cfg.lua:6:42: worker \"a\": `missing_timeout` is no span of time: \"soon\"",
    ),
    (
        "the check takes any number: -1 builds",
        "c.workers[2] = worker.Worker('a', 'b', { max_builds = -1 })",
        "master.cfg.lua:6:42: worker \"a\": `max_builds` takes a whole number from 0 to 4294967295, not -1",
    ),
    (
        "the check takes any number: a negative time",
        "c.workers[2] = worker.Worker('a', 'b', { missing_timeout = -1 })",
        "master.cfg.lua:6:42: worker \"a\": `missing_timeout` takes at least 0 s, not -1",
    ),
    (
        "the check takes any number: a negative interval",
        "c.workers[2] = worker.Worker('a', 'b', { keepalive_interval = -5 })",
        "master.cfg.lua:6:42: worker \"a\": `keepalive_interval` takes at least 0 s, not -5",
    ),
    (
        "the check does not see two workers of one name, and the start fails; a reload is half applied",
        "c.workers[2] = worker.Worker('bot', 'b')",
        "master.cfg.lua:6:16: worker \"bot\" is defined twice, first at master.cfg.lua:5:15",
    ),
    (
        "a worker without a password is taken, and nobody can log in",
        "c.workers[2] = worker.Worker('a', '')",
        "master.cfg.lua:6:16: worker \"a\": the password is empty, so nobody could log in",
    ),
    (
        "a password of a LocalWorker is overwritten without a word",
        "c.workers[2] = worker.LocalWorker('a', { password = 'b' })",
        "master.cfg.lua:6:42: worker \"a\": unknown option `password`",
    ),
    (
        "the check of a LocalLatentWorker can never pass",
        "c.workers[2] = worker.LocalLatentWorker('a')",
        "master.cfg.lua:6:23: `worker.LocalLatentWorker` is not in Lunabot yet",
    ),
    (
        "a KubeLatentWorker refuses the password that its base takes",
        "c.workers[2] = worker.KubeLatentWorker('a', { password = 'b' })",
        "master.cfg.lua:6:23: `worker.KubeLatentWorker` is not in Lunabot yet",
    ),
    (
        "an UpcloudLatentWorker refuses the `zone` that it documents",
        "c.workers[2] = worker.UpcloudLatentWorker('a', { zone = 'de-fra1' })",
        "master.cfg.lua:6:23: `worker.UpcloudLatentWorker` is not in Lunabot yet",
    ),
    (
        "a lock for -5 holders is taken",
        "util.MasterLock('a', { maxCount = -5 })",
        "master.cfg.lua:6:24: lock \"a\": `maxCount` takes a whole number from 1 to 4294967295, not -5",
    ),
    (
        "a lock for -5 holders is taken, one for each worker too",
        "util.WorkerLock('a', { maxCount = -5 })",
        "master.cfg.lua:6:24: lock \"a\": `maxCount` takes a whole number from 1 to 4294967295, not -5",
    ),
    (
        "an unknown machine is told in the log, once the master runs",
        "c.workers[2] = worker.LocalWorker('a', { machine_name = 'gone' })",
        "master.cfg.lua:6:42: worker \"a\": option `machine_name` is not in Lunabot yet",
    ),
    (
        "what is no address of mail is taken",
        "c.workers[2] = worker.LocalWorker('a', { notify_on_missing = 'root' })",
        "master.cfg.lua:6:42: worker \"a\": `notify_on_missing`: \"root\" is no address of mail: it has no `@`",
    ),
    (
        "of an unknown type of a mail the error names another type",
        "c.reporters = { reporters.MailNotifier { fromaddr = 'a@b', generators = {
  reporters.WorkerMissingGenerator('all', reporters.MessageFormatterMissingWorker { template_type = 'htm' }) } } }",
        "master.cfg.lua:7:85: reporters.MessageFormatterMissingWorker: `template_type`: \"htm\" is no type of a mail",
    ),
    (
        "a header that each mail has anyhow is there twice then",
        "c.reporters = { reporters.MailNotifier { fromaddr = 'a@b', extraHeaders = { Subject = 'x' } } }",
        "master.cfg.lua:6:60: reporters.MailNotifier: `extraHeaders`: each mail has a header `Subject` of its own",
    ),
    (
        "a volume that is rendered to nonsense fails the start of a container, one that is written not",
        "c.workers[2] = worker.DockerLatentWorker('a', None, 'unix:///x', { image = 'i', volumes = { '/a' } })",
        "master.cfg.lua:6:81: worker \"a\": `volumes` takes `source:target` or `source:target:ro`, not \"/a\"",
    ),
    (
        "a function as image of a server is in the manual, and fails the start",
        "c.workers[2] = worker.OpenStackLatentWorker('a', None, { flavor = 1, image = function() end, os_auth_args = { auth_url = 'https://k' } })",
        "master.cfg.lua:6:70: worker \"a\": `image` takes text, not a function, write `util.renderer(function(props) … end)`",
    ),
    (
        "the check ends with the first mistake of many kinds",
        "c.workers[2] = worker.Worker('a', 'b', { max_builds = 'two', missing_timeout = 'soon' }) c.nonsense = 1",
        "master.cfg.lua:6:42: worker \"a\": `max_builds` takes a whole number, not text (\"two\")
master.cfg.lua:6:62: worker \"a\": `missing_timeout` is no span of time: \"soon\"; write \"90s\", \"10m\", \"1h30m\" or \"2d\" (units: ms, s, m, h, d, w)
master.cfg.lua:6:90: unknown option `c.nonsense`",
    ),
];

/// What Buildbot refuses, or cannot do, and should take.
const TAKEN: &[(&str, &str)] = &[
    (
        "`watchedWorkers` and kin of a MailNotifier are in its manual, and unknown",
        "c.reporters = { reporters.MailNotifier { fromaddr = 'a@b', watchedWorkers = { 'bot' }, builders = {},
  messageFormatterMissingWorker = reporters.MessageFormatterMissingWorker { subject = 'gone' } } }",
    ),
    (
        "`me@localhost` is refused as a recipient",
        "c.reporters = { reporters.MailNotifier { fromaddr = 'a@b', extraRecipients = { 'me@localhost' } } }",
    ),
    (
        "`target` of a Dockerfile is documented and refused",
        "c.workers[2] = worker.DockerLatentWorker('a', None, 'unix:///x', { dockerfile = 'FROM x AS y', image = 'i', target = 'y' })",
    ),
    (
        "`buildargs` have no effect without a context of one's own",
        "c.workers[2] = worker.DockerLatentWorker('a', None, 'unix:///x', { dockerfile = 'FROM x', buildargs = { A = 'b' } })",
    ),
    (
        "a `masterFQDN` with an address of IPv6 is taken apart at its first colon",
        "c.workers[2] = worker.DockerLatentWorker('a', None, 'unix:///x', { image = 'i', masterFQDN = '[fd00::1]:9989' })",
    ),
    (
        "the keys of EC2 cannot be secrets",
        "c.workers[2] = worker.EC2LatentWorker('a', None, 'm5.large', { ami = 'ami-1', keypair_name = 'k', security_name = 's',
  identifier = util.Secret 'id', secret_identifier = util.Secret 'key' })",
    ),
    (
        "a LocalWorker needs something in `protocols`",
        "c.protocols = nil",
    ),
];

/// What a change of an option does, of which Buildbot sees nothing: the old worker, the new one, and the plan.
const SEEN: &[(&str, &str, &str, &str)] = &[
    (
        "a reload does not see another image of EC2",
        "worker.EC2LatentWorker('a', None, 'm5.large', { ami = 'ami-1', keypair_name = 'k', security_name = 's' })",
        "worker.EC2LatentWorker('a', None, 'm5.large', { ami = 'ami-2', keypair_name = 'k', security_name = 's' })",
        "~ worker \"a\": ami \"ami-1\" -> \"ami-2\" (when idle)",
    ),
    (
        "a reload does not see another size of EC2",
        "worker.EC2LatentWorker('a', None, 'm5.large', { ami = 'ami-1', keypair_name = 'k', security_name = 's' })",
        "worker.EC2LatentWorker('a', None, 'm5.xlarge', { ami = 'ami-1', keypair_name = 'k', security_name = 's' })",
        "~ worker \"a\": instance_type \"m5.large\" -> \"m5.xlarge\" (when idle)",
    ),
    (
        "a reload does not see another disk of libvirt",
        "worker.LibVirtWorker('a', None, '/hd', '/base-1')",
        "worker.LibVirtWorker('a', None, '/hd', '/base-2')",
        "~ worker \"a\": base_image \"/base-1\" -> \"/base-2\" (when idle)",
    ),
    (
        "a reload does not see another hypervisor",
        "worker.LibVirtWorker('a', None, { uri = 'qemu:///system' })",
        "worker.LibVirtWorker('a', None, { uri = 'qemu:///session' })",
        "~ worker \"a\": uri \"qemu:///system\" -> \"qemu:///session\" (when idle)",
    ),
];

/// All that is said of a text, a line each.
async fn said(text: &str) -> String {
    match load_text(&format!("{HEAD}{text}")).await.check() {
        Ok(_) => String::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[tokio::test]
async fn what_buildbot_takes_wrongly_is_refused_at_its_option() {
    for (fault, text, told) in REFUSED {
        let said = said(text).await;
        assert!(said.starts_with(told), "{fault}:\n{said}\n{told}");
        assert_eq!(said.lines().count(), told.lines().count(), "{fault}:\n{said}");
    }
}

#[tokio::test]
async fn what_buildbot_refuses_wrongly_is_taken() {
    for (fault, text) in TAKEN {
        let said = said(text).await;
        assert_eq!(said, "", "{fault}");
    }
}

async fn workers(text: &str) -> Vec<WorkerDefinition> {
    let definition = checked(&format!("{HEAD}c.workers[1] = {text}")).await.definition;
    definition.workers.values().map(|worker| WorkerDefinition::clone(worker)).collect()
}

#[tokio::test]
async fn what_a_reload_of_buildbot_does_not_see_is_in_the_plan() {
    for (fault, old, new, change) in SEEN {
        let definition = async |text: &str| checked(&format!("{HEAD}c.workers[1] = {text}")).await.definition;
        let plan = ReconfigPlan::between(&definition(old).await, &definition(new).await);
        assert_eq!(plan.lines(), [*change], "{fault}");
    }
}

#[tokio::test]
async fn all_that_buildbot_has_is_there_or_refused_by_name_as_the_documentation_says() {
    let names = |module: &'static str| known::members(module).iter().map(move |name| (module, *name));
    let all: Vec<(&str, &str)> = known::modules().flat_map(names).collect();
    let lines: Vec<String> =
        all.iter().map(|(module, name)| format!("\nkept[1] = plugins.{module}.{name}")).collect();
    let problems = load_text(&format!("{HEAD}local kept = {{}}{}", lines.concat())).await.draft.problems;
    for (line, (module, name)) in (7..).zip(all) {
        let said: Vec<&str> = problems
            .iter()
            .filter(|problem| problem.place.as_ref().is_some_and(|place| place.line == line))
            .map(|problem| &*problem.text)
            .collect();
        let is_absent = known::absent(module).any(|(absent, _)| absent == name);
        match known::member(module, name) {
            Some(Known::Former(_)) => assert_eq!(said, [format!("there is no `{module}.{name}`")]),
            _ if is_absent => assert_eq!(said, [format!("`{module}.{name}` is not in Lunabot yet")]),
            _ => assert!(said.is_empty(), "{module}.{name}: {said:?}"),
        }
    }
    for key in known::absent_keys() {
        assert_eq!(
            said(&format!("c.{key} = 1")).await,
            format!("master.cfg.lua:6:1: option `c.{key}` is not in Lunabot yet")
        );
    }
}

/// All latent workers, with nothing but what each needs.
const LATENT: [&str; 5] = [
    "worker.EC2LatentWorker('a', None, 'm5.large', { ami = 'ami-1', keypair_name = 'k', security_name = 's' })",
    "worker.LibVirtWorker('a', None)",
    "worker.OpenStackLatentWorker('a', None, { flavor = 1, image = 'i', os_username = 'u', os_password = 'p', os_auth_url = 'https://k' })",
    "worker.DockerLatentWorker('a', None, 'unix:///x', 'i')",
    "worker.LatentWorker('a', None, { start_instance = function() end, stop_instance = function() end })",
];

#[tokio::test]
async fn all_latent_workers_have_the_same_defaults_and_a_time_to_attach_of_their_own() {
    for text in LATENT {
        let [worker] = &*workers(text).await else { panic!("{text}") };
        let WorkerKind::Latent(latent) = &worker.kind else { panic!("{text}") };
        let LatentDefinition { build_wait_timeout, attach_timeout, check_instance_interval, backend, .. } =
            &**latent;
        // In Buildbot 0 for Docker.
        assert_eq!(*build_wait_timeout, IdlePolicy::StopAfter(Duration::from_secs(600)), "{text}");
        // In Buildbot the manual says 20 minutes, and the source an hour, for both in one option.
        assert_eq!(worker.missing_timeout, Some(Duration::from_secs(3600)), "{text}");
        assert_eq!(*attach_timeout, Duration::from_secs(1200), "{text}");
        assert_eq!(*check_instance_interval, Duration::from_secs(10), "{text}");
        // In Buildbot `system:///`, which libvirt refuses.
        if let Backend::LibVirt(libvirt) = backend {
            assert_eq!(libvirt.uri, "qemu:///system");
        }
    }
}
