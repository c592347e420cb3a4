//! Log files of a command, its limit of lines, and its terminal.

use std::io::Write;

use super::*;
use crate::protocol::command::LogFile;

fn logged(line: &str, follow: bool) -> ShellArguments {
    let file = LogFile { name: "test.log".into(), path: "logs/test.log".to_owned(), follow };
    ShellArguments { log_files: vec![file], ..shell(line) }
}

impl Master {
    fn log_file(&self) -> PathBuf {
        let folder = self.builddir().join("build/logs");
        fs::create_dir_all(&folder).unwrap();
        folder.join("test.log")
    }

    /// Hears until the log file has told so many bytes.
    async fn logged(&mut self, told: &mut Told, bytes: usize) -> String {
        while told.logs.get("test.log").is_none_or(|log| log.len() < bytes) {
            assert!(!self.hear(told).await, "{told:?}");
        }
        String::from_utf8(told.logs["test.log"].clone()).unwrap()
    }
}

impl Told {
    fn log(&self) -> Option<&str> {
        self.logs.get("test.log").map(|log| str::from_utf8(log).unwrap())
    }
}

#[tokio::test]
async fn a_log_file_is_told_while_it_grows_and_to_its_end() {
    let mut master = Master::start().await;
    let file = master.log_file();
    let line =
        "echo one > logs/test.log; while ! [ -e go ]; do sleep 0.01; done; printf 'two' >> logs/test.log";
    master.order(&id("1"), "b", logged(line, false)).await;
    let mut told = Told::default();
    assert_eq!(master.logged(&mut told, 4).await, "one\n");
    assert_eq!(told.rc, None);
    fs::write(master.builddir().join("build/go"), "").unwrap();
    let told = master.rest(told).await;
    assert_eq!((told.log(), told.rc), (Some("one\ntwo"), Some(0)));
    assert!(told.header.contains("\n watching logfiles {'test.log': 'logs/test.log'}\n"), "{}", told.header);
    assert!(file.exists());
}

#[tokio::test]
async fn what_is_added_to_a_log_file_is_told_at_once() {
    let mut master = Master::start().await;
    let file = master.log_file();
    let line = "echo ready; while ! [ -e go ]; do sleep 0.01; done";
    master.order(&id("1"), "b", logged(line, false)).await;
    let mut told = Told::default();
    master.lines(&mut told, 1).await;
    let started = std::time::Instant::now();
    let mut written = String::new();
    for number in 0..20 {
        let line = format!("{number}\n");
        let mut log = fs::File::options().create(true).append(true).open(&file).unwrap();
        log.write_all(line.as_bytes()).unwrap();
        written += &line;
        assert_eq!(master.logged(&mut told, written.len()).await, written);
    }
    // Looked at each 2 s, it would be 40.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    fs::write(master.builddir().join("build/go"), "").unwrap();
    assert_eq!(master.rest(told).await.log(), Some(written.as_str()));
}

#[tokio::test]
async fn a_log_file_of_an_earlier_command_is_not_told() {
    let mut master = Master::start().await;
    fs::write(master.log_file(), "earlier\n").unwrap();
    assert_eq!(master.run(logged(":", false)).await.log(), None);
    // One that is changed is told as a whole, or from where it was.
    let add = "echo now >> logs/test.log";
    assert_eq!(master.run(logged(add, false)).await.log(), Some("earlier\nnow\n"));
    assert_eq!(master.run(logged(add, true)).await.log(), Some("now\n"));
    // One that is removed and made anew is new.
    let anew = "rm logs/test.log; echo anew > logs/test.log";
    assert_eq!(master.run(logged(anew, true)).await.log(), Some("anew\n"));
}

