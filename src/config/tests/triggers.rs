//! Warnings about steps that trigger: what nobody triggers, and what waits for itself.

use std::fmt::Write as _;

use super::problems;

/// Builders that share a worker, each with the steps that are given, and schedulers.
async fn told(builders: &[(&str, &str)], schedulers: &str) -> Vec<String> {
    let mut text = "local plugins = require 'buildbot.plugins'
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers
c.workers = { worker.LocalWorker 'w' }
local function build(name, ...)
  table.insert(c.builders, util.BuilderConfig { name = name, workername = 'w', factory = util.BuildFactory { ... } })
end\n"
        .to_owned();
    for (name, steps) in builders {
        writeln!(text, "build('{name}', {steps})").unwrap();
    }
    writeln!(text, "c.schedulers = {{ {schedulers} }}").unwrap();
    problems(&text).await
}

const FORCE: &str = "schedulers.ForceScheduler('force', { 'a' })";
const SHELL: &str = "steps.ShellCommand { command = 'true' }";

#[tokio::test]
async fn a_builder_that_only_a_triggerable_asks_is_not_without_a_scheduler() {
    let builders = [("a", "steps.Trigger { 'tests' }"), ("b", SHELL)];
    let told = told(&builders, &format!("{FORCE}, schedulers.Triggerable('tests', {{ 'b' }})")).await;
    assert!(told.is_empty(), "{told:?}");
}

#[tokio::test]
async fn a_triggerable_that_no_step_names_is_a_warning_unless_a_name_is_rendered() {
    let schedulers = format!("{FORCE}, schedulers.Triggerable('tests', {{ 'b' }})");
    let warnings = told(&[("a", SHELL), ("b", SHELL)], &schedulers).await;
    let wanted =
        "master.cfg.lua:9: warning: scheduler \"tests\": no step triggers it, name it in a `steps.Trigger`";
    assert_eq!(warnings, [wanted]);
    let rendered = "steps.Trigger { util.Property 'which' }";
    let warnings = told(&[("a", rendered), ("b", SHELL)], &schedulers).await;
    assert!(warnings.is_empty(), "it may be any: {warnings:?}");
}

#[tokio::test]
async fn builds_that_wait_for_themselves_are_told_with_the_way_once() {
    let schedulers = format!(
        "{FORCE}, schedulers.Triggerable('to a', {{ 'a' }}), schedulers.Triggerable('to b', {{ 'b', 'c' }})"
    );
    let waits = |name: &str| format!("steps.Trigger {{ '{name}', waitForFinish = true }}");
    let wanted = "master.cfg.lua:7: warning: builder \"a\": step \"trigger\" waits for a build of the same builder, by way of \
                  \"b\", so none of them ends, leave out `waitForFinish`, or give the step a `doStepIf`";
    let warnings = told(&[("a", &waits("to b")), ("b", &waits("to a")), ("c", SHELL)], &schedulers).await;
    assert_eq!(warnings, [wanted]);

    let only_asks = "steps.Trigger { 'to b' }";
    let itself = told(&[("a", &waits("to a")), ("b", only_asks), ("c", SHELL)], &schedulers).await;
    assert!(itself[0].contains("waits for a build of the same builder, so none of them ends"), "{itself:?}");
    assert_eq!(itself.len(), 1, "one that does not wait is in no circle: {itself:?}");

    let sometimes = "steps.Trigger { 'to a', waitForFinish = true, doStepIf = util.Property 'again' }";
    let warnings = told(&[("a", &waits("to b")), ("b", sometimes), ("c", SHELL)], &schedulers).await;
    assert!(warnings.is_empty(), "it may end: {warnings:?}");
}
