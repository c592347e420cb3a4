//! Workers that are started on demand: what a reload sees of them, and what is said of them.

use super::checked;
use crate::definition::{
    Cost, IdlePolicy, ReconfigPlan, WorkerKind,
    check::Checked,
    latent::{Auth, Backend, Credentials, Image, NOT_STARTED},
};

const HEAD: &str = "local plugins = require 'buildbot.plugins'
local worker, util = plugins.worker, plugins.util
c.protocols = { pb = { port = 9989 } }
";

async fn with(worker: &str) -> Checked {
    checked(&format!("{HEAD}c.workers = {{ worker.{worker} }}")).await
}

/// The plan from one worker to another.
async fn plan(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (with(old).await.definition, with(new).await.definition);
    let plan = ReconfigPlan::between(&old, &new);
    assert_eq!(plan.apply(&old), new);
    plan.lines()
}

fn backend(checked: &Checked) -> Backend {
    let worker = checked.definition.workers.values().next().expect("there is one");
    let WorkerKind::Latent(latent) = &worker.kind else { panic!("it is latent") };
    latent.backend.clone()
}

#[tokio::test]
async fn a_reload_sees_each_option_of_ec2_which_buildbot_ignores() {
    let ec2 = |options: &str| {
        format!(
            "EC2LatentWorker('e', None, {{ instance_type = 'm5.large', keypair_name = 'ci', security_name = 'ci', {options} }})"
        )
    };
    let lines = plan(
        &ec2("ami = 'ami-1', region = 'us-west-2', user_data = 'hush', tags = { a = '1' }"),
        &ec2("ami = 'ami-2', region = 'us-west-2', placement = 'b', user_data = 'silence', volumes = { { 'v', '/d' } }"),
    )
    .await;
    assert_eq!(
        lines,
        [
            "~ worker \"e\": placement None -> \"b\" (when idle)",
            "~ worker \"e\": volumes {} -> { { \"v\", \"/d\" } } (when idle)",
            "~ worker \"e\": tags { a = \"1\" } -> {} (when idle)",
            "~ worker \"e\": ami \"ami-1\" -> \"ami-2\" (when idle)",
            "~ worker \"e\": user_data … -> … (when idle)",
        ]
    );
    let lines = plan(&ec2("ami = 'ami-1'"), &ec2("valid_ami_owners = 123, spot_instance = true")).await;
    assert_eq!(
        lines,
        [
            "~ worker \"e\": ami \"ami-1\" -> None (when idle)",
            "~ worker \"e\": valid_ami_owners {} -> { \"000000000123\" } (when idle)",
            "~ worker \"e\": spot_instance false -> true (when idle)",
        ]
    );
}

#[tokio::test]
async fn a_reload_sees_each_option_of_libvirt_which_buildbot_ignores() {
    let lines = plan(
        "LibVirtWorker('v', None, '/hd', '/base')",
        "LibVirtWorker('v', None, '/hd2', '/base', { uri = 'qemu:///session', xml = '<domain/>', graceful_shutdown = true })",
    )
    .await;
    assert_eq!(
        lines,
        [
            "~ worker \"v\": hd_image \"/hd\" -> \"/hd2\" (when idle)",
            "~ worker \"v\": uri \"qemu:///system\" -> \"qemu:///session\" (when idle)",
            "~ worker \"v\": graceful_shutdown false -> true (in place)",
            "~ worker \"v\": xml None -> \"<domain/>\" (when idle)",
        ]
    );
}

#[tokio::test]
async fn what_all_workers_share_changes_in_place_and_another_class_is_another_worker() {
    let script = |more: &str| {
        format!(
            "LatentWorker('s', None, {{ start_instance = function() end, stop_instance = function() end, {more} }})"
        )
    };
    let lines = plan(
        &script(""),
        &script("build_wait_timeout = -1, attach_timeout = '5m', max_builds = 1, notify_on_missing = 'me@localhost'"),
    )
    .await;
    assert_eq!(
        lines,
        [
            "~ worker \"s\": max_builds None -> 1 (in place)",
            "~ worker \"s\": notify_on_missing {} -> { \"me@localhost\" } (in place)",
            "~ worker \"s\": build_wait_timeout 600 s -> -1 s (in place)",
            "~ worker \"s\": attach_timeout 1200 s -> 300 s (in place)",
            // They stand in one line of the file, so each is that line.
            "~ worker \"s\": start_instance the function at master.cfg.lua:4 -> the function at master.cfg.lua:4 (in place)",
            "~ worker \"s\": stop_instance the function at master.cfg.lua:4 -> the function at master.cfg.lua:4 (in place)",
        ]
    );
    let lines = plan("Worker('s', 'sesame')", &script("")).await;
    assert_eq!(lines, ["~ worker \"s\": class Worker -> LatentWorker (replaces it)"]);
    let (old, new) = (with(&script("")).await.definition, with("LibVirtWorker 's'").await.definition);
    assert_eq!(ReconfigPlan::between(&old, &new).workers[0].cost(), Cost::Replace);
}

