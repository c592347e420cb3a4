//! What runs away: each text ends by itself, as a problem with its line, and the next load is well.

use super::{checked, problems};

/// The first problem of a text.
async fn ends(text: &str) -> String {
    let problems = problems(text).await;
    let first = problems.first().cloned().unwrap_or_default();
    // The process is well: a good file loads.
    checked("c.workers = { require 'buildbot.plugins'.worker.LocalWorker 'bot' }").await;
    first
}

const NO_END: &str =
    "the configuration comes to no end; stopped after 3000000 instructions (--config-instructions)";

#[tokio::test]
async fn an_endless_loop_ends_at_its_line() {
    assert_eq!(ends("\n\nwhile true do end").await, format!("master.cfg.lua:3: {NO_END}"));
}

#[tokio::test]
async fn an_endless_loop_in_a_coroutine_ends_at_its_line() {
    let text = "local go = coroutine.wrap(function()\n  while true do end\nend)\ngo()";
    assert_eq!(ends(text).await, format!("master.cfg.lua:2: {NO_END}"));
    let nested = "while true do\n  pcall(coroutine.wrap(function() while true do pcall(error) end end))\nend";
    assert_eq!(ends(nested).await, format!("master.cfg.lua:2: {NO_END}"));
    let closing = "local go = coroutine.wrap(function()
  local x <close> = setmetatable({}, { __close = function() while true do end end })
  while true do end
end)
go()";
    assert_eq!(ends(closing).await, format!("master.cfg.lua:3: {NO_END}"));
    let text = "getmetatable('').__close = function() while true do end end
local x <close> = 'text'
table.sort({ 2, 1 }, function()
  local x <close> = 'text'
  while true do end
end)";
    assert_eq!(ends(text).await, format!("master.cfg.lua:5: {NO_END}; called from master.cfg.lua:3"));
}

#[tokio::test]
async fn an_endless_loop_under_pcall_ends_at_its_line() {
    assert_eq!(
        ends("pcall(function()\n  while true do end\nend)").await,
        format!("master.cfg.lua:2: {NO_END}; called from master.cfg.lua:1")
    );
    let loop_of_pcalls = "while true do\n  pcall(function() while true do end end)\nend";
    assert_eq!(
        ends(loop_of_pcalls).await,
        format!("master.cfg.lua:2: {NO_END}; called from master.cfg.lua:2")
    );
    let handler =
        "while true do\n  xpcall(function() while true do end end, function() while true do end end)\nend";
    assert_eq!(ends(handler).await, format!("master.cfg.lua:2: {NO_END}; called from master.cfg.lua:2"));
    let closing = "while true do\n  pcall(function()\n    local x <close> = setmetatable({}, { __close = function() while true do end end })\n  end)\nend";
    assert_eq!(
        ends(closing).await,
        format!("master.cfg.lua:3: {NO_END}; called from master.cfg.lua:4, from master.cfg.lua:2")
    );
}

#[tokio::test]
async fn a_pattern_that_takes_for_ever_ends_at_its_line() {
    for call in ["find", "match", "gsub"] {
        let text = format!("local s = ('a'):rep(10000)\ns:{call}(('.-'):rep(30) .. 'b', '')");
        let text = if call == "gsub" { text } else { text.replace(", '')", ")") };
        assert_eq!(ends(&text).await, format!("master.cfg.lua:2: {NO_END}"), "{call}");
    }
    let gmatch = "local s = ('a'):rep(10000)\nfor _ in s:gmatch(('.-'):rep(30) .. 'b') do end";
    assert_eq!(ends(gmatch).await, format!("master.cfg.lua:2: {NO_END}"));
}

#[tokio::test]
async fn a_sort_that_takes_for_ever_ends_at_its_line() {
    let looping = "local t = { 3, 1, 2 }\ntable.sort(t, function()\n  while true do end\nend)";
    assert_eq!(ends(looping).await, format!("master.cfg.lua:3: {NO_END}; called from master.cfg.lua:2"));
    let inconsistent =
        "local t = {}\nfor i = 1, 1000 do t[i] = i end\ntable.sort(t, function() return true end)";
    assert_eq!(ends(inconsistent).await, "master.cfg.lua:3: invalid order function for sorting");
    let lying =
        "local t = setmetatable({}, { __len = function() return 2 ^ 31 - 2 end })\ntable.sort(t, print)";
    assert_eq!(ends(lying).await, "master.cfg.lua:2: `table.sort` takes no table with a `__len` of its own");
}

#[tokio::test]
async fn loops_in_c_are_refused_at_their_line() {
    assert_eq!(
        ends("table.move({}, 1, math.maxinteger - 1, 2)").await,
        "master.cfg.lua:1: `table.move` moves at most 10000000 elements"
    );
    let insert =
        "table.insert(setmetatable({}, { __len = function() return math.maxinteger - 1 end }), 1, 1)";
    assert_eq!(
        ends(insert).await,
        "master.cfg.lua:1: `table.insert` takes no table with a `__len` of its own"
    );
    let empty = "(''):rep(math.maxinteger)\nerror 'done'";
    assert_eq!(ends(&format!("local _ = {empty}")).await, "master.cfg.lua:2: done");
    let finalizer = "setmetatable({}, { __gc = function() while true do end end })";
    assert_eq!(ends(finalizer).await, "master.cfg.lua:1: a configuration has no finalizers (`__gc`)");
}

