//! `DIR/worker.toml`: the settings of a worker, as its operator edits them.
//!
//! # Laws
//! - What is written is read as the same settings.
//! - All that is wrong is told at once, each with its line; what is not known is wrong.
//! - No error tells a value that may be the password.
//! - A file that holds the password is refused if it is not private: as ssh refuses a key, since a warning in a log
//!   would protect nobody, and one `chmod` does. One of our own must be closed to all others. One that belongs to
//!   another user, as root, must be closed to those outside its group: that is how a package hands it to a service.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use toml::de::{DeTable, DeValue};

use crate::{
    cli::{
        bot::{key::Key, settings::Settings, value::Value},
        failure::{Failure, Kind},
    },
    definition::{Problem, suggest::did_you_mean},
    model::Place,
};

/// The longest file: more is no list of settings.
const FILE_BYTES: u64 = 256 * 1024;

/// Reads the settings.
pub(super) fn read(path: &Path) -> Result<Settings, Failure> {
    let shown = path.display().to_string();
    let unreadable =
        |error: io::Error| Failure::message(Kind::Failed, format!("cannot read {shown}: {error}"));
    let mut text = String::new();
    // Asked first: opening a pipe would wait for whoever writes to it.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("it is no file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    file.take(FILE_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    let settings = parse(&shown, &text).map_err(|problems| {
        let count =
            if problems.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", problems.len()) };
        Failure::message(Kind::Failed, format!("{shown} has {count}")).problems(problems)
    })?;
    if settings.password.is_some() && is_open(&metadata, rustix::process::geteuid().as_raw()) {
        let mode = metadata.mode() & 0o7777;
        let text =
            format!("{shown} holds a password, and others may read it or write it (its mode is {mode:04o})");
        let hint =
            format!("`chmod 600 {shown}` closes it; or `password_file` names a file that holds the password");
        return Err(Failure::message(Kind::Failed, text).hint(hint));
    }
    Ok(settings)
}

/// Whether those whom it does not concern may read or write a file.
fn is_open(metadata: &Metadata, me: u32) -> bool {
    let closed = if metadata.uid() == me { 0o066 } else { 0o006 };
    metadata.mode() & closed != 0
}

fn parse(file: &str, text: &str) -> Result<Settings, Vec<Problem>> {
    let at = |offset: usize| {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        Place::new(file, u32::try_from(line).unwrap_or(u32::MAX))
    };
    let table = DeTable::parse(text).map_err(|error| {
        let place = error.span().map_or_else(|| Place::new(file, 0), |span| at(span.start));
        // Not the whole error, which would show the line.
        vec![Problem::error(place, error.message())]
    })?;
    let mut entries: Vec<_> = table.into_inner().into_iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let mut settings = Settings::default();
    let mut places = HashMap::new();
    let mut problems = Vec::new();
    for (name, value) in entries {
        let place = at(name.span().start);
        let Some(key) = Key::named(name.get_ref()) else {
            let text = format!("unknown setting `{}`", name.get_ref());
            let hint = did_you_mean(name.get_ref(), Key::ALL.map(Key::name));
            problems.push(Problem::error(place, text).hint(hint));
            continue;
        };
        if let Err(text) = settings.set(key, value_of(value.into_inner())) {
            problems.push(Problem::error(place.clone(), format!("`{}`: {text}", key.name())));
        }
        places.insert(key.name(), place);
    }
    // What was refused is not missing.
    let was_given = |key: Key| key.alternatives().iter().any(|key| places.contains_key(key.name()));
    for wrong in settings.wrongs() {
        if wrong.is_absence() && was_given(wrong.key) {
            continue;
        }
        let place = places.get(wrong.key.name()).cloned().unwrap_or_else(|| Place::new(file, 0));
        problems.push(Problem::error(place, format!("`{}`: {}", wrong.key.name(), wrong.text)));
    }
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

fn value_of(value: DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i64::MAX);
            if integer.radix() == 8 { Value::Octal(number) } else { Value::Number(number) }
        }
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Array(values) => {
            let texts = values.into_iter().map(|value| match value.into_inner() {
                DeValue::String(text) => Some(text.into_owned()),
                _ => None,
            });
            texts.collect::<Option<_>>().map_or(Value::Other, Value::Texts)
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Value::Other,
    }
}

