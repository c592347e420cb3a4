//! The calls that led to what went wrong, in the operator's own lines, through all files.

use super::load_file;
use crate::{
    definition::Known,
    model::{Properties, WorkerInfo},
};

/// What the operator wrote in two files: the renderer calls `outer`, that calls `deepest` in a module.
const DEEPEST: &str = "local util = require 'buildbot.plugins'.util
local M = {}
local function deepest(props)
  if props.how == 'error' then error 'no such thing' end
  if props.how == 'value' then error { 1 } end
  if props.how == 'index' then return props.gone.x end
  if props.how == 'name' then return undefined_name end
  if props.how == 'text' then return util.Interpolate(5) end
  if props.how == 'load' then require 'late' end
  if props.how == 'coroutine' then coroutine.wrap(function() error 'within' end)() end
  if props.how == 'loop' then while true do end end
  if props.how == 'again' then local answer = M.middle { how = 'error' } return answer end
end
function M.middle(props)
  local answer = deepest(props)
  return answer
end
return M";

const OUTER: &str = "local plugins = require 'buildbot.plugins'
local module = require 'lib.deepest'
local function outer(props)
  local answer = module.middle(props)
  return answer
end
c.workers = { plugins.worker.LocalWorker('w', { properties = { x = plugins.util.renderer(function(props)
  local answer = outer(props)
  return answer
end) } }) }";

#[tokio::test]
async fn what_goes_wrong_in_a_call_is_told_with_the_calls_that_led_there_through_all_files() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("there is room for a file");
    };
    std::fs::create_dir(folder.path().join("lib")).expect("there is room for a folder");
    write("lib/deepest.lua", DEEPEST);
    write("master.cfg.lua", OUTER);
    let draft = load_file(&folder.path().join("master.cfg.lua")).await.draft;
    let called = "; called from lib/deepest.lua:15 in `middle`, from master.cfg.lua:4 in `outer`, from master.cfg.lua:8";
    for (how, told) in [
        ("error", "lib/deepest.lua:4: no such thing"),
        ("value", "lib/deepest.lua:5: a table was raised as error"),
        ("index", "lib/deepest.lua:6: attempt to index a nil value (field 'gone')"),
        ("name", "lib/deepest.lua:7: `undefined_name` is not defined"),
        ("text", "lib/deepest.lua:8: util.Interpolate: the format is text, not a whole number (5)"),
        (
            "load",
            "lib/deepest.lua:9: no module can be read while a build runs, only while the configuration is loaded",
        ),
        ("coroutine", "lib/deepest.lua:10: within"),
        ("loop", "the function at lib/deepest.lua:11 comes to no end; it was stopped"),
        (
            "again",
            "lib/deepest.lua:4: no such thing; called from lib/deepest.lua:15 in `middle`, from lib/deepest.lua:12 in `deepest`",
        ),
    ] {
        let mut properties = Properties::new();
        properties.set("how", how, "Force Build Form");
        let worker = WorkerInfo::default();
        let known = Known { hooks: draft.interpreter.hooks(), ..Known::plain(&properties, &worker) };
        let error = draft.workers[0].properties["x"].value(known).await.expect_err(how);
        // The calls of the first `middle` follow those of the second.
        let told = if how == "again" {
            format!("{told}{}", called.replace("; called from", ", from"))
        } else {
            format!("{told}{called}")
        };
        assert_eq!(error.to_string(), told, "{how}");
    }
}
