//! What an editor tells of a configuration, by a real checker of types: `emmylua_check`.
//!
//! It runs in a folder as `create-master` makes it, so what it finds is what an operator's editor finds.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    lua_blocks::{files_below, lua_blocks},
    support::{master::lunabot, skip::skip, tree::crate_root},
};

/// What is told of a file: the codes for each line, in their order.
type Told = BTreeMap<usize, Vec<String>>;

/// The checker, if there is one on this machine.
fn checker(test: &str) -> Option<PathBuf> {
    let found =
        std::env::var_os("LUNABOT_TEST_EMMYLUA_CHECK").filter(|path| !path.is_empty()).map(PathBuf::from);
    if found.is_none() {
        skip(test, "LUNABOT_TEST_EMMYLUA_CHECK is not set");
    }
    found
}

/// A folder as `create-master` makes it for editors, and nothing else.
fn workspace() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("lb").tempdir_in("/tmp").unwrap();
    let made = lunabot().args(["create-master", "--editor"]).arg(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder
}

/// Checks all files of a folder: warnings and errors, by the name of the file. Hints are matters of taste.
fn check(program: &Path, folder: &Path) -> BTreeMap<String, Told> {
    #[expect(clippy::disallowed_methods, reason = "the test plays the editor")]
    let output = std::process::Command::new(program)
        .args(["--severity", "warn", "--output-format", "json"])
        .arg(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let files: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let mut all = BTreeMap::new();
    for file in files.as_array().unwrap() {
        let path = PathBuf::from(file["file"].as_str().unwrap());
        let mut told = Told::new();
        for diagnostic in file["diagnostics"].as_array().unwrap() {
            let line = usize::try_from(diagnostic["range"]["start"]["line"].as_u64().unwrap()).unwrap() + 1;
            told.entry(line).or_default().push(diagnostic["code"].as_str().unwrap().to_owned());
        }
        for codes in told.values_mut() {
            codes.sort();
        }
        let name = path.strip_prefix(folder.canonicalize().unwrap()).unwrap().display().to_string();
        all.insert(name, told);
    }
    all
}

/// What the comments of a file want: `--! code code` at the end of a line.
fn wanted(text: &str) -> Told {
    let mut wanted = Told::new();
    for (line, text) in (1..).zip(text.lines()) {
        if let Some((_, codes)) = text.split_once("--! ") {
            let mut codes: Vec<String> = codes.split_whitespace().map(str::to_owned).collect();
            codes.sort();
            wanted.insert(line, codes);
        }
    }
    wanted
}

#[test]
fn an_editor_has_nothing_to_say_about_good_configurations() {
    let Some(program) = checker("an_editor_has_nothing_to_say_about_good_configurations") else { return };
    let root = crate_root();
    let folder = workspace();
    let mut count = 0;
    let mut add = |name: &Path, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        count += 1;
    };
    for example in files_below(&root.join("examples"), "lua") {
        add(example.strip_prefix(&root).unwrap(), &fs::read_to_string(&example).unwrap());
    }
    add(Path::new("template.lua"), &fs::read_to_string(root.join("src/cli/master.cfg.lua")).unwrap());
    let mut documents = files_below(&root.join("docs"), "md");
    documents.push(root.join("README.md"));
    for document in documents {
        let name = document.file_stem().unwrap().to_str().unwrap();
        for (line, block) in lua_blocks(&fs::read_to_string(&document).unwrap()) {
            add(Path::new(&format!("{name}_{line}.lua")), &block);
        }
    }
    // A file that is wrong, so that silence is known to be an answer.
    add(Path::new("control.lua"), "c.wrokers = {}\n");
    assert!(count > 30, "only {count} files were found");

    let mut told = check(&program, folder.path());
    told.retain(|_, lines| !lines.is_empty());
    let control = told.remove("control.lua").expect("the control was checked");
    assert_eq!(control, Told::from([(1, vec!["inject-field".to_owned()])]));
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn an_editor_tells_wrong_names_and_wrong_types_at_their_lines() {
    let Some(program) = checker("an_editor_tells_wrong_names_and_wrong_types_at_their_lines") else { return };
    let folder = workspace();
    let files = files_below(&crate_root().join("tests/editor"), "lua");
    assert!(files.len() >= 3, "{files:?}");
    let mut expected = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        fs::write(folder.path().join(&name), &text).unwrap();
        let wanted = wanted(&text);
        assert!(!wanted.is_empty(), "{name} wants nothing");
        expected.insert(name, wanted);
    }
    let told = check(&program, folder.path());
    for (name, wanted) in expected {
        let told = told.get(&name).cloned().unwrap_or_default();
        let lines = wanted.keys().chain(told.keys());
        let differing: BTreeMap<_, _> = lines
            .map(|line| (*line, (wanted.get(line), told.get(line))))
            .filter(|(_, (wanted, told))| wanted != told)
            .collect();
        assert!(differing.is_empty(), "{name}: line: (wanted, told): {differing:#?}");
    }
}

#[test]
fn what_a_line_must_have_is_read_from_its_comment() {
    let wanted = wanted("a --! x\nb -- no\nc --! z y\n");
    let expected = Told::from([(1, vec!["x".to_owned()]), (3, vec!["y".to_owned(), "z".to_owned()])]);
    assert_eq!(wanted, expected);
}