/// The file for these settings: each of them with what it means; what has its default is commented out.
pub(super) fn written(settings: &Settings) -> String {
    let mut out = String::from(HEAD);
    let defaults = Settings::default();
    for key in Key::ALL {
        out.push('\n');
        for line in key.about() {
            out.push_str("# ");
            out.push_str(line);
            out.push('\n');
        }
        let (mark, value) = match (settings.shown(key), defaults.shown(key)) {
            (Some(value), default) if default.as_ref() != Some(&value) => ("", value),
            (_, Some(default)) => ("# ", default),
            (_, None) => ("# ", key.example().to_owned()),
        };
        writeln!(out, "{mark}{} = {value}", key.name()).expect("a text takes all");
    }
    out
}

const HEAD: &str = "\
# The settings of a worker, which `lunabot-worker start` reads once, when it starts. The format is TOML.
#
# A setting that is commented out shows its default, or an example if it has none. Relative paths are below this folder.
";

#[cfg(test)]
mod tests {
    use std::{
        fs,
        num::{NonZeroU32, NonZeroU64},
        os::unix::fs::PermissionsExt as _,
    };

    use super::*;
    use crate::{
        bot::remote::{AllowShutdown, Wire},
        cli::log_file::Rotation,
        model::Secret,
    };

    fn minimal() -> Settings {
        Settings {
            name: "bot1".to_owned(),
            password: Some(Secret::new("sesame")),
            master: Some(("ci".to_owned(), 9989)),
            ..Settings::default()
        }
    }

    fn whole() -> Settings {
        Settings {
            name: "bot \"1\" \\ ä".to_owned(),
            password: None,
            password_file: Some("a pass\"word".into()),
            master: Some(("::1".to_owned(), 9990)),
            connection_string: None,
            proxy_connection_string: Some("tcp:proxy:3128".to_owned()),
            protocol: Wire::Msgpack,
            use_tls: true,
            tls_ca: Some("/etc/roots".into()),
            tls_cert: Some("cert.pem".into()),
            tls_key: Some("key.pem".into()),
            tls_server_name: Some("ci.example.org".to_owned()),
            keepalive: 0,
            maxdelay: 7,
            maxretries: NonZeroU32::new(3),
            allow_shutdown: Some(AllowShutdown::File),
            numcpus: NonZeroU32::new(8),
            umask: Some(0o022),
            delete_leftover_dirs: true,
            environment_blacklist: vec!["SECRET_*".to_owned(), "X".to_owned()],
            log: Rotation { bytes: NonZeroU64::new(5000), kept: 3 },
        }
    }