#[tokio::test]
async fn deep_recursion_ends_at_its_line() {
    let plain = ends("local function f()\n  return 1 + f()\nend\nf()").await;
    assert!(plain.starts_with("master.cfg.lua:2: stack overflow"), "{plain}");
    let metamethods = "local t = setmetatable({}, { __index = function(t, k)\n  return t[k + 1] + 1\nend })\nlocal _ = t[1]";
    let metamethods = ends(metamethods).await;
    assert!(metamethods.starts_with("master.cfg.lua:2: "), "{metamethods}");
    assert!(metamethods.contains("C stack overflow"), "{metamethods}");
    let callbacks = "local function f()\n  return (('x'):gsub('x', f))\nend\nf()";
    let callbacks = ends(callbacks).await;
    assert!(callbacks.starts_with("master.cfg.lua:2: "), "{callbacks}");
    assert!(callbacks.contains("C stack overflow"), "{callbacks}");
    // A `pcall` inside catches the overflow, and the text runs on.
    let caught = "local function f()\n  local ok, why = pcall(f)\n  return why\nend\nf()\nerror 'done'";
    assert_eq!(ends(caught).await, "master.cfg.lua:6: done");
    let sorting = "local function f()\n  table.sort({ 1, 2 }, f)\nend\nf()";
    let sorting = ends(sorting).await;
    assert!(sorting.contains("C stack overflow"), "{sorting}");
    let brackets = "local x = load('return ' .. ('('):rep(100000))\nerror(x == nil and 'done' or 'loaded')";
    assert_eq!(ends(brackets).await, "master.cfg.lua:2: done");
}

#[tokio::test]
async fn a_gigabyte_of_text_ends_at_its_line() {
    const MEMORY: &str = "not enough memory; a configuration may use 128 MiB (--config-memory)";
    assert_eq!(ends("local x\nx = ('x'):rep(1000000000)").await, format!("master.cfg.lua:2: {MEMORY}"));
    let doubling = "local x = 'x'\nwhile true do\n  x = x .. x\nend";
    assert_eq!(ends(doubling).await, format!("master.cfg.lua:3: {MEMORY}"));
    let table = "local t = {}\nfor i = 1, 1e9 do\n  t[i] = ('x'):rep(100000) .. i\nend";
    assert_eq!(ends(table).await, format!("master.cfg.lua:3: {MEMORY}"));
    let replaced = "local x = ('x'):rep(20000)\nx = x:gsub('x', x)";
    assert_eq!(ends(replaced).await, "master.cfg.lua:2: the resulting string is too large");
    // Caught by a `pcall`, it is no problem, and the text runs on.
    assert_eq!(ends("pcall(string.rep, 'x', 1e9)\nerror 'done'").await, "master.cfg.lua:2: done");
}

#[tokio::test]
async fn values_that_are_small_in_lua_and_huge_outside_end_the_load() {
    const LARGE: &str = "the configuration is too large; its values take more than 128 MiB (--config-memory)";
    let doubled = "local util = require 'buildbot.plugins'.util
local t = { 1, 2 }
for i = 1, 30 do t = { t, t } end
util.BuilderConfig { name = 'b', properties = { t = t } }";
    assert_eq!(ends(doubled).await, format!("master.cfg.lua:4: {LARGE}"));
    let texts = "local steps = require 'buildbot.plugins'.steps
local x = ('x'):rep(1000000)
for i = 1, 200 do
  steps.ShellCommand { command = x }
end";
    assert_eq!(ends(texts).await, format!("master.cfg.lua:4: {LARGE}"));
    let formats = "local util = require 'buildbot.plugins'.util
local x = 'x'
for i = 1, 100 do
  x = util.Interpolate('%(kw:x)s%(kw:x)s', { x = x })
end";
    let told = problems(formats).await;
    let deep = "master.cfg.lua:4: util.Interpolate: it holds too many formats within formats";
    assert!(told.iter().any(|line| line == deep), "{told:?}");
    let shared = "local p = require 'buildbot.plugins'
local f = p.util.BuildFactory()
for i = 1, 1000 do f:addStep(p.steps.ShellCommand { command = 'true' }) end
for i = 1, 1000 do
  c.builders[i] = p.util.BuilderConfig { name = 'b' .. i, workername = 'w', factory = f }
end";
    assert_eq!(ends(shared).await, format!("master.cfg.lua: {LARGE}"));
}

#[tokio::test]
async fn a_mistake_in_an_endless_loop_ends_after_a_thousand_problems() {
    let text = "local worker = require 'buildbot.plugins'.worker\nlocal i = 0\nwhile true do\n  i = i + 1\n  worker.Worker('w' .. i, i)\nend";
    let told = problems(text).await;
    assert_eq!(told.len(), 1001);
    assert_eq!(
        told.last().map(String::as_str),
        Some("master.cfg.lua:5: too many problems; what follows was not read")
    );
}
