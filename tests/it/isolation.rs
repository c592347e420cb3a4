//! What a command of a LocalWorker has of the master, which is nothing, and what is left of it once it is killed.
//!
//! # Not here
//! What each way to get away is found by: the unit tests of `exec`.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    process::Stdio,
    thread,
};

use crate::support::{
    master::{HEAD, MasterDir, eventually, is_alive},
    real_worker::free_port,
    skip::skip,
};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The output of a command in a shell of this test.
fn here(line: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "the test compares with a child of its own")]
    let mut shell = std::process::Command::new("/bin/sh");
    text(&shell.args(["-c", line]).stdin(Stdio::null()).output().unwrap().stdout)
}

/// Runs the one builder, and gives what its first step wrote.
fn build(dir: &MasterDir) -> String {
    let output = dir.run("force", &["b", "--wait"]);
    let number = u32::try_from(dir.builds().len()).unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&dir.log(number))
}

#[test]
fn each_command_leads_a_session_and_a_group_of_its_own_without_a_terminal() {
    let dir = MasterDir::with_steps(
        "steps.ShellCommand { command = 'echo $$; ps -o pid=,pgid=,sid=,tty= -p $$; \
         (echo x > /dev/tty) 2>/dev/null && echo terminal; true' }",
    );
    let master = dir.start();
    let told = build(&dir);
    let lines: Vec<_> = told.lines().filter(|line| !line.contains(['=', '('])).collect();
    let words: Vec<_> = told.split_whitespace().collect();
    let pid = lines.iter().find(|line| line.parse::<u32>().is_ok()).unwrap();
    assert!(words.windows(4).any(|four| four == [*pid, *pid, *pid, "?"]), "{told}");
    assert!(!lines.contains(&"terminal"), "{told}");
    drop(master);
}

#[test]
fn a_command_on_a_terminal_rules_it() {
    let dir = MasterDir::with_steps(
        "steps.ShellCommand { usePTY = true, command = 'echo to the terminal > /dev/tty; \
         set -- $(ps -o pid=,sid=,tpgid= -p $$); test $1 = $2 && test $1 = $3 && echo ruled' }",
    );
    let _master = dir.start();
    let told = build(&dir);
    assert!(told.contains("\nto the terminal\n") && told.contains("\nruled\n"), "{told}");
}

#[test]
fn limits_signals_and_umask_are_those_that_the_master_was_started_with() {
    let dir = MasterDir::with_steps(
        "steps.ShellCommand { logEnviron = false, command = 'ulimit -S -n; ulimit -H -n; umask; \
         grep -E ^Sig.*[BI][lg] /proc/self/status' }",
    );
    let hard = here("ulimit -H -n");
    let mut master = dir.start_after("trap '' INT QUIT USR1 TTOU; ulimit -S -n 300; umask 027");
    // The master itself has raised its own.
    let limits = fs::read_to_string(format!("/proc/{}/limits", master.pid())).unwrap();
    let raised = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_ne!(raised.split_whitespace().nth(3), Some("300"), "{raised}");
    let told = build(&dir);
    assert!(told.contains(&format!("\n300\n{}\n0027\n", hard.trim())), "{told}");
    for name in ["SigBlk:", "SigIgn:"] {
        let mask = told.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        // Those beyond the old ones are glibc's own affair, or as they came.
        let old = u64::from_str_radix(mask.trim(), 16).unwrap() & 0x7fff_ffff;
        assert_eq!(old, 0, "{told}");
    }
    // The same is ignored in the master as before.
    master.signal("USR1");
    assert!(build(&dir).contains("\n300\n"));
    assert!(dir.run("stop", &[]).status.success());
    assert_eq!(master.wait(), Some(0));
}

#[test]
fn variables_for_the_loader_reach_the_command_and_steer_nothing_on_the_way() {
    let dir = MasterDir::with_steps(
        "steps.ShellCommand { command = { 'sh', '-c', 'echo \"<$LD_LIBRARY_PATH|$LD_PRELOAD>\"; \
         tr \"\\\\0\" \"\\\\n\" < /proc/$$/environ | grep -c LAUNCH; true' }, \
         env = { LD_LIBRARY_PATH = '/nonexistent', LD_PRELOAD = 'nonexistent.so' } }",
    );
    let _master = dir.start();
    let told = build(&dir);
    assert!(told.contains("\n</nonexistent|nonexistent.so>\n"), "{told}");
    assert!(told.contains("\n0\n"), "{told}");
    // The loader complains once for each program that runs: sh, tr and grep.
    assert_eq!(told.matches("'nonexistent.so' from LD_PRELOAD").count(), 3, "{told}");
}

