//! The laws of a load, and the forms in which a configuration may be written.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use super::{LIMITS, checked, load_file, load_text, problems};
use crate::{
    config::{Limits, LoadError, load},
    definition::{MasterDefinition, ReconfigPlan, Renderable, StepKind, Text, WorkerKind, check},
    model::WorkerName,
};

/// A configuration of all that there is.
const WHOLE: &str = include_str!("../../../tests/config/accept/whole.lua");

async fn definition(text: &str) -> MasterDefinition {
    checked(text).await.definition
}

/// A good configuration around `lines`.
fn around(lines: &str) -> String {
    format!(
        "local plugins = require 'buildbot.plugins'
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers
{lines}"
    )
}

#[tokio::test]
async fn two_loads_of_one_text_are_equal_and_need_no_plan() {
    let (first, second) = (definition(WHOLE).await, definition(WHOLE).await);
    assert_eq!(first, second);
    assert!(ReconfigPlan::between(&first, &second).is_empty());
    assert_eq!(ReconfigPlan::between(&first, &second).apply(&first), second);
}

#[tokio::test]
async fn blank_lines_change_nothing_and_a_changed_line_does() {
    let grown: String = WHOLE.lines().flat_map(|line| [line, "\n\n"]).collect();
    let (before, after) = (definition(WHOLE).await, definition(&grown).await);
    assert_eq!(before, after);
    assert!(ReconfigPlan::between(&before, &after).is_empty());
    let changed = definition(&WHOLE.replace("max_builds = 2", "max_builds = 3")).await;
    assert_eq!(
        ReconfigPlan::between(&before, &changed).lines(),
        ["~ worker \"arm64-1\": max_builds 2 -> 3 (in place)"]
    );
}

#[tokio::test]
async fn all_forms_of_a_call_mean_the_same() {
    let forms = [
        "worker.Worker('a', 'pw', { max_builds = 2 })",
        "worker.Worker { 'a', 'pw', max_builds = 2 }",
        "worker.Worker { name = 'a', password = 'pw', max_builds = 2.0 }",
        "worker.Worker('a', { password = 'pw', max_builds = 2 })",
        "worker.Worker { 'a', password = 'pw', max_builds = 2, properties = {} }",
    ];
    let first = definition(&around(&format!("c.workers = {{ {} }}", forms[0]))).await;
    for form in forms {
        assert_eq!(definition(&around(&format!("c.workers = {{ {form} }}"))).await, first, "{form}");
    }
    let factories = [
        "util.BuildFactory { s(), s() }",
        "util.BuildFactory({ s(), s() })",
        "util.BuildFactory { steps = { s(), s() } }",
        "util.BuildFactory { { s(), s() } }",
        "util.BuildFactory({ s(), s() }, {})",
        "(function() local f = util.BuildFactory() f:addStep(s()) f.addStep(s()) return f end)()",
        "(function() local f = util.BuildFactory { s() } f:addSteps { s() } return f end)()",
    ];
    let text = |factory: &str| {
        around(&format!(
            "local function s() return steps.ShellCommand {{ command = 'true' }} end
c.workers = {{ worker.LocalWorker 'w' }}
c.builders = {{ util.BuilderConfig('b', {{ workername = 'w', factory = {factory} }}) }}
c.schedulers = {{ schedulers.ForceScheduler('f', {{ 'b' }}) }}"
        ))
    };
    let first = definition(&text(factories[0])).await;
    assert_eq!(first.builders.values().next().map(|builder| builder.steps.len()), Some(2));
    for factory in factories {
        assert_eq!(definition(&text(factory)).await, first, "{factory}");
    }
}

#[tokio::test]
async fn c_may_be_filled_in_any_way() {
    let one = "c.workers = { worker.LocalWorker 'w' } c.title = 'T'";
    let first = definition(&around(one)).await;
    for form in [
        "table.insert(c.workers, worker.LocalWorker 'w') c.title = 'T'",
        "c.workers[#c.workers + 1] = worker.LocalWorker 'w' c['title'] = 'T'",
        "c = { workers = { worker.LocalWorker 'w' }, title = 'T' }",
        "c = {} c.workers = {} c.workers[1] = worker.LocalWorker 'w' c.title = 'T'",
        "local list = {} c.workers = list list[1] = worker.LocalWorker 'w' c.title = 'T'",
    ] {
        assert_eq!(definition(&around(form)).await, first, "{form}");
    }
}