#[tokio::test]
async fn no_line_of_a_plan_shows_a_secret_of_a_latent_worker() {
    let nova = |word: &str| {
        format!(
            "OpenStackLatentWorker('o', '{word}', {{ flavor = 1, image = 'i', os_username = '{word}', os_password = '{word}', \
             os_auth_url = 'https://{word}', os_tenant_name = '{word}', nova_args = {{ userdata = '{word}' }} }})"
        )
    };
    let ec2 = |word: &str| {
        format!(
            "EC2LatentWorker('o', '{word}', {{ instance_type = 't', ami = 'a', keypair_name = 'k', subnet_id = 's', \
             identifier = '{word}', secret_identifier = '{word}', user_data = '{word}' }})"
        )
    };
    for make in [&nova as &dyn Fn(&str) -> String, &ec2] {
        let lines = plan(&make("hush1"), &make("hush2")).await;
        assert!(lines.len() >= 3 && lines.iter().all(|line| !line.contains("hush")), "{lines:?}");
        let both = format!("{:?} {:?}", with(&make("hush1")).await, with(&make("hush2")).await);
        // The arguments of Nova are any values; who prints a definition for a log shows no more than a plan.
        assert_eq!(both.matches("hush").count(), both.matches("userdata").count());
    }
}

#[tokio::test]
async fn a_latent_worker_waits_ten_minutes_for_another_build_whatever_starts_it() {
    for worker in [
        "DockerLatentWorker('d', None, 'tcp://engine:2375', 'image')",
        "LibVirtWorker 'd'",
        "EC2LatentWorker('d', None, 't', 'a', { keypair_name = 'k', subnet_id = 's' })",
    ] {
        let checked = with(worker).await;
        let worker = checked.definition.workers.values().next().expect("there is one");
        let WorkerKind::Latent(latent) = &worker.kind else { panic!("it is latent") };
        let seconds = |seconds| std::time::Duration::from_secs(seconds);
        assert_eq!(latent.build_wait_timeout, IdlePolicy::StopAfter(seconds(600)));
        assert_eq!((latent.attach_timeout, worker.missing_timeout), (seconds(1200), Some(seconds(3600))));
        assert_eq!(latent.passwords, None);
    }
}

#[tokio::test]
async fn values_are_typed_and_secrets_may_be_named() {
    let ec2 = with(
        "EC2LatentWorker { 'e', instance_type = 't', valid_ami_location_regex = 'a(b)', keypair_name = 'k', \
         subnet_id = 's', identifier = util.Secret 'id', secret_identifier = util.Secret 'key' }",
    )
    .await;
    let Backend::Ec2(ec2) = backend(&ec2) else { panic!("it is EC2's") };
    assert!(matches!(&ec2.image, Image::Search { owners, location: Some(_) } if owners.is_empty()));
    assert!(matches!(ec2.credentials, Credentials::Keys { .. }));
    let nova = with(
        "OpenStackLatentWorker { 'o', flavor = 1, image = 'i', os_auth_args = { auth_url = util.Secret 'url' } }",
    )
    .await;
    let Backend::OpenStack(nova) = backend(&nova) else { panic!("it is OpenStack's") };
    assert!(matches!(&nova.auth, Auth::Arguments(all) if all.len() == 1));
}

/// What is said of a good configuration, without its places.
fn said(checked: &Checked) -> Vec<&str> {
    checked.warnings.iter().map(|warning| warning.text.as_str()).collect()
}

#[tokio::test]
async fn each_latent_worker_is_said_not_to_be_started_and_to_need_a_port() {
    let found = with("LibVirtWorker 'v'").await;
    assert_eq!(found.warnings.iter().map(|warning| warning.kind).collect::<Vec<_>>(), [NOT_STARTED]);
    let place = found.warnings[0].place.as_ref().expect("it has its line");
    assert_eq!((&*place.file, place.line), ("master.cfg.lua", 4));
    assert_eq!(
        said(&found),
        ["worker \"v\": this version checks `LibVirtWorker` and does not start its instances yet"]
    );
    let text = "local worker = require 'buildbot.plugins'.worker
c.protocols = { msgpack_experimental_v7 = { port = 9989 } }
c.workers = {
  worker.DockerLatentWorker('d', None, 'tcp://engine:2375', 'image'),
  worker.DockerLatentWorker('e', None, 'tcp://engine:2375', 'image', { master_protocol = 'msgpack_experimental_v7' }),
  worker.LibVirtWorker 'v',
}";
    let mut found = checked(text).await;
    found.warnings.retain(|warning| warning.kind != NOT_STARTED);
    assert_eq!(said(&found), ["worker \"d\": its instances speak `pb`, and there is no port for it"]);
    assert_eq!(found.warnings[0].hint.as_deref(), Some("set `c.protocols.pb`"));
    let mut found = checked("c.workers = { require 'buildbot.plugins'.worker.LibVirtWorker 'v' }").await;
    found.warnings.retain(|warning| warning.kind != NOT_STARTED);
    assert_eq!(said(&found), ["worker \"v\": its instances have no port to connect to"]);
}
