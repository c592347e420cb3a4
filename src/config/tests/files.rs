//! `tests/config`: what is accepted, and what is refused with which text.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{lines, load_file, outline::outline};
use crate::definition::{BuilderDefinition, MasterDefinition, ReconfigPlan};

pub(super) fn lua_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder is part of the repository")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "lua"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds no file", folder.display());
    files
}

/// What this version says of whole kinds of parts, however well they are written.
const SAID_OF_ALL: [&str; 3] = [
    "never counts as missing",
    "does not start its instances yet",
    "which everybody on this machine can read",
];

#[tokio::test]
async fn each_accepted_file_loads_without_a_word() {
    for path in lua_files("accept") {
        let mut said = lines(&load_file(&path).await.check_whole().0);
        said.retain(|line| !SAID_OF_ALL.iter().any(|known| line.contains(known)));
        assert!(said.is_empty(), "{}:\n{}", path.display(), said.join("\n"));
    }
}

/// What a file is about, by its name; what is read of that is compared with the text beside it.
fn told(path: &Path, definition: &MasterDefinition) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let titled = |noun: &str, name: &str| format!("{noun} {name:?}");
    Some(match name.split_once('_')?.0 {
        "master" => {
            let plan = ReconfigPlan::between(&MasterDefinition::nothing(), definition).lines().join("\n");
            let settings = outline(definition.settings.iter().map(|settings| ("c".to_owned(), &**settings)));
            let listeners = definition
                .listeners
                .values()
                .map(|listener| (format!("port of {:?}", listener.id.protocol), &**listener));
            format!("{plan}\n{settings}{}", outline(listeners))
        }
        "builder" => {
            // Their steps have files of their own; here counts that they are there.
            let bare = definition.builders.values().map(|builder| {
                let title =
                    format!("{} (steps: {})", titled("builder", builder.name.as_str()), builder.steps.len());
                (title, BuilderDefinition { steps: Arc::new([]), ..(**builder).clone() })
            });
            let bare: Vec<_> = bare.collect();
            outline(bare.iter().map(|(title, builder)| (title.clone(), builder)))
        }
        "step" => {
            let steps = definition.builders.values().flat_map(|builder| builder.steps.iter());
            outline(steps.map(|step| (titled("step", &step.name), step)))
        }
        "lock" => {
            let locks = definition.locks();
            outline(locks.values().map(|lock| (titled("lock", lock.name.as_str()), &**lock)))
        }
        "scheduler" => {
            outline(definition.schedulers.values().map(|s| (titled("scheduler", s.name.as_str()), &**s)))
        }
        "reporter" => {
            outline(definition.reporters.values().map(|r| (titled("reporter", r.name.as_str()), &**r)))
        }
        _ => return None,
    })
}

/// With `UPDATE_EXPECT=1` the texts are written anew, to be read before they are committed.
#[tokio::test]
async fn each_accepted_file_means_exactly_what_its_text_says() {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for path in lua_files("accept") {
        let Ok(checked) = load_file(&path).await.check() else { continue };
        let Some(told) = told(&path, &checked.definition) else { continue };
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, &told).expect("the text can be written");
        }
        let text = fs::read_to_string(&expected).unwrap_or_default();
        if told != text {
            wrong.push(format!("{}\nmeans:\n{told}expected:\n{text}", path.display()));
        }
        compared += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared >= 10, "each kind of part has its files");
}

/// With `UPDATE_EXPECT=1` the texts are written anew, to be read before they are committed.
#[tokio::test]
async fn each_refused_file_tells_exactly_what_its_text_says() {
    let mut wrong = Vec::new();
    for path in lua_files("refuse") {
        let result = load_file(&path).await.check();
        let said = lines(&result).join("\n") + "\n";
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, &said).expect("the text can be written");
        }
        let text = fs::read_to_string(&expected).unwrap_or_default();
        if result.is_ok() || said != text {
            wrong.push(format!("{}\nsaid:\n{said}expected:\n{text}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