#[tokio::test]
async fn none_and_false_turn_an_option_off_and_nil_leaves_its_default() {
    for (value, expected) in
        [("None", None), ("false", None), ("0", None), ("nil", Some(3600)), ("60", Some(60))]
    {
        let text =
            around(&format!("c.workers = {{ worker.LocalWorker('w', {{ keepalive_interval = {value} }}) }}"));
        let definition = definition(&text).await;
        let interval = definition.workers.values().next().and_then(|worker| worker.keepalive_interval);
        assert_eq!(interval, expected.map(Duration::from_secs), "{value}");
    }
    assert!(problems("assert(tostring(None) == 'None' and None == None)").await[0].contains("no worker"));
}

#[tokio::test]
async fn steps_added_after_the_builder_was_made_count() {
    let text = around(
        "local f = util.BuildFactory()
c.workers = { worker.LocalWorker 'w' }
c.builders = { util.BuilderConfig { name = 'b', workername = 'w', factory = f } }
c.schedulers = { schedulers.ForceScheduler('f', { 'b' }) }
f:addStep(steps.ShellCommand { command = { 'echo', util.Interpolate('%(prop:os)s') } })",
    );
    let definition = definition(&text).await;
    let builder = definition.builders.values().next().expect("there is a builder");
    let StepKind::Shell(command) = &builder.steps[0].kind else { panic!("{:?}", builder.steps) };
    let crate::definition::Command::Argv(argv) = &command.command else { panic!("{command:?}") };
    assert!(matches!(argv[1], Text::Rendered(Renderable::Interpolate(_))), "{argv:?}");
}

#[tokio::test]
async fn properties_hold_what_json_holds() {
    let text = around(
        "c.workers = { worker.LocalWorker('w', { properties = {
  n = 1, x = 1.5, t = true, s = 'text', none = None, list = { 1, 'a', { deep = {} } }, table = { a = { b = 1 } } } }) }",
    );
    let definition = definition(&text).await;
    let worker = definition.workers.values().next().expect("there is a worker");
    let plain = worker.properties.iter().map(|(name, worth)| (name, worth.plain()));
    let json = serde_json::to_string(&plain.collect::<BTreeMap<_, _>>()).expect("it is JSON");
    assert_eq!(
        json,
        r#"{"list":[1,"a",{"deep":[]}],"n":1,"none":null,"s":"text","t":true,"table":{"a":{"b":1}},"x":1.5}"#
    );
}

#[tokio::test]
async fn a_secret_is_in_no_message() {
    for wrong in [
        "worker.Worker('w', { 'sesame-password', 1 })",
        "worker.Worker('w', { 'sesame-password', pass = 'sesame-password' })",
        "worker.Worker('w', { 'sesame-1', 'sesame-2', 'sesame-3', 'sesame-4', 'sesame-5' })",
        "worker.Worker('w', '$argon2id$v=19$m=1,t=1,p=1$sesame$sesame')",
        "worker.Worker('w', 'sesame-password', 'sesame-password', 'sesame-password')",
        "worker.Worker { 'w', 'sesame-password', password = 'sesame-password', max_build = 1 }",
        "worker.Worker('1w', 'sesame-password')",
    ] {
        let told = problems(&around(&format!("c.workers = {{ {wrong} }}"))).await;
        assert!(!told.is_empty(), "{wrong}");
        assert!(!told.iter().any(|line| line.contains("sesame")), "{told:?}");
    }
    let url = problems("c.db_url = 'mysql://bot:sesame@db/ci'\nc.db = { db_url = { 'sesame' } }").await;
    assert!(!url.is_empty() && !url.iter().any(|line| line.contains("sesame")), "{url:?}");
    let loaded = load_text(&around("c.workers = { worker.Worker('w', 'sesame') }")).await;
    assert!(!format!("{loaded:?}").contains("sesame"));
    let worker = &loaded.draft.workers[0];
    assert!(
        matches!(&worker.kind, WorkerKind::Remote { passwords } if passwords.plain().any(|one| one.expose() == "sesame"))
    );
}

#[tokio::test]
async fn what_is_made_and_not_used_is_a_warning_with_its_line() {
    let text = around(
        "c.workers = { worker.LocalWorker 'w' }
worker.LocalWorker 'idle'
local f = util.BuildFactory { steps.ShellCommand { command = 'true' } }
for i = 1, 10 do schedulers.ForceScheduler('f' .. i, { 'b' }) end",
    );
    let warnings = checked(&text).await.warnings;
    let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], "master.cfg.lua:4:1: warning: worker \"idle\": made, but not listed in `c.workers`");
    assert_eq!(
        lines[1],
        "master.cfg.lua:5:11: warning: util.BuildFactory: made, but no builder in `c.builders` uses it"
    );
    assert_eq!(lines.last().map(String::as_str), Some("warning: unused value: 7 more of this kind"));
}

