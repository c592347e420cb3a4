//! Functions of the configuration that decide while builds run: from the file to what the API shows of the build.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    master::{HEAD, MasterDir, Process, eventually, touch},
    real_worker::{self, Protocol, RealWorker, free_port},
    skip::skip,
};

/// What functions may decide in a build. The commands tell what became of them.
const DECIDING: &str = r#"
  steps.ShellCommand {
    name = 'argv',
    command = util.renderer(function(props, ...) return { 'printf', '[%s]', props:getProperty 'os', { ... } } end)
      :withArgs('a b', util.Property('list', { 'c', 'd' })),
  },
  steps.ShellCommand {
    name = 'env',
    command = 'echo "$NAME:$GONE:$MANY"',
    env = {
      NAME = util.Transform(string.upper, util.Property 'os'),
      GONE = util.renderer(function() return nil end),
      MANY = util.renderer(function() return { '/a', '/b' } end),
    },
  },
  steps.ShellCommand {
    name = 'branch',
    command = util.Interpolate('echo %(src::branch)s %(src::revision:-head)s %(kw:own)s', {
      own = util.renderer(function(props) return props.owned end),
    }),
  },
  steps.SetPropertyFromCommand {
    name = 'extract',
    command = 'echo 1.2 clean; echo noise >&2; exit 3',
    decodeRC = { [3] = util.WARNINGS },
    warnOnWarnings = false,
    extract_fn = function(rc, stdout, stderr)
      local version, state = stdout:match '(%S+) (%S+)'
      return { version = version, state = state, code = rc, said = stderr:match '%a+' }
    end,
  },
  steps.ShellCommand {
    name = 'skipped',
    command = 'touch never',
    doStepIf = function(step) return step.name ~= 'skipped' or step:getProperty 'version' == '9' end,
    hideStepIf = function(results, step) return results == util.SKIPPED and step.build.version == '1.2' end,
  },
  steps.ShellCommand { name = 'off', command = 'touch never', doStepIf = util.Property 'unset' },
  steps.ShellCommand { name = 'quiet', command = 'true', hideStepIf = true },
  steps.ShellCommand { name = 'shown', command = 'test ! -e never', hideStepIf = function(results) return results ~= util.SUCCESS end },
"#;

/// The steps of the newest build.
fn steps(dir: &MasterDir) -> Vec<Value> {
    let build = &dir.builds()[0]["buildid"];
    dir.read(&format!("/api/v2/builds/{build}/steps"))["steps"].as_array().unwrap().clone()
}