    fn problems(text: &str) -> Vec<String> {
        parse("worker.toml", text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    const HEAD: &str = "name = 'bot1'\npassword = 'sesame'\nmaster = 'ci'\n";

    #[test]
    fn what_is_written_is_read_as_the_same_settings() {
        let unset = Settings { log: Rotation { bytes: None, kept: 10 }, ..minimal() };
        let by_string = Settings {
            master: None,
            connection_string: Some(r"unix:path=/run/a\:b".to_owned()),
            ..minimal()
        };
        for settings in [minimal(), whole(), unset, by_string] {
            let text = written(&settings);
            assert_eq!(parse("worker.toml", &text).unwrap(), settings, "{text}");
        }
    }

    #[test]
    fn every_setting_stands_in_a_new_file_and_every_commented_line_could_be_used() {
        let text = written(&minimal());
        for key in Key::ALL {
            let lines = text.lines().filter(|line| {
                line.strip_prefix("# ").unwrap_or(line).starts_with(&format!("{} = ", key.name()))
            });
            let [line] = lines.collect::<Vec<_>>()[..] else { panic!("{key:?}: {text}") };
            let line = line.strip_prefix("# ").unwrap_or(line);
            let table = DeTable::parse(line).unwrap().into_inner();
            let (_, value) = table.into_iter().next().unwrap();
            Settings::default()
                .set(key, value_of(value.into_inner()))
                .unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once_each_with_its_line() {
        let text = "name = 'bot1'\n\nkeep_alive = 3\nmaxdelay = -1\npassword = 12\nmaster = 'ci:http'\n[tls]\nca = 1\n";
        assert_eq!(
            problems(text),
            [
                "worker.toml:3: unknown setting `keep_alive`, did you mean `keepalive`?",
                "worker.toml:4: `maxdelay`: it takes a whole number from 1 to 86400, not -1",
                "worker.toml:5: `password`: it takes a text of one line",
                "worker.toml:6: `master`: the port is \"http\", and not a number from 1 to 65535",
                "worker.toml:7: unknown setting `tls`",
            ]
        );
        assert_eq!(
            problems(""),
            [
                "worker.toml: `name`: it is missing",
                "worker.toml: `password`: it is missing",
                "worker.toml: `master`: it is missing",
            ]
        );
    }

    #[test]
    fn each_setting_says_what_it_takes() {
        for (line, wanted) in [
            ("umask = 22", "`umask`: it takes a mask in octal, as \"022\"; this number is decimal"),
            ("umask = '088'", "`umask`: it takes a mask in octal, as \"022\""),
            ("umask = 0o1777", "`umask`: it takes a mask in octal, as \"022\""),
            (
                "protocol = 'pbx'",
                "`protocol`: it takes \"pb\" or \"msgpack\" or \"msgpack_experimental_v7\", not \"pbx\"",
            ),
            ("allow_shutdown = true", "`allow_shutdown`: it takes \"signal\" or \"file\""),
            ("use_tls = 1", "`use_tls`: it takes true or false"),
            ("maxretries = 0", "`maxretries`: it takes a whole number from 1 to 1000000, not 0"),
            ("log_count = 1.5", "`log_count`: it takes a whole number from 1 to 9999"),
            (
                "environment_blacklist = 'X'",
                "`environment_blacklist`: it takes a list of names, as [\"SECRET_*\"]",
            ),
            ("environment_blacklist = ['A=']", "`environment_blacklist`: no variable has a name like \"A=\""),
            ("tls_ca = 'ca.pem'", "`tls_ca`: it is for TLS, which is not used"),
            ("tls_ca = ''", "`tls_ca`: it is empty"),
            ("proxy_connection_string = 'unix:x'", "`proxy_connection_string`: a proxy is `tcp:HOST:PORT`"),
            (
                "connection_string = 'tcp:x:1'",
                "`connection_string`: the address of the master is given already",
            ),
            ("password_file = 'p'", "`password_file`: the password is given already"),
        ] {
            assert_eq!(problems(&format!("{HEAD}{line}\n")), [format!("worker.toml:4: {wanted}")]);
        }
        let tls = "use_tls = true\ntls_cert = 'c'\n";
        assert_eq!(
            problems(&format!("{HEAD}{tls}")),
            ["worker.toml: `tls_key`: it is missing; the certificate needs it"]
        );
        let string = "name = 'b'\npassword = 'p'\nconnection_string = 'tls:ci:1'\n";
        assert_eq!(
            problems(&format!("{string}use_tls = true\ntls_ca = 'ca'\n")),
            [
                "worker.toml:4: `use_tls`: a connection string says this itself, by `tls:`",
                "worker.toml:5: `tls_ca`: with a connection string it stands in that",
            ]
        );
        let colon = HEAD.replace("bot1", "bot:1") + "protocol = 'msgpack'\n";
        assert_eq!(
            problems(&colon),
            ["worker.toml:1: `name`: a name that is spoken over msgpack holds no `:`"]
        );
    }

    #[test]
    fn no_error_shows_the_password() {
        for text in [
            "password = 'sesame\n",
            "password = sesame\n",
            "password = ['sesame']\n",
            "password = 'sesame'\npassword = 'sesame'\n",
            "password = \"ses\\u0000sesame\"\n",
        ] {
            let told = problems(text).join("\n");
            assert!(told.contains("worker.toml:") && !told.contains("sesame"), "{told}");
        }
    }

    #[test]
    fn a_file_with_a_password_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.toml");
        let read_with = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read(&path)
        };
        assert_eq!(read_with(HEAD, 0o600).unwrap(), minimal());
        for mode in [0o644, 0o640, 0o606, 0o620] {
            assert!(read_with(HEAD, mode).is_err(), "{mode:o}");
        }
        assert!(read_with(&HEAD.replace("password", "password_file"), 0o644).is_ok(), "it holds none");
        // One of another user is judged by what those outside its group may.
        let metadata = |mode: u32| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path.metadata().unwrap()
        };
        let other = metadata(0o640).uid() + 1;
        assert!(!is_open(&metadata(0o640), other) && is_open(&metadata(0o644), other));
    }
}
