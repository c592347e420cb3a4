//! The steps of the matrix: each once, as values, written down in the language of either master.

use std::fmt::Write as _;

/// What may become of a step: which masters and wires carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// All of them.
    Everywhere,
    /// Buildbot's own master cannot on msgpack: it answers each question for the next block with nothing.
    NotByBuildbotOnMsgpack,
}

/// A value as both languages have it.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(&'static str),
    Number(f64),
    /// Permissions.
    Mode(u32),
    Flag(bool),
    Nothing,
    List(Vec<Value>),
    Table(Vec<(&'static str, Value)>),
}

/// A step, with its options by name.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) class: &'static str,
    pub(crate) name: &'static str,
    pub(crate) options: Vec<(&'static str, Value)>,
    pub(crate) carried: Carried,
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<const N: usize> From<[&'static str; N]> for Value {
    fn from(texts: [&'static str; N]) -> Self {
        Self::List(texts.map(Self::Text).to_vec())
    }
}

impl Value {
    fn lua(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Number(number) => number.to_string(),
            Self::Mode(mode) => format!("'{mode:o}'"),
            Self::Flag(flag) => flag.to_string(),
            Self::Nothing => "None".to_owned(),
            Self::List(values) => format!("{{ {} }}", joined(values.iter().map(Self::lua))),
            Self::Table(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| format!("[{}] = {}", quoted(key), value.lua()));
                format!("{{ {} }}", joined(pairs))
            }
        }
    }

    fn python(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Number(number) => number.to_string(),
            Self::Mode(mode) => format!("0o{mode:o}"),
            Self::Flag(true) => "True".to_owned(),
            Self::Flag(false) => "False".to_owned(),
            Self::Nothing => "None".to_owned(),
            Self::List(values) => format!("[{}]", joined(values.iter().map(Self::python))),
            Self::Table(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| format!("{}: {}", quoted(key), value.python()));
                format!("{{{}}}", joined(pairs))
            }
        }
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// A text in quotes that mean the same in both languages.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The steps for a factory of Lua's.
pub(crate) fn lua(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        let options = step.options.iter().map(|(name, value)| format!("{name} = {}", value.lua()));
        let options = joined(options);
        writeln!(text, "  steps.{} {{ name = {}, {options} }},", step.class, quoted(step.name)).unwrap();
    }
    text
}

/// The steps for a factory of Python's.
pub(crate) fn python(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        let options = step.options.iter().map(|(name, value)| format!("{name}={}", value.python()));
        let options = joined(options);
        writeln!(text, "  steps.{}(name={}, {options}),", step.class, quoted(step.name)).unwrap();
    }
    text
}

fn shell(name: &'static str, command: impl Into<Value>, options: Vec<(&'static str, Value)>) -> Step {
    let mut all = vec![("command", command.into()), ("logEnviron", false.into())];
    all.extend(options);
    Step { class: "ShellCommand", name, options: all, carried: Carried::Everywhere }
}

