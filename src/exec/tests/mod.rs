//! Real children, short-lived.

mod trees;

use std::{ffi::OsString, fs, path::Path, time::Duration};

use bytes::Bytes;

use super::{
    leftover::kill_all,
    testing::{LIMIT, eventually, is_running, within},
    *,
};
use crate::model::LogStream;

fn shell(line: &str) -> Spec {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Spec { env: [("PATH".into(), path)].into(), ..Spec::new(Program::Shell(line.to_owned()), "/") }
}

fn argv(words: &[&str]) -> Spec {
    Spec { program: Program::Argv(words.iter().map(OsString::from).collect()), ..shell("") }
}

/// All of its output, and its end.
#[derive(Debug, Default)]
struct Told {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    killing: Vec<KillReason>,
    ended: Option<Ended>,
}

impl Told {
    fn ended(&self) -> &Ended {
        self.ended.as_ref().unwrap()
    }

    fn add(&mut self, news: News) {
        match news {
            News::Output { stream: LogStream::Stdout, bytes } => self.stdout.extend(bytes),
            News::Output { bytes, .. } => self.stderr.extend(bytes),
            News::Killing(reason) => self.killing.push(reason),
            News::Ended(ended) => self.ended = Some(ended),
        }
    }

    async fn rest(mut self, process: &mut Process) -> Self {
        while let Some(news) = within(process.next()).await {
            self.add(news);
        }
        self
    }

