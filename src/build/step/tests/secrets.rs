//! What a step leaves for people is without the secrets of its build.

use futures_util::future::BoxFuture;

use super::*;
use crate::{
    definition::{
        Command, Renderable, SecretError, SecretName, Secrets,
        step::{UploadFile, UploadTarget},
    },
    model::Secret,
    protocol::command::{EnvironmentChange, ShellArguments, ShellLine},
};

const SECRET: &str = "ses/am'e SECRET-MARKER-5f3a";

/// Knows one secret, by any name.
#[derive(Debug)]
struct One;

impl Secrets for One {
    fn secret<'a>(&'a self, _: &'a SecretName) -> BoxFuture<'a, Result<Secret, SecretError>> {
        Box::pin(std::future::ready(Ok(Secret::new(SECRET))))
    }
}

async fn bench_with_secret() -> Bench {
    Bench { secrets: Arc::new(BuildSecrets::new(Arc::new(One))), ..bench().await }
}

fn secret() -> Text {
    Text::Rendered(Renderable::Secret(SecretName::new("db").unwrap()))
}

/// The arguments of a shell command that the worker is told to start.
async fn started(worker: &mut Player) -> (CommandId, ShellArguments) {
    let (id, command) = worker.start().await;
    let WorkerCommand::Shell(arguments) = command else { panic!("no shell command") };
    (id, *arguments)
}

fn output(stream: LogStream, bytes: &'static str) -> Update {
    Update::Output { stream, bytes: Bytes::from_static(bytes.as_bytes()) }
}

#[tokio::test]
async fn a_step_that_prints_its_secret_in_pieces_leaves_its_name_in_every_log() {
    let mut bench = bench_with_secret().await;
    let command = ShellCommand {
        env: [("PASSWORD".to_owned(), EnvironmentValue::Set(secret()))].into(),
        initial_stdin: Some(secret()),
        log_environ: true,
        log_files: [("test.log".to_owned(), WatchedFile { path: "test.log".into(), follow: false })].into(),
        ..ShellCommand::sample("cat")
    };
    let end = bench
        .run(shell(command), async |worker: &mut Player| {
            let (id, arguments) = started(worker).await;
            assert_eq!(arguments.env["PASSWORD"], EnvironmentChange::Set(SECRET.into()));
            assert_eq!(arguments.stdin.as_deref(), Some(SECRET.as_bytes()));
            assert!(!arguments.log_environ, "the worker would write it into its own log");
            assert_eq!((arguments.command, arguments.shown), (ShellLine::Shell("cat".into()), None));
            let (stdout, stderr) = (LogStream::Stdout, LogStream::Stderr);
            for update in [
                // As `quoted` of a worker, and as its Python shows bytes.
                output(
                    LogStream::Header,
                    "run 'ses/am'\"'\"'e SECRET-MARKER-5f3a'\n argv: [b\"ses/am'e SECRET-MARKER-5f3a\"]\n",
                ),
                output(stdout, "out ses/am"),
                output(stderr, "err ses/am'e SEC"),
                output(stdout, "'e SECRET-MARKER-5f3a\nend ses"),
                output(stderr, "RET-MARKER-5f3a\n"),
                Update::Log { name: "test.log".into(), bytes: Bytes::from_static(b"a ses/am'e SECRET-") },
                Update::Log { name: "test.log".into(), bytes: Bytes::from_static(b"MARKER-5f3a ses") },
                Update::Rc(0),
            ] {
                worker.update(&id, update).await;
            }
            worker.say(FromWorker::Complete { id, failure: None }).await;
        })
        .await;
    assert_eq!(end.outcome, Outcome::Success);
    let logs = bench.logs().await;
    assert_eq!(
        logs["stdio"],
        "hthe environment is not listed, since a secret is in it\nhrun '<db>'\nh argv: [b\"<db>\"]\n\
         oout <db>\neerr <db>\noend ses\nhprogram finished with exit code 0\n"
    );
    assert_eq!(logs["test.log"], "oa <db> ses\n");
}

