//! Functions of the configuration, called while builds run.

use futures_util::future::join_all;
use serde_json::json;

use super::load_text;
use crate::{
    definition::{Draft, HookArgument, HookCall, HookError, HookId, Known, NoSecrets, RenderError, Worth},
    model::{Properties, PropertyValue, SourceStamps, WorkerInfo},
};

/// A configuration whose worker has the property `x`.
pub(super) fn with_property(before: &str, x: &str) -> String {
    format!(
        "local plugins = require 'buildbot.plugins'
local worker, util, steps = plugins.worker, plugins.util, plugins.steps
{before}
c.workers = {{ worker.LocalWorker('w', {{ properties = {{ x = {x} }} }}) }}"
    )
}

pub(super) async fn draft(before: &str, x: &str) -> Draft {
    let draft = load_text(&with_property(before, x)).await.draft;
    let problems: Vec<String> =
        draft.problems.iter().filter(|p| p.is_error()).map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{problems:?}");
    draft
}

/// The property `x` of the worker, as a build on it would have it.
pub(super) async fn value_of(draft: &Draft) -> Result<PropertyValue, RenderError> {
    let mut properties = Properties::new();
    properties.set("os", "solaris", "Worker");
    properties.set("n", 3, "Builder");
    properties.set("list", json!(["a", null, { "b": 1.5 }]), "Force Build Form");
    properties.set("none", PropertyValue::Null, "Force Build Form");
    properties.set("asDict", "shadowed", "Worker");
    let sources = SourceStamps::of_properties(&properties);
    let known = Known {
        properties: &properties,
        worker: &WorkerInfo::default(),
        sources: &sources,
        hooks: draft.interpreter.hooks(),
        secrets: &NoSecrets,
    };
    draft.workers[0].properties["x"].value(known).await
}

/// What `util.renderer(function(props) … end)` comes to.
async fn answer(body: &str) -> Result<PropertyValue, RenderError> {
    value_of(&draft("", &format!("util.renderer(function(props)\n{body}\nend)")).await).await
}

/// The same where it fails; the body begins in line 5.
async fn failure(body: &str) -> String {
    match answer(body).await {
        Err(RenderError::Hook(HookError::Failed { text })) => text,
        other => panic!("{body}: {other:?}"),
    }
}

#[tokio::test]
async fn a_function_may_return_whatever_a_property_can_hold() {
    for (body, expected) in [
        ("return 'text'", json!("text")),
        ("return 3", json!(3)),
        ("return 1.5", json!(1.5)),
        ("return true", json!(true)),
        ("return nil", PropertyValue::Null),
        ("", PropertyValue::Null),
        ("return None", PropertyValue::Null),
        ("return { 'a', { 1, false } }", json!(["a", [1, false]])),
        ("return { a = { b = None } }", json!({ "a": { "b": null } })),
        ("return 'one', 'two'", json!("one")),
        ("return util.Interpolate '%(prop:os)s-%(prop:n)s'", json!("solaris-3")),
        ("return util.Property('gone', 'default')", json!("default")),
        ("return { util.Property 'os', x = nil }", json!(["solaris"])),
        (
            "return util.FlattenList { 'a', { { 'b' }, util.Property 'list' } }",
            json!(["a", "b", "a", null, { "b": 1.5 }]),
        ),
    ] {
        assert_eq!(answer(body).await, Ok(expected), "{body}");
    }
}

#[tokio::test]
async fn the_properties_can_be_read_in_every_form_that_buildbot_has() {
    for (body, expected) in [
        ("return props:getProperty('os')", json!("solaris")),
        ("return props.getProperty('os')", json!("solaris")),
        ("return props:getProperty('gone', 'default')", json!("default")),
        ("return props.getProperty('gone')", PropertyValue::Null),
        ("return props:getProperty('none', 'default')", PropertyValue::Null),
        (
            "return { props:hasProperty 'os', props.hasProperty('gone'), props:has_key 'none' }",
            json!([true, false, true]),
        ),
        ("return props.os .. props['n']", json!("solaris3")),
        ("return props.gone == nil and props.none == nil", json!(true)),
        ("return props.list[2] == None and props.list[3].b", json!(1.5)),
        ("return props:asDict().n", json!([3, "Builder"])),
        ("return props:getProperty 'asDict'", json!("shadowed")),
        ("return props:getPropertySource 'list'", json!("Force Build Form")),
        ("return props:getProperties().os", json!("solaris")),
        (
            "local names = {} for name in pairs(props) do names[#names + 1] = name end table.sort(names) return names",
            json!(["asDict", "list", "n", "none", "os"]),
        ),
        ("return tostring(props)", json!("the properties of a build")),
        ("return math.type(props.n)", json!("integer")),
    ] {
        assert_eq!(answer(body).await, Ok(expected), "{body}");
    }
}

