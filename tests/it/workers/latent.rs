//! Workers that are started on demand, as long as none is started: seen, waited for, and nobody else's to be.

use serde_json::Value;

use super::{
    MasterDir, free_port, is_attached,
    logins::{is_told_no, refusals},
    shown, wait_for_results,
};
use crate::support::master::{HEAD, eventually};

fn config(port: u16, worker: &str) -> String {
    format!(
        "{HEAD}c.protocols = {{ pb = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}
c.workers = {{ {worker} }}
c.builders = {{ util.BuilderConfig {{ name = 'b', workername = 'w1',
  factory = util.BuildFactory {{ steps.ShellCommand {{ command = 'true' }} }} }} }}
c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}
"
    )
}

const LATENT: &str =
    "worker.DockerLatentWorker('w1', 'sesame', 'unix:///nowhere.sock', 'image', { missing_timeout = 0.001 })";

fn reconfigure(dir: &MasterDir, config: &str) -> String {
    std::fs::write(dir.file("master.cfg.lua"), config).unwrap();
    let output = dir.run("reconfig", &[]);
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn a_latent_worker_is_shown_and_not_missed_and_its_build_waits_and_nobody_may_take_its_name() {
    let port = free_port();
    let dir = MasterDir::new(&config(port, LATENT));
    let told = dir.run("checkconfig", &[]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned() + &String::from_utf8_lossy(&told.stdout);
    assert!(
        told.contains("this version checks `DockerLatentWorker` and does not start its instances yet"),
        "{told}"
    );

    let mut master = dir.start();
    let worker = shown(&dir, "w1");
    assert_eq!(worker["options"]["class"], "DockerLatentWorker");
    assert_eq!(
        (&worker["options"]["build_wait_timeout"], &worker["options"]["attach_timeout"]),
        (&600.0.into(), &1200.0.into())
    );
    let table = dir.run("workers", &[]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("no instance (DockerLatentWorker)"), "{table}");
    assert_eq!(worker["connected_to"], Value::Array(Vec::new()));
    // It is away because nothing needs it.
    assert_eq!(worker["missing_since"], Value::Null);

    assert!(dir.run("force", &["b"]).status.success());
    drop(is_told_no(port, "w1").expect("it is told no"));
    master.wait_for_stderr("it is a latent worker, of which no instance was started");
    assert!(refusals(&dir, "w1").iter().all(|line| !line.contains("sesame")));
    assert!(!is_attached(&dir, "w1") && dir.builds().is_empty());

    // What waits is built as soon as the worker is one that is there.
    let said = reconfigure(&dir, &config(port, "worker.LocalWorker 'w1'"));
    assert!(said.contains("class DockerLatentWorker -> LocalWorker"), "{said}");
    wait_for_results(&dir, &[0]);
}

#[test]
fn a_worker_that_becomes_a_latent_one_loses_its_link() {
    let port = free_port();
    let dir = MasterDir::new(&config(port, "worker.LocalWorker 'w1'"));
    let _master = dir.start();
    eventually("the worker to be there", || is_attached(&dir, "w1").then_some(()));
    reconfigure(&dir, &config(port, LATENT));
    eventually("the worker to be gone", || (!is_attached(&dir, "w1")).then_some(()));
    assert_eq!(shown(&dir, "w1")["options"]["class"], "DockerLatentWorker");
    // The same again changes nothing; another option of the engine is seen.
    let other = LATENT.replace("nowhere", "elsewhere");
    let said = reconfigure(&dir, &config(port, &other));
    assert!(said.contains("docker_host") && said.contains("(when idle)"), "{said}");
}
