//! The command line of `lunabot-worker`, as a stranger meets it: a folder made, mistakes told, a worker of Buildbot taken
//! over.

mod options;
mod running;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::support::{master::Process, real_worker, skip::skip};

/// The program under test, without what the environment of the test says to workers.
fn program() -> Command {
    #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
    let mut program = Command::new(env!("CARGO_BIN_EXE_lunabot-worker"));
    for name in ["BUILDMASTER", "WORKERNAME", "WORKERPASS", "NOTIFY_SOCKET", "LUNABOT_LOG"] {
        program.env_remove(name);
    }
    program.stdin(Stdio::null());
    program
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A place for the folder of a worker, whose worker is stopped in the end.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A folder with a worker `w1`, password `sesame`, of a master on this port.
    fn made(port: u16, options: &[&str]) -> Self {
        let place = Self::new();
        let made = place.create(&[&[&format!("127.0.0.1:{port}"), "w1", "sesame"], options].concat());
        assert!(made.status.success(), "{}", stderr(&made));
        place
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("w")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// `create-worker` with the folder before these arguments.
    fn create(&self, arguments: &[&str]) -> Output {
        program().arg("create-worker").arg(self.path()).args(arguments).output().unwrap()
    }

    /// A command with the folder behind these arguments.
    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        program().arg(command).args(arguments).arg(self.path()).output().unwrap()
    }

    /// The same, in the foreground.
    fn spawn(&self, arguments: &[&str]) -> Process {
        let mut child = program();
        child.args(["start", "--nodaemon"]).args(arguments).arg(self.path());
        Process::spawn(child)
    }

    /// The process id of the worker that runs in the background.
    fn pid(&self) -> String {
        self.read("worker.pid").trim().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.file("worker.pid").exists() {
            drop(program().arg("stop").arg(self.path()).output());
        }
    }
}

