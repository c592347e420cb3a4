//! Functions that choose among builders, workers and requests, which they are given as plain tables.

use serde_json::json;

use super::load_text;
use crate::{
    definition::{Collapse, Draft, Hook, HookArgument, HookCall, HookError, Worth},
    model::PropertyValue,
};

const FILE: &str = "local p = require 'buildbot.plugins'
local f = p.util.BuildFactory { p.steps.ShellCommand { command = 'true' } }
c.workers = { p.worker.LocalWorker 'w' }
local function least_loaded(builder, workers, request)
  table.sort(workers, function(a, b) return a.running < b.running end)
  if request.properties.deep.list[2] ~= None or builder.tags[1] ~= 'fast' then return nil end
  return workers[1]
end
c.builders = { p.util.BuilderConfig { name = 'b', workername = 'w', factory = f,
  nextWorker = least_loaded,
  nextBuild = function(builder, requests) return requests[#requests].id end,
  canStartBuild = function(builder, worker, request) return worker.max_builds == nil and request.attempts < 2 end,
  collapseRequests = function(builder, new, old) return new.reason == old.reason end } }
c.select_next_worker = function(builder, workers) return workers[1].name end
c.prioritizeBuilders = function(builders)
  table.sort(builders, function(a, b) return a.waiting > b.waiting end)
  return builders
end
c.schedulers = { p.schedulers.ForceScheduler('f', { 'b' }) }";

async fn ask(draft: &Draft, hook: &Hook, arguments: &[PropertyValue]) -> Result<PropertyValue, HookError> {
    let arguments = arguments.iter().cloned().map(HookArgument::Value).collect();
    match draft.interpreter.hooks().call(HookCall { hook: hook.id, arguments }).await? {
        Worth::Plain(value) => Ok(value),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_function_chooses_among_tables_and_gives_one_back_as_it_was() {
    let draft = load_text(FILE).await.draft;
    assert!(draft.problems.is_empty(), "{:?}", draft.problems);
    let builder = &draft.builders[0];
    let shown = json!({ "name": "b", "tags": ["fast"], "running": 1, "waiting": 2 });
    let worker = |name: &str, running: u32| json!({ "name": name, "running": running, "max_builds": null, "properties": { "os": "linux" }, "info": { "numcpus": 8 } });
    let workers = json!([worker("busy", 3), worker("idle", 0)]);
    let request = |id: u32| {
        json!({ "id": id, "builder": "b", "priority": -1, "submitted_at": 1.5, "attempts": 0, "reason": "r",
            "properties": { "deep": { "list": [1, null, "x"] } } })
    };

    let next_worker = builder.next_worker.as_ref().expect("it is given");
    let chosen = ask(&draft, next_worker, &[shown.clone(), workers.clone(), request(7)]).await;
    let mut idle = worker("idle", 0);
    // What is null is `None` in a table, which is null again.
    assert_eq!(chosen, Ok(idle.clone()));
    let slow = json!({ "name": "b", "tags": [], "running": 0, "waiting": 0 });
    assert_eq!(ask(&draft, next_worker, &[slow.clone(), workers.clone(), request(7)]).await, Ok(json!(null)));

    let next_build = builder.next_build.as_ref().expect("it is given");
    assert_eq!(
        ask(&draft, next_build, &[shown.clone(), json!([request(7), request(9)])]).await,
        Ok(json!(9))
    );

    let can_start = builder.can_start_build.as_ref().expect("it is given");
    // `None` is not nil, so that a worker without limit has no `max_builds` at all.
    idle.as_object_mut().expect("a table").remove("max_builds");
    assert_eq!(ask(&draft, can_start, &[shown.clone(), idle, request(7)]).await, Ok(json!(true)));

    let Some(Collapse::Decided(collapse)) = &builder.collapse else { panic!("{:?}", builder.collapse) };
    assert_eq!(ask(&draft, collapse, &[shown.clone(), request(9), request(7)]).await, Ok(json!(true)));

    let select = draft.settings.select_next_worker.as_ref().expect("it is given");
    assert_eq!(ask(&draft, select, &[shown.clone(), workers, request(7)]).await, Ok(json!("busy")));
    let prioritize = draft.settings.prioritize_builders.as_ref().expect("it is given");
    let answer = ask(&draft, prioritize, &[json!([slow.clone(), shown.clone()])]).await;
    // An empty table is a list and a table at once, and comes back as the former.
    assert_eq!(answer, Ok(json!([shown, slow])));
}

#[tokio::test]
async fn a_function_that_fails_says_where_and_the_next_call_is_well() {
    let draft = load_text(FILE).await.draft;
    let next_build = draft.builders[0].next_build.as_ref().expect("it is given");
    let failed = ask(&draft, next_build, &[json!({}), json!([])]).await.expect_err("there is no request");
    assert!(failed.to_string().starts_with("master.cfg.lua:11: attempt to index a nil value"), "{failed}");
    assert_eq!(ask(&draft, next_build, &[json!({}), json!([{ "id": 3 }])]).await, Ok(json!(3)));
}