#[test]
fn what_cannot_be_run_after_all_says_so() {
    let dir = MasterDir::with_steps("steps.ShellCommand { command = { './script' } }");
    let _master = dir.start();
    fs::create_dir_all(dir.build_dir()).unwrap();
    let script = dir.build_dir().join("script");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(!dir.run("force", &["b", "--wait"]).status.success());
    let told = text(&dir.log(1));
    assert!(told.contains("\ncannot start `./script`: No such file or directory"), "{told}");
    assert!(text(&dir.run("builds", &[]).stdout).contains("fail"), "{told}");
}

#[test]
fn no_file_of_a_busy_master_is_open_in_a_command() {
    let (pb, msgpack) = (free_port(), free_port());
    let builders = ["b", "loud", "terminal", "logs", "again"];
    let look = "for i in $(seq 30); do ls -m /proc/$$/fd; sleep 0.02; done";
    let step = |arguments: &str| format!("steps.ShellCommand {{ {arguments} }}");
    let all = [
        step(&format!("command = '{look}'")),
        step(&format!("command = '{look}; seq 100000'")),
        step(&format!("command = '{look}', usePTY = true")),
        step(&format!(
            "command = 'echo x > a.log; {look}', logfiles = {{ a = 'a.log' }}, initialStdin = 'x'"
        )),
        step("command = { 'sh', '-c', 'for i in $(seq 30); do ls -m /proc/$$/fd; done' }"),
    ];
    let configs: Vec<_> = builders
        .iter()
        .zip(&all)
        .map(|(name, step)| {
            format!("util.BuilderConfig {{ name = '{name}', workernames = {{ 'w1', 'w2' }}, factory = util.BuildFactory {{ {step}, {step} }} }}")
        })
        .collect();
    let dir = MasterDir::new(&format!(
        "{HEAD}c.protocols = {{ pb = {{ port = 'tcp:{pb}:interface=127.0.0.1' }}, msgpack_experimental_v7 = {{ port = 'tcp:{msgpack}:interface=127.0.0.1' }} }}\n\
         c.workers = {{ worker.LocalWorker 'w1', worker.LocalWorker 'w2' }}\n\
         c.builders = {{ {} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ '{}' }}) }}\n",
        configs.join(", "),
        builders.join("', '"),
    ));
    let master = dir.start();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let socket = dir.file("lunabot.sock");
    thread::scope(|scope| {
        // Connections come and go, and stay, on each port; what is said makes no sense.
        for port in [pb, msgpack] {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let open: Vec<_> =
                        (0..20).filter_map(|_| TcpStream::connect(("127.0.0.1", port)).ok()).collect();
                    for mut peer in &open {
                        drop(peer.write_all(b"x"));
                    }
                    thread::park_timeout(std::time::Duration::from_millis(20));
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let Ok(mut peer) = UnixStream::connect(&socket) else { continue };
                drop(peer.write_all(b"GET /api/v2/builds HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
                drop(peer.read_to_end(&mut Vec::new()));
            }
        });
        thread::scope(|forces| {
            for builder in builders {
                let dir = &dir;
                forces.spawn(move || {
                    for _ in 0..2 {
                        let output = dir.run("force", &[builder, "--wait"]);
                        assert!(output.status.success(), "{builder}: {}", text(&output.stderr));
                    }
                });
            }
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let open = fs::read_dir(format!("/proc/{}/fd", master.pid())).unwrap().count();
    assert!(open > 20, "the master has but {open} files open");
    // Whoever started this test may have left files open for all.
    let expected = here("ls -m /proc/$$/fd");
    let mut seen = BTreeSet::new();
    let mut looks = 0;
    for (builder, number) in builders.iter().flat_map(|builder| [(builder, "1"), (builder, "2")]) {
        let told = text(&dir.run("log", &[builder, number]).stdout);
        for line in told.lines().filter(|line| line.starts_with("0, 1")) {
            seen.insert(line.trim_end().to_owned());
            looks += 1;
        }
    }
    assert_eq!(seen, BTreeSet::from([expected.trim_end().to_owned()]));
    assert_eq!(looks, builders.len() * 2 * 2 * 30);
}

#[test]
fn a_stop_leaves_nothing_of_a_tree_and_no_zombie() {
    let dir = MasterDir::with_steps(
        "steps.ShellCommand { command = [[\
         (setsid sh -c 'echo $$ >> ../pids; exec sleep 1000' >/dev/null 2>&1 &)\n\
         setsid env -i /bin/sh -c 'echo $$ >> ../pids; /bin/sleep 1000; :' &\n\
         set -m; sh -c 'trap \"\" TERM HUP; echo $$ >> ../pids; sleep 1000; :' & set +m\n\
         i=0; while [ $i -lt 50 ]; do setsid sh -c 'echo $$ >> ../pids; sleep 1000; :' & i=$((i+1)); done\n\
         echo $$ >> ../pids; sleep 1000]] }",
    );
    let master = dir.start();
    assert!(dir.run("force", &["b"]).status.success());
    let file = dir.file("workers/w1/b/pids");
    let pids = eventually("all of them", || {
        let pids = fs::read_to_string(&file).unwrap_or_default();
        (pids.lines().count() == 54).then_some(pids)
    });
    let id = dir.builds()[0]["buildid"].clone();
    dir.post(&format!("/api/v2/builds/{id}"), "stop", "{}");
    eventually("the end of the build", || (dir.builds()[0]["complete"] == true).then_some(()));
    let alive: Vec<_> = pids.lines().filter(|pid| is_alive(pid)).collect();
    assert!(alive.is_empty(), "{alive:?}");
    let ours = master.pid().to_string();
    eventually("none to be a zombie of the master", || {
        let is_ours = |pid: &str| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) == Some(&ours)
        };
        (!pids.lines().any(is_ours)).then_some(())
    });
}

/// `unshare` with what this user needs to be the first process of a world of its own; nothing if that is not allowed.
fn unshare() -> Option<Vec<&'static str>> {
    let pid = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    [&[][..], &["--user", "--map-root-user"]].into_iter().map(|user| [user, &pid].concat()).find(
        |arguments| {
            #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
            let mut unshare = std::process::Command::new("unshare");
            unshare.args(arguments).arg("true").output().is_ok_and(|output| output.status.success())
        },
    )
}

#[test]
fn as_the_first_process_of_a_container_the_master_reaps_what_commands_leave() {
    let Some(unshare) = unshare() else {
        skip(
            "as_the_first_process_of_a_container_the_master_reaps_what_commands_leave",
            "`unshare --pid` is not allowed here",
        );
        return;
    };
    // Orphans that end at once, a little later, and while other commands end.
    let leave = "for i in 1 2 3 4 5; do (setsid sh -c 'sleep 0.0'$i >/dev/null 2>&1 &); done";
    let step = |code: u32| {
        format!(
            "steps.ShellCommand {{ command = [[{leave}; exit {code}]], decodeRC = {{ [0] = util.SUCCESS, [3] = util.SUCCESS }} }}"
        )
    };
    let steps: Vec<_> = (0..20).map(|number| step(if number % 2 == 0 { 0 } else { 3 })).collect();
    let dir = MasterDir::with_steps(&steps.join(", "));
    let master = dir.start_after(&format!("set -- unshare {} \"$@\"", unshare.join(" ")));
    let told = build(&dir);
    assert_eq!(told.matches("program finished with exit code 3").count(), 10, "{told}");
    assert_eq!(told.matches("program finished with exit code 0").count(), 10, "{told}");
    let children = |parent: &str| {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let stats = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
        let below = stats.filter_map(|stat| {
            let (head, rest) = stat.rsplit_once(')')?;
            let mut fields = rest.split_whitespace();
            let (state, above) = (fields.next()?, fields.next()?);
            (above == parent).then(|| (head.split(' ').next().unwrap().to_owned(), state == "Z"))
        });
        below.collect::<Vec<_>>()
    };
    let (inner, _) = children(&master.pid().to_string()).pop().unwrap();
    eventually("no zombies", || children(&inner).is_empty().then_some(()));
    // `unshare` hears nothing else, and takes the master with it.
    master.signal("KILL");
}
