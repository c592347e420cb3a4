//! What we show people as Lua is Lua that loads: every block in the documents. (Examples: `examples`.)

use std::path::{Path, PathBuf};

use lunabot::{config, definition};

use crate::support::tree::crate_root;

/// The files below a folder that have this extension.
pub(crate) fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The blocks marked as Lua, each with the line on which it begins.
pub(crate) fn lua_blocks(text: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match &mut open {
            None if line.trim() == "```lua" => open = Some((index + 2, String::new())),
            None => {}
            Some(_) if line.trim() == "```" => blocks.extend(open.take()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// Loads and checks a configuration; what is wrong with it.
pub(crate) fn problems_of(path: &Path) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let loaded = runtime.block_on(config::load(path, config::Limits::default())).unwrap();
    match definition::check(loaded.draft) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_lua_block_in_the_documents_is_a_configuration_that_loads() {
    let root = crate_root();
    let mut documents = files_below(&root.join("docs"), "md");
    documents.push(root.join("README.md"));
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    let mut wrong = Vec::new();
    for document in documents {
        for (line, block) in lua_blocks(&std::fs::read_to_string(&document).unwrap()) {
            let path = folder.path().join("master.cfg.lua");
            std::fs::write(&path, block).unwrap();
            count += 1;
            wrong.extend(problems_of(&path).iter().map(|p| format!("{}:{line}: {p}", document.display())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 5, "only {count} blocks were found");
}

#[test]
fn a_broken_block_would_be_found() {
    assert_eq!(lua_blocks("x\n```lua\na\nb\n```\n```sh\nc\n```\n"), [(3, "a\nb\n".to_owned())]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.cfg.lua");
    std::fs::write(&path, "c.wrokers = {}\n").unwrap();
    assert!(!problems_of(&path).is_empty());
}
