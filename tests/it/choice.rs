//! Which build runs where: functions of the configuration, fair shares, and the choice that is made without a function.
//!
//! # Not here
//! The laws of the choice (`build::board`). Limits and locks that keep builds back: `limits`.

use crate::support::queue::{Queue, config, line_of, worker};

/// Functions are stopped soon: this many instructions are far more than any good one here needs.
const SOON: &[&str] = &["--config-instructions", "1000000"];

#[test]
fn next_worker_chooses_for_its_builder_and_select_next_worker_for_all_others() {
    let text = config(
        "c.workers = { worker.LocalWorker('fast', { properties = { speed = 9 } }), worker.LocalWorker('slow', { properties = { speed = 2 } }) }\n\
         local function by_speed(sign)\n\
           return function(builder, workers, request)\n\
             table.sort(workers, function(a, b) return sign * a.properties.speed < sign * b.properties.speed end)\n\
             return workers[1]\n\
           end\n\
         end\n\
         build('own', { 'fast', 'slow' }, quick, { nextWorker = by_speed(1) })\n\
         build('other', { 'fast', 'slow' }, quick)\n\
         c.select_next_worker = by_speed(-1)\n",
    );
    let queue = Queue::of(&text, &["fast", "slow"]);
    // Without functions they would take turns, as the one that has rested longest is the next.
    for _ in 0..2 {
        assert_eq!(worker(&queue.serve("own")), "slow");
        assert_eq!(worker(&queue.serve("other")), "fast");
    }
}

#[test]
fn next_build_chooses_the_request() {
    let queue = Queue::of(
        &config(
            "c.workers = { worker.LocalWorker('w1', { max_builds = 1 }) }\n\
             build('b', { 'w1' }, quick, { nextBuild = function(builder, requests)\n\
               table.sort(requests, function(a, b) return tonumber(a.properties.n) > tonumber(b.properties.n) end)\n\
               return requests[1]\n\
             end })\n",
        ),
        &["w1"],
    );
    queue.dir.order("pause", "w1", &[]);
    let requests = ["n=2", "n=3", "n=1"].map(|n| queue.force("b", &[n]));
    queue.dir.order("unpause", "w1", &[]);
    for request in requests {
        assert_eq!(queue.ended(request)["results"], 0);
    }
    assert_eq!(queue.told("n"), ["3", "2", "1"]);
}

#[test]
fn can_start_build_keeps_a_request_back_until_it_says_yes_but_not_those_behind_it() {
    let queue = Queue::of(
        &config(
            "c.workers = { worker.LocalWorker 'w1' }\n\
             build('busy', { 'w1' }, stays)\n\
             build('b', { 'w1' }, quick, { canStartBuild = function(builder, w, request)\n\
               return request.properties.alone ~= 'yes' or w.running == 0\n\
             end })\n",
        ),
        &["w1"],
    );
    let busy = queue.force("busy", &[]);
    queue.runs(busy);
    let alone = queue.force("b", &["alone=yes"]);
    queue.serve("b");
    assert!(queue.waits(alone));
    queue.finish(busy);
    assert_eq!(queue.ended(alone)["results"], 0);
}

#[test]
fn prioritize_builders_orders_them_and_one_that_it_leaves_out_waits() {
    let queue = Queue::of(
        &config(
            "c.workers = { worker.LocalWorker('w1', { max_builds = 1 }) }\n\
             for _, name in ipairs { 'a', 'b', 'c' } do build(name, { 'w1' }, quick) end\n\
             c.prioritizeBuilders = function(builders)\n\
               if #builders > 1 and builders[1].name == 'a' then table.remove(builders, 1) end\n\
               table.sort(builders, function(a, b) return a.name > b.name end)\n\
               return builders\n\
             end\n",
        ),
        &["w1"],
    );
    queue.dir.order("pause", "w1", &[]);
    let requests = ["a", "b", "c", "a", "b", "c"].map(|builder| queue.force(builder, &[]));
    queue.dir.order("unpause", "w1", &[]);
    for request in requests {
        assert_eq!(queue.ended(request)["results"], 0);
    }
    assert_eq!(queue.told("buildername"), ["c", "c", "b", "b", "a", "a"]);
}

/// A function that fails, or never ends, if the request wants it so.
fn spoilt(arguments: &str, good: &str) -> String {
    format!(
        "function({arguments}) local how = request.properties.spoil; if how == 'error' then error 'spoilt' end \
         if how == 'loop' then while true do end end return {good} end"
    )
}

