//! What options of a worker do to it, seen from its master.

use std::fs;

use super::{Place, running::master};
use crate::support::{master::eventually, real_worker::free_port};

#[test]
fn a_number_of_processors_is_told_and_folders_that_no_builder_has_go_if_that_is_wished() {
    for (options, is_tidy) in [(&["--numcpus", "3", "--delete-leftover-dirs"][..], true), (&[], false)] {
        let port = free_port();
        let dir = master(port, "steps.ShellCommand { command = 'echo > made' }");
        let _master = dir.start();
        let place = Place::made(port, options);
        fs::create_dir(place.file("old")).unwrap();
        fs::write(place.file("old/left"), "by a builder of last year").unwrap();
        let mut worker = place.spawn(&[]);
        worker.wait_for_stderr("attached");
        // The worker knows that it is let in before the master has written down what it told.
        let numcpus = eventually("the facts", || dir.worker("w1")["workerinfo"]["numcpus"].as_i64());
        assert!(!is_tidy || numcpus == 3, "{numcpus}");
        assert!(dir.run("force", &["b", "--wait"]).status.success());
        if is_tidy {
            eventually("the folder to go", || (!place.file("old").exists()).then_some(()));
        }
        assert_eq!(place.file("old/left").exists(), !is_tidy);
        for kept in ["info/host", "worker.toml", "b/build/made"] {
            assert!(place.file(kept).exists(), "{kept}");
        }
    }
}
