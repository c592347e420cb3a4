//! `lunabot-worker create-worker`: a folder for a new worker, or for one that was Buildbot's.
//!
//! # Laws
//! - A folder that has settings is not touched without `--force`; notes for people are never written over.
//! - The settings are for their owner alone from their first byte on, and a reader sees the old ones or the new ones.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;

use crate::{
    cli::{
        bot::{
            file,
            folder::WorkerFolder,
            key::Key,
            options::{Options, mistakes},
            settings::Settings,
            tac,
            value::Value,
        },
        failure::{Failure, HINT, Kind},
        password,
    },
    model::Secret,
};

/// What stands for standard input.
const STDIN: &str = "-";

/// Makes the folder.
pub(super) async fn run(options: Options) -> Result<ExitCode, Failure> {
    let folder = WorkerFolder::new(&options.dir);
    let is_there = folder.settings().exists();
    if is_there && !options.force {
        let text = format!("there is a worker in {} already", options.dir.display());
        let hint = format!(
            "start it with `lunabot-worker start {}`; `--force` writes its settings anew",
            options.dir.display()
        );
        return Err(Failure::message(Kind::Failed, text).hint(hint));
    }
    let settings =
        if options.from_tac { taken_over(&folder)? } else { from_options(&options, &folder).await? };
    write(&folder, &settings).map_err(|error| {
        Failure::new(Kind::Failed, error)
            .hint("check the owner and mode of the folder, and the space on its disk".to_owned())
    })?;
    if !options.quiet {
        told(&options, &folder, &settings, is_there);
    }
    Ok(ExitCode::SUCCESS)
}

async fn from_options(options: &Options, folder: &WorkerFolder) -> Result<Settings, Failure> {
    let mut settings = options.settings()?;
    if folder.tac().exists() {
        let dir = folder.root().display();
        options.note(&format!("{dir} has a buildbot.tac; `lunabot-worker create-worker --from-tac {dir}` takes its settings over"));
    }
    let is_stdin = |text: &str| text == STDIN;
    let from_file = options.password_file.as_deref().filter(|path| !path.to_str().is_some_and(is_stdin));
    let wrong = match (from_file, &options.password) {
        (Some(path), _) => {
            if let Err(error) = password::from_file(path) {
                let path = path.display();
                options.note(&format!(
                    "{path} cannot be read now: {error}; it is read at each start of the worker"
                ));
            }
            settings.set(Key::PasswordFile, options.stored(path)?)
        }
        (None, Some(given)) if !is_stdin(given.expose()) => {
            options.note(
                "the password stood in the command line, where others can see it while the command runs; \
                 without PASSWORD it is asked for",
            );
            settings.set(Key::Password, Value::Text(given.expose().to_owned()))
        }
        (None, given) => {
            let password = ask(&settings, given.is_some() || options.password_file.is_some()).await?;
            settings.set(Key::Password, Value::Text(password.expose().to_owned()))
        }
    };
    wrong.map_err(|text| mistakes(vec![super::check::Wrong { key: Key::Password, text }]))?;
    Ok(settings)
}

/// Asks for the password, or reads it from where it was said to come from.
async fn ask(settings: &Settings, from_stdin: bool) -> Result<Secret, Failure> {
    use io::IsTerminal as _;
    if !from_stdin && !io::stdin().is_terminal() {
        let text = "there is no password, and no terminal to ask for it";
        let hint =
            "`--password-file FILE` names a file that has it; `-` as PASSWORD reads it from standard input";
        return Err(Failure::message(Kind::Usage, text).hint(hint.to_owned()));
    }
    password::from_stdin(&format!("Password of {}", settings.name), false).await
}

/// The settings of a `buildbot-worker`.
fn taken_over(folder: &WorkerFolder) -> Result<Settings, Failure> {
    let path = folder.tac();
    let shown = path.display().to_string();
    let text = fs::read_to_string(&path).map_err(|error| {
        let text = format!("cannot read {shown}: {error}");
        let hint = "`--from-tac` is for a folder that `buildbot-worker create-worker` has made".to_owned();
        Failure::message(Kind::Failed, text).hint(hint)
    })?;
    let found = tac::parse(&shown, &text).map_err(|problems| {
        let hint = "mend these lines, or make the worker with options instead of `--from-tac`".to_owned();
        Failure::message(Kind::Failed, format!("{shown} cannot be taken over; nothing was made"))
            .problems(problems)
            .hint(hint)
    })?;
    // Also with `--quiet`: something is lost.
    for problem in &found.left_out {
        anstream::eprintln!("{problem}");
    }
    Ok(found.settings)
}

fn write(folder: &WorkerFolder, settings: &Settings) -> anyhow::Result<()> {
    let info = folder.info();
    fs::create_dir_all(&info).with_context(|| format!("cannot make the folder {}", info.display()))?;
    for (name, text) in [("admin", ADMIN), ("host", HOST)] {
        write_new(&info.join(name), text)?;
    }
    // Last: a folder with settings is a whole worker.
    let path = folder.settings();
    replace(&path, &file::written(settings)).with_context(|| format!("cannot write {}", path.display()))
}

const ADMIN: &str = "Who looks after this worker: name <address> (to be edited)\n";
const HOST: &str = "What this machine is: system, compilers, purpose (to be edited)\n";

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let open = OpenOptions::new().write(true).create_new(true).open(path);
    match open.and_then(|mut file| file.write_all(text.as_bytes())) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.with_context(|| format!("cannot write {}", path.display())),
    }
}

/// Writes a file for its owner alone, beside the old one until all of it is there.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let aside = path.with_extension("toml.new");
    // What a command that was killed has left.
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, path)
}

impl Options {
    fn note(&self, text: &str) {
        if !self.quiet {
            anstream::eprintln!("{HINT}note:{HINT:#} {text}");
        }
    }
}

fn told(options: &Options, folder: &WorkerFolder, settings: &Settings, was_there: bool) {
    let dir = folder.root().display();
    for (key, path) in
        [(Key::TlsCa, &settings.tls_ca), (Key::TlsCert, &settings.tls_cert), (Key::TlsKey, &settings.tls_key)]
    {
        if let Some(path) = path.as_ref().map(|path| folder.root().join(path)).filter(|path| !path.exists()) {
            options.note(&format!("`{}`: there is no {} yet", key.name(), path.display()));
        }
    }
    if let Some(pid) = twistd(folder) {
        options.note(&format!(
            "a buildbot-worker may run in {dir}, with the process id {pid}; `buildbot-worker stop {dir}` ends it"
        ));
    }
    if folder.holder().is_some() {
        options.note(&format!(
            "the worker that runs in {dir} has the old settings until `lunabot-worker restart {dir}`"
        ));
    }
    if options.from_tac {
        anstream::println!(
            "the worker of Buildbot in {dir}, {}, is one of Lunabot's now, too",
            settings.name
        );
    } else if was_there {
        anstream::println!("the settings of worker {} in {dir} are written anew", settings.name);
    } else {
        anstream::println!("a new worker, {}, lies in {dir}", settings.name);
    }
    anstream::println!("  its settings:      {}", folder.settings().display());
    anstream::println!("  notes for people:  {0}/admin, {0}/host", folder.info().display());
    anstream::println!("  start it:          lunabot-worker start {dir}");
}

/// The process id that a running `buildbot-worker` has left in the folder.
fn twistd(folder: &WorkerFolder) -> Option<u32> {
    let pid = fs::read_to_string(folder.root().join("twistd.pid")).ok()?.trim().parse().ok()?;
    Path::new(&format!("/proc/{pid}")).exists().then_some(pid)
}
