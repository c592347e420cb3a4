//! Steps against a link whose worker's end the test holds.

mod files;
mod functions;
mod locks;
mod resume;
mod secrets;
mod trigger;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    build::{
        Lending, Running,
        control::{BuildControl, StopKind},
        lock::Locks,
    },
    definition::{
        DatabaseDefinition, Extraction, NoHooks, SetPropertyFromCommand, ShellCommand, WatchedFile, Worth,
        step::Description,
    },
    model::{BuilderName, LogStream, Timestamp, WorkerInfo, WorkerName},
    mq::Mq,
    protocol::{
        CommandId, FailureReason, FromWorker, SessionId, ToWorker, Transfer, TransferReply, Update,
        WorkerCommand,
        link::{self, WorkerEnd},
    },
    store::{GenerationBuilder, GenerationRows, NewBuild, NewBuildset, Query},
    worker::{ConnectionHandle, Operator, Registry, RegistryHandle, Roster},
};

/// How long anything may take that a test waits for: longer than a worker may take to die.
const PATIENCE: Duration = Duration::from_secs(60);

/// A build that has begun, on a worker that the test plays.
struct Bench {
    dir: tempfile::TempDir,
    store: Store,
    connection: ConnectionHandle,
    registry: RegistryHandle,
    build: BuildId,
    locks: Locks,
    properties: Properties,
    control: BuildControl,
    worker: Player,
    hooks: Arc<dyn Hooks>,
    steps: i32,
    request: QueuedRequest,
    family: Family,
    secrets: Arc<BuildSecrets>,
    /// The link ends with the configuration that it is told of.
    _roster: watch::Sender<Arc<Roster>>,
}

/// The worker's end of the link.
struct Player(WorkerEnd);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

async fn bench() -> Bench {
    bench_of(None).await
}

/// With a worker whose commands outlive its links, for so long.
async fn bench_of(grace: Option<Duration>) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let (committed, mut events) = tokio::sync::mpsc::channel(64);
    let mq = Mq::new();
    let family = Family {
        triggers: Arc::new(trigger::NoSchedulers),
        mq: mq.clone(),
        running: Running::default(),
        lending: Lending::new(),
    };
    tokio::spawn(async move {
        while let Some(events) = events.recv().await {
            mq.publish(events);
        }
    });
    let database = DatabaseDefinition::Sqlite { path: "state.sqlite".into() };
    let store = Store::open(&database, dir.path(), dir.path().join("logs"), committed).await.unwrap();
    let (worker, builder) = (WorkerName::new("w").unwrap(), BuilderName::new("b").unwrap());
    let rows = GenerationRows {
        workers: vec![worker.clone()],
        builders: vec![GenerationBuilder {
            name: builder.clone(),
            description: None,
            tags: Vec::new(),
            workers: vec![worker.clone()],
        }],
        ..GenerationRows::default()
    };
    let now = Timestamp::now();
    store.prepare_generation(rows, now).await.unwrap().commit().await.unwrap();
    let wanted = NewBuildset {
        scheduler: None,
        reason: "test".into(),
        properties: Properties::new(),
        builders: vec![builder],
        priority: 0,
        parent: None,
        collapse: BTreeSet::new(),
    };
    let builder = wanted.builders[0].clone();
    store.add_buildset(wanted, now).await.unwrap();
    let request = store.queued_requests(&builder, None, 1).await.unwrap().remove(0);
    let mut properties = Properties::new();
    properties.set("os", "linux", "Worker");
    let new = NewBuild { request: request.id, worker: worker.clone(), properties: properties.clone() };
    let build = store.begin_build(new, now).await.unwrap().id;
    let (told, roster) = watch::channel(Arc::new(grace.map_or_else(Roster::default, resume::roster)));
    let (operator, words) = Operator::load(store.clone(), CancellationToken::new()).await.unwrap();
    let (registry, handle) = Registry::new(store.clone(), roster, words, CancellationToken::new());
    tokio::spawn(operator.run(handle.clone()));
    tokio::spawn(registry.run());
    let (connection, player) = attach(&handle, grace.map(|_| "one")).await;
    Bench {
        dir,
        store,
        connection,
        registry: handle,
        build,
        locks: Locks::default(),
        properties,
        control: BuildControl::new(),
        worker: player,
        hooks: Arc::new(NoHooks),
        steps: 0,
        request,
        family,
        secrets: Arc::new(BuildSecrets::none()),
        _roster: told,
    }
}

/// A worker that comes, in a session if it has one.
async fn attach(registry: &RegistryHandle, session: Option<&str>) -> (ConnectionHandle, Player) {
    let (link, end) = link::pair();
    let mut info = WorkerInfo([("system".to_owned(), "posix".into())].into());
    info.0.extend(session.map(|session| (SessionId::FACT.to_owned(), session.into())));
    end.to_master.send(FromWorker::Hello(info)).await.unwrap();
    let worker = WorkerName::new("w").unwrap();
    let connection = soon("attach", registry.attach(worker, None, link, PATIENCE)).await.unwrap();
    (connection, Player(end))
}

