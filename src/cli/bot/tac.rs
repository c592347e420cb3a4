//! `buildbot.tac`: the settings of a `buildbot-worker`, taken over.
//!
//! # Laws
//! - The file is read, never run: a setting whose value is no plain one is told with its line, and nothing is made.
//! - What is no setting and does not come with every such file is told, too.
//! - No error tells what stands behind a name: it may be the password.
//!
//! # Source
//! The names that `buildbot-worker create-worker` writes.

use std::collections::HashMap;

use crate::{
    cli::bot::{
        endpoint,
        key::Key,
        python::{self, Literal, Statement},
        settings::Settings,
        value::Value,
    },
    definition::Problem,
    model::Place,
};

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Tac {
    /// The settings.
    pub(super) settings: Settings,
    /// What the file says besides, each a warning.
    pub(super) left_out: Vec<Problem>,
}

/// The names with a meaning of their own here.
const HOST: &str = "buildmaster_host";
const PORT: &str = "port";

/// The other settings, by their names in the file.
const NAMES: [(&str, Key); 18] = [
    ("workername", Key::Name),
    ("slavename", Key::Name),
    ("passwd", Key::Password),
    ("connection_string", Key::ConnectionString),
    ("proxy_connection_string", Key::ProxyConnectionString),
    ("protocol", Key::Protocol),
    ("use_tls", Key::UseTls),
    ("useTls", Key::UseTls),
    ("keepalive", Key::Keepalive),
    ("maxdelay", Key::Maxdelay),
    ("maxretries", Key::Maxretries),
    ("maxRetries", Key::Maxretries),
    ("allow_shutdown", Key::AllowShutdown),
    ("numcpus", Key::Numcpus),
    ("umask", Key::Umask),
    ("delete_leftover_dirs", Key::DeleteLeftoverDirs),
    ("rotateLength", Key::LogSize),
    ("maxRotatedFiles", Key::LogCount),
];

/// What each such file assigns and no worker of ours needs: its folder is where its settings are, its log is its own,
/// and its commands get a terminal when their step says so.
const NOT_NEEDED: [&str; 5] = ["basedir", "application", "logfile", "s", "usepty"];

fn setting(name: &str) -> Option<Key> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, key)| *key)
}

fn is_setting(name: &str) -> bool {
    name == HOST || name == PORT || setting(name).is_some()
}

/// Reads the text of a file of this name.
pub(super) fn parse(file: &str, text: &str) -> Result<Tac, Vec<Problem>> {
    let mut reader = Reader {
        file,
        settings: Settings::default(),
        places: HashMap::new(),
        address: (None, None),
        problems: Vec::new(),
        left_out: Vec::new(),
    };
    for statement in python::statements(text) {
        reader.statement(&statement);
    }
    reader.finish()
}

struct Reader<'a> {
    file: &'a str,
    settings: Settings,
    /// The line of each setting that was given, by its name in the file.
    places: HashMap<&'static str, u32>,
    /// Host and port.
    address: (Option<String>, Option<i64>),
    problems: Vec<Problem>,
    left_out: Vec<Problem>,
}