#[test]
fn a_function_that_fails_or_never_ends_keeps_back_only_the_request_that_it_was_asked_about() {
    let with = |worker: &str, start: &str, select: &str| {
        config(&format!(
            "c.workers = {{ worker.LocalWorker 'w1' }}\n\
             build('plain', {{ 'w1' }}, quick)\n\
             build('worker', {{ 'w1' }}, quick, {{ nextWorker = {worker} }})\n\
             build('start', {{ 'w1' }}, quick, {{ canStartBuild = {start} }})\n\
             build('select', {{ 'w1' }}, quick)\n\
             c.select_next_worker = {select}\n"
        ))
    };
    let choice = "builder, workers, request";
    let text = with(
        &spoilt(choice, "workers[1]"),
        &spoilt("builder, w, request", "true"),
        &spoilt(choice, "builder.name ~= 'start' and workers[1] or 'w1'").replace(
            "local how = request.properties.spoil",
            "local how = builder.name == 'select' and request.properties.spoil",
        ),
    );
    let mut queue = Queue::with(&text, SOON, &["w1"]);
    let mut kept_back = Vec::new();
    for (builder, function) in
        [("worker", "nextWorker"), ("start", "canStartBuild"), ("select", "select_next_worker")]
    {
        let line = line_of(&text, &format!("{function} ="));
        kept_back.push(queue.force(builder, &["spoil=error"]));
        queue.master.wait_for_stderr(&format!("`{function}` failed: {line}: spoilt"));
        kept_back.push(queue.force(builder, &["spoil=loop"]));
        queue.serve(builder);
        queue.serve("plain");
        queue.master.wait_for_stderr(&format!("`{function}` failed: the function at {line} comes to no end"));
    }
    assert!(kept_back.iter().all(|request| queue.waits(*request)));
    // Nothing but the functions kept them back.
    queue.dir.reload(&with("nil", "nil", "nil"));
    for request in kept_back {
        assert_eq!(queue.ended(request)["results"], 0);
    }
}

#[test]
fn while_a_function_runs_for_ever_the_requests_of_other_builders_are_served() {
    let function = spoilt("builder, workers, request", "workers[1]");
    let text = config(&format!(
        "c.workers = {{ worker.LocalWorker 'w1' }}\n\
         build('plain', {{ 'w1' }}, quick)\n\
         build('b', {{ 'w1' }}, quick, {{ nextWorker = {function} }})\n"
    ));
    let mut queue = Queue::of(&text, &["w1"]);
    let asked = queue.force("b", &["spoil=loop"]);
    queue.serve("plain");
    queue.serve("b");
    assert!(queue.waits(asked));
    assert!(queue.dir.run("stop", &[]).status.success());
    let said = queue.master.said();
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("{text}: {said}"));
    assert!(at("build finished builder=plain") < at("comes to no end"), "{said}");
    assert!(at("comes to no end") < at("build finished builder=b"), "{said}");
}

#[test]
fn a_next_build_that_fails_keeps_back_its_builder_alone_until_the_request_is_gone() {
    let text = config(
        "c.workers = { worker.LocalWorker 'w1' }\n\
         build('plain', { 'w1' }, quick)\n\
         build('b', { 'w1' }, quick, { nextBuild = function(builder, requests)\n\
           for _, request in ipairs(requests) do if request.properties.bad then error 'spoilt' end end\n\
           return requests[1].id\n\
         end })\n",
    );
    let mut queue = Queue::of(&text, &["w1"]);
    let bad = queue.force("b", &["bad=yes"]);
    let line = line_of(&text, "error 'spoilt'");
    queue.master.wait_for_stderr(&format!("`nextBuild` failed: {line}: spoilt"));
    let good = queue.force("b", &[]);
    queue.serve("plain");
    assert!(queue.waits(bad) && queue.waits(good));
    queue.cancel(bad);
    assert_eq!(queue.ended(good)["results"], 0);
}

#[test]
fn builders_that_a_function_fails_to_order_are_served_in_their_usual_order() {
    let with = |body: &str| {
        config(&format!(
            "c.workers = {{ worker.LocalWorker('w1', {{ max_builds = 1 }}) }}\n\
             for _, name in ipairs {{ 'a', 'b' }} do build(name, {{ 'w1' }}, quick) end\n\
             c.prioritizeBuilders = function(builders) {body} end\n"
        ))
    };
    let text = with("error 'spoilt'");
    let mut queue = Queue::with(&text, SOON, &["w1"]);
    let line = line_of(&text, "c.prioritizeBuilders");
    let mut told = Vec::new();
    for (body, says, order) in [
        ("error 'spoilt'", format!("`prioritizeBuilders` failed: {line}: spoilt"), ["b", "a", "b"]),
        // Now it is `b` that was served last.
        (
            "while true do end",
            format!("`prioritizeBuilders` failed: the function at {line} comes to no end"),
            ["a", "b", "b"],
        ),
    ] {
        queue.dir.reload(&with(body));
        queue.dir.order("pause", "w1", &[]);
        let requests = ["b", "a", "b"].map(|builder| queue.force(builder, &[]));
        queue.dir.order("unpause", "w1", &[]);
        queue.master.wait_for_stderr(&says);
        for request in requests {
            assert_eq!(queue.ended(request)["results"], 0);
        }
        told.extend(order);
        assert_eq!(queue.told("buildername"), told);
    }
}