impl Bench {
    /// Runs a step while `play` has the worker's part.
    async fn run(&mut self, kind: StepKind, play: impl AsyncFnOnce(&mut Player)) -> StepEnd {
        self.run_step(&StepDefinition { kind, ..StepDefinition::sample("step") }, play).await
    }

    async fn run_step(&mut self, step: &StepDefinition, play: impl AsyncFnOnce(&mut Player)) -> StepEnd {
        let id = self.store.begin_step(self.build, self.steps, &step.name, "running", Timestamp::now());
        let id = id.await.unwrap();
        self.steps += 1;
        let lease = self.connection.lease("b", "b");
        let line = Line::new(self.registry.clone(), self.connection.clone(), lease, "b", "b");
        let context = StepContext {
            step: id,
            build: self.build,
            request: &self.request,
            locks: &self.locks,
            place: 0,
            store: &self.store,
            line: &line,
            info: &self.connection.info(),
            steps: std::slice::from_ref(step),
            env: &BTreeMap::new(),
            sources: SourceStamps::none(),
            hooks: &*self.hooks,
            secrets: &self.secrets,
            properties: &mut self.properties,
            master_dir: self.dir.path(),
            buildbot_url: "http://ci/",
            family: &self.family,
            stop: self.control.listen(),
        };
        let both = Box::pin(async { tokio::join!(run(step, context), play(&mut self.worker)) });
        soon("the end of a step", both).await.0.unwrap()
    }

    /// The logs of the last step: name and text.
    async fn logs(&self) -> BTreeMap<String, String> {
        let steps = self.store.steps(&Query::all()).await.unwrap().rows;
        let last = steps.iter().map(|step| step.stepid).max().unwrap();
        let mut texts = BTreeMap::new();
        for log in self.store.logs(&Query::all()).await.unwrap().rows {
            if log.stepid == last {
                assert!(log.complete, "{} is open", log.name);
                let lines = self.store.log_lines(log.logid, 0, 1000).await.unwrap();
                texts.insert(log.name, lines.text);
            }
        }
        texts
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What is left in the master's folder of transfers on their way.
    fn left_over(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.dir.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".lunabot-upload")).collect()
    }
}

impl Player {
    async fn order(&mut self) -> ToWorker {
        loop {
            match soon("an order", self.0.from_master.recv()).await.expect("the link is up") {
                ToWorker::SetBuilders(_) | ToWorker::OutliveLinks(_) => {}
                order => return order,
            }
        }
    }

    async fn start(&mut self) -> (CommandId, WorkerCommand) {
        match self.order().await {
            ToWorker::Start { id, command, .. } => (id, command),
            other => panic!("no start: {other:?}"),
        }
    }

    async fn interrupted(&mut self) {
        match self.order().await {
            ToWorker::Interrupt { .. } => {}
            other => panic!("no interrupt: {other:?}"),
        }
    }

    async fn reply(&mut self) -> TransferReply {
        match self.order().await {
            ToWorker::Reply { reply, .. } => reply,
            other => panic!("no answer: {other:?}"),
        }
    }

    async fn say(&self, message: FromWorker) {
        self.0.to_master.send(message).await.unwrap();
    }

    async fn update(&self, id: &CommandId, update: Update) {
        self.say(FromWorker::Update { id: id.clone(), update }).await;
    }

    async fn out(&self, id: &CommandId, text: &'static str) {
        let update = Update::Output { stream: LogStream::Stdout, bytes: Bytes::from_static(text.as_bytes()) };
        self.update(id, update).await;
    }

    async fn transfer(&self, id: &CommandId, transfer: Transfer) {
        self.say(FromWorker::Transfer { id: id.clone(), transfer }).await;
    }

    async fn write(&mut self, id: &CommandId, bytes: impl Into<Bytes>) {
        self.transfer(id, Transfer::Write(bytes.into())).await;
    }

    async fn end(&self, id: &CommandId, rc: i32) {
        self.update(id, Update::Rc(rc)).await;
        self.say(FromWorker::Complete { id: id.clone(), failure: None }).await;
    }
}

fn shell(command: ShellCommand) -> StepKind {
    StepKind::Shell(command)
}