impl Reader<'_> {
    fn statement(&mut self, statement: &Statement) {
        let text = statement.text.as_str();
        let first = text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let Some((name, value)) = assignment(text) else {
            let comes_with_every_file =
                matches!(first, "import" | "from" | "application" | "s") || text.starts_with("if basedir ");
            if !comes_with_every_file {
                self.leave_out(statement, "this statement is not taken over".to_owned());
            }
            return;
        };
        if !is_setting(name) {
            if let Some(arguments) = worker_call(value) {
                self.arguments(statement, arguments);
            } else if !NOT_NEEDED.contains(&name) {
                self.leave_out(statement, format!("`{name}` is not taken over"));
            }
            return;
        }
        let problem = match python::literal(value) {
            Some(_) if statement.in_block => {
                Some("it is set in a block; write it without conditions".to_owned())
            }
            Some(value) => self.set(name, value, statement.line).err(),
            None => Some("only a plain value is read, as 'x' or 600".to_owned()),
        };
        if let Some(known) =
            NAMES.iter().map(|(known, _)| *known).chain([HOST, PORT]).find(|known| *known == name)
        {
            self.places.insert(known, statement.line);
        }
        if let Some(text) = problem {
            let place = Place::new(self.file, statement.line);
            self.problems.push(Problem::error(place, format!("`{name}`: {text}")));
        }
    }

    fn set(&mut self, name: &str, value: Literal, line: u32) -> Result<(), String> {
        let Some(key) = setting(name) else {
            match (name, value) {
                (HOST, Literal::Text(host)) => self.address.0 = Some(host),
                (PORT, Literal::Number(port)) => self.address.1 = Some(port),
                (_, Literal::None) => {}
                _ => return Err("it takes the text of a host, or the number of a port".to_owned()),
            }
            return Ok(());
        };
        let value = match (key, value) {
            (Key::Keepalive | Key::LogSize, Literal::None) => Value::Number(0),
            (Key::LogCount, Literal::None) => {
                let place = Place::new(self.file, line);
                let text = format!("`{name}`: all old logs are kept there; here the newest {MOST_LOGS} are");
                self.left_out.push(Problem::warning(place, "", text));
                Value::Number(MOST_LOGS)
            }
            (_, Literal::None) => return Ok(()),
            (Key::UseTls | Key::DeleteLeftoverDirs, Literal::Number(number @ (0 | 1))) => {
                Value::Flag(number == 1)
            }
            // Python counts; how the digits were written is gone.
            (Key::Umask, Literal::Number(number)) => Value::Octal(number),
            (_, Literal::Flag(flag)) => Value::Flag(flag),
            (_, Literal::Number(number)) => Value::Number(number),
            (_, Literal::Text(text)) => Value::Text(text),
        };
        self.settings.set(key, value)
    }

    /// Looks at what the worker is called with: names that were set before, or something that is lost.
    fn arguments(&mut self, statement: &Statement, arguments: &str) {
        for argument in split_arguments(arguments) {
            let (keyword, value) =
                assignment(argument).map_or((None, argument), |(name, value)| (Some(name), value));
            let is_known = |name: &str| is_setting(name) || NOT_NEEDED.contains(&name);
            if is_known(value) && keyword.is_none_or(is_known) {
                continue;
            }
            let what = keyword.map_or_else(|| "one".to_owned(), |name| format!("`{name}`"));
            let text = format!("of the arguments of the worker {what} is not taken over");
            self.leave_out(statement, text);
        }
    }

    fn leave_out(&mut self, statement: &Statement, text: String) {
        self.left_out.push(Problem::warning(Place::new(self.file, statement.line), "", text));
    }

    fn finish(mut self) -> Result<Tac, Vec<Problem>> {
        if let Some(host) = self.address.0.take() {
            let port = self.address.1.unwrap_or_else(|| endpoint::DEFAULT_PORT.into());
            let address =
                if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
            if let Err(text) = self.settings.set(Key::Master, Value::Text(address)) {
                let line = self.places.get(HOST).copied().unwrap_or_default();
                self.problems.push(Problem::error(Place::new(self.file, line), format!("`{HOST}`: {text}")));
            }
        }
        for wrong in self.settings.wrongs() {
            let name_of =
                |key: Key| NAMES.iter().find(|(_, known)| *known == key).map_or(HOST, |(name, _)| *name);
            let alternatives = wrong.key.alternatives().iter().copied().chain([wrong.key]);
            let was_given = alternatives.map(name_of).any(|name| self.places.contains_key(name));
            // What was refused is not missing.
            if wrong.is_absence() && was_given && !self.problems.is_empty() {
                continue;
            }
            let name = name_of(wrong.key);
            let line = self.places.get(name).copied().unwrap_or_default();
            let text = format!("`{name}`: {}", wrong.text);
            self.problems.push(Problem::error(Place::new(self.file, line), text));
        }
        if self.problems.is_empty() {
            Ok(Tac { settings: self.settings, left_out: self.left_out })
        } else {
            Err(self.problems)
        }
    }
}

/// The most old logs that are kept.
const MOST_LOGS: i64 = 9999;

/// `NAME = VALUE`, and nothing else with a `=`.
fn assignment(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_name && !value.starts_with('=')).then(|| (name, value.trim()))
}

/// What stands in the brackets of the call that makes the worker.
fn worker_call(value: &str) -> Option<&str> {
    let (called, arguments) = value.split_once('(')?;
    let name = called.trim().rsplit('.').next()?;
    matches!(name, "Worker" | "BuildSlave").then(|| arguments.strip_suffix(')').unwrap_or(arguments))
}