#[test]
fn a_function_that_never_comes_to_an_order_of_the_builders_holds_them_up_once() {
    let text = config(
        "c.workers = { worker.LocalWorker 'w1' }\n\
         build('a', { 'w1' }, quick)\n\
         c.prioritizeBuilders = function(builders) while true do end end\n",
    );
    let mut queue = Queue::of(&text, &["w1"]);
    for _ in 0..3 {
        queue.serve("a");
    }
    assert!(queue.dir.run("stop", &[]).status.success());
    let said = queue.master.said();
    let heard: Vec<&str> = ["comes to no end", "build finished"]
        .iter()
        .flat_map(|text| said.match_indices(*text))
        .collect::<std::collections::BTreeMap<_, _>>()
        .into_values()
        .take(4)
        .collect();
    assert_eq!(heard, ["comes to no end", "build finished", "build finished", "build finished"], "{said}");
}

#[test]
fn two_builders_with_long_queues_that_share_one_worker_take_turns() {
    let queue = Queue::of(
        &config(
            "c.workers = { worker.LocalWorker('w1', { max_builds = 1 }) }\n\
             for _, name in ipairs { 'a', 'b' } do build(name, { 'w1' }, quick) end\n",
        ),
        &["w1"],
    );
    queue.dir.order("pause", "w1", &[]);
    let requests = ["a", "a", "a", "a", "b", "b", "b", "b"].map(|builder| queue.force(builder, &[]));
    queue.dir.order("unpause", "w1", &[]);
    for request in requests {
        assert_eq!(queue.ended(request)["results"], 0);
    }
    assert_eq!(queue.told("buildername"), ["a", "b", "a", "b", "a", "b", "a", "b"]);
}

#[test]
fn requests_of_higher_priority_come_first_whatever_the_shares_of_their_builders() {
    let text = config(
        "c.workers = { worker.LocalWorker('w1', { max_builds = 1 }) }\n\
         for _, name in ipairs { 'a', 'b' } do build(name, { 'w1' }, quick) end\n",
    ) + "table.insert(c.schedulers, schedulers.ForceScheduler('urgent', { 'a', 'b' }, { priority = 7 }))\n";
    let queue = Queue::of(&text, &["w1"]);
    queue.dir.order("pause", "w1", &[]);
    let force = |builder: &str, name: &str, options: &[&str]| {
        let arguments = [&[builder, "-p", name], options].concat();
        queue.dir.json("force", &arguments)["buildrequestid"].as_i64().expect("a request")
    };
    let requests = [
        force("a", "name=usual", &["--scheduler", "force"]),
        force("b", "name=last", &["--scheduler", "force", "--priority", "-1"]),
        force("a", "name=first", &["--scheduler", "urgent"]),
        force("a", "name=second", &["--scheduler", "force", "--priority", "7"]),
        force("b", "name=third", &["--scheduler", "force", "--priority", "6"]),
    ];
    queue.dir.order("unpause", "w1", &[]);
    for request in requests {
        assert_eq!(queue.ended(request)["results"], 0);
    }
    assert_eq!(queue.told("name"), ["first", "second", "third", "usual", "last"]);
    let refused = queue.dir.run("force", &["a", "--priority", "1000001"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`priority` must be a whole number"));
}

#[test]
fn of_two_free_workers_the_one_with_fewer_builds_gets_the_next() {
    let queue = Queue::of(
        &config(
            "c.workers = { worker.LocalWorker 'w1', worker.LocalWorker 'w2' }\n\
             for _, name in ipairs { 'one', 'two' } do build(name, { 'w1' }, stays) end\n\
             for _, name in ipairs { 'x', 'y', 'z' } do build(name, { 'w1', 'w2' }, stays) end\n",
        ),
        &["w1", "w2"],
    );
    let runs = |builder: &str| worker(&queue.runs(queue.force(builder, &[])).0);
    assert_eq!(runs("one"), "w1");
    assert_eq!(runs("x"), "w2");
    assert_eq!(runs("two"), "w1");
    assert_eq!(runs("y"), "w2", "two builds here, one there");
}

#[test]
fn a_build_goes_to_the_worker_whose_lock_is_free_though_more_builds_run_there() {
    let queue = Queue::of(
        &config(
            "local disk = util.WorkerLock 'disk'\n\
             local locks = { disk:access 'exclusive' }\n\
             local locked = steps.ShellCommand { command = 'true', locks = locks }\n\
             c.workers = { worker.LocalWorker 'w1', worker.LocalWorker 'w2' }\n\
             build('holds', { 'w1' }, stays, { locks = locks })\n\
             for _, name in ipairs { 'x', 'y' } do build(name, { 'w2' }, stays) end\n\
             build('build', { 'w1', 'w2' }, quick, { locks = locks })\n\
             build('step', { 'w1', 'w2' }, locked)\n\
             build('none', { 'w1', 'w2' }, quick)\n",
        ),
        &["w1", "w2"],
    );
    for builder in ["holds", "x", "y"] {
        queue.runs(queue.force(builder, &[]));
    }
    assert_eq!(worker(&queue.serve("none")), "w1");
    assert_eq!(worker(&queue.serve("build")), "w2");
    assert_eq!(worker(&queue.serve("step")), "w2");
}
