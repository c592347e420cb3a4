//! The HTTP API in Buildbot's shapes, asked without a client of ours.

use serde_json::Value;

use crate::support::master::MasterDir;

fn body(answer: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[test]
fn resources_have_buildbots_paths_fields_filters_order_and_pages() {
    let dir = MasterDir::with_steps(
        "steps.ShellCommand { name = 'greet', command = 'echo hi', logEnviron = false }",
    );
    let _master = dir.start();
    for _ in 0..3 {
        assert!(dir.run("force", &["b", "--wait"]).status.success());
    }
    let get = |path: &str| body(&dir.get(&format!("/api/v2{path}")));

    let worker = &get("/workers")["workers"][0];
    assert_eq!(worker["name"], "w1");
    assert!(worker["workerinfo"]["version"].is_string(), "{worker}");
    assert_eq!(worker["connected_to"].as_array().unwrap().len(), 1);
    assert_eq!(get("/workers/w1")["workers"][0]["workerid"], worker["workerid"]);

    let builder = &get("/builders?name=b")["builders"][0];
    let id = builder["builderid"].as_i64().unwrap();
    assert_eq!(get("/builders/b")["builders"][0]["builderid"], id);

    let builds = get(&format!("/builds?builderid={id}&order=-number&limit=2&field=number&field=results"));
    let numbers: Vec<_> =
        builds["builds"].as_array().unwrap().iter().map(|b| b["number"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [3, 2]);
    assert_eq!(builds["builds"][0].as_object().unwrap().len(), 2);
    let rest = get("/builds?order=number&offset=1&number__lt=3");
    assert_eq!(rest["builds"][0]["number"], 2);

    let step = &get("/builders/b/builds/1/steps")["steps"][0];
    assert_eq!(
        (&step["name"], &step["results"], &step["complete"]),
        (&"greet".into(), &0.into(), &true.into())
    );
    let log = &get("/builders/b/builds/1/steps/greet/logs/stdio")["logs"][0];
    assert_eq!(log["complete"], true);
    let chunk = &get(&format!("/logs/{}/contents", log["logid"]))["logchunks"][0];
    assert!(chunk["content"].as_str().unwrap().lines().any(|line| line == "ohi"), "{chunk}");

    let build = &get("/builders/b/builds/1")["builds"][0];
    let properties = &get(&format!("/builds/{}/properties", build["buildid"]))["properties"][0];
    assert_eq!(properties["workername"], serde_json::json!(["w1", "Worker"]));
    assert_eq!(properties["buildnumber"], serde_json::json!([1, "Build"]));
    let request = &get(&format!("/buildrequests/{}", build["buildrequestid"]))["buildrequests"][0];
    assert_eq!((&request["complete"], &request["results"]), (&true.into(), &0.into()));
    assert_eq!(get("/forceschedulers")["forceschedulers"][0]["builder_names"], serde_json::json!(["b"]));
    assert_eq!(get("/masters")["masters"].as_array().unwrap().len(), 1);
}

#[test]
fn a_wrong_question_is_answered_with_its_cause() {
    let dir = MasterDir::with_steps("steps.ShellCommand { command = 'true' }");
    let _master = dir.start();
    for (path, status, wanted) in [
        ("/api/v2/nothing", "404", "there is nothing at"),
        ("/api/v2/builders/77", "404", "there is no builder 77"),
        ("/api/v2/builds?colour=red", "400", "colour"),
        ("/api/v2/builds?limit=many", "400", "whole number"),
        ("/elsewhere", "404", "there is nothing at"),
    ] {
        let answer = dir.get(path);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(wanted),
            "{path}: {answer}"
        );
    }
    let unknown = dir.post("/api/v2/forceschedulers/force", "explode", "{}");
    assert!(unknown.contains("-32601"), "{unknown}");
    let nobody = dir.post("/api/v2/forceschedulers/forse", "force", r#"{"buildername": "b"}"#);
    assert!(nobody.contains("did you mean `force`?"), "{nobody}");
}

#[test]
fn a_waiting_request_can_be_cancelled() {
    let dir = MasterDir::new(
        "local p = require 'buildbot.plugins'\n\
         c.workers = { p.worker.Worker('away', 'sesame-open') }\n\
         c.builders = { p.util.BuilderConfig { name = 'b', workernames = { 'away' }, factory = p.util.BuildFactory { p.steps.ShellCommand { command = 'true' } } } }\n\
         c.schedulers = { p.schedulers.ForceScheduler('force', { 'b' }) }\n",
    );
    let _master = dir.start();
    let request = dir.json("force", &["b"])["buildrequestid"].to_string();
    let answer = dir.post(&format!("/api/v2/buildrequests/{request}"), "cancel", "{}");
    assert!(answer.contains("\"result\":null"), "{answer}");
    let row = body(&dir.get(&format!("/api/v2/buildrequests/{request}")));
    assert_eq!(row["buildrequests"][0]["results"], 6);
    let again = dir.post(&format!("/api/v2/buildrequests/{request}"), "cancel", "{}");
    assert!(again.contains("waits no more"), "{again}");
    // The password is in the file, and nowhere else.
    for path in ["/api/v2/workers", "/api/v2/masters", "/api/v2/builders"] {
        assert!(!dir.get(path).contains("sesame-open"));
    }
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    assert!(!log.contains("sesame-open"));
}