fn step(dir: &MasterDir, name: &str) -> Value {
    let all = steps(dir);
    all.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no {name}: {all:#?}")).clone()
}

fn properties(dir: &MasterDir) -> Value {
    let build = &dir.builds()[0]["buildid"];
    dir.read(&format!("/api/v2/builds/{build}/properties"))["properties"][0].take()
}

/// The output of a step of a build of `b`.
fn output(dir: &MasterDir, number: u32, step: &str) -> String {
    let output = dir.run("log", &["b", &number.to_string(), step]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn has_line(log: &str, line: &str) -> bool {
    log.lines().any(|found| found == line)
}

/// A property that the builder gives to each of its builds.
const OWNED: &str = "properties = { owned = util.renderer(function(props) return 'by-' .. props.os end) },";

/// One worker, the builder `b` with these options and steps. What stands before comes first.
fn config(before: &str, worker: &str, options: &str, steps: &str) -> String {
    format!(
        "{HEAD}{before}\n\
         c.workers = {{ {worker} }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, \
         {options} \
         factory = util.BuildFactory {{ {steps} }} }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
    )
}

/// Runs the deciding steps on the worker, and looks at what they came to.
fn run_all(dir: &MasterDir) {
    let forced = dir.run("force", &["b", "--wait", "-p", "branch=main", "-p", "os=solaris"]);
    assert!(forced.status.success(), "{}\n{:#?}", String::from_utf8_lossy(&forced.stdout), steps(dir));
    let argv = output(dir, 1, "argv");
    assert!(argv.contains("[solaris][a b][c][d]"), "{argv}");
    let env = output(dir, 1, "env");
    assert!(has_line(&env, "SOLARIS::/a:/b"), "{env}");
    let branch = output(dir, 1, "branch");
    assert!(has_line(&branch, "main head by-solaris"), "{branch}");

    let all = properties(dir);
    for (name, value) in
        [("version", json!("1.2")), ("state", json!("clean")), ("code", json!(3)), ("said", json!("noise"))]
    {
        assert_eq!(all[name], json!([value, "SetPropertyFromCommand Step"]), "{name}");
    }
    assert_eq!(all["owned"], json!(["by-solaris", "Builder"]));
    let extract = step(dir, "extract");
    assert_eq!((&extract["results"], &extract["state_string"]), (&json!(1), &json!("4 properties set")));
    for (name, results, hidden) in
        [("skipped", 3, true), ("off", 3, false), ("quiet", 0, true), ("shown", 0, false), ("argv", 0, false)]
    {
        let step = step(dir, name);
        assert_eq!((&step["results"], &step["hidden"]), (&json!(results), &json!(hidden)), "{step}");
    }
    let skipped = step(dir, "skipped");
    let logs = dir.read(&format!("/api/v2/steps/{}/logs", skipped["stepid"]));
    assert_eq!(logs["logs"], json!([]), "what is skipped has no log");
    assert_eq!(skipped["state_string"], "skipped");
}

#[test]
fn functions_decide_what_a_build_does_on_a_local_worker() {
    let dir = MasterDir::new(&config("", "worker.LocalWorker 'w1'", OWNED, DECIDING));
    let _master = dir.start();
    run_all(&dir);
}

fn on_a_real_worker(test: &str, protocol: Protocol) {
    if real_worker::program().is_none() {
        skip(test, "LUNABOT_TEST_BUILDBOT_WORKER is not set");
        return;
    }
    let (port, key) = (free_port(), protocol.key());
    let listens = format!("c.protocols = {{ {key} = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}");
    let dir = MasterDir::new(&config(&listens, "worker.Worker('w1', 'sesame')", OWNED, DECIDING));
    let _master = dir.start();
    let mut worker = RealWorker::create_on(protocol, port, "w1", "sesame", &[]);
    worker.run();
    worker.wait_attached(1);
    run_all(&dir);
}

#[test]
fn functions_decide_what_a_build_does_on_a_real_worker_over_pb() {
    on_a_real_worker("functions_decide_what_a_build_does_on_a_real_worker_over_pb", Protocol::Pb);
}

#[test]
fn functions_decide_what_a_build_does_on_a_real_worker_over_msgpack() {
    on_a_real_worker("functions_decide_what_a_build_does_on_a_real_worker_over_msgpack", Protocol::Msgpack);
}

#[test]
fn a_function_that_fails_or_never_ends_is_an_exception_of_its_step_and_the_next_build_is_well() {
    let steps = "steps.ShellCommand { name = 'fails', command = util.renderer(function(props)
        if props.how == 'error' then error 'no such thing' end
        if props.how == 'name' then return undefined_name end
        if props.how == 'loop' then while true do end end
        return { 'echo', props.how }
      end) }";
    let dir = MasterDir::new(&config("", "worker.LocalWorker 'w1'", "", steps));
    let _master = dir.start();
    for (number, how, told) in [
        (1, "error", "master.cfg.lua:6: no such thing"),
        (2, "name", "master.cfg.lua:7: `undefined_name` is not defined"),
        (3, "loop", "the function at master.cfg.lua:8 comes to no end; it was stopped"),
    ] {
        let forced = dir.run("force", &["b", "--wait", "-p", &format!("how={how}")]);
        assert!(!forced.status.success());
        let step = step(&dir, "fails");
        assert_eq!((&step["results"], &step["state_string"]), (&json!(4), &json!(told)), "{step}");
        assert!(has_line(&output(&dir, number, "fails"), told));
    }
    let forced = dir.run("force", &["b", "--wait", "-p", "how=well"]);
    assert!(forced.status.success(), "{}", String::from_utf8_lossy(&forced.stdout));
    assert!(has_line(&output(&dir, 4, "fails"), "well"));
}

#[test]
fn a_function_that_fails_is_told_with_the_calls_that_led_there_in_the_log_of_its_step() {
    let module = "local M = {}
local function pick(props)
  if props.how == 'loop' then while true do end end
  return undefined_name
end
function M.command(props)
  local command = pick(props)
  return command
end
return M";
    let steps = "steps.ShellCommand { name = 'fails', command = util.renderer(function(props)
  local command = commands.command(props)
  return command
end) }";
    let config = config("local commands = require 'lib.commands'", "worker.LocalWorker 'w1'", "", steps);
    // Where the renderer calls, and the line of the module's that is called from there.
    let line = 1 + config.lines().position(|line| line.contains("commands.command(props)")).unwrap();
    let called = format!("; called from lib/commands.lua:7 in `command`, from master.cfg.lua:{line}");
    let dir = MasterDir::new(&config);
    fs::create_dir(dir.file("lib")).unwrap();
    fs::write(dir.file("lib/commands.lua"), module).unwrap();
    let _master = dir.start();
    for (number, how, told) in [
        (1, "name", "lib/commands.lua:4: `undefined_name` is not defined"),
        (2, "loop", "the function at lib/commands.lua:3 comes to no end; it was stopped"),
    ] {
        let forced = dir.run("force", &["b", "--wait", "-p", &format!("how={how}")]);
        assert!(!forced.status.success());
        let told = format!("{told}{called}");
        assert_eq!(step(&dir, "fails")["state_string"], told);
        let log = output(&dir, number, "fails");
        assert!(has_line(&log, &told), "{log}");
    }
}