#[tokio::test]
async fn files_that_a_command_watches_have_logs_of_their_own() {
    let mut bench = bench().await;
    let watched = |path: &str| WatchedFile { path: path.into(), follow: false };
    let files = [("test", watched("test.log")), ("silent", watched("never"))];
    let log_files = files.map(|(name, file)| (name.to_owned(), file)).into();
    let command = ShellCommand { log_files, ..ShellCommand::sample("make check") };
    let play = async |worker: &mut Player| {
        let (id, command) = worker.start().await;
        let WorkerCommand::Shell(arguments) = command else { panic!("{command:?}") };
        assert_eq!(arguments.log_files.len(), 2);
        worker.out(&id, "to stdio\n").await;
        for name in ["test", "undeclared"] {
            let bytes = Bytes::from_static(b"to the file\n");
            worker.update(&id, Update::Log { name: name.into(), bytes }).await;
        }
        worker.end(&id, 0).await;
    };
    let end = bench.run(shell(command.clone()), play).await;
    assert_eq!(end.outcome, Outcome::Success);
    let logs = bench.logs().await;
    assert_eq!(logs.keys().collect::<Vec<_>>(), ["silent", "stdio", "test"]);
    assert_eq!(logs["test"], "oto the file\n");
    assert!(logs["stdio"].contains("to stdio") && !logs["stdio"].contains("to the file"), "{logs:?}");

    let lazy = ShellCommand { lazy_log_files: true, ..command };
    bench.run(shell(lazy), play).await;
    assert_eq!(bench.logs().await.keys().collect::<Vec<_>>(), ["stdio", "test"]);
}

#[tokio::test]
async fn the_output_of_a_command_becomes_a_property_that_later_steps_see() {
    let mut bench = bench().await;
    let set = SetPropertyFromCommand {
        extraction: Extraction::Property { name: "version".into(), strip: true },
        include_stdout: true,
        command: ShellCommand::sample("git describe"),
    };
    let end = bench
        .run(StepKind::SetPropertyFromCommand(set.clone()), async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            let stderr = Update::Output { stream: LogStream::Stderr, bytes: Bytes::from_static(b"noise\n") };
            worker.update(&id, stderr).await;
            worker.out(&id, "  v1.").await;
            // What comes after the exit code counts as well.
            worker.update(&id, Update::Rc(0)).await;
            worker.out(&id, "2\n").await;
            worker.say(FromWorker::Complete { id, failure: None }).await;
        })
        .await;
    assert_eq!(end, StepEnd::new(Outcome::Success, "property 'version' set"));
    let durable = bench.store.build_properties(bench.build).await.unwrap().unwrap();
    let property = durable.iter().find(|(name, _)| *name == "version").unwrap().1.clone();
    assert_eq!((property.value, property.source.as_str()), ("v1.2".into(), "SetPropertyFromCommand Step"));
    assert!(durable.get("os").is_some(), "the others stay");

    let failed = async |worker: &mut Player| {
        let (id, command) = worker.start().await;
        let WorkerCommand::Shell(arguments) = command else { panic!("{command:?}") };
        assert_eq!(arguments.workdir, "v1.2");
        worker.out(&id, "v3\n").await;
        worker.end(&id, 1).await;
    };
    let workdir = Text::Rendered(crate::definition::Renderable::Property {
        name: "version".into(),
        default: None,
        default_when_false: true,
    });
    let command = ShellCommand { workdir, ..ShellCommand::sample("git describe") };
    let set = SetPropertyFromCommand { command, ..set };
    assert_eq!(bench.run(StepKind::SetPropertyFromCommand(set), failed).await.outcome, Outcome::Failure);
    assert_eq!(bench.properties.get("version"), Some(&"v1.2".into()), "a command that failed sets nothing");
}

#[tokio::test]
async fn a_property_without_end_is_a_failure_and_fills_no_memory() {
    let mut bench = bench().await;
    let set = SetPropertyFromCommand {
        extraction: Extraction::Property { name: "p".into(), strip: true },
        include_stdout: true,
        command: ShellCommand::sample("yes"),
    };
    let end = bench
        .run(StepKind::SetPropertyFromCommand(set), async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            for _ in 0..17 {
                let bytes = Bytes::from(vec![b'y'; 64 * 1024]);
                worker.update(&id, Update::Output { stream: LogStream::Stdout, bytes }).await;
            }
            worker.end(&id, 0).await;
        })
        .await;
    assert_eq!(end.outcome, Outcome::Failure);
    assert_eq!(bench.properties.get("p"), None);
}

