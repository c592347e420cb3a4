//! Steps whose command outlives its link, or the master.

use super::*;
use crate::{
    definition::{MasterDefinition, Passwords, WorkerDefinition, WorkerKind},
    model::Secret,
    store::Unfinished,
};

/// Longer than any test.
const GRACE: Duration = Duration::from_secs(60);

/// The worker of these tests.
pub(super) fn roster(grace: Duration) -> Roster {
    let passwords = Passwords::new(vec![Secret::new("sesame").into()]).unwrap();
    let name = WorkerName::new("w").unwrap();
    let definition = WorkerDefinition {
        name: name.clone(),
        kind: WorkerKind::Remote { passwords },
        resume_grace: Some(grace),
        ..WorkerDefinition::bare("w")
    };
    let mut all = MasterDefinition::nothing();
    all.workers.insert(name, Arc::new(definition));
    Roster::new(&all, &BTreeMap::new()).unwrap()
}

impl Player {
    async fn mark(&self, id: &CommandId, number: u64) {
        self.say(FromWorker::Mark { id: id.clone(), number }).await;
    }

    /// What is asked of a command that goes on: the number up to which it is known, and the last answer.
    async fn adopted(&mut self, id: &CommandId) -> (u64, Option<TransferReply>) {
        match self.order().await {
            ToWorker::Adopt { id: asked, received, reply } => {
                assert_eq!(asked, *id);
                (received, reply.map(|reply| *reply))
            }
            other => panic!("not wanted any more: {other:?}"),
        }
    }

    /// The next acknowledgement.
    async fn safe(&mut self) -> u64 {
        match self.order().await {
            ToWorker::Acknowledge { number, .. } => number,
            other => panic!("nothing is safe: {other:?}"),
        }
    }
}

fn make() -> StepKind {
    shell(ShellCommand { log_environ: false, ..ShellCommand::sample("make") })
}

#[tokio::test]
async fn a_command_goes_on_over_links_and_its_log_is_that_of_one_link() {
    let mut bench = bench_of(Some(GRACE)).await;
    let registry = bench.registry.clone();
    let end = bench
        .run(make(), async |worker| {
            let (id, _) = worker.start().await;
            for (number, text) in [(1, "one\ntw"), (2, "o\n")] {
                worker.out(&id, text).await;
                worker.mark(&id, number).await;
            }
            for number in 2..5_u64 {
                // The link goes down, and the worker is back.
                *worker = attach_again(&registry, worker).await;
                let (received, reply) = worker.adopted(&id).await;
                assert_eq!((received, reply), (number, None));
                worker.out(&id, "more\n").await;
                worker.mark(&id, number + 1).await;
            }
            worker.end(&id, 0).await;
        })
        .await;
    assert_eq!(end.outcome, Outcome::Success);
    let log = bench.logs().await["stdio"].clone();
    assert_eq!(log, "oone\notwo\nomore\nomore\nomore\nhprogram finished with exit code 0\n");
}

/// Loses the link, and comes back in the same session.
async fn attach_again(registry: &RegistryHandle, worker: &mut Player) -> Player {
    let before = registry.connection("w").expect("the link is up");
    // Both queues of the old link are gone with it.
    let (_link, nobody) = link::pair();
    *worker = Player(nobody);
    soon("the end of the link", before.gone()).await;
    attach(registry, Some("one")).await.1
}

#[tokio::test]
async fn what_came_without_its_mark_before_the_link_was_lost_is_heard_once() {
    let mut bench = bench_of(Some(GRACE)).await;
    let registry = bench.registry.clone();
    let end = bench
        .run(make(), async |worker| {
            let (id, _) = worker.start().await;
            worker.out(&id, "one\n").await;
            worker.mark(&id, 1).await;
            worker.out(&id, "two\n").await;
            *worker = attach_again(&registry, worker).await;
            assert_eq!(worker.adopted(&id).await.0, 1);
            worker.out(&id, "two\n").await;
            worker.mark(&id, 2).await;
            worker.end(&id, 0).await;
        })
        .await;
    assert_eq!(end.outcome, Outcome::Success);
    assert_eq!(bench.logs().await["stdio"], "oone\notwo\nhprogram finished with exit code 0\n");
}

#[tokio::test]
async fn a_command_whose_start_was_lost_with_the_link_is_started_again() {
    let mut bench = bench_of(Some(GRACE)).await;
    let registry = bench.registry.clone();
    let end = bench
        .run(make(), async |worker| {
            let (id, _) = worker.start().await;
            *worker = attach_again(&registry, worker).await;
            assert_eq!(worker.adopted(&id).await.0, 0);
            worker.say(FromWorker::Unknown { id: id.clone() }).await;
            let (again, _) = worker.start().await;
            assert_eq!(again, id);
            worker.out(&id, "once\n").await;
            worker.end(&id, 0).await;
        })
        .await;
    assert_eq!(end.outcome, Outcome::Success);
    assert!(bench.logs().await["stdio"].starts_with("oonce\nh"));
}