#[tokio::test]
async fn what_a_function_does_wrong_is_told_with_its_line() {
    for (body, told) in [
        ("error 'raised'", "master.cfg.lua:5: raised"),
        ("\nlocal x = nil + 1", "master.cfg.lua:6: attempt to perform arithmetic on a nil value"),
        ("error({})", "master.cfg.lua:5: a table was raised as error"),
        ("return undefined", "master.cfg.lua:5: `undefined` is not defined"),
        ("undefined.x = 1", "master.cfg.lua:5: `undefined` is not defined"),
        (
            "props.os = 'x'",
            "master.cfg.lua:5: property `os` cannot be set here; that is what `steps.SetProperty` is for",
        ),
        (
            "props:setProperty('os', 'x', 'me')",
            "master.cfg.lua:5: `setProperty`: properties cannot be set here; that is what `steps.SetProperty` is for",
        ),
        (
            "return props:getProperty()",
            "master.cfg.lua:5: `getProperty` takes the name of a property, not nothing",
        ),
        ("return props[1]", "master.cfg.lua:5: `props` takes the name of a property, not a whole number (1)"),
        ("return print", "master.cfg.lua:4: the answer of the function holds a function"),
        (
            "return 0 / 0",
            "master.cfg.lua:4: the answer of the function holds the number NaN, which JSON cannot hold,",
        ),
        (
            "return { 1, nil, 3 }",
            "master.cfg.lua:4: the answer of the function holds a list; it has a hole: element 2 is nil",
        ),
        ("return '\\255'", "master.cfg.lua:4: the answer of the function holds text that is not UTF-8"),
        (
            "local t = {} t[1] = t return t",
            "master.cfg.lua:4: the answer of the function holds tables nested too deeply, or a table that holds itself",
        ),
        ("return props", "master.cfg.lua:4: the answer of the function holds a userdata"),
        (
            "return util.Interpolate(5)",
            "master.cfg.lua:5: util.Interpolate: the format is text, not a whole number (5)",
        ),
        (
            "return util.WithProperties 'x'",
            "master.cfg.lua:5: there is no `util.WithProperties`, write `util.Interpolate \"…%(prop:name)s…\"`",
        ),
        ("coroutine.yield(1)", "master.cfg.lua:5: attempt to yield from outside a coroutine"),
        (
            "local _, why = coroutine.resume(coroutine.create(function()\nerror 'within' end)) error(why, 0)",
            "master.cfg.lua:6: within",
        ),
        ("os.execute 'true'", "master.cfg.lua:5: a configuration has no `os.execute`"),
    ] {
        let text = failure(body).await;
        assert!(text.starts_with(told), "{body}:\n{text}\n{told}");
    }
}

#[tokio::test]
async fn what_only_a_load_may_do_is_refused_in_a_call() {
    for (body, told) in [
        ("return util.renderer(print)", "no function can be given away"),
        ("return util.Transform(print)", "no function can be given away"),
        ("worker.LocalWorker 'late'", "`worker.LocalWorker` cannot be made"),
        ("steps.ShellCommand { command = 'true' }", "`steps.ShellCommand` cannot be made"),
        ("c.title = 'late'", "`c` cannot be changed"),
        ("c = { title = 'late' }", "`c` cannot be changed"),
        ("require 'late'", "no module can be read"),
        ("dofile 'master.cfg.lua'", "no file can be opened"),
        ("io.open 'master.cfg.lua'", "no file can be opened"),
        ("for _ in io.lines 'master.cfg.lua' do end", "no file can be opened"),
    ] {
        let expected =
            format!("master.cfg.lua:5: {told} while a build runs, only while the configuration is loaded");
        assert_eq!(failure(body).await, expected, "{body}");
    }
    let added = draft(
        "local factory = util.BuildFactory {} local step = steps.ShellCommand { command = 'x' }",
        "util.renderer(function() factory:addStep(step) end)",
    )
    .await;
    let error = value_of(&added).await.expect_err("the factory is read");
    assert!(error.to_string().contains("no step can be added while a build runs"), "{error}");
    // What was read before is there: modules, and what the file has kept.
    let kept = draft(
        "local plugins = require 'buildbot.plugins' local kept = { 'a' }",
        "util.renderer(function() return require 'buildbot.plugins' == plugins and kept[1] end)",
    )
    .await;
    assert_eq!(value_of(&kept).await, Ok(json!("a")));
}

