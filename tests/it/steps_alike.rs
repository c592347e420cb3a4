//! A LocalWorker and a real `buildbot-worker` give the same build the same end, step by step.
//!
//! # Not here
//! What differs, as `docs/steps.md` tells: the words of errors, and of what ours does without a program; the exit code of a
//! program that is missing, line ends within progress bars, and the end of a last line without one.

use std::{fmt::Write as _, path::Path};

use serde_json::Value;

use crate::support::{
    listing::listing,
    master::{HEAD, MasterDir},
    real_worker::{self, RealWorker, free_port},
    skip::skip,
};

/// What is common, and what is rare but has to be right.
const ODD: &str = r#"
  steps.ShellCommand { name = 'streams', command = 'echo out; echo err >&2; printf unfinished', logEnviron = false },
  steps.ShellCommand { name = 'fails', command = 'echo bad; exit 3' },
  steps.ShellCommand { name = 'signal', command = 'kill -9 $$' },
  steps.ShellCommand { name = 'silent', command = 'sleep 100', timeout = 1 },
  steps.ShellCommand { name = 'slow', command = 'sleep 100', maxTime = 1 },
  steps.ShellCommand { name = 'argv', command = { 'printf', '%s|', 'a b', '', "it's", 'ä', '$HOME', 'None', 'local' } },
  steps.ShellCommand { name = 'stdin', command = 'cat; echo; echo end', initialStdin = 'one\ntwo\n' },
  steps.ShellCommand { name = 'utf8', command = [[printf 'ä\342\202\254 \377 x\n']] },
  steps.ShellCommand { name = 'noout', command = 'echo no; echo yes >&2', want_stdout = false },
  steps.ShellCommand { name = 'noerr', command = 'echo yes; echo no >&2', want_stderr = false },
  steps.ShellCommand { name = 'where', command = 'basename "$PWD"; basename "$(dirname "$PWD")"', workdir = 'else/where' },
  steps.ShellCommand { name = 'env', command = 'echo "$A-$B-${C-unset}"', env = { A = 'x', B = { 'y', 'z' }, HOME = None } },
  steps.ShellCommand { name = 'pty', command = 'test -t 1 && echo tty', usePTY = true },
  steps.ShellCommand { name = 'lines', command = 'seq 1 100000', max_lines = 5, want_stdout = false },
  steps.ShellCommand { name = 'files', command = [[mkdir -p odd/sub odd/empty; cd odd
     printf None > None; printf local > local; printf login > login; : > nothing
     printf x > "$(printf 'n\344me')"; printf y > 'two words'; printf z > 'ä'
     printf q > "$(printf '%0120d' 0)"; printf s > 'sub/back\slash'; printf l > "$(printf 'line\nbreak')"
     ln -s sub/nowhere dangling; chmod 750 sub; printf e > exe; chmod 755 exe]] },
  steps.DirectoryUpload { name = 'up', 'odd', util.Interpolate 'out-%(prop:buildername)s/odd', haltOnFailure = false },
  steps.DirectoryUpload { name = 'upgz', 'odd', util.Interpolate 'out-%(prop:buildername)s/gz', compress = 'gz', haltOnFailure = false },
  steps.FileUpload { name = 'None', 'odd/None', util.Interpolate 'out-%(prop:buildername)s/None', haltOnFailure = false },
  steps.FileUpload { name = 'nothing', 'odd/nothing', util.Interpolate 'out-%(prop:buildername)s/nothing', haltOnFailure = false },
  steps.FileUpload { name = 'up missing', 'missing', util.Interpolate 'out-%(prop:buildername)s/x', haltOnFailure = false },
  steps.FileUpload { name = 'up folder', 'odd', util.Interpolate 'out-%(prop:buildername)s/x', haltOnFailure = false },
  steps.FileUpload { name = 'up exact', 'odd/None', util.Interpolate 'out-%(prop:buildername)s/x', maxsize = 4, haltOnFailure = false },
  steps.FileUpload { name = 'up below', 'odd/None', util.Interpolate 'out-%(prop:buildername)s/five', maxsize = 5, haltOnFailure = false },
  steps.FileUpload { name = 'up zero', 'odd/nothing', util.Interpolate 'out-%(prop:buildername)s/x', maxsize = 0, haltOnFailure = false },
  steps.DirectoryUpload { name = 'dir missing', 'missing', util.Interpolate 'out-%(prop:buildername)s/x', haltOnFailure = false },
  steps.DirectoryUpload { name = 'dir max', 'odd', util.Interpolate 'out-%(prop:buildername)s/x', maxsize = 2000, haltOnFailure = false },
  steps.MultipleFileUpload { name = 'many', { 'odd/None', 'odd/sub' }, util.Interpolate 'out-%(prop:buildername)s/many', haltOnFailure = false },
  steps.MultipleFileUpload { name = 'many missing', { 'odd/login', 'missing' }, util.Interpolate 'out-%(prop:buildername)s/many', haltOnFailure = false },
  steps.MultipleFileUpload { name = 'many none', { '*.none' }, util.Interpolate 'out-%(prop:buildername)s/many', glob = true, haltOnFailure = false },
  steps.MultipleFileUpload { name = 'many glob', { 'odd/lo*', '**/back*' }, util.Interpolate 'out-%(prop:buildername)s/glob', glob = true, haltOnFailure = false },
  steps.StringDownload { name = 'down', 'None', 'down/None', haltOnFailure = false },
  steps.StringDownload { name = 'down empty', '', 'down/empty', haltOnFailure = false },
  steps.StringDownload { name = 'down max', 'abcdef', 'down/max', maxsize = 3, haltOnFailure = false },
  steps.StringDownload { name = 'down folder', 'x', 'odd', haltOnFailure = false },
  steps.FileDownload { name = 'down missing', 'missing', 'down/x', haltOnFailure = false },
  steps.ShellCommand { name = 'downs', command = 'cd down; for f in *; do echo "$f:$(cat $f)"; done' },
  steps.MakeDirectory { name = 'mk', dir = 'build/odd/None', haltOnFailure = false },
  steps.MakeDirectory { name = 'mk below', dir = 'build/odd/None/x', haltOnFailure = false },
  steps.CopyDirectory { name = 'cp', src = 'build/odd', dest = 'cp/deep/odd', haltOnFailure = false },
  steps.CopyDirectory { name = 'cp missing', src = 'build/missing', dest = 'cp2', haltOnFailure = false },
  steps.RemoveDirectory { name = 'rm', dir = { 'cp', 'missing' }, haltOnFailure = false },
  steps.RemoveDirectory { name = 'rm file', dir = 'build/odd/login', haltOnFailure = false },
  steps.SetPropertyFromCommand { name = 'prop', command = [[printf ' a\nb \n']], property = 'p' },
  steps.SetPropertyFromCommand { name = 'prop fails', command = 'echo x; false', property = 'f' },
  steps.ShellCommand { name = 'prop shown', command = { 'echo', util.Interpolate '<%(prop:p)s|%(prop:f)s>' } },
  steps.ShellCommand { name = 'last', command = 'cat missing.log; echo log > a.log', logfiles = { a = 'a.log', none = 'none.log' } },