#[tokio::test]
async fn a_worker_of_another_life_loses_the_build() {
    let mut bench = bench_of(Some(GRACE)).await;
    let registry = bench.registry.clone();
    let end = bench
        .run(make(), async |worker| {
            let (id, _) = worker.start().await;
            worker.mark(&id, 1).await;
            let before = registry.connection("w").unwrap();
            *worker = Player(link::pair().1);
            soon("the end of the link", before.gone()).await;
            *worker = attach(&registry, Some("two")).await.1;
            // It cannot know the command, but is told all the same.
            match worker.order().await {
                ToWorker::Abandon { id: given_up } => assert_eq!(given_up, id),
                other => panic!("{other:?}"),
            }
        })
        .await;
    assert_eq!((end.worker, end.outcome), (WorkerLeft::Lost, Outcome::Retry));
}

#[tokio::test]
async fn a_worker_that_says_that_it_stops_is_not_waited_for() {
    // Longer than this test may take.
    let mut bench = bench_of(Some(10 * PATIENCE)).await;
    let end = bench
        .run(make(), async |worker| {
            let (id, _) = worker.start().await;
            worker.mark(&id, 1).await;
            worker.say(FromWorker::SessionOver).await;
            *worker = Player(link::pair().1);
        })
        .await;
    assert_eq!(end, StepEnd::lost());
}

#[tokio::test]
async fn a_worker_that_is_killed_is_not_waited_for() {
    let mut bench = bench_of(Some(10 * PATIENCE)).await;
    let connection = bench.connection.clone();
    let end = bench
        .run(make(), async |worker| {
            let (id, _) = worker.start().await;
            worker.mark(&id, 1).await;
            connection.kill();
            while worker.order().await != ToWorker::Shutdown {}
            *worker = Player(link::pair().1);
        })
        .await;
    assert_eq!(end, StepEnd::lost());
}

#[tokio::test]
async fn a_worker_that_stays_away_loses_the_build_after_its_grace_and_must_not_go_on() {
    let mut bench = bench_of(Some(Duration::from_millis(50))).await;
    let registry = bench.registry.clone();
    let mut command = None;
    let end = bench
        .run(make(), async |worker| {
            let (id, _) = worker.start().await;
            worker.mark(&id, 1).await;
            command = Some(id);
            *worker = Player(link::pair().1);
        })
        .await;
    assert_eq!(end, StepEnd::lost());
    let (_connection, mut late) = attach(&registry, Some("one")).await;
    assert_eq!(late.order().await, ToWorker::Abandon { id: command.unwrap() });
}

#[tokio::test]
async fn a_stop_while_the_worker_is_away_ends_the_wait() {
    let mut bench = bench_of(Some(GRACE)).await;
    let control = bench.control.clone();
    let registry = bench.registry.clone();
    let end = bench
        .run(make(), async |worker| {
            let (id, _) = worker.start().await;
            worker.mark(&id, 1).await;
            let before = registry.connection("w").unwrap();
            *worker = Player(link::pair().1);
            soon("the end of the link", before.gone()).await;
            control.stop(StopKind::Cancel, "enough");
        })
        .await;
    assert_eq!(end.outcome, Outcome::Cancelled);
    assert!(bench.logs().await["stdio"].contains("command interrupted: enough"));
}

