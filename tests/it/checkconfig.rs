//! `lunabot checkconfig`, as a stranger and as a program meets it: all problems at once, where they stand, and the exit code.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::master::lunabot;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    folder
}

fn check(folder: &TempDir, arguments: &[&str]) -> Output {
    lunabot().arg("checkconfig").args(arguments).arg(folder.path()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const HEAD: &str = "local plugins = require 'buildbot.plugins'
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers
";

/// Good, with one builder that nobody asks for and one worker that nobody uses.
const SUSPICIOUS: &str = "c.workers = { worker.LocalWorker 'used', worker.LocalWorker 'unused' }
c.builders = { util.BuilderConfig { name = 'b', workernames = { 'used' }, factory = util.BuildFactory { steps.ShellCommand { command = 'true' } } } }
";

#[test]
fn all_problems_of_all_files_are_told_at_once_sorted_with_file_line_and_column() {
    let main = format!(
        "{HEAD}local pool = require 'lib.pool'
c.workers = pool(2)
c.tilte = 'x'
c.machines = {{}}
c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1', 'nobody' }}, factory = util.BuildFactory {{}} }} }}
"
    );
    let pool = "local worker = require 'buildbot.plugins'.worker
return function(count)
  local all = {}
  for i = 1, count do all[i] = worker.LocalWorker('w' .. i, { max_build = i }) end
  return all
end";
    let folder = folder(&[("master.cfg.lua", &main), ("lib/pool.lua", pool)]);
    let checked = check(&folder, &[]);
    assert_eq!(checked.status.code(), Some(1));
    let told: Vec<String> = stdout(&checked).lines().map(str::to_owned).collect();
    let expected = [
        "lib/pool.lua:4:63: worker \"w1\": unknown option `max_build`, did you mean `max_builds`?; called from master.cfg.lua:4",
        "lib/pool.lua:4:63: worker \"w2\": unknown option `max_build`, did you mean `max_builds`?; called from master.cfg.lua:4",
        "master.cfg.lua:5:1: unknown option `c.tilte`, did you mean `c.title`?",
        "master.cfg.lua:6:1: option `c.machines` is not in Lunabot yet",
        "master.cfg.lua:7:71: builder \"b\": no worker is named \"nobody\", defined: w1, w2",
    ];
    assert_eq!(told, expected);
    assert_eq!(stderr(&checked), "5 problems\n");
}

#[test]
fn programs_get_each_problem_with_its_parts_and_its_line() {
    let main = format!(
        "{HEAD}local function make(name)\n  return worker.LocalWorker(name, {{ max_build = 1 }})\nend\nc.workers = {{ make 'a' }}\n"
    );
    let folder = folder(&[("master.cfg.lua", &main)]);
    let checked = check(&folder, &["--json"]);
    assert_eq!(checked.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((&answer["good"], &answer["summary"]), (&json!(false), &Value::Null));
    let expected = json!([{
        "file": "master.cfg.lua", "line": 4, "column": 37, "severity": "error", "kind": null,
        "text": "worker \"a\": unknown option `max_build`", "hint": "did you mean `max_builds`?",
        "trace": [{ "file": "master.cfg.lua", "line": 6, "function": null }],
        "source": "  return worker.LocalWorker(name, { max_build = 1 })",
        "shown": "master.cfg.lua:4:37: worker \"a\": unknown option `max_build`, did you mean `max_builds`?; called from master.cfg.lua:6",
    }]);
    assert_eq!(answer["problems"], expected);
    let good = folder_of(SUSPICIOUS);
    let answer: Value = serde_json::from_slice(&check(&good, &["--json"]).stdout).unwrap();
    assert_eq!(
        (&answer["good"], &answer["summary"]),
        (&json!(true), &json!("2 workers, 1 builder, 0 schedulers"))
    );
    assert_eq!(answer["problems"][0]["severity"], "warning");
}

fn folder_of(text: &str) -> TempDir {
    folder(&[("master.cfg.lua", &format!("{HEAD}{text}"))])
}

#[test]
fn a_warning_passes_unless_somebody_is_strict() {
    let folder = folder_of(SUSPICIOUS);
    let told = "master.cfg.lua:3:42: warning: worker \"unused\": no builder uses it
master.cfg.lua:4:16: warning: builder \"b\": no scheduler asks for its builds
";
    let checked = check(&folder, &[]);
    assert_eq!(checked.status.code(), Some(0));
    let good =
        format!("{}/master.cfg.lua: good: 2 workers, 1 builder, 0 schedulers\n", folder.path().display());
    assert_eq!(stdout(&checked), format!("{told}{good}"));
    let strict = check(&folder, &["--strict"]);
    assert_eq!(strict.status.code(), Some(1));
    assert_eq!(stdout(&strict), told);
    assert_eq!(stderr(&strict), "2 warnings, which --strict does not let pass\n");
}

#[test]
fn a_password_that_everybody_can_read_is_a_warning_until_its_file_is_closed() {
    let folder =
        folder_of("c.protocols = { pb = { port = 9989 } }\nc.workers = { worker.Worker('far', 'sesame') }\n");
    assert!(!stdout(&check(&folder, &[])).contains("password"));
    let file = folder.path().join("master.cfg.lua");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let told = stdout(&check(&folder, &[]));
    let expected = "master.cfg.lua:4:15: warning: worker \"far\": its password stands in master.cfg.lua, which everybody on this \
                    machine can read, `chmod o-r master.cfg.lua`, or give `util.Secret`";
    assert_eq!(told.lines().next(), Some(expected));
    assert!(!told.contains("sesame"), "{told}");
}

#[test]
fn what_cannot_be_read_and_what_was_asked_wrongly_have_codes_of_their_own() {
    let empty = tempfile::tempdir().unwrap();
    let gone = check(&empty, &[]);
    assert_eq!(gone.status.code(), Some(5));
    let told = stderr(&gone);
    assert!(
        told.starts_with("error: cannot read ")
            && told.contains("hint: make one with `lunabot create-master "),
        "{told}"
    );
    let gone = check(&empty, &["--json"]);
    assert_eq!(gone.status.code(), Some(5));
    let answer: Value = serde_json::from_slice(&gone.stdout).unwrap();
    assert_eq!(answer["good"], false);
    assert!(answer["problems"][0]["text"].as_str().unwrap().starts_with("cannot read "), "{answer}");
    assert_eq!(check(&empty, &["--srtict"]).status.code(), Some(2));
}

#[test]
fn each_limit_can_be_set_and_says_by_which_option() {
    for (text, argument, told) in [
        (
            "while true do end",
            "--config-instructions=200000",
            "stopped after 200000 instructions (--config-instructions)",
        ),
        ("while true do end", "--config-time=200ms", "stopped after 200 ms (--config-time)"),
        (
            "local x = ('x'):rep(20000000)",
            "--config-memory=10MiB",
            "a configuration may use 10 MiB (--config-memory)",
        ),
    ] {
        let checked = check(&folder_of(text), &[argument]);
        assert_eq!(checked.status.code(), Some(1));
        let said = stdout(&checked);
        assert!(said.starts_with("master.cfg.lua:3: ") && said.contains(told), "{said}");
    }
}