#[tokio::test]
async fn a_log_file_that_is_cut_off_or_replaced_is_told_from_its_beginning() {
    let mut master = Master::start().await;
    let file = master.log_file();
    let line = "echo ready; while ! [ -e go ]; do sleep 0.01; done";
    master.order(&id("1"), "b", logged(line, false)).await;
    let mut told = Told::default();
    master.lines(&mut told, 1).await;
    fs::write(&file, "the first of them\n").unwrap();
    master.logged(&mut told, 18).await;
    fs::write(&file, "cut off\n").unwrap();
    master.logged(&mut told, 26).await;
    // What is added before it is replaced is not lost.
    fs::File::options().append(true).open(&file).unwrap().write_all(b"added\n").unwrap();
    fs::rename(&file, file.with_extension("old")).unwrap();
    fs::write(&file, "another\n").unwrap();
    let log = master.logged(&mut told, 40).await;
    assert_eq!(log, "the first of them\ncut off\nadded\nanother\n");
    fs::write(master.builddir().join("build/go"), "").unwrap();
    assert_eq!(master.rest(told).await.log(), Some(log.as_str()));
}

#[tokio::test]
async fn what_cannot_be_a_log_file_holds_up_nothing() {
    let mut master = Master::start().await;
    let file = master.log_file();
    let told = master.run(logged("mkfifo logs/test.log; exit 3", false)).await;
    assert_eq!((told.rc, told.log()), (Some(3), None));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let told = master.run(logged("touch logs/test.log/x", false)).await;
    assert_eq!((told.rc, told.log()), (Some(0), None));
}

#[tokio::test]
async fn a_large_log_file_is_told_in_blocks() {
    let mut master = Master::start().await;
    master.log_file();
    let told = master.run(logged("head -c 3000000 /dev/zero | tr '\\0' x > logs/test.log", false)).await;
    assert!(told.log().unwrap().len() == 3_000_000);
}

#[tokio::test]
async fn too_many_lines_kill_and_tell_why() {
    let mut master = Master::start().await;
    let ten = "for i in 1 2 3 4 5; do echo $i; echo $i >&2; done";
    let told = master.run(ShellArguments { max_lines: Some(10), ..shell(ten) }).await;
    assert_eq!((told.rc, told.reason), (Some(0), None));
    let told = master.run(ShellArguments { max_lines: Some(10), ..shell("yes") }).await;
    assert_eq!((told.rc, told.reason), (Some(-1), Some(FailureReason::MaxLines)));
    assert!(told.header.contains("\ncommand exceeds max lines: "), "{}", told.header);
    assert!(
        told.header.contains("/10 written/allowed running b'yes', attempting to kill\n"),
        "{}",
        told.header
    );
    assert_eq!(told.text(), "y\n".repeat(10), "nothing beyond the limit is told");
}

#[tokio::test]
async fn a_terminal_is_what_it_is_asked_to_be() {
    let mut master = Master::start().await;
    let line = "test -t 0 && test -t 1 && test -t 2 && stty size && echo out && echo err >&2 && exit 4";
    let terminal = |line| ShellArguments { use_pty: true, ..shell(line) };
    let told = master.run(terminal(line)).await;
    assert_eq!((told.rc, told.text()), (Some(4), "25 80\nout\nerr\n".to_owned()));
    assert!(told.header.contains(" using PTY: True\n"), "{}", told.header);
    let told =
        master.run(ShellArguments { stdin: Some("typed".into()), ..terminal("test -t 1 || cat") }).await;
    assert_eq!((told.rc, told.text()), (Some(0), "typed".to_owned()));
    assert!(told.header.contains(" using PTY: False\n"));
}

#[tokio::test]
async fn what_runs_on_a_terminal_is_killed_with_its_whole_group() {
    let mut master = Master::start().await;
    let line = "(sleep 1000 & echo $!; wait) & echo $$; sleep 1000";
    master.order(&id("1"), "b", ShellArguments { use_pty: true, ..shell(line) }).await;
    let mut told = Told::default();
    let pids = pids(&master.lines(&mut told, 2).await);
    master.interrupt().await;
    let told = master.rest(told).await;
    assert_eq!((told.rc, told.reason), (Some(-1), None));
    gone(&pids).await;
}
