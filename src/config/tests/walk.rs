//! Each option of each worker stands in the files of `tests/config`: once well, once wrong.

use std::{collections::BTreeSet, fs};

use super::{files::lua_files, load_text};
use crate::definition::{
    Problem,
    options::{CONSTRUCTORS, Class, Constructor},
};

/// Tells each option that a constructor of a worker is given, as a warning: `worker.Worker/2`, `worker.Worker/max_builds`,
/// `worker.DockerLatentWorker/tls.ca`. It stands before the first line of a file.
const WATCH: &str = r#"local told = {} local require = function(name)
  local plugins = require(name)
  local function tell(text)
    if not told[text] then told[text] = true; warn("given " .. text) end
  end
  local function look(path, value)
    if type(value) ~= "table" then return end
    for key, inner in pairs(value) do
      local at = type(key) == "number" and path or path .. "." .. key
      if at ~= path then tell(at) end
      look(at, inner)
    end
  end
  local function watched(class, ...)
    local given = table.pack(...)
    local all = given
    if given.n == 1 and type(given[1]) == "table" then all = given[1] end
    for key, value in pairs(all) do
      local is_last = all == given and key == given.n and type(value) == "table" and #value == 0
      if is_last then
        for name, inner in pairs(value) do
          tell(class .. "/" .. name)
          look(class .. "/" .. name, inner)
        end
      elseif key ~= "n" or all ~= given then
        tell(class .. "/" .. key)
        look(class .. "/" .. key, value)
      end
    end
  end
  local workers = setmetatable({}, { __index = function(_, class)
    return function(...)
      watched("worker." .. class, ...)
      return plugins.worker[class](...)
    end
  end })
  return setmetatable({}, { __index = function(_, module)
    if module == "worker" then return workers end
    return plugins[module]
  end })
end "#;

/// The options of a constructor and of the tables in it, each by what `WATCH` calls it.
fn all_options(constructor: &Constructor, path: &str) -> Vec<String> {
    let mut all = Vec::new();
    for option in constructor.options() {
        let name = format!("{path}{}", option.name);
        all.extend(
            option.kind.table().map_or_else(Vec::new, |table| all_options(table, &format!("{name}."))),
        );
        all.push(name);
    }
    all
}

fn workers() -> impl Iterator<Item = &'static Constructor> {
    CONSTRUCTORS.iter().copied().filter(|constructor| constructor.class == Class::Worker)
}

#[tokio::test]
async fn each_option_of_each_worker_is_given_in_an_accepted_file() {
    let mut given = BTreeSet::new();
    for path in lua_files("accept") {
        let text = fs::read_to_string(&path).expect("the file can be read");
        if !text.contains("buildbot.plugins") {
            continue;
        }
        let draft = load_text(&format!("{WATCH}{text}")).await.draft;
        assert!(!draft.problems.iter().any(Problem::is_error), "{}: {:?}", path.display(), draft.problems);
        given.extend(
            draft.problems.iter().filter_map(|p| p.text.strip_prefix("given ").map(ToOwned::to_owned)),
        );
    }
    let mut absent = Vec::new();
    for constructor in workers() {
        for option in all_options(constructor, "") {
            let by_name = format!("{}/{option}", constructor.path());
            let (head, rest) = option.split_at(option.find('.').unwrap_or(option.len()));
            let position = constructor.positional.iter().position(|name| *name == head);
            let by_position = position.map(|index| format!("{}/{}{rest}", constructor.path(), index + 1));
            if !given.contains(&by_name) && !by_position.is_some_and(|place| given.contains(&place)) {
                absent.push(by_name);
            }
        }
        // Each position means what it means in Buildbot, so each is used once.
        for index in 1..=constructor.positional.len() {
            let place = format!("{}/{index}", constructor.path());
            if !given.contains(&place) {
                absent.push(place);
            }
        }
    }
    assert!(absent.is_empty(), "no accepted file gives: {}", absent.join(", "));
}

/// The workers in these files are called after their class.
#[test]
fn each_option_of_each_worker_is_wrong_in_a_refused_file() {
    let texts = lua_files("refuse").into_iter().map(|path| path.with_extension("txt"));
    let lines: Vec<String> = texts
        .flat_map(|path| {
            fs::read_to_string(path).unwrap_or_default().lines().map(Into::into).collect::<Vec<_>>()
        })
        .collect();
    let mut absent = Vec::new();
    for constructor in workers() {
        for option in all_options(constructor, "") {
            // Those of a list have their place in it: `block_devices[1].uuid`.
            let (table, name) = option.rsplit_once('.').unwrap_or(("", &option));
            let table: Vec<&str> = table.split('.').filter(|part| !part.is_empty()).collect();
            let is_told = lines.iter().any(|line| {
                let is_here = line.contains(&format!("worker \"{}-", constructor.name))
                    || line.contains(&format!("{}: ", constructor.path()));
                let ends = if table.is_empty() { format!("`{name}`") } else { format!(".{name}`") };
                is_here && line.contains(&ends) && table.iter().all(|part| line.contains(part))
            });
            if !is_told {
                absent.push(format!("{}/{option}", constructor.path()));
            }
        }
    }
    assert!(absent.is_empty(), "no refused file tells of: {}", absent.join(", "));
}
