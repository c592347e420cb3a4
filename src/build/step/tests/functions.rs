//! Steps whose options are functions, answered by the test.

use std::sync::Mutex;

use futures_util::future::BoxFuture;
use serde_json::json;

use super::*;
use crate::{
    definition::{Call, Command, Condition, Hook, HookArgument, HookCall, HookError, HookId, Renderable},
    model::Place,
    protocol::command::{EnvironmentChange, ShellLine},
};

/// Answers each function with what the test says, and keeps what it was given.
#[derive(Debug, Default)]
struct Answers {
    answers: BTreeMap<u32, Result<Worth, HookError>>,
    heard: Mutex<Vec<HookCall>>,
}

impl Answers {
    fn of(answers: impl IntoIterator<Item = PropertyValue>) -> Arc<Self> {
        let answers = (0..).zip(answers.into_iter().map(|value| Ok(Worth::Plain(value)))).collect();
        Arc::new(Self { answers, ..Self::default() })
    }

    fn failing() -> Arc<Self> {
        let error = HookError::Failed { text: "master.cfg.lua:7: raised".to_owned() };
        Arc::new(Self { answers: BTreeMap::from([(0, Err(error))]), ..Self::default() })
    }
}

impl Hooks for Answers {
    fn call(&self, call: HookCall) -> BoxFuture<'_, Result<Worth, HookError>> {
        let answer = self.answers[&call.hook.0].clone();
        self.heard.lock().unwrap().push(call);
        Box::pin(std::future::ready(answer))
    }
}

fn hook(number: u32) -> Hook {
    Hook { id: HookId(number), text: "function() end".into(), place: Place::new("master.cfg.lua", 7) }
}

fn rendered(number: u32) -> Text {
    let call =
        Call { hook: hook(number), takes_properties: true, arguments: Vec::new(), keywords: BTreeMap::new() };
    Text::Rendered(Renderable::Call(Box::new(call)))
}

fn nobody(worker: &mut Player) {
    assert!(worker.0.from_master.try_recv().is_err(), "the worker was asked");
}

#[tokio::test]
async fn a_step_whose_condition_does_not_hold_is_skipped_without_a_log_and_without_the_worker() {
    let mut bench = bench().await;
    let hooks = Answers::of([json!(false)]);
    bench.hooks = hooks.clone();
    let step = StepDefinition { do_step_if: Condition::Asked(hook(0)), ..StepDefinition::sample("compile") };
    let end = bench.run_step(&step, async |_: &mut Player| {}).await;
    assert_eq!(end, StepEnd::new(Outcome::Skipped, "skipped"));
    assert!(bench.logs().await.is_empty());
    let heard = hooks.heard.lock().unwrap();
    let [HookCall { arguments, .. }] = &**heard else { panic!("{heard:?}") };
    let [HookArgument::Step { name, properties }] = &**arguments else { panic!("{arguments:?}") };
    assert_eq!((name.as_str(), properties.get("os")), ("compile", Some(&"linux".into())));
}

#[tokio::test]
async fn a_condition_that_fails_is_an_exception_with_its_line_in_the_log() {
    let mut bench = bench().await;
    bench.hooks = Answers::failing();
    let step = StepDefinition { do_step_if: Condition::Asked(hook(0)), ..StepDefinition::sample("compile") };
    let end = bench.run_step(&step, async |worker: &mut Player| nobody(worker)).await;
    assert_eq!(end, StepEnd::new(Outcome::Exception, "master.cfg.lua:7: raised"));
    assert_eq!(bench.logs().await["stdio"], "hmaster.cfg.lua:7: raised\n");
}

#[tokio::test]
async fn a_step_is_hidden_if_its_function_says_so_of_its_outcome() {
    let mut bench = bench().await;
    let hooks = Answers::of([json!(true)]);
    bench.hooks = hooks.clone();
    let step =
        StepDefinition { hide_step_if: Condition::Asked(hook(0)), ..StepDefinition::sample("compile") };
    let end = bench
        .run_step(&step, async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            worker.end(&id, 1).await;
        })
        .await;
    assert_eq!((end.outcome, end.hidden), (Outcome::Failure, true));
    {
        let heard = hooks.heard.lock().unwrap();
        let [HookCall { arguments, .. }] = &**heard else { panic!("{heard:?}") };
        let [HookArgument::Value(outcome), HookArgument::Step { .. }] = &**arguments else {
            panic!("{arguments:?}")
        };
        assert_eq!(*outcome, json!(2));
    }
    // A skipped one is asked as well, and one whose function fails is shown.
    let skipped = StepDefinition { do_step_if: Condition::Fixed(false), ..step };
    let end = bench.run_step(&skipped, async |_: &mut Player| {}).await;
    assert_eq!((end.outcome, end.hidden), (Outcome::Skipped, true));
    bench.hooks = Answers::failing();
    let end = bench.run_step(&skipped, async |_: &mut Player| {}).await;
    assert_eq!((end.outcome, end.hidden), (Outcome::Exception, false));
    assert_eq!(bench.logs().await["stdio"], "hmaster.cfg.lua:7: raised\n");
}