#[test]
fn a_function_of_a_property_that_fails_is_an_exception_of_its_build() {
    let dir = MasterDir::new(&config(
        "",
        "worker.LocalWorker 'w1'",
        OWNED,
        "steps.ShellCommand { command = 'true' }",
    ));
    let _master = dir.start();
    // There is no property `os` to be joined.
    let forced = dir.run("force", &["b", "--wait"]);
    assert!(!forced.status.success());
    let build = &dir.builds()[0];
    assert_eq!(build["results"], 4, "{build}");
    let told = build["state_string"].as_str().unwrap();
    assert!(
        told.starts_with("property `owned` of the builder: master.cfg.lua:5: attempt to concatenate"),
        "{told}"
    );
}

/// Two steps, of which the first waits for the test.
fn waiting(before: &str, word: &str) -> String {
    config(
        before,
        "worker.LocalWorker 'w1'",
        "",
        &format!(
            "steps.ShellCommand {{ name = 'waits', command = 'echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done; rm go' }},
             steps.ShellCommand {{ name = 'says', command = util.renderer(function() return {{ 'echo', {word} }} end) }}"
        ),
    )
}

fn begin(dir: &MasterDir) {
    let pid = dir.build_dir().join("pid");
    assert!(dir.run("force", &["b"]).status.success());
    eventually("the command", || pid.exists().then_some(()));
    fs::remove_file(pid).unwrap();
}

fn end(dir: &MasterDir, builds: usize) {
    touch(&dir.build_dir().join("go"));
    eventually("the end of the build", || {
        (dir.builds().iter().filter(|build| build["results"] == 0).count() == builds).then_some(())
    });
}

/// The interpreters that live in a master.
fn interpreters(master: &Process) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", master.pid())).unwrap();
    let names = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "lunabot-config").count()
}

#[test]
fn a_running_build_keeps_the_functions_it_began_with_and_a_new_one_has_the_new_ones() {
    let dir = MasterDir::new(&waiting("", "'old'"));
    let master = dir.start();
    begin(&dir);
    dir.reload(&waiting("", "'new'"));
    assert_eq!(interpreters(&master), 2, "that of the build, and that of the configuration");
    end(&dir, 1);
    assert!(has_line(&output(&dir, 1, "says"), "old"));
    eventually("the end of the first interpreter", || (interpreters(&master) == 1).then_some(()));
    begin(&dir);
    end(&dir, 2);
    assert!(has_line(&output(&dir, 2, "says"), "new"));
}

#[test]
fn a_function_whose_text_stays_sees_the_variables_of_the_newest_load() {
    let dir = MasterDir::new(&waiting("local word = 'old'", "word"));
    let master = dir.start();
    begin(&dir);
    // The lines of the function are the same, so there is nothing that the plan could tell.
    dir.reload(&waiting("local word = 'new'", "word"));
    end(&dir, 1);
    assert!(has_line(&output(&dir, 1, "says"), "old"));
    begin(&dir);
    end(&dir, 2);
    assert!(has_line(&output(&dir, 2, "says"), "new"));
    // A refused configuration leaves nothing behind, and one without functions needs no interpreter.
    fs::write(dir.file("master.cfg.lua"), format!("{}\nc.workers = 5", waiting("", "'worse'"))).unwrap();
    assert!(!dir.run("reconfig", &[]).status.success());
    eventually("the end of the refused", || (interpreters(&master) == 1).then_some(()));
    let plain = format!(
        "{HEAD}c.workers = {{ worker.LocalWorker('w1') }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, factory = util.BuildFactory {{}} }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
    );
    dir.reload(&plain);
    eventually("the end of the last", || (interpreters(&master) == 0).then_some(()));
}
