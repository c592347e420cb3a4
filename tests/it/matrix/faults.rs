//! What happens to a build when its worker dies, is stopped, or is told to stop: the same for each worker on each master.

use std::fs;

use super::Wire;
use crate::support::{
    buildbot_master::{self, BuildbotMaster},
    master::{HEAD, MasterDir, eventually, is_alive},
    real_worker::{self, Kind, Protocol, RealWorker, free_port},
    skip::skip,
};

/// The first time it says who it is and waits for ever; the second time it ends.
const TWICE: &str = "if test -e ../once; then echo again; else echo $$ > ../once; exec sleep 1000; fi";

const WIRES: [Wire; 2] = [
    Wire { protocol: Protocol::Pb, through_tls: false },
    Wire { protocol: Protocol::Msgpack, through_tls: false },
];

fn config(wire: Wire, port: u16) -> String {
    let key = wire.protocol.key();
    format!(
        "{HEAD}c.protocols = {{ {key} = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
         c.workers = {{ worker.Worker('w1', 'sesame') }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, \
         factory = util.BuildFactory {{ steps.ShellCommand {{ command = '{TWICE}' }} }} }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
    )
}

fn started(kind: Kind, wire: Wire, port: u16) -> RealWorker {
    let mut worker = RealWorker::create_of(kind, wire.protocol, port, "w1", "sesame", &["--maxdelay", "1"]);
    worker.run();
    worker.wait_attached(1);
    worker
}

/// The process of the command that waits for ever.
fn waiting(worker: &RealWorker) -> String {
    eventually("the command", || {
        let pid = fs::read_to_string(worker.path().join("b/once")).ok()?;
        pid.ends_with('\n').then(|| pid.trim().to_owned())
    })
}

#[test]
fn a_worker_that_is_killed_and_started_again_gets_its_build_again() {
    const TEST: &str = "a_worker_that_is_killed_and_started_again_gets_its_build_again";
    for kind in [Kind::Buildbot, Kind::Lunabot] {
        if kind == Kind::Buildbot && real_worker::program().is_none() {
            skip(TEST, "LUNABOT_TEST_BUILDBOT_WORKER is not set");
            continue;
        }
        for wire in WIRES {
            let port = free_port();
            let dir = MasterDir::new(&config(wire, port));
            let _master = dir.start();
            let mut worker = started(kind, wire, port);
            assert!(dir.run("force", &["b"]).status.success());
            let command = waiting(&worker);
            worker.kill();
            worker.run();
            worker.wait_attached(2);
            let ends = eventually("the second build", || {
                let builds = dir.builds();
                let ends: Vec<i64> = builds.iter().filter_map(|build| build["results"].as_i64()).collect();
                (ends.len() == 2).then_some(ends)
            });
            assert_eq!(ends, [0, 5], "{kind:?} over {wire:?}");
            if kind == Kind::Lunabot {
                assert!(!is_alive(&command), "what a killed worker left is killed by the next one");
            }
        }
    }
}

#[test]
fn a_worker_that_is_killed_gets_its_build_again_from_buildbot() {
    const TEST: &str = "a_worker_that_is_killed_gets_its_build_again_from_buildbot";
    if buildbot_master::program().is_none() {
        return skip(TEST, "LUNABOT_TEST_BUILDBOT is not set");
    }
    for wire in WIRES {
        let port = free_port();
        let protocols = match wire.protocol {
            Protocol::Pb => format!("{{'pb': {{'port': 'tcp:{port}:interface=127.0.0.1'}}}}"),
            Protocol::Msgpack => format!("{{'msgpack_experimental_v7': {{'port': {port}}}}}"),
        };
        let steps = format!("  steps.ShellCommand(command='{TWICE}'),\n");
        let master = BuildbotMaster::start(&protocols, &steps, |_| {});
        let mut worker = started(Kind::Lunabot, wire, port);
        let command = waiting(&worker);
        worker.kill();
        worker.run();
        assert_eq!(master.build(1)["results"], 5, "{wire:?}");
        let second = master.build(2);
        assert_eq!(second["results"], 0, "{wire:?}: {second:#}");
        assert!(!is_alive(&command));
    }
}

#[test]
fn a_worker_that_is_stopped_takes_its_commands_with_it() {
    for wire in WIRES {
        let port = free_port();
        let dir = MasterDir::new(&config(wire, port));
        let _master = dir.start();
        let mut worker = started(Kind::Lunabot, wire, port);
        assert!(dir.run("force", &["b"]).status.success());
        let command = waiting(&worker);
        worker.signal("TERM");
        assert_eq!(worker.wait(), Some(0), "{wire:?}");
        assert!(!is_alive(&command), "{wire:?}");
        eventually("the loss of the build", || {
            dir.builds().iter().any(|build| build["results"] == 5).then_some(())
        });
    }
}

#[test]
fn a_worker_that_may_ask_to_stop_ends_its_builds_first() {
    for wire in WIRES {
        let port = free_port();
        let dir = MasterDir::new(&config(wire, port).replace(TWICE, "echo $$ > ../once; sleep 2; echo done"));
        let _master = dir.start();
        let mut worker = started(Kind::Lunabot, wire, port);
        assert!(dir.run("force", &["b"]).status.success());
        waiting(&worker);
        // `--allow-shutdown=signal`, as all workers of these tests have it.
        worker.signal("HUP");
        assert_eq!(worker.wait(), Some(0), "{wire:?}");
        let builds = dir.builds();
        assert_eq!((builds.len(), &builds[0]["results"]), (1, &0.into()), "{wire:?}");
    }
}

#[test]
fn a_master_that_tells_a_worker_to_stop_is_obeyed() {
    for wire in WIRES {
        let port = free_port();
        let dir = MasterDir::new(&config(wire, port));
        let _master = dir.start();
        let mut worker = started(Kind::Lunabot, wire, port);
        dir.order("stop", "w1", &["--reason", "it is old"]);
        assert_eq!(worker.wait(), Some(0), "{wire:?}");
    }
}