fn other(class: &'static str, name: &'static str, mut options: Vec<(&'static str, Value)>) -> Step {
    options.push(("haltOnFailure", false.into()));
    Step { class, name, options, carried: Carried::Everywhere }
}

fn download(class: &'static str, name: &'static str, options: Vec<(&'static str, Value)>) -> Step {
    Step { carried: Carried::NotByBuildbotOnMsgpack, ..other(class, name, options) }
}

/// All of them: each command, each option, and what goes wrong with each.
pub(crate) fn all() -> Vec<Step> {
    let table = Value::Table;
    vec![
        shell("streams", "echo out; echo err >&2", vec![]),
        shell("unfinished", "printf 'no end'", vec![]),
        shell("fails", "echo bad; exit 3", vec![]),
        shell("signal", "kill -9 $$", vec![]),
        shell("silent", "sleep 100", vec![("timeout", 1.0.into())]),
        shell(
            "slow",
            "while :; do echo tick; sleep 0.2; done",
            vec![("maxTime", 1.0.into()), ("want_stdout", false.into())],
        ),
        shell(
            "ends by itself",
            "trap 'echo trapped; exit 0' TERM; echo ready; while :; do sleep 0.1; done",
            vec![("maxTime", 1.0.into()), ("sigtermTime", 20.0.into())],
        ),
        shell("argv", ["printf", "%s|", "a b", "", "it's", "ä", "$HOME", "None", "local"], vec![]),
        shell("stdin", "cat; echo; echo end", vec![("initialStdin", "one\ntwo\n".into())]),
        shell("no stdin", "cat; echo end", vec![]),
        shell("utf8", r"printf 'ä\342\202\254 \377 x\n'", vec![]),
        shell("carriage return", r"printf '10%%\r50%%\r100%%\n'", vec![]),
        shell("long line", "head -c 300000 /dev/zero | tr '\\0' x; echo", vec![]),
        shell("many lines", "seq 1 20000", vec![]),
        shell("no out", "echo no; echo yes >&2", vec![("want_stdout", false.into())]),
        shell("no err", "echo yes; echo no >&2", vec![("want_stderr", false.into())]),
        shell(
            "where",
            "basename \"$PWD\"; basename \"$(dirname \"$PWD\")\"",
            vec![("workdir", "else/where".into())],
        ),
        shell(
            "env",
            "echo \"$A-$B-${C-unset}-${HOME-unset}-$D\"",
            vec![(
                "env",
                table(vec![
                    ("A", "x".into()),
                    ("B", ["y", "z"].into()),
                    ("HOME", Value::Nothing),
                    ("D", "<${PATH_THAT_IS_NOT_SET}>".into()),
                ]),
            )],
        ),
        shell("terminal", "test -t 1 && echo tty", vec![("usePTY", true.into())]),
        shell("lines", "seq 1 100000", vec![("max_lines", 5.0.into()), ("want_stdout", false.into())]),
        shell("group", "sleep 1000 & echo $! > group.pid; sleep 1000 & wait", vec![("timeout", 1.0.into())]),
        shell(
            "group is gone",
            "sleep 0.2; p=$(cat group.pid); if kill -0 $p 2>/dev/null && ! grep -q '^State:.Z' /proc/$p/status; then echo alive; exit 1; fi; echo gone",
            vec![],
        ),
        shell(
            "log files",
            "echo one > a.log; sleep 0.3; echo two >> a.log; echo old > b.log; sleep 2.5; echo new >> b.log; sleep 2.5",
            vec![("logfiles", table(vec![("a", "a.log".into()), ("none", "none.log".into())]))],
        ),
        shell("missing program", ["there-is-no-such-program"], vec![]),
        shell(
            "files",
            "mkdir -p odd/sub odd/empty; cd odd\n\
             printf None > None; printf local > local; printf login > login; : > nothing\n\
             printf y > 'two words'; printf z > 'ä'; ln -s sub/nowhere dangling; chmod 750 sub\n\
             printf e > exe; chmod 755 exe; head -c 300000 /dev/urandom > big; sha1sum big",
            vec![("want_stdout", false.into())],
        ),
        other("FileUpload", "up", vec![("workersrc", "odd/None".into()), ("masterdest", "out/None".into())]),
        other(
            "FileUpload",
            "up nothing",
            vec![("workersrc", "odd/nothing".into()), ("masterdest", "out/nothing".into())],
        ),
        other(
            "FileUpload",
            "up big",
            vec![
                ("workersrc", "odd/big".into()),
                ("masterdest", "out/big".into()),
                ("blocksize", 10_000.0.into()),
            ],
        ),
        other(
            "FileUpload",
            "up missing",
            vec![("workersrc", "missing".into()), ("masterdest", "out/x".into())],
        ),
        other(
            "FileUpload",
            "up too large",
            vec![("workersrc", "odd/None".into()), ("masterdest", "out/x".into()), ("maxsize", 3.0.into())],
        ),
        other("DirectoryUpload", "dir", vec![("workersrc", "odd".into()), ("masterdest", "out/odd".into())]),
        other(
            "DirectoryUpload",
            "dir gz",
            vec![("workersrc", "odd".into()), ("masterdest", "out/gz".into()), ("compress", "gz".into())],
        ),
        other(
            "DirectoryUpload",
            "dir bz2",
            vec![("workersrc", "odd".into()), ("masterdest", "out/bz2".into()), ("compress", "bz2".into())],
        ),
        other(
            "DirectoryUpload",
            "dir missing",
            vec![("workersrc", "missing".into()), ("masterdest", "out/x".into())],
        ),
        other(
            "MultipleFileUpload",
            "many",
            vec![("workersrcs", ["odd/None", "odd/sub"].into()), ("masterdest", "out/many".into())],
        ),
        other(
            "MultipleFileUpload",
            "many by pattern",
            vec![
                ("workersrcs", ["odd/lo*"].into()),
                ("masterdest", "out/glob".into()),
                ("glob", true.into()),
            ],
        ),
        download(
            "StringDownload",
            "text",
            vec![("s", "None".into()), ("workerdest", "down/None".into()), ("mode", Value::Mode(0o600))],
        ),
        download("StringDownload", "no text", vec![("s", "".into()), ("workerdest", "down/empty".into())]),
        download(
            "FileDownload",
            "fetch",
            vec![("mastersrc", "from-master.bin".into()), ("workerdest", "down/deep/fetched".into())],
        ),
        Step {
            carried: Carried::NotByBuildbotOnMsgpack,
            ..shell(
                "fetched",
                "cd down && stat -c '%n %a' None && cat None empty && sha1sum deep/fetched",
                vec![],
            )
        },
        other("MakeDirectory", "mk", vec![("dir", "build/made/deep".into())]),
        other("MakeDirectory", "mk below a file", vec![("dir", "build/odd/None/x".into())]),
        other("CopyDirectory", "cp", vec![("src", "build/odd".into()), ("dest", "cp/deep/odd".into())]),
        other("CopyDirectory", "cp missing", vec![("src", "build/missing".into()), ("dest", "cp2".into())]),
        shell("copied", "cd ../cp/deep/odd && ls -A && readlink dangling && stat -c %a sub exe", vec![]),
        other("RemoveDirectory", "rm", vec![("dir", "cp".into())]),
        other("RemoveDirectory", "rm missing", vec![("dir", "missing".into())]),
        shell("removed", "test ! -e ../cp && echo gone", vec![]),
        Step {
            class: "SetPropertyFromCommand",
            name: "property",
            options: vec![
                ("command", "printf ' a\\nb \\n'".into()),
                ("property", "p".into()),
                ("logEnviron", false.into()),
            ],
            carried: Carried::Everywhere,
        },
    ]
}