fn extracting() -> StepKind {
    StepKind::SetPropertyFromCommand(SetPropertyFromCommand {
        extraction: Extraction::Function(hook(0)),
        include_stdout: true,
        command: ShellCommand::sample("git describe"),
    })
}

#[tokio::test]
async fn a_function_makes_properties_of_exit_code_and_output_also_of_a_failure() {
    let mut bench = bench().await;
    let hooks = Answers::of([json!({ "version": "1.2", "dirty": true, "parts": [1, 2] })]);
    bench.hooks = hooks.clone();
    let end = bench
        .run(extracting(), async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            worker.out(&id, "v1.2\n").await;
            let stderr = Update::Output { stream: LogStream::Stderr, bytes: Bytes::from_static(b"noise") };
            worker.update(&id, stderr).await;
            worker.end(&id, 3).await;
        })
        .await;
    assert_eq!(end, StepEnd::new(Outcome::Failure, "3 properties set"));
    let durable = bench.store.build_properties(bench.build).await.unwrap().unwrap();
    assert_eq!(durable.get("parts"), Some(&json!([1, 2])));
    assert_eq!(durable.get("dirty"), Some(&json!(true)));
    let heard = hooks.heard.lock().unwrap();
    let given = heard[0].arguments.iter().map(|argument| match argument {
        HookArgument::Value(value) => value.clone(),
        other => panic!("{other:?}"),
    });
    assert_eq!(given.collect::<Vec<_>>(), [json!(3), json!("v1.2\n"), json!("noise")]);
}

#[tokio::test]
async fn a_function_that_returns_no_table_is_an_exception_that_says_so() {
    for (answer, outcome, line) in [
        (json!([]), Outcome::Success, "'git describe'"),
        (json!(null), Outcome::Success, "'git describe'"),
        (json!({ "a": 1 }), Outcome::Success, "property 'a' set"),
        (
            json!("text"),
            Outcome::Exception,
            "master.cfg.lua:7: `extract_fn` returned text, where a table of names and values is wanted",
        ),
        (
            json!([1]),
            Outcome::Exception,
            "master.cfg.lua:7: `extract_fn` returned a list, where a table of names and values is wanted",
        ),
    ] {
        let mut bench = bench().await;
        bench.hooks = Answers::of([answer.clone()]);
        let play = async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            worker.end(&id, 0).await;
        };
        assert_eq!(bench.run(extracting(), play).await, StepEnd::new(outcome, line), "{answer}");
    }
}

#[tokio::test]
async fn a_command_may_become_a_list_and_a_variable_a_list_or_nothing() {
    let mut bench = bench().await;
    bench.hooks = Answers::of([json!(["make", ["-j", 4], []]), json!(["/a", "/b"]), json!(null), json!(5)]);
    let variable = |number| EnvironmentValue::Set(rendered(number));
    let command = ShellCommand {
        command: Command::Shell(rendered(0)),
        env: BTreeMap::from([
            ("LIST".to_owned(), variable(1)),
            ("GONE".to_owned(), variable(2)),
            ("N".to_owned(), variable(3)),
        ]),
        ..ShellCommand::sample("")
    };
    let play = async |worker: &mut Player| {
        let (id, command) = worker.start().await;
        let WorkerCommand::Shell(arguments) = command else { panic!("{command:?}") };
        assert_eq!(arguments.command, ShellLine::Argv(vec!["make".into(), "-j".into(), "4".into()]));
        let env = &arguments.env;
        assert_eq!(env["LIST"], EnvironmentChange::Joined(vec!["/a".into(), "/b".into()]));
        assert_eq!(
            (&env["GONE"], &env["N"]),
            (&EnvironmentChange::Unset, &EnvironmentChange::Set("5".into()))
        );
        worker.end(&id, 0).await;
    };
    assert_eq!(bench.run(StepKind::Shell(command), play).await.outcome, Outcome::Success);
}

#[tokio::test]
async fn a_command_that_becomes_nothing_is_an_exception_and_the_worker_is_not_asked() {
    for nothing in [json!([]), json!(null), json!([[]])] {
        let mut bench = bench().await;
        bench.hooks = Answers::of([nothing.clone()]);
        let command = ShellCommand { command: Command::Shell(rendered(0)), ..ShellCommand::sample("") };
        let end = bench.run(StepKind::Shell(command), async |worker: &mut Player| nobody(worker)).await;
        let line = "there is no command to run: it became nothing, or an empty list";
        assert_eq!(end, StepEnd::new(Outcome::Exception, line), "{nothing}");
    }
}