#[tokio::test]
async fn an_interrupt_that_was_lost_with_the_link_is_said_again() {
    let mut bench = bench_of(Some(GRACE)).await;
    let (control, registry) = (bench.control.clone(), bench.registry.clone());
    let end = bench
        .run(make(), async |worker| {
            let (id, _) = worker.start().await;
            worker.mark(&id, 1).await;
            control.stop(StopKind::Cancel, "enough");
            worker.interrupted().await;
            *worker = attach_again(&registry, worker).await;
            assert_eq!(worker.adopted(&id).await.0, 1);
            worker.interrupted().await;
            worker.end(&id, -1).await;
        })
        .await;
    assert_eq!(end.outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn the_last_answer_to_a_block_is_known_on_the_next_link() {
    let mut bench = bench_of(Some(GRACE)).await;
    let registry = bench.registry.clone();
    let path = bench.file("result");
    let end = bench
        .run(StepKind::UploadFile(files::upload("result")), async |worker| {
            let (id, _) = worker.start().await;
            worker.write(&id, "first ").await;
            worker.mark(&id, 1).await;
            // The answer is lost with the link.
            soon("the answer", async {
                while worker
                    .0
                    .from_master
                    .recv()
                    .await
                    .is_some_and(|order| !matches!(order, ToWorker::Reply { .. }))
                {}
            })
            .await;
            *worker = attach_again(&registry, worker).await;
            assert_eq!(worker.adopted(&id).await, (1, Some(TransferReply::Taken)));
            worker.write(&id, "second").await;
            worker.transfer(&id, Transfer::Close).await;
            worker.end(&id, 0).await;
        })
        .await;
    assert_eq!(end.outcome, Outcome::Success);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "first second");
}

/// The step as the last master left it.
async fn left(bench: &Bench) -> Unfinished {
    let mut found = bench.store.unfinished().await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

impl Bench {
    /// Goes on with a step as the next master does, while `play` has the worker's part; nobody is connected yet.
    async fn go_on(&mut self, unfinished: Unfinished, play: impl AsyncFnOnce() -> Player) -> StepEnd {
        let step = StepDefinition { kind: make(), ..StepDefinition::sample("step") };
        let session = SessionId::new(unfinished.running.session.as_str());
        let worker = WorkerName::new("w").unwrap();
        let line = Line::broken(self.registry.clone(), worker, "b", "b", session, GRACE);
        let info = self.connection.info();
        let context = StepContext {
            step: unfinished.step,
            build: self.build,
            request: &self.request,
            locks: &self.locks,
            place: 0,
            store: &self.store,
            line: &line,
            info: &info,
            steps: std::slice::from_ref(&step),
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
        let both = Box::pin(async {
            tokio::join!(go_on(&step, &unfinished.running, unfinished.note, context), play())
        });
        soon("the end of a step", both).await.0.unwrap()
    }
}

#[tokio::test]
async fn a_step_that_the_master_left_is_gone_on_with_and_nothing_is_lost_or_doubled() {
    let mut bench = bench_of(Some(GRACE)).await;
    let (control, registry) = (bench.control.clone(), bench.registry.clone());
    let mut command = None;
    let end = bench
        .run(make(), async |worker| {
            let (id, _) = worker.start().await;
            worker.out(&id, "one\ntw").await;
            worker.mark(&id, 1).await;
            assert_eq!(worker.safe().await, 1);
            // What comes after the last mark is said again.
            worker.out(&id, "o\nhalf of a message").await;
            control.stop(StopKind::Requeue, "the master stops");
            command = Some(id);
        })
        .await;
    assert_eq!(end, StepEnd::left());
    let id = command.unwrap();
    let unfinished = left(&bench).await;
    assert_eq!(unfinished.running.command, id.as_str());
    assert_eq!(unfinished.note.number, 1);
    // As the next master does it: this one has the same control, which has heard enough.
    bench.control = BuildControl::new();
    bench.connection.close();
    soon("the end of the link", bench.connection.gone()).await;
    let end = bench
        .go_on(unfinished, async || {
            let (_, mut worker) = attach(&registry, Some("one")).await;
            // The registry of the next master knows nothing of this.
            assert_eq!(worker.order().await, ToWorker::Abandon { id: id.clone() });
            assert_eq!(worker.adopted(&id).await.0, 1);
            worker.out(&id, "o\nthree\n").await;
            worker.mark(&id, 2).await;
            worker.end(&id, 0).await;
            worker
        })
        .await;
    assert_eq!(end.outcome, Outcome::Success);
    assert_eq!(bench.logs().await["stdio"], "oone\notwo\nothree\nhprogram finished with exit code 0\n");
}

#[tokio::test]
async fn what_decides_the_end_is_not_safe_before_the_step_has_its_end() {
    let mut bench = bench_of(Some(GRACE)).await;
    let registry = bench.registry.clone();
    let mut played = None;
    let end = bench
        .run(make(), async |worker| {
            let (id, _) = worker.start().await;
            worker.out(&id, "one\n").await;
            worker.mark(&id, 1).await;
            assert_eq!(worker.safe().await, 1);
            worker.update(&id, Update::Rc(0)).await;
            worker.mark(&id, 2).await;
            worker.say(FromWorker::Complete { id: id.clone(), failure: None }).await;
            played = Some(id);
        })
        .await;
    assert_eq!(end.outcome, Outcome::Success);
    // The master dies before it has written the end of the step down.
    let unfinished = left(&bench).await;
    assert_eq!(unfinished.note.number, 1);
    drop((registry, played));
}

#[tokio::test]
async fn a_log_that_is_shorter_than_its_note_goes_on_nowhere() {
    let mut bench = bench_of(Some(GRACE)).await;
    let control = bench.control.clone();
    bench
        .run(make(), async |worker| {
            let (id, _) = worker.start().await;
            worker.out(&id, "one\n").await;
            worker.mark(&id, 1).await;
            assert_eq!(worker.safe().await, 1);
            control.stop(StopKind::Requeue, "the master stops");
        })
        .await;
    let mut note = left(&bench).await.note;
    note.logs[0].bytes += 1;
    assert!(bench.store.reopen_log(note.logs.remove(0)).await.is_err());
}
