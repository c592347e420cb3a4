//! Steps that carry files, make folders and set properties, from the configuration to the disks of both sides.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;

use crate::support::{
    certificates::Authority,
    master::{HEAD, MasterDir},
    real_worker::{self, Protocol, RealWorker, free_port},
    skip::skip,
    tree::crate_root,
};

/// All of them in one build. What they do is checked by commands on the worker, and then on the master's disk.
const ALL: &str = r#"
  steps.MakeDirectory { name = 'make', dir = 'build/made/deep' },
  steps.StringDownload { name = 'text', util.Interpolate 'for %(prop:buildername)s on %(worker:system)s', 'made/text', mode = '0600' },
  steps.JSONStringDownload { name = 'json', { a = { 1, true } }, 'made/x.json' },
  steps.FileDownload { name = 'fetch', 'from-master.bin', 'deep/er/fetched.bin', mode = '0640', blocksize = 100000 },
  steps.ShellCommand {
    name = 'check',
    command = [[set -e
      test -d made/deep
      test "$(cat made/text)" = "for b on posix"
      test "$(stat -c %a made/text)" = 600
      test "$(cat made/x.json)" = '{"a":[1,true]}'
      test "$(stat -c %a deep/er/fetched.bin)" = 640
      echo watched > watched.log
      echo v1.2 > version
      mkdir -p tree/sub
      echo leaf > tree/sub/leaf
      ln -s sub/leaf tree/link
      cp deep/er/fetched.bin one.pkg
      cp version two.pkg]],
    logfiles = { watched = 'watched.log' },
    haltOnFailure = true,
  },
  steps.SetPropertyFromCommand { name = 'ask', command = 'cat version', property = 'version' },
  steps.SetProperty { name = 'set', property = 'copy', value = util.Interpolate '%(prop:version)s-copy' },
  steps.CopyDirectory { name = 'copy', src = 'build/tree', dest = 'copied' },
  steps.FileUpload { name = 'file', 'deep/er/fetched.bin', util.Interpolate 'out/%(prop:version)s.bin', mode = '0644', keepstamp = true, url = 'https://example.org/' },
  steps.DirectoryUpload { name = 'plain', 'tree', 'out/plain' },
  steps.DirectoryUpload { name = 'gz', '../copied', 'out/gz', compress = 'gz' },
  steps.DirectoryUpload { name = 'bz2', 'tree', 'out/bz2', compress = 'bz2' },
  steps.MultipleFileUpload { name = 'many', { '*.pkg', 'tree' }, 'out/many', glob = true },
  steps.RemoveDirectory { name = 'remove', dir = 'copied' },
  steps.ShellCommand { name = 'gone', command = 'test ! -e ../copied' },
"#;