#[tokio::test]
async fn whatever_runs_away_is_stopped_at_its_line_and_the_next_call_is_well() {
    for (line, body) in [
        (5, "while true do end"),
        (6, "pcall(function()\nwhile true do end end) return 1"),
        (6, "while true do\n pcall(function() while true do end end) end"),
        (6, "coroutine.wrap(function()\nwhile true do end end)()"),
        (5, "xpcall(function() while true do end end, function() while true do end end)"),
        (
            5,
            "local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end",
        ),
        (6, "local s = ('a'):rep(10000)\nreturn s:find(('.-'):rep(30) .. 'b')"),
        (6, "local t = { 3, 1, 2 }\ntable.sort(t, function() while true do end end)"),
        (5, "setmetatable(_G, nil) while true do end"),
    ] {
        let before = "local calls, closed = 0, 0
local kept = setmetatable({}, { __close = function() closed = closed + 1 end })"
            .replace('\n', " ");
        let text = format!(
            "util.renderer(function(props)\ncalls = calls + 1 if calls > 1 then do local x <close> = kept end return closed end {body}\nend)"
        );
        let draft = draft(&before, &text).await;
        let shown = format!("{body}: ");
        match value_of(&draft).await {
            Err(RenderError::Hook(HookError::Endless { place, .. })) => {
                assert_eq!(place.to_string(), format!("master.cfg.lua:{line}"), "{shown}");
            }
            // The global table is not the operator's.
            Err(RenderError::Hook(HookError::Failed { text })) if body.starts_with("setmetatable(_G") => {
                assert!(text.contains("cannot change a protected metatable"), "{text}");
            }
            other => panic!("{shown}{other:?}"),
        }
        // The `__close` that was taken out for the stop is there again.
        for count in 1..3 {
            assert_eq!(value_of(&draft).await, Ok(json!(count)), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_function_that_takes_all_memory_fails_and_the_next_call_is_well() {
    let draft = draft(
        "local calls = 0",
        "util.renderer(function()\ncalls = calls + 1 if calls > 1 then return 'well' end local x = ('x'):rep(1000000000)\nend)",
    )
    .await;
    let error = value_of(&draft).await.expect_err("there is not so much");
    assert_eq!(
        error.to_string(),
        "master.cfg.lua:5: not enough memory; a configuration may use 128 MiB (--config-memory)"
    );
    assert_eq!(value_of(&draft).await, Ok(json!("well")));
    let large = "local x = ('x'):rep(1000000) local t = {} for i = 1, 200 do t[i] = x end return t";
    let text = failure(large).await;
    assert!(text.contains("its values take more than 128 MiB"), "{text}");
}

#[tokio::test]
async fn what_a_function_was_given_is_gone_when_it_has_returned() {
    let draft = draft(
        "local kept",
        "util.renderer(function(props)\nif kept then return kept.os end kept = props return 'kept'\nend)",
    )
    .await;
    assert_eq!(value_of(&draft).await, Ok(json!("kept")));
    let error = value_of(&draft).await.expect_err("they are of an earlier build");
    let told = "master.cfg.lua:5: the properties of a build are known only to the call they were given to";
    assert_eq!(error.to_string(), told);
}

#[tokio::test]
async fn a_function_is_given_what_stands_beside_it_rendered() {
    let show = "local function show(...) local t = {} for i = 1, select('#', ...) do local v = select(i, ...) t[i] = type(v) == 'table' and v.k or tostring(v) end return t end";
    for (x, expected) in [
        (
            "util.renderer(function(props, ...) return show(...) end):withArgs('a', util.Property 'os')",
            json!(["a", "solaris"]),
        ),
        (
            "util.renderer(function(props, ...) return show(...) end).withArgs('a', None, nil)",
            json!(["a", "nil", "nil"]),
        ),
        (
            "util.renderer(function(props, ...) return show(...) end):withArgs('a'):withArgs('b')",
            json!(["a", "b"]),
        ),
        (
            "util.renderer(function(props, ...) return show(...) end):withKwArgs { k = util.Property 'n' }",
            json!([3]),
        ),
        (
            "util.renderer(function(props, ...) return show(...) end):withArgs(1):withKwArgs { k = 'x' }:withKwArgs { k = 'y' }",
            json!(["1", "y"]),
        ),
        ("util.Transform(show, util.Interpolate '%(prop:os)s', 2)", json!(["solaris", "2"])),
        ("util.Transform(show, 'a', { k = util.Property 'os' })", json!(["a", "solaris"])),
        ("util.Transform { show, 'a', k = 'named' }", json!(["a", "named"])),
        ("util.Transform(string.upper, util.Property 'os')", json!("SOLARIS")),
        ("{ util.Interpolate('%s and %s', util.Transform(string.upper, 'a'), 2) }", json!(["A and 2"])),
        (
            "util.Interpolate('%(kw:f)s', { f = util.renderer(function(props) return props.os end) })",
            json!("solaris"),
        ),
        ("util.Property('gone', util.renderer(function() return util.Property('n') end))", json!(3)),
        ("util.Property('gone', { a = util.Property 'os' })", json!({ "a": "solaris" })),
        ("util.Property('none', 'd', { defaultWhenFalse = false })", json!("d")),
        ("util.Property { 'gone', default = 1, defaultWhenFalse = false }", json!(1)),
    ] {
        assert_eq!(value_of(&draft(show, x).await).await, Ok(expected), "{x}");
    }
}

#[tokio::test]
async fn a_renderer_that_another_returns_is_called_and_one_that_returns_itself_ends() {
    let both = draft(
        "local inner = util.renderer(function(props, x) return x .. props.os end):withArgs 'on '",
        "util.renderer(function() return inner end)",
    )
    .await;
    assert_eq!(value_of(&both).await, Ok(json!("on solaris")));
    let itself =
        draft("local me", "(function() me = util.renderer(function() return { me } end) return me end)()")
            .await;
    assert_eq!(value_of(&itself).await, Err(RenderError::Endless));
}

#[tokio::test]
async fn functions_of_one_text_in_a_loop_keep_what_each_has_closed_over() {
    let text = "local p = require 'buildbot.plugins'
for i = 1, 100 do
  c.workers[i] = p.worker.LocalWorker('w' .. i, { properties = { x = p.util.renderer(function() return i end) } })
end";
    let first = load_text(text).await.draft;
    for (index, worker) in (1..).zip(&first.workers) {
        let (properties, worker_info) = (Properties::new(), WorkerInfo::default());
        let known = Known { hooks: first.interpreter.hooks(), ..Known::plain(&properties, &worker_info) };
        assert_eq!(worker.properties["x"].value(known).await, Ok(json!(index)));
    }
    // By their text they are equal, and so are two loads.
    let again = load_text(text).await.draft;
    assert_eq!(first.workers, again.workers);
    assert_eq!(first.workers[0].properties, first.workers[99].properties);
}

#[tokio::test]
async fn many_builds_may_ask_at_once() {
    let draft = draft("", "util.renderer(function(props) return props.os end)").await;
    let answers = join_all((0..200).map(|_| value_of(&draft))).await;
    assert!(answers.iter().all(|answer| *answer == Ok(json!("solaris"))));
}

#[tokio::test]
async fn a_step_shows_its_name_and_the_properties_of_its_build() {
    let text = "local p = require 'buildbot.plugins'
local function asked(step)
  return { step.name, step:getProperty 'os', step.getProperty('gone', 'd'), step:hasProperty 'os',
    step.build.os, step.build:getProperty 'os', step:getProperties():getProperty 'os', tostring(step) }
end
local f = p.util.BuildFactory { p.steps.ShellCommand { command = 'true', doStepIf = asked },
  p.steps.ShellCommand { command = 'true', doStepIf = function(step) return step.nmae end },
  p.steps.ShellCommand { command = 'true', doStepIf = function(step) step.name = 'x' end } }
c.workers = { p.worker.LocalWorker 'w' }
c.builders = { p.util.BuilderConfig { name = 'b', workername = 'w', factory = f } }
c.schedulers = { p.schedulers.ForceScheduler('f', { 'b' }) }";
    let draft = load_text(text).await.draft;
    let mut properties = Properties::new();
    properties.set("os", "solaris", "Worker");
    let ask = async |hook| {
        let step = HookArgument::Step { name: "compile".to_owned(), properties: properties.clone() };
        draft.interpreter.hooks().call(HookCall { hook: HookId(hook), arguments: vec![step] }).await
    };
    let expected =
        json!(["compile", "solaris", "d", true, "solaris", "solaris", "solaris", "step \"compile\""]);
    assert_eq!(ask(0).await, Ok(Worth::Plain(expected)));
    let failed = |text: &str| Err(HookError::Failed { text: text.to_owned() });
    let there = "`name`, `build`, `getProperty`, `hasProperty`, `getProperties`";
    assert_eq!(
        ask(1).await,
        failed(&format!("master.cfg.lua:7: a step has no `nmae` here, there are: {there}"))
    );
    assert_eq!(ask(2).await, failed("master.cfg.lua:8: a step cannot be changed here"));
}