#[tokio::test]
async fn of_a_lock_that_nothing_holds_one_thing_is_said() {
    let text = around(
        "c.workers = { worker.LocalWorker 'w' }
util.MasterLock 'a'
util.WorkerLock('b'):access 'counting'
steps.ShellCommand { command = 'true', locks = { util.MasterLock('c'):access 'exclusive' } }",
    );
    let warnings = checked(&text).await.warnings;
    let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "master.cfg.lua:4:1: warning: lock \"a\": made, but nothing in the configuration wants it: no access of it stands in a `locks`",
            "master.cfg.lua:5:1: warning: lock \"b\": made, but in no `locks` of the configuration",
            "master.cfg.lua:6:1: warning: steps.ShellCommand: made, but in no factory",
        ]
    );
}

#[tokio::test]
async fn an_error_that_ends_the_file_hides_no_problem_before_it_and_invents_none() {
    let text = around(
        "c.workers = { worker.LocalWorker('w1', { max_build = 1 }) }
c.builders = { util.BuilderConfig { name = 'b', workername = 'w2', factory = util.BuildFactory() } }
local x = nil + 1
c.workers[2] = worker.LocalWorker 'w2'",
    );
    assert_eq!(
        problems(&text).await,
        [
            "master.cfg.lua:3: worker \"w1\": unknown option `max_build`, did you mean `max_builds`?",
            "master.cfg.lua:5: attempt to perform arithmetic on a nil value",
        ]
    );
}

#[tokio::test]
async fn a_broken_worker_is_one_mistake_not_two() {
    let text = around(
        "c.workers = { worker.Worker('bot1'), worker.LocalWorker 'bot2', worker.Wroker('bot3'), worker.LocalWorker '1bot' }
local f = util.BuildFactory { steps.ShellCommand { command = 'true' } }
c.builders = { util.BuilderConfig { name = 'b', workernames = { 'bot1', 'bot2', 'bot3' }, factory = f } }
c.schedulers = { schedulers.ForceScheduler('f', { 'b' }) }",
    );
    let told = problems(&text).await;
    assert!(told.iter().all(|line| line.starts_with("master.cfg.lua:3: ")), "{told:?}");
    assert_eq!(told.len(), 3, "{told:?}");
}

#[tokio::test]
async fn modules_are_found_below_the_folder_and_all_files_read_are_told() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("there is room");
        fs::write(path, text).expect("there is room");
    };
    write(
        "master.cfg.lua",
        "#!/usr/bin/env lunabot
local make = require 'lib.workers'
assert(require 'lib.workers' == make)
assert(require 'lib' == 'init')
c.workers = make(io.open('names.txt'):read 'a')
for line in io.lines 'names.txt' do assert(#line > 0) end
dofile 'extra.lua'
assert(loadfile 'extra.lua')()",
    );
    write("names.txt", "bot1 bot2\n");
    write("extra.lua", "c.title = 'Extra'");
    write("lib/init.lua", "return 'init'");
    write(
        "lib/workers.lua",
        "return function(names)
  local list = {}
  for name in names:gmatch '%S+' do
    list[#list + 1] = require 'lunabot.plugins'.worker.LocalWorker(name, { max_build = 1 })
  end
  return list
end",
    );
    let loaded = load_file(&folder.path().join("master.cfg.lua")).await;
    let mut files: Vec<_> = loaded
        .files
        .iter()
        .map(|path| path.strip_prefix(folder.path()).unwrap_or(path).display().to_string())
        .collect();
    files.sort();
    assert_eq!(files, ["extra.lua", "lib/init.lua", "lib/workers.lua", "master.cfg.lua", "names.txt"]);
    assert_eq!(loaded.draft.settings.title, "Extra");
    assert_eq!(
        loaded.draft.problems[0].to_string(),
        "lib/workers.lua:4:23: worker \"bot1\": unknown option `max_build`, did you mean `max_builds`?; called from master.cfg.lua:5"
    );
}

#[tokio::test]
async fn a_long_file_name_is_told_whole() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let name = format!("{}.lua", "a-long-name-".repeat(8));
    let path = folder.path().join(&name);
    for (text, told) in [
        ("\nlocal x = nil + 1", "attempt to perform arithmetic on a nil value"),
        ("\nlocal x = = 1", "unexpected symbol near '='"),
        ("\nerror 'raised'", "raised"),
    ] {
        fs::write(&path, text).expect("there is room for a file");
        let problems = load_file(&path).await.draft.problems;
        assert_eq!(problems[0].to_string(), format!("{name}:2: {told}"));
    }
}