/// More than a block, and no text.
fn bytes() -> Vec<u8> {
    (0..300_000_u32).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

/// Runs the steps on the worker that `config` has, and looks at what they left.
fn run_all(dir: &MasterDir, worker_builder: &Path) {
    let output = dir.run("force", &["b", "--wait"]);
    let log = String::from_utf8_lossy(&output.stdout);
    let steps = steps(dir);
    assert!(output.status.success(), "{log}\n{steps:#?}");

    let out = dir.file("out");
    let file = out.join("v1.2.bin");
    assert_eq!(fs::read(&file).unwrap(), bytes());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    let there = fs::metadata(worker_builder.join("build/deep/er/fetched.bin")).unwrap();
    let apart = |a: std::time::SystemTime, b| a.duration_since(b).unwrap_or_else(|e| e.duration());
    let apart = apart(fs::metadata(&file).unwrap().modified().unwrap(), there.modified().unwrap());
    assert!(apart.as_secs_f64() < 0.01, "it kept its times: {apart:?}");
    for name in ["plain", "gz", "bz2", "many/tree"] {
        assert_eq!(fs::read_to_string(out.join(name).join("sub/leaf")).unwrap(), "leaf\n", "{name}");
        assert_eq!(fs::read_link(out.join(name).join("link")).unwrap(), Path::new("sub/leaf"), "{name}");
    }
    assert_eq!(fs::read(out.join("many/one.pkg")).unwrap(), bytes());
    assert_eq!(fs::read(out.join("many/two.pkg")).unwrap(), b"v1.2\n");
    let private = fs::metadata(out.join("many/two.pkg")).unwrap().permissions().mode() & 0o777;
    assert_eq!(private, 0o600, "without `mode` it is for its owner alone");
    let hidden = fs::read_dir(&out).unwrap().flatten().map(|entry| entry.file_name());
    let hidden: Vec<_> = hidden.filter(|name| name.to_string_lossy().starts_with('.')).collect();
    assert!(hidden.is_empty(), "{hidden:?}");

    let step = |name: &str| steps.iter().find(|step| step["name"] == name).unwrap().clone();
    assert_eq!(step("file")["urls"][0]["url"], "https://example.org/");
    assert_eq!(step("ask")["state_string"], "property 'version' set");
    let logs = get(dir, &format!("/api/v2/steps/{}/logs", step("check")["stepid"]));
    let names: Vec<_> = logs["logs"].as_array().unwrap().iter().map(|log| log["name"].clone()).collect();
    assert!(names.contains(&"watched".into()) && names.contains(&"stdio".into()), "{names:?}");
    let build = &dir.builds()[0]["buildid"];
    let properties = get(dir, &format!("/api/v2/builds/{build}/properties"));
    let properties = &properties["properties"][0];
    assert_eq!(properties["version"], serde_json::json!(["v1.2", "SetPropertyFromCommand Step"]));
    assert_eq!(properties["copy"][0], "v1.2-copy");
}

/// The steps of the newest build.
fn steps(dir: &MasterDir) -> Vec<Value> {
    let build = &dir.builds()[0]["buildid"];
    get(dir, &format!("/api/v2/builds/{build}/steps"))["steps"].as_array().unwrap().clone()
}

fn get(dir: &MasterDir, path: &str) -> Value {
    let answer = dir.get(path);
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
}

#[test]
fn a_local_worker_runs_every_step() {
    let dir = MasterDir::with_steps(ALL);
    fs::write(dir.file("from-master.bin"), bytes()).unwrap();
    let _master = dir.start();
    run_all(&dir, &dir.file("workers/w1/b"));
}

/// The same on a real worker, over a protocol, in the clear or through TLS.
fn on_a_real_worker(test: &str, protocol: Protocol, through_tls: bool) {
    if real_worker::program().is_none() {
        skip(test, "LUNABOT_TEST_BUILDBOT_WORKER is not set");
        return;
    }
    let (port, key) = (free_port(), protocol.key());
    let tls = if through_tls { ", tls = { cert = 'cert.pem', key = 'key.pem' }" } else { "" };
    let dir = MasterDir::new(&format!(
        "{HEAD}c.protocols = {{ {key} = {{ port = {{ port = {port}, interface = '127.0.0.1'{tls} }} }} }}\n\
         c.workers = {{ worker.Worker('w1', 'sesame') }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, \
         factory = util.BuildFactory {{ {ALL} }} }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
    ));
    fs::write(dir.file("from-master.bin"), bytes()).unwrap();
    let options: &[&str] = if through_tls {
        let authority = Authority::new();
        let pair = authority.issue("localhost");
        for (name, text) in [("cert.pem", &pair.cert), ("key.pem", &pair.key), ("ca.pem", &authority.pem)] {
            fs::write(dir.file(name), text).unwrap();
        }
        &["--use-tls"]
    } else {
        &[]
    };
    let _master = dir.start();
    let mut worker = RealWorker::create_on(protocol, port, "w1", "sesame", options);
    if through_tls {
        worker = worker.trusting(&dir.file("ca.pem"));
    }
    worker.run();
    worker.wait_attached(1);
    run_all(&dir, &worker.path().join("b"));
}

#[test]
fn a_real_worker_runs_every_step_over_pb() {
    on_a_real_worker("a_real_worker_runs_every_step_over_pb", Protocol::Pb, false);
}

#[test]
fn a_real_worker_runs_every_step_over_pb_through_tls() {
    on_a_real_worker("a_real_worker_runs_every_step_over_pb_through_tls", Protocol::Pb, true);
}

#[test]
fn a_real_worker_runs_every_step_over_msgpack() {
    on_a_real_worker("a_real_worker_runs_every_step_over_msgpack", Protocol::Msgpack, false);
}

#[test]
fn a_real_worker_runs_every_step_over_msgpack_through_tls() {
    on_a_real_worker("a_real_worker_runs_every_step_over_msgpack_through_tls", Protocol::Msgpack, true);
}

#[test]
fn the_example_of_artifacts_does_what_it_says() {
    let example = crate_root().join("examples/artifacts/master.cfg.lua");
    let dir = MasterDir::new(&fs::read_to_string(example).unwrap());
    let _master = dir.start();
    let output = dir.run("force", &["dist", "--wait"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let public = dir.file("public");
    let page = fs::read_to_string(public.join("doc/index.html")).unwrap();
    assert_eq!(page, "built by bot1 (posix)\n");
    let stamp = fs::read_to_string(public.join("packages/a.pkg")).unwrap();
    assert!(public.join(format!("dist-{}-1.tar", stamp.trim())).is_file());
}

#[test]
fn a_missing_file_halts_the_build_and_harms_nothing() {
    let dir = MasterDir::with_steps(
        "steps.FileUpload { 'missing', 'kept' }, steps.ShellCommand { name = 'never', command = 'true' }",
    );
    fs::write(dir.file("kept"), "as it was").unwrap();
    let _master = dir.start();
    let output = dir.run("force", &["b", "--wait"]);
    assert!(!output.status.success());
    assert_eq!(fs::read_to_string(dir.file("kept")).unwrap(), "as it was");
    let steps = steps(&dir);
    assert_eq!(steps.len(), 1, "the step after it did not run: {steps:#?}");
    assert_eq!(steps[0]["results"], 2);
    assert!(String::from_utf8_lossy(&dir.log(1)).contains("missing"));
}