    /// Reads until there are so many lines on standard output.
    async fn lines(&mut self, process: &mut Process, count: usize) -> Vec<String> {
        while memchr::memchr_iter(b'\n', &self.stdout).count() < count {
            let news = within(process.next()).await.expect("it ended before it had written so many lines");
            self.add(news);
        }
        String::from_utf8(self.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

async fn run(spec: Spec) -> Told {
    let mut process = within(spawn(spec)).await.unwrap();
    Told::default().rest(&mut process).await
}

/// Starts a command that first writes process ids, one a line.
async fn start_with_pids(spec: Spec, count: usize) -> (Process, Told, Vec<u32>) {
    let mut process = within(spawn(spec)).await.unwrap();
    let mut told = Told::default();
    let pids: Vec<u32> =
        told.lines(&mut process, count).await.iter().map(|line| line.parse().unwrap()).collect();
    assert!(pids.iter().all(|&id| is_running(id)), "{pids:?}");
    (process, told, pids)
}

async fn all_gone(pids: &[u32]) {
    eventually("all of the group are gone", || !pids.iter().any(|&id| is_running(id))).await;
}

// A child, a grandchild, and a grandchild that ignores every signal which can be ignored.
const FAMILY: &str = "sh -c 'trap \"\" TERM INT HUP QUIT; echo $$; while :; do sleep 1000; done' & \
                      (sleep 1000 & echo $!; wait) & echo $$; sleep 1000; wait";

#[tokio::test]
async fn output_and_exit_code_are_told_exactly() {
    let told = run(shell("printf 'a\\377\\000b'; printf 'no newline\\r' >&2; exit 3")).await;
    assert_eq!(told.stdout, b"a\xff\0b");
    assert_eq!(told.stderr, b"no newline\r");
    assert_eq!(told.ended().exit, Exit::Code(3));
    assert_eq!(told.ended().reason, None);
    assert!(!told.ended().left_behind);
}

#[tokio::test]
async fn output_is_told_while_the_command_still_runs() {
    let dir = tempfile::tempdir().unwrap();
    let line = "for i in 1 2 3; do echo $i; while ! [ -e go$i ]; do sleep 0.01; done; done";
    let mut process = within(spawn(Spec { dir: dir.path().into(), ..shell(line) })).await.unwrap();
    let mut told = Told::default();
    for i in 1..=3 {
        assert_eq!(told.lines(&mut process, i).await.len(), i);
        fs::write(dir.path().join(format!("go{i}")), "").unwrap();
    }
    assert_eq!(told.rest(&mut process).await.ended().exit, Exit::Code(0));
}

#[tokio::test]
async fn a_death_by_signal_is_told_as_such() {
    let told = run(shell("kill -SEGV $$")).await;
    assert_eq!(told.ended().exit, Exit::Signal(11));
    assert_eq!(told.ended().reason, None);
}

#[tokio::test]
async fn a_silent_command_is_killed_with_its_whole_group() {
    let spec = Spec { timeout: Some(Duration::from_millis(300)), ..shell(FAMILY) };
    let (mut process, told, pids) = start_with_pids(spec, 3).await;
    let told = told.rest(&mut process).await;
    assert_eq!(told.killing, [KillReason::TimeoutWithoutOutput]);
    assert_eq!(told.ended().exit, Exit::Signal(9));
    assert_eq!(told.ended().reason, Some(KillReason::TimeoutWithoutOutput));
    all_gone(&pids).await;
}

#[tokio::test]
async fn unwanted_output_is_not_told_but_is_no_silence() {
    let spec = Spec {
        want_stdout: false,
        timeout: Some(Duration::from_secs(5)),
        max_time: Some(Duration::from_secs(6)),
        ..shell("while :; do echo x; sleep 0.2; done")
    };
    let told = run(spec).await;
    assert_eq!(told.killing, [KillReason::Timeout]);
    assert!(told.stdout.is_empty());
}

#[tokio::test]
async fn an_interrupt_and_a_drop_kill_the_whole_group() {
    let (mut process, told, pids) = start_with_pids(shell(FAMILY), 3).await;
    process.interrupt();
    let told = told.rest(&mut process).await;
    assert_eq!(told.killing, [KillReason::Interrupted]);
    assert_eq!(told.ended().exit, Exit::Signal(9));
    all_gone(&pids).await;

    let (process, _, pids) = start_with_pids(shell(FAMILY), 3).await;
    drop(process);
    all_gone(&pids).await;

    let (process, _, pids) = start_with_pids(shell(FAMILY), 3).await;
    assert_eq!(within(process.kill()).await.unwrap().exit, Exit::Signal(9));
    all_gone(&pids).await;
}

#[test]
fn a_runtime_that_ends_leaves_no_child_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_process, _, pids) = runtime.block_on(start_with_pids(shell(FAMILY), 3));
    drop(runtime);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(all_gone(&pids));
}

#[tokio::test]
async fn an_interrupt_before_the_start_ends_it_too() {
    let spec = shell("sleep 1000");
    spec.interrupt.cancel();
    assert_eq!(run(spec).await.ended().reason, Some(KillReason::Interrupted));
}

#[tokio::test]
async fn sigterm_comes_first_and_its_grace_is_enough_to_clean_up() {
    let spec = Spec {
        sigterm_time: Some(LIMIT),
        ..shell("trap 'echo cleaned; exit 7' TERM; echo $$; while :; do sleep 0.05; done")
    };
    let (mut process, told, pids) = start_with_pids(spec, 1).await;
    process.interrupt();
    let told = told.rest(&mut process).await;
    assert!(told.stdout.ends_with(b"cleaned\n"));
    assert_eq!(told.ended().exit, Exit::Code(7));
    assert_eq!(told.ended().reason, Some(KillReason::Interrupted));
    all_gone(&pids).await;
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_after_its_grace() {
    let spec = Spec {
        sigterm_time: Some(Duration::from_millis(100)),
        interrupt_signal: EndSignal::Kill,
        ..shell("trap '' TERM; echo $$; while :; do sleep 1000; done")
    };
    let (mut process, told, pids) = start_with_pids(spec, 1).await;
    process.interrupt();
    assert_eq!(told.rest(&mut process).await.ended().exit, Exit::Signal(9));
    all_gone(&pids).await;
}

#[tokio::test]
async fn the_interrupt_signal_is_the_one_that_was_asked_for() {
    let spec = Spec { interrupt_signal: EndSignal::Quit, ..shell("echo $$; exec sleep 1000") };
    let (mut process, told, _) = start_with_pids(spec, 1).await;
    process.interrupt();
    assert_eq!(told.rest(&mut process).await.ended().exit, Exit::Signal(3));
}

#[tokio::test]
async fn a_daemon_that_holds_the_output_does_not_hold_up_the_end() {
    let (mut process, told, pids) = start_with_pids(shell("sleep 1000 & echo $!; exit 4"), 1).await;
    let told = told.rest(&mut process).await;
    assert_eq!(told.ended().exit, Exit::Code(4));
    assert!(told.ended().left_behind);
    assert_eq!(told.ended().reason, None);
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_daemon_that_let_go_of_the_output_lives_on() {
    let line = "sleep 1000 >/dev/null 2>&1 & echo $!";
    let (mut process, told, pids) = start_with_pids(shell(line), 1).await;
    let told = told.rest(&mut process).await;
    assert!(!told.ended().left_behind);
    assert!(is_running(pids[0]));
    let killed = run(argv(&["sh", "-c", &format!("kill -9 {}", pids[0])])).await;
    assert_eq!(killed.ended().exit, Exit::Code(0));
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_slow_reader_holds_the_child_back_and_loses_nothing() {
    const WRITTEN: u64 = 50 * 1024 * 1024;
    // The pipe, the outbox, the channel, and the pieces on their way: far from 50 MB, and the same for 5 GB.
    const HELD: u64 = 512 * 1024;
    let spec = Spec {
        // Held back for longer than this, it would be killed if that counted as silence.
        timeout: Some(Duration::from_secs(20)),
        ..argv(&["head", "-c", &WRITTEN.to_string(), "/dev/zero"])
    };
    let mut process = within(spawn(spec)).await.unwrap();
    let io = format!("/proc/{}/io", process.id());
    let mut read = 0;
    let mut looks = 0;
    loop {
        match within(process.next()).await.unwrap() {
            News::Output { bytes, .. } => {
                read += bytes.len() as u64;
                // What it has written so far, as the kernel counts it; gone or empty once it has ended.
                let written = fs::read_to_string(&io).ok().and_then(|io| {
                    io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse::<u64>().ok())
                });
                if let Some(written) = written.filter(|&written| written > 0) {
                    assert!(written <= read + HELD, "{written} bytes written, {read} read");
                    looks += 1;
                }
            }
            News::Ended(ended) => {
                assert_eq!(ended.exit, Exit::Code(0));
                break;
            }
            News::Killing(reason) => panic!("{reason:?}"),
        }
    }
    assert_eq!(read, WRITTEN);
    assert!(looks > 10, "only {looks} looks while it ran");
}

#[tokio::test]
async fn a_very_long_line_stays_whole() {
    let told = run(shell("head -c 300000 /dev/zero | tr '\\0' x; echo")).await;
    assert_eq!(told.stdout.len(), 300_001);
    assert!(told.stdout[..300_000].iter().all(|&byte| byte == b'x'));
}

#[tokio::test]
async fn input_is_fed_beside_the_output_and_then_closed() {
    let text = Bytes::from(vec![b'y'; 2_000_000]);
    let told = run(Spec { stdin: Some(text.clone()), ..argv(&["cat"]) }).await;
    assert!(told.stdout == text);
    assert_eq!(
        run(argv(&["cat"])).await.ended().exit,
        Exit::Code(0),
        "without input there is an end of file"
    );
    let told = run(Spec { stdin: Some(text), ..argv(&["true"]) }).await;
    assert_eq!(told.ended().exit, Exit::Code(0), "input that is not read is no failure");
}

#[tokio::test]
async fn a_child_gets_its_environment_alone_and_no_files_of_ours() {
    let held = tempfile::NamedTempFile::new().unwrap();
    let other = within(spawn(argv(&["sleep", "1000"]))).await.unwrap();
    let mark = Mark { name: "A_MARK".into(), value: "here".into() };
    let spec = Spec {
        env: [("PATH".into(), "/usr/bin:/bin".into()), ("ONE".into(), "1".into())].into(),
        mark: Some(mark),
        ..argv(&[
            "sh",
            "-c",
            "env; echo; readlink /proc/$$/fd/*; echo; exec grep -E '^Sig(Blk|Ign)' /proc/self/status",
        ])
    };
    let text = String::from_utf8(run(spec).await.stdout).unwrap();
    let mut parts = text.split("\n\n");
    let mut environment: Vec<_> = parts
        .next()
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with("PWD=") && !line.starts_with("_="))
        .collect();
    environment.sort_unstable();
    environment.retain(|line| !line.starts_with("SHLVL=") && !line.starts_with("OLDPWD="));
    let own = environment.iter().position(|line| line.starts_with("LUNABOT_COMMAND=")).unwrap();
    environment.remove(own);
    assert_eq!(environment, ["A_MARK=here", "ONE=1", "PATH=/usr/bin:/bin"]);
    let files: Vec<_> = parts.next().unwrap().lines().collect();
    assert!(files.len() >= 3, "{files:?}");
    // What the one who started this test left open is inherited by all; what we open is not.
    let ours = |link: String| fs::read_link(link).unwrap().to_str().unwrap().to_owned();
    let other_pipes = [1, 2].map(|fd| ours(format!("/proc/{}/fd/{fd}", other.id())));
    assert!(!files.iter().any(|file| other_pipes.iter().any(|pipe| pipe == file)), "{files:?}");
    assert!(!files.contains(&held.path().to_str().unwrap()));
    let masks: Vec<u64> = parts
        .next()
        .unwrap()
        .lines()
        .map(|line| u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap())
        .collect();
    let pipe = 1 << (13 - 1);
    assert_eq!(masks[0], 0, "no signal is blocked");
    assert_eq!(masks[1] & pipe, 0, "a broken pipe ends it as anywhere else");
    drop((held, other));
}

#[tokio::test]
async fn what_cannot_be_started_is_told_with_its_cause() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    fs::write(&text, "no program").unwrap();
    let words = |program: &Path| argv(&[program.to_str().unwrap()]);
    let error = spawn(argv(&["no-such-program"])).await.unwrap_err();
    assert!(matches!(error, SpawnError::NotFound { .. }), "{error:?}");
    let error = spawn(words(&text)).await.unwrap_err();
    assert!(matches!(error, SpawnError::NotExecutable { .. }), "{error:?}");
    let error = spawn(Spec { dir: dir.path().join("none"), ..shell(":") }).await.unwrap_err();
    assert!(matches!(error, SpawnError::Folder { .. }), "{error:?}");
    let error = spawn(Spec { dir: text, ..shell(":") }).await.unwrap_err();
    assert!(matches!(error, SpawnError::Folder { .. }), "{error:?}");
    let error = spawn(argv(&[])).await.unwrap_err();
    assert!(matches!(error, SpawnError::Empty), "{error:?}");
    let error = spawn(Spec { env: [("A=B".into(), "".into())].into(), ..shell(":") }).await.unwrap_err();
    assert!(matches!(error, SpawnError::Variable { .. }), "{error:?}");
    let error = spawn(shell(&"x".repeat(3_000_000))).await.unwrap_err();
    assert!(matches!(error, SpawnError::Start { .. }), "{error:?}");
}

#[tokio::test]
async fn leftovers_are_found_by_their_mark_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let name = OsString::from("LUNABOT_TEST_MARK");
    let mine = Mark { name: name.clone(), value: dir.path().join("a").into() };
    let longer = Mark { name, value: dir.path().join("ab").into() };
    // Left behind on purpose: with its output let go, and in a session of its own, as a daemon does it.
    let daemon =
        "setsid sh -c 'echo $$; exec sleep 1000' & (sleep 1000 >/dev/null 2>&1 & echo $!); sleep 1000";
    let marked = Spec { mark: Some(mine.clone()), ..shell(daemon) };
    let (process, _, pids) = start_with_pids(marked, 2).await;
    let marked = Spec { mark: Some(longer), ..shell("echo $$; exec sleep 1000") };
    let (other, _, others) = start_with_pids(marked, 1).await;

    let found = within(kill_all(&mine, LIMIT)).await.unwrap();
    assert!(pids.iter().all(|id| found.killed.contains(id)), "{found:?} without one of {pids:?}");
    assert!(found.killed.contains(&process.id()));
    assert!(found.alive.is_empty());
    all_gone(&pids).await;
    assert!(is_running(others[0]), "a mark that only begins alike is another");
    assert_eq!(within(kill_all(&mine, LIMIT)).await.unwrap(), leftover::Leftovers::default());
    drop(other);
    all_gone(&others).await;
}

#[tokio::test]
async fn no_zombie_remains() {
    let mut ids = Vec::new();
    for _ in 0..20 {
        let mut process = within(spawn(shell("exit 1"))).await.unwrap();
        ids.push(process.id());
        Told::default().rest(&mut process).await;
    }
    eventually("all are reaped", || !ids.iter().any(|id| Path::new(&format!("/proc/{id}")).exists())).await;
}