#[tokio::test]
async fn words_go_to_the_worker_with_what_it_may_show_in_their_place() {
    let mut bench = bench_with_secret().await;
    let line = ShellCommand { command: Command::Shell(secret()), ..ShellCommand::sample("") };
    let words = Command::Argv(vec!["login".into(), secret()]);
    let argv = ShellCommand { command: words, ..ShellCommand::sample("") };
    for (command, real, shown) in [
        (line, vec!["/bin/sh", "-c", SECRET], vec!["/bin/sh", "-c", "<db>"]),
        (argv, vec!["login", SECRET], vec!["login", "<db>"]),
    ] {
        let end = bench
            .run(shell(command), async |worker: &mut Player| {
                let (id, arguments) = started(worker).await;
                assert_eq!(
                    arguments.command,
                    ShellLine::Argv(real.iter().map(|&word| word.into()).collect())
                );
                assert_eq!(arguments.shown, Some(shown.iter().map(|&word| word.to_owned()).collect()));
                let failure = Some(format!("cannot run {SECRET}"));
                worker.say(FromWorker::Complete { id, failure }).await;
            })
            .await;
        let shown = shown.join(" ");
        assert_eq!(end.state, format!("'{shown}': cannot run <db>"));
        assert_eq!(bench.logs().await["stdio"], "hcannot run <db>\n");
    }
}

#[tokio::test]
async fn no_property_and_no_line_for_people_holds_a_secret() {
    let mut bench = bench_with_secret().await;
    let kind = StepKind::SetProperty {
        property: "word".into(),
        value: Worth::Rendered(Renderable::Secret(SecretName::new("db").unwrap())),
    };
    let description = Description { running: vec![secret()], done: vec![secret()], suffix: vec![secret()] };
    let step = StepDefinition { kind, description, ..StepDefinition::sample("set") };
    let info = bench.connection.info();
    let known = Known { secrets: &*bench.secrets, ..Known::plain(&bench.properties, &info) };
    assert_eq!(running_line(&step, known, &bench.secrets).await, "<db> <db>");
    let end = bench.run_step(&step, async |_: &mut Player| {}).await;
    assert_eq!(end, StepEnd::new(Outcome::Success, "<db> <db>"));
    assert_eq!(bench.logs().await["stdio"], "hword: \"<db>\"\n");
    let set = SetPropertyFromCommand {
        command: ShellCommand::sample("print"),
        extraction: Extraction::Property { name: secret(), strip: true },
        include_stdout: true,
    };
    let end = bench
        .run(StepKind::SetPropertyFromCommand(set), async |worker: &mut Player| {
            let (id, _) = started(worker).await;
            worker.update(&id, output(LogStream::Stdout, "is ses/am'e SECRET-")).await;
            worker.update(&id, output(LogStream::Stdout, "MARKER-5f3a\n")).await;
            worker.update(&id, Update::Rc(0)).await;
            worker.say(FromWorker::Complete { id, failure: None }).await;
        })
        .await;
    assert_eq!(end.state, "property '<db>' set");
    let address = UploadTarget { url: Some(secret()), url_text: Some(secret()), ..files::target("out") };
    let upload = UploadFile { source: secret(), target: address, ..files::upload("out") };
    let end = bench
        .run(StepKind::UploadFile(upload), async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            worker.end(&id, 1).await;
        })
        .await;
    assert_eq!(end.state, "uploading <db> (failure)");
    let steps = bench.store.steps(&Query::all()).await.unwrap().rows;
    assert_eq!(steps.last().unwrap().urls, [serde_json::json!({ "name": "<db>", "url": "<db>" })]);
    let stored = bench.store.build_properties(bench.build).await.unwrap().unwrap();
    assert_eq!(stored.get("word"), Some(&"<db>".into()));
    assert_eq!(stored.get("<db>"), Some(&"is <db>".into()));
}