#[tokio::test]
async fn a_property_is_set_without_the_worker() {
    let mut bench = bench().await;
    let value = Worth::Plain(serde_json::json!({ "a": [1, true] }));
    let set = StepKind::SetProperty { property: "table".into(), value };
    let end = bench.run(set, async |_: &mut Player| {}).await;
    assert_eq!(end.outcome, Outcome::Success);
    let durable = bench.store.build_properties(bench.build).await.unwrap().unwrap();
    assert_eq!(durable.get("table"), Some(&serde_json::json!({ "a": [1, true] })));
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_a_failure_with_the_workers_words_in_the_log() {
    let mut bench = bench().await;
    let end = bench
        .run(StepKind::MakeDirectory { dir: "build/out".into() }, async |worker: &mut Player| {
            let (id, command) = worker.start().await;
            assert_eq!(command, WorkerCommand::MakeDirectory { dirs: vec!["build/out".into()] });
            let bytes = Bytes::from_static(b"mkdir: Permission denied: build/out\n");
            worker.update(&id, Update::Output { stream: LogStream::Header, bytes }).await;
            worker.end(&id, 13).await;
        })
        .await;
    assert_eq!(end, StepEnd::new(Outcome::Failure, "cannot make build/out (failure, exit code 13)"));
    assert!(bench.logs().await["stdio"].contains("Permission denied"));

    let remove = StepKind::RemoveDirectory { dirs: vec!["a".into(), "b".into()] };
    let end = bench
        .run(remove, async |worker: &mut Player| {
            let (id, command) = worker.start().await;
            let WorkerCommand::RemoveDirectory(remove) = command else { panic!("{command:?}") };
            assert_eq!(remove.dirs, ["a", "b"]);
            worker.end(&id, 0).await;
        })
        .await;
    assert_eq!(end, StepEnd::new(Outcome::Success, "removed 2 folders"));
}

#[tokio::test]
async fn a_copy_that_is_silent_too_long_says_so() {
    let mut bench = bench().await;
    let copy = crate::definition::step::CopyDirectory {
        from: "a".into(),
        to: "b".into(),
        timeout: Some(Duration::from_secs(120)),
        max_time: None,
    };
    let end = bench
        .run(StepKind::CopyDirectory(copy), async |worker: &mut Player| {
            let (id, command) = worker.start().await;
            let WorkerCommand::CopyDirectory(copy) = command else { panic!("{command:?}") };
            assert_eq!((copy.from.as_str(), copy.to.as_str()), ("a", "b"));
            worker.update(&id, Update::FailureReason(FailureReason::TimeoutWithoutOutput)).await;
            worker.end(&id, -1).await;
        })
        .await;
    assert_eq!(end.outcome, Outcome::Failure);
    assert!(end.state.contains("silent too long"), "{}", end.state);
}

#[tokio::test]
async fn a_worker_that_does_not_end_a_stopped_command_loses_its_link() {
    let mut bench = bench().await;
    let (control, connection) = (bench.control.clone(), bench.connection.clone());
    let end = bench
        .run(StepKind::MakeDirectory { dir: "x".into() }, async |worker: &mut Player| {
            worker.start().await;
            control.stop(StopKind::Cancel, "enough");
            worker.interrupted().await;
            // The database has threads of its own, which no paused clock can see: the clock stands still for the wait alone.
            tokio::time::pause();
            while connection.is_up() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            tokio::time::resume();
        })
        .await;
    assert_eq!(end, StepEnd::new(Outcome::Cancelled, "making x interrupted: enough"));
    soon("the end of the link", bench.connection.gone()).await;
}

#[tokio::test]
async fn the_line_that_people_read_is_one_line_and_short() {
    let mut bench = bench().await;
    for (dir, line) in [
        ("a\nb\u{1b}[31m\r\n".to_owned(), "made a b [31m".to_owned()),
        ("é".repeat(10_000), format!("made {}…", "é".repeat(LONGEST_LINE - 6))),
    ] {
        let make = StepKind::MakeDirectory { dir: Text::Plain(dir) };
        let play = async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            worker.end(&id, 0).await;
        };
        assert_eq!(bench.run(make, play).await.state, line);
    }
}

#[tokio::test]
async fn a_folder_without_a_name_is_not_removed() {
    let mut bench = bench().await;
    for dirs in [vec!["".into()], vec!["build".into(), " ".into()], vec!["./".into()]] {
        // The worker is not asked: it would remove the builder's folder.
        let end = bench.run(StepKind::RemoveDirectory { dirs }, async |_: &mut Player| {}).await;
        assert_eq!(end.outcome, Outcome::Failure, "{}", end.state);
        assert!(end.state.contains("name"), "{}", end.state);
    }
}

#[tokio::test]
async fn the_operators_words_stand_in_place_of_the_steps_own() {
    let mut bench = bench().await;
    let description = Description {
        running: vec!["making".into(), "it".into()],
        done: vec!["made it".into()],
        suffix: vec!["here".into()],
    };
    let step = StepDefinition {
        kind: StepKind::MakeDirectory { dir: "x".into() },
        description,
        ..StepDefinition::sample("step")
    };
    let info = bench.connection.info();
    let known = Known::plain(&bench.properties, &info);
    assert_eq!(running_line(&step, known, &bench.secrets).await, "making it here");
    for (rc, line) in [(0, "made it here"), (1, "made it (failure) here")] {
        let play = async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            worker.end(&id, rc).await;
        };
        assert_eq!(bench.run_step(&step, play).await.state, line);
    }
}