/// Splits at commas outside of brackets and strings.
fn split_arguments(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let mut quote = None;
    text.split(move |c: char| {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0 && quote.is_none()
    })
    .map(str::trim)
    .filter(|argument| !argument.is_empty())
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;
    use crate::{
        bot::remote::{AllowShutdown, Wire},
        cli::log_file::Rotation,
        model::Secret,
    };

    const BASE: &str = "buildmaster_host = 'ci'\nport = 9989\nworkername = 'bot1'\npasswd = 'sesame'\n";

    fn read(text: &str) -> Tac {
        parse("buildbot.tac", text).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn shown(problems: &[Problem]) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_settings_are_taken_over() {
        let text = "from x import y\nbasedir = '/w'\nrotateLength = 5000\nmaxRotatedFiles = 3\n\
            buildmaster_host = '::1'\nport = 9990\nconnection_string = None\nworkername = u'bot1'\n\
            passwd = 'ses\\'\\xe4\\\\me'\nkeepalive = None\numask = 0o022\nmaxdelay = 7\nnumcpus = 8\n\
            allow_shutdown = 'file'\nmaxretries = 3\nuse_tls = 1\ndelete_leftover_dirs = True\n\
            proxy_connection_string = 'tcp:proxy:3128'\nprotocol = 'msgpack_experimental_v7'\n\
            s = Worker(buildmaster_host, port, workername, passwd, basedir, keepalive,\n    umask=umask,\n    \
            maxRetries=maxretries, useTls=use_tls, protocol=protocol)\ns.setServiceParent(application)\n";
        let tac = read(text);
        assert_eq!(shown(&tac.left_out), Vec::<String>::new());
        let expected = Settings {
            name: "bot1".to_owned(),
            password: Some(Secret::new("ses'ä\\me")),
            master: Some(("::1".to_owned(), 9990)),
            proxy_connection_string: Some("tcp:proxy:3128".to_owned()),
            protocol: Wire::Msgpack,
            use_tls: true,
            keepalive: 0,
            maxdelay: 7,
            maxretries: NonZeroU32::new(3),
            allow_shutdown: Some(AllowShutdown::File),
            numcpus: NonZeroU32::new(8),
            umask: Some(0o022),
            delete_leftover_dirs: true,
            log: Rotation { bytes: NonZeroU64::new(5000), kept: 3 },
            ..Settings::default()
        };
        assert_eq!(tac.settings, expected);
    }

    #[test]
    fn a_connection_string_stands_in_for_host_and_port() {
        let text = "buildmaster_host = None\nport = None\nconnection_string = 'unix:/run/ci'\nslavename = 'b'\npasswd = 'p'\n";
        let settings = read(text).settings;
        assert_eq!((settings.master, settings.connection_string.as_deref()), (None, Some("unix:/run/ci")));
    }

    #[test]
    fn what_is_no_plain_value_is_told_with_its_line_and_without_its_text() {
        let text = "buildmaster_host = os.environ['CI']\nport = 9989\nworkername = 'a' + 'b'\n\
            passwd = open('sesame').read()\nif x:\n    keepalive = 3\numask = 0o1777\nuse_tls = 2\n";
        let problems = parse("buildbot.tac", text).unwrap_err();
        assert_eq!(
            shown(&problems),
            [
                "buildbot.tac:1: `buildmaster_host`: only a plain value is read, as 'x' or 600",
                "buildbot.tac:3: `workername`: only a plain value is read, as 'x' or 600",
                "buildbot.tac:4: `passwd`: only a plain value is read, as 'x' or 600",
                "buildbot.tac:6: `keepalive`: it is set in a block; write it without conditions",
                "buildbot.tac:7: `umask`: it takes a mask in octal, as \"022\"",
                "buildbot.tac:8: `use_tls`: it takes true or false",
            ]
        );
        let missing = parse("buildbot.tac", "port = 9989\n").unwrap_err();
        assert_eq!(
            shown(&missing),
            [
                "buildbot.tac: `workername`: it is missing",
                "buildbot.tac: `passwd`: it is missing",
                "buildbot.tac: `buildmaster_host`: it is missing",
            ]
        );
        let port = parse("buildbot.tac", &BASE.replace("9989", "99890")).unwrap_err();
        assert_eq!(
            shown(&port),
            ["buildbot.tac:1: `buildmaster_host`: the port is \"99890\", and not a number from 1 to 65535"]
        );
    }

    #[test]
    fn what_is_left_out_is_told() {
        let text = format!(
            "{BASE}os.environ['X'] = 'sesame'\nextra = 'sesame'\nmaxRotatedFiles = None\n\
             s = bot.Worker(buildmaster_host, 9989, workername, passwd, basedir, unicode_encoding='sesame', use_tls=True)\n\
             if basedir == '.':\n    basedir = 'x'\ndef hook(): pass\n"
        );
        assert_eq!(
            shown(&read(&text).left_out),
            [
                "buildbot.tac:5: warning: this statement is not taken over",
                "buildbot.tac:6: warning: `extra` is not taken over",
                "buildbot.tac:7: warning: `maxRotatedFiles`: all old logs are kept there; here the newest 9999 are",
                "buildbot.tac:8: warning: of the arguments of the worker one is not taken over",
                "buildbot.tac:8: warning: of the arguments of the worker `unicode_encoding` is not taken over",
                "buildbot.tac:8: warning: of the arguments of the worker `use_tls` is not taken over",
                "buildbot.tac:11: warning: this statement is not taken over",
            ]
        );
    }
}
