//! What builds print, set and say.

use super::{MARKER, put, secret};
use crate::support::{
    master::{HEAD, MasterDir, eventually, touch},
    skip::skip,
    traces::{keep, keep_api, keep_folder, keep_processes},
};

/// Prints its secrets in every way it knows, some of it more than a row of the database holds; then waits for the test.
const PRINTS: &str = r#"
  steps.ShellCommand {
    name = "print",
    command = { "sh", "-c", [[
      password=$(cat)
      printf '%s\n' "in: $password" "$TOKEN"
      printf '%s\n' "$TOKEN" >&2
      printf '{"json": "%s"}\n' "$(printf %s "$TOKEN" | sed 's/"/\\"/g')"
      printf %s "$TOKEN" | cut -c 1-9 | tr -d '\n'
      printf %s "$TOKEN" | cut -c 10-
      for i in $(seq 200); do echo "line $i of the log: $TOKEN"; done
      echo "$TOKEN" > test.log
      set -x
      : "$TOKEN"
      touch waits
      while [ -d "$PWD" ] && [ ! -e go ]; do sleep 0.05; done
      printf '%s' "no line end: $TOKEN"
    ]] },
    env = { TOKEN = util.Secret "token" },
    initialStdin = util.Interpolate "%(secret:password)s",
    logfiles = { test = "test.log" },
    descriptionDone = util.Interpolate "used %(secret:token)s",
  },
  steps.SetPropertyFromCommand {
    command = "echo \"it is $TOKEN\"", property = "found", env = { TOKEN = util.Secret "token" },
  },
  steps.SetProperty { property = "given", value = { a = { util.Secret "token" } } },
  steps.ShellCommand { name = "gone", command = { "echo", util.Secret "no-such" } },
"#;

fn config(database: &str) -> String {
    format!(
        "{HEAD}{database}c.workers = {{ worker.LocalWorker('w1') }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, \
         factory = util.BuildFactory {{ {PRINTS} }} }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
    )
}

/// Runs the build in a master of this configuration, and leaves all that can be seen of it for the search.
fn a_build_that_prints_its_secrets(test: &str, config: &str) -> MasterDir {
    let dir = MasterDir::new(config);
    put(&dir, "token", &secret("token"));
    put(&dir, "password", &secret("password"));
    let mut master = dir.start_logging("trace");
    let mut force = dir.spawn("force", &["b", "--wait"]);
    eventually("the step to wait", || dir.build_dir().join("waits").exists().then_some(()));
    keep_processes(test, master.pid());
    touch(&dir.build_dir().join("go"));
    assert_eq!(force.wait(), Some(11), "its last step has no secret, which is an exception");
    let log = String::from_utf8(dir.log(1)).unwrap();
    for line in [
        "the environment is not listed, since a secret is in it",
        "in: <password>",
        r#"{"json": "<token>"}"#,
        "line 200 of the log: <token>",
        "no line end: <token>",
        "property changes: found: \"it is <token>\"",
        "given: {\"a\":[\"<token>\"]}",
    ] {
        assert!(log.lines().any(|found| found.contains(line)), "{line}: {log}");
    }
    assert_eq!(log.matches("<token>").count(), 200 + 11, "{log}");
    assert!(!log.contains(MARKER), "{log}");
    let build = dir.builds().remove(0);
    let steps = dir.get(&format!("/api/v2/builds/{}/steps", build["buildid"]));
    assert!(steps.contains("used <token>"), "{steps}");
    let missing = "cannot have the secret `no-such`: no provider has it; looked for the file ";
    assert!(steps.contains(missing), "{steps}");
    let properties = dir.get(&format!("/api/v2/builds/{}/properties", build["buildid"]));
    assert!(properties.contains(r#""it is <token>""#), "{properties}");
    assert!(properties.contains(r#"{"a":["<token>"]}"#), "{properties}");
    keep_api(test, &dir);
    eventually("the log to be compressed", || compressed_logs(&dir.file("logs")).then_some(()));
    assert!(dir.run("stop", &[]).status.success());
    assert_eq!(master.wait(), Some(0));
    keep(test, "stderr.txt", &master.said());
    keep_folder(test, &dir);
    let own = own_log(&dir);
    assert!(own.contains("cannot have the secret `no-such`"), "it tells of the step");
    keep(test, "own-log.txt", &own);
    dir
}

/// All that the master logged, the oldest first: a slow machine waits long enough for `trace` to fill more than one file.
fn own_log(dir: &MasterDir) -> String {
    let older = (1..).map(|n| dir.file(&format!("lunabot.log.{n}"))).take_while(|log| log.exists());
    let mut logs: Vec<_> = older.collect();
    logs.reverse();
    logs.push(dir.file("lunabot.log"));
    logs.iter().map(|log| std::fs::read_to_string(log).unwrap()).collect()
}

/// Whether a log below this folder is compressed.
fn compressed_logs(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        path.extension().is_some_and(|extension| extension == "zst")
            || (path.is_dir() && compressed_logs(&path))
    })
}

#[test]
fn a_build_that_prints_its_secrets_leaves_their_names() {
    drop(a_build_that_prints_its_secrets("local", &config("")));
}

#[test]
fn a_build_that_prints_its_secrets_leaves_their_names_in_postgresql() {
    let Ok(url) = std::env::var("LUNABOT_TEST_POSTGRES") else {
        skip(
            "a_build_that_prints_its_secrets_leaves_their_names_in_postgresql",
            "LUNABOT_TEST_POSTGRES is not set",
        );
        return;
    };
    if cfg!(not(feature = "postgres")) {
        // Not a skip: without the feature there is nothing of the kind to test.
        return;
    }
    let psql = |url: &str, sql: &str| {
        #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
        let output = std::process::Command::new("psql").arg(url).args(["-qAtc", sql]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let database = format!("lunabot_secrets_{}", std::process::id());
    psql(&url, &format!("CREATE DATABASE {database}"));
    let (server, _) = url.rsplit_once('/').unwrap();
    let url = format!("{server}/{database}");
    drop(a_build_that_prints_its_secrets("postgres", &config(&format!("c.db = {{ db_url = '{url}' }}\n"))));
    let mut rows = String::new();
    let tables = psql(&url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
    for table in tables.lines() {
        // Bytes come as hex, which the search knows.
        rows += &psql(&url, &format!("SELECT t::text FROM \"{table}\" t"));
    }
    assert!(rows.contains("used <token>"), "{rows}");
    keep("postgres", "postgres.txt", &rows);
}