fn given(arguments: &[&str], input: &str) -> Output {
    let mut program = program();
    program.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_new_worker_is_private_and_tells_what_to_do_next() {
    let place = Place::new();
    let made = place.create(&[
        "ci.example.org",
        "bot1",
        "sesame",
        "--allow-shutdown",
        "file",
        "--umask",
        "027",
        "-s",
        "5000",
    ]);
    assert!(made.status.success(), "{}", stderr(&made));
    let said = stdout(&made);
    assert!(said.contains("lunabot-worker start") && said.contains("info/admin"), "{said}");
    assert!(stderr(&made).contains("note: the password stood in the command line"), "{}", stderr(&made));
    let settings = place.read("worker.toml");
    for line in [
        "name = \"bot1\"",
        "password = \"sesame\"",
        "master = \"ci.example.org:9989\"",
        "allow_shutdown = \"file\"",
        "umask = \"027\"",
        "log_size = 5000",
        "# keepalive = 600",
    ] {
        assert!(settings.lines().any(|found| found == line), "{line}: {settings}");
    }
    assert_eq!(place.file("worker.toml").metadata().unwrap().mode() & 0o777, 0o600);
    assert!(place.file("info/admin").is_file() && place.file("info/host").is_file());
    let info = program().args(["info", "--json", "--basedir"]).arg(place.path()).output().unwrap();
    assert!(stdout(&info).contains("\"admin\""), "{}", stdout(&info));
}

#[test]
fn a_worker_that_is_there_is_not_touched_unless_it_is_forced() {
    let place = Place::made(9989, &[]);
    fs::write(place.file("info/admin"), "Ann").unwrap();
    let before = place.read("worker.toml");
    let again = place.create(&["other", "bot2", "x"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("already") && stderr(&again).contains("--force"), "{}", stderr(&again));
    assert_eq!(place.read("worker.toml"), before);
    let forced = place.create(&["other", "bot2", "x", "--force", "--quiet"]);
    assert!(forced.status.success() && forced.stdout.is_empty() && forced.stderr.is_empty());
    assert!(place.read("worker.toml").contains("name = \"bot2\""));
    assert_eq!(place.read("info/admin"), "Ann");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "nothing is left beside them");
}

#[test]
fn a_password_comes_from_standard_input_or_stays_in_its_file() {
    let place = Place::new();
    let path = place.path();
    let path = path.to_str().unwrap();
    for arguments in [["ci", "bot1", "-", "--force"], ["ci", "bot1", "--password-file=-", "--force"]] {
        let made = given(&[&["create-worker", path], &arguments[..]].concat(), "ses ame\n");
        assert!(made.status.success(), "{}", stderr(&made));
        assert!(!stderr(&made).contains("note"), "{}", stderr(&made));
        assert!(place.read("worker.toml").contains("password = \"ses ame\""));
    }
    let file = place.file("secret");
    fs::write(&file, "sesame\n").unwrap();
    let made = place.create(&["ci", "bot1", "--force", "--password-file", file.to_str().unwrap()]);
    assert!(made.status.success() && !stderr(&made).contains("note"), "{}", stderr(&made));
    let settings = place.read("worker.toml");
    assert!(
        settings.contains("\npassword_file = \"secret\"") && !settings.contains("\npassword = "),
        "{settings}"
    );
    let other = Place::new();
    let none = other.create(&["ci", "bot1"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(
        stderr(&none).contains("no password") && stderr(&none).contains("--password-file"),
        "{}",
        stderr(&none)
    );
    let empty = given(&["create-worker", other.path().to_str().unwrap(), "ci", "bot1", "-"], "\n");
    assert_eq!(empty.status.code(), Some(1));
    assert!(!other.path().exists(), "nothing was made");
}

#[test]
fn mistakes_on_the_command_line_are_told_at_once_and_nothing_is_made() {
    let place = Place::new();
    let wrong = place.create(&[
        "::1",
        "bot1",
        "sesame",
        "--umask=99",
        "--protocol=pbx",
        "--tls-ca=x",
        "--maxretries=0",
    ]);
    assert_eq!(wrong.status.code(), Some(2));
    let said = stderr(&wrong);
    for part in [
        "MASTER: an IPv6",
        "--umask: ",
        "--protocol: ",
        "--tls-ca: ",
        "--maxretries: ",
        "nothing was made",
        "hint: ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("sesame"), "{said}");
    let string = place.create(&["ci", "bot1", "p", "--connection-string", "tcp:host=ci:prot=1"]);
    assert!(stderr(&string).contains("`tcp` takes no `prot`, did you mean `port`?"), "{}", stderr(&string));
    let unknown = place.create(&["ci", "bot1", "p", "--keep-alive", "3"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("--keepalive"), "{}", stderr(&unknown));
    assert!(!place.path().exists());
}

#[test]
fn a_folder_that_is_none_and_settings_that_are_wrong_are_told() {
    let place = Place::new();
    for (command, arguments) in
        [("start", &[][..]), ("start", &["--nodaemon"]), ("stop", &[]), ("restart", &[])]
    {
        let absent = place.run(command, arguments);
        assert_eq!(absent.status.code(), Some(1), "{command}");
        assert!(stderr(&absent).contains("lunabot-worker create-worker"), "{}", stderr(&absent));
    }
    let here = program().arg("start").current_dir(place.dir.path()).output().unwrap();
    assert_eq!(here.status.code(), Some(1));
    assert!(stderr(&here).contains("BUILDMASTER, WORKERNAME and WORKERPASS"), "{}", stderr(&here));
    let place = Place::made(9989, &[]);
    let settings = place.read("worker.toml");
    let wrong = settings.replace("# keepalive", "keepalife").replace("# log_count = 10", "log_count = 0");
    fs::write(place.file("worker.toml"), wrong).unwrap();
    let refused = place.run("start", &[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(said.contains("worker.toml:") && said.contains("did you mean `keepalive`?"), "{said}");
    assert!(said.contains("`log_count`: it takes a whole number from 1 to 9999, not 0"), "{said}");
    assert!(said.contains("2 mistakes") && !said.contains("sesame"), "{said}");
    fs::write(place.file("worker.toml"), &settings).unwrap();
    fs::set_permissions(place.file("worker.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    let open = place.run("start", &[]);
    assert_eq!(open.status.code(), Some(1));
    assert!(stderr(&open).contains("chmod 600") && stderr(&open).contains("0644"), "{}", stderr(&open));
    assert!(!place.file("worker.log").exists() && !place.file("worker.pid").exists());
}

#[test]
fn a_folder_of_buildbot_is_taken_over_in_one_command() {
    let test = "a_folder_of_buildbot_is_taken_over_in_one_command";
    let Some(buildbot_worker) = real_worker::program() else {
        return skip(test, "LUNABOT_TEST_BUILDBOT_WORKER names no program");
    };
    let place = Place::new();
    let buildbot = |options: &[&str]| {
        #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
        let mut program = Command::new(&buildbot_worker);
        let made = program.arg("create-worker").args(options).arg(place.path()).args([
            "ci:9990",
            "bot'1",
            "ses\"a\\me",
        ]);
        assert!(made.output().unwrap().status.success());
    };
    buildbot(&[
        "--umask=0o027",
        "--numcpus=3",
        "--allow-shutdown=file",
        "--use-tls",
        "--log-count=4",
        "--relocatable",
    ]);
    fs::write(place.file("info/admin"), "Ann\n").unwrap();
    let tac = place.read("buildbot.tac");
    let refused = place.run("start", &[]);
    assert!(stderr(&refused).contains("--from-tac"), "{}", stderr(&refused));
    let taken = place.run("create-worker", &["--from-tac"]);
    assert!(taken.status.success() && taken.stderr.is_empty(), "{}", stderr(&taken));
    let settings = place.read("worker.toml");
    for line in [
        "name = \"bot'1\"",
        "master = \"ci:9990\"",
        "use_tls = true",
        "umask = \"027\"",
        "numcpus = 3",
        "allow_shutdown = \"file\"",
        "log_count = 4",
        "# maxretries = 10",
    ] {
        assert!(settings.lines().any(|found| found == line), "{line}: {settings}");
    }
    assert_eq!(password_of(&settings), "ses\"a\\me");
    assert_eq!((place.read("buildbot.tac"), place.read("info/admin")), (tac.clone(), "Ann\n".to_owned()));
    // What is no plain value is told with its line, and changes nothing.
    let line = tac.lines().position(|line| line.starts_with("passwd")).unwrap() + 1;
    let changed = tac.replace("passwd = ", "passwd = '' + ");
    fs::write(place.file("buildbot.tac"), changed).unwrap();
    let refused = place.run("create-worker", &["--from-tac", "--force"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(said.contains(&format!("buildbot.tac:{line}: `passwd`: only a plain value")), "{said}");
    assert!(!said.contains("ses"), "{said}");
    assert_eq!(place.read("worker.toml"), settings);
}

/// The password in the text of settings.
fn password_of(settings: &str) -> String {
    settings.parse::<toml::Table>().unwrap()["password"].as_str().unwrap().to_owned()
}

/// What a process was started with.
fn command_line(pid: &str) -> String {
    fs::read_to_string(Path::new("/proc").join(pid).join("cmdline")).unwrap()
}