#[tokio::test]
async fn only_what_reads_is_there() {
    for (text, told) in [
        (
            "os.execute 'true'",
            "a configuration has no `os.execute`, there are: clock, date, difftime, getenv, time",
        ),
        ("os.exit()", "a configuration has no `os.exit`, there are: clock, date, difftime, getenv, time"),
        ("io.popen 'true'", "a configuration has no `io.popen`, did you mean `open`?"),
        ("io.open('/tmp/x', 'w')", "a configuration may read files only, not open with \"w\""),
        ("io.lines '/dev/zero'", "`/dev/zero` is not a regular file"),
        (
            "string.dump(print)",
            "a configuration has no `string.dump`, there are: byte, char, find, format, gmatch, gsub, len, lower, match, pack, packsize, rep, reverse, sub, unpack, upper",
        ),
        ("debug.getregistry()", "a configuration has no `debug.getregistry`, there are: traceback"),
        ("package.path = 'x'", "`package` is not defined, `require` looks below the folder of the main file"),
        ("require '../x'", "`../x` names no module; write `require \"lib.workers\"` for `lib/workers.lua`"),
        (
            "require 'no.such'",
            "no module `no.such`; there is neither `no/such.lua` nor `no/such/init.lua` in the folder of the main file",
        ),
        ("dofile '/no/such/file'", "cannot read `/no/such/file`: No such file or directory (os error 2)"),
        ("assert(load('\\27Lua'))", "attempt to load a binary chunk (mode is 't')"),
        ("setmetatable(_G, nil)", "cannot change a protected metatable"),
        ("None = 1", "`None` cannot be set"),
        ("c = 5", "`c` is given; set its fields: `c.workers = { … }`"),
    ] {
        let problems = problems(&format!("\n{text}")).await;
        assert_eq!(problems[0], format!("master.cfg.lua:2: {told}"), "{text}");
    }
}

#[tokio::test]
async fn an_undefined_name_is_one_problem_with_its_hint() {
    assert_eq!(
        problems("workr = 1\nlocal x = worker\nfoo()").await,
        [
            "master.cfg.lua:2: `worker` is not defined, did you mean `workr`?",
            "master.cfg.lua:3: `foo` is not defined",
        ]
    );
}

#[tokio::test]
async fn a_file_that_is_none_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let missing = load(&folder.path().join("master.cfg.lua"), LIMITS).await;
    assert!(matches!(missing, Err(LoadError::Read { .. })), "{missing:?}");
    let directory = load(folder.path(), LIMITS).await.expect_err("a folder is no file");
    assert!(directory.to_string().ends_with("is not a regular file"), "{directory}");
    let large = load(Path::new("Cargo.toml"), Limits { memory_bytes: 10, ..LIMITS }).await;
    assert!(matches!(large, Err(LoadError::Unfit { .. })), "{large:?}");
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_a_problem_where_it_is_used() {
    assert_eq!(
        problems(&around("c.workers = { worker.LocalWorker 'w' }\nc.title = '\\xff'")).await,
        ["master.cfg.lua:4: `c.title` is text that is not UTF-8"]
    );
}

#[tokio::test]
async fn ten_thousand_workers_use_a_small_part_of_the_limits() {
    let text = around(
        "local names = {}
for i = 1, 10000 do
  names[i] = 'w' .. i
  c.workers[i] = worker.Worker(names[i]:gsub('w', 'bot-'), 'pw' .. i, { max_builds = 2, properties = { index = i } })
end
for i = 1, 10 do
  c.builders[i] = util.BuilderConfig { name = 'b' .. i, workernames = { 'bot-' .. i }, factory = util.BuildFactory() }
end"
        .replace("names[i]:gsub('w', 'bot-')", "(names[i]:gsub('w', 'bot-'))")
        .as_str(),
    );
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("master.cfg.lua");
    fs::write(&path, text).expect("there is room for a file");
    let limits = Limits {
        instructions: Limits::default().instructions / 100,
        memory_bytes: Limits::default().memory_bytes / 8,
        wall: LIMITS.wall,
    };
    let loaded = load(&path, limits).await.expect("the file can be read");
    let checked = check(loaded.draft).unwrap_or_else(|problems| panic!("{}", problems[0]));
    assert_eq!(checked.definition.workers.len(), 10000);
    assert!(checked.definition.workers.contains_key(&WorkerName::new("bot-10000").expect("a good name")));
}

#[tokio::test]
async fn each_lua_block_of_the_documents_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    pages.extend(
        fs::read_dir(root.join("docs"))
            .expect("the folder is part of the repository")
            .map(|entry| entry.expect("the folder can be read").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "md")),
    );
    let mut blocks = 0;
    for page in pages.into_iter().filter(|page| page.exists()) {
        let text = fs::read_to_string(&page).expect("the page can be read");
        for block in text.split("```lua\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            let told = problems(block).await;
            let errors: Vec<_> = told.iter().filter(|line| !line.contains("warning: ")).collect();
            assert!(errors.is_empty(), "{}: {errors:?}\n{block}", page.display());
            blocks += 1;
        }
    }
    assert!(blocks >= 9, "docs/config.md has its examples");
}
