//! `tests/config`: what is accepted, and what is refused with which text.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{lines, load_file};
use crate::definition::{check, latent::NOT_STARTED};

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

#[tokio::test]
async fn each_accepted_file_loads_without_a_word() {
    for path in lua_files("accept") {
        let mut result = check(load_file(&path).await.draft);
        if let Ok(checked) = &mut result {
            // Said of every latent worker, as long as no version starts them.
            checked.warnings.retain(|warning| warning.kind != NOT_STARTED);
        }
        let said = lines(&result);
        assert!(said.is_empty(), "{}:\n{}", path.display(), said.join("\n"));
    }
}

/// With `UPDATE_EXPECT=1` the texts are written anew, to be read before they are committed.
#[tokio::test]
async fn each_refused_file_tells_exactly_what_its_text_says() {
    let mut wrong = Vec::new();
    for path in lua_files("refuse") {
        let result = check(load_file(&path).await.draft);
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