"#;

fn get(dir: &MasterDir, path: &str) -> Value {
    let answer = dir.get(path);
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
}

/// A line of a log without what no two runs have alike.
fn alike(line: &str) -> &str {
    let begins = |text: &&str| line.starts_with(text);
    ["helapsedTime="].into_iter().find(begins).unwrap_or(line)
}

/// What a user sees of a build: for each step its outcome, its line, and the output in its logs, without `places`.
fn seen(dir: &MasterDir, builder: &str, places: &[&str]) -> Vec<String> {
    drop(dir.run("force", &[builder, "--wait"]));
    let build = dir.builds()[0]["buildid"].clone();
    let steps = get(dir, &format!("/api/v2/builds/{build}/steps"))["steps"].as_array().unwrap().clone();
    let mut seen = Vec::new();
    for step in steps {
        let mut text = format!("{} {} {}", step["name"], step["results"], step["state_string"]);
        let logs = get(dir, &format!("/api/v2/steps/{}/logs", step["stepid"]));
        for log in logs["logs"].as_array().unwrap() {
            let content = get(dir, &format!("/api/v2/logs/{}/contents", log["logid"]));
            let content = content["logchunks"][0]["content"].as_str().unwrap_or_default().to_owned();
            // Each worker has its own words for what it cannot do itself; and it takes turns as it likes between streams
            // that a command writes to at the same time.
            let name = step["name"].as_str().unwrap();
            // Ours removes by itself, and copies from within the builder's folder.
            let streams = if name.starts_with("rm") || name.starts_with("cp") { "o" } else { "oh" };
            for stream in streams.chars() {
                let output = content.lines().filter(|line| log["type"] != "s" || line.starts_with(stream));
                // Of variables ours hides those that look like secrets, and what is meant for itself.
                let mut output =
                    output.filter(|line| !line.starts_with("h  ")).map(alike).collect::<Vec<_>>();
                // `cp` tells the entries of a folder in the order of their inodes, which is any.
                if name.starts_with("cp") {
                    output.sort_unstable();
                }
                write!(text, "\n  {} {output:?}", log["name"]).unwrap();
            }
        }
        for place in places {
            text = text.replace(place, "PLACE");
        }
        seen.push(text);
    }
    seen
}

/// All that is in a folder: names, permissions and bytes.
fn tree(root: &Path) -> Vec<String> {
    let found = listing(root, |mode, bytes| format!("{mode:o} {}", bytes.escape_ascii()));
    assert!(!found.is_empty(), "nothing is in {}", root.display());
    found
}

#[test]
fn a_build_ends_the_same_on_a_local_and_on_a_real_worker() {
    if real_worker::program().is_none() {
        skip(
            "a_build_ends_the_same_on_a_local_and_on_a_real_worker",
            "LUNABOT_TEST_BUILDBOT_WORKER is not set",
        );
        return;
    }
    let port = free_port();
    let dir = MasterDir::new(&format!(
        "{HEAD}c.protocols = {{ pb = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
         c.workers = {{ worker.LocalWorker('w1'), worker.Worker('w2', 'sesame') }}\n\
         local factory = util.BuildFactory {{ {ODD} }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, factory = factory }},\n\
         util.BuilderConfig {{ name = 'login', workernames = {{ 'w2' }}, factory = factory }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b', 'login' }}) }}\n"
    ));
    let _master = dir.start();
    let worker = RealWorker::start(port, "w2", "sesame");
    worker.wait_attached(1);
    let locals = dir.file("workers/w1/b");
    let reals = worker.path().join("login");
    let places = [locals.to_str().unwrap(), reals.to_str().unwrap(), "out-b", "out-login"];
    let (local, real) = (seen(&dir, "b", &places), seen(&dir, "login", &places));
    for (local, real) in local.iter().zip(&real) {
        assert_eq!(local, real);
    }
    let count = ODD.matches("{ name = '").count();
    assert_eq!((local.len(), real.len()), (count, count), "{local:#?}\n{real:#?}");
    let brought = tree(&dir.file("out-b"));
    assert_eq!(brought, tree(&dir.file("out-login")));
    for file in
        ["None 600 None", "odd/n\\xe4me 644 x", "gz/line\\nbreak 644 l", "odd/dangling -> sub/nowhere"]
    {
        assert!(brought.iter().any(|found| found == file), "{file}: {brought:#?}");
    }
}
