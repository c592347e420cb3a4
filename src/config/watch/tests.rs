//! The laws of the watch, on real files. The slow look is set to an hour, so that what is told is told by the system.

use std::os::unix::fs::symlink;

use tokio::time::timeout;

use super::*;

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

const HOUR: Duration = Duration::from_secs(3600);

fn pace() -> Pace {
    Pace { quiet: Duration::from_millis(40), poll: HOUR, blind_poll: HOUR, ..Pace::default() }
}

/// What files are now, as a load would tell it, sure of itself.
fn seen(files: &[&Path]) -> Sightings {
    let settled = |path: &Path| Stamp::of(path).map(|stamp| Stamp { is_fresh: false, ..stamp });
    files.iter().map(|path| ((*path).to_owned(), settled(path))).collect()
}

async fn told(watch: &mut FileWatch, what: &str) {
    timeout(PATIENCE, watch.changed())
        .await
        .unwrap_or_else(|_| panic!("{what}: not told within {PATIENCE:?}"));
}

/// Waits until the watch has looked once more, whatever it saw.
async fn looked(watch: &FileWatch) {
    watch.shared.wake();
    let limit = Instant::now() + PATIENCE;
    while watch.shared.lock().is_woken {
        assert!(Instant::now() < limit);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

struct House {
    dir: tempfile::TempDir,
    main: PathBuf,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let main = dir.path().join("master.cfg.lua");
        fs::write(&main, "one").unwrap();
        Self { dir, main }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A watch of the main file that has taken its first look.
    async fn watch(&self) -> FileWatch {
        let watch = FileWatch::start(seen(&[&self.main]), pace()).unwrap();
        looked(&watch).await;
        watch
    }
}

#[tokio::test]
async fn each_way_to_save_a_file_is_told() {
    let house = House::new();
    let mut watch = house.watch().await;
    fs::write(&house.main, "two").unwrap();
    told(&mut watch, "written in place").await;
    fs::write(house.path(".new"), "three").unwrap();
    fs::rename(house.path(".new"), &house.main).unwrap();
    told(&mut watch, "replaced by rename").await;
    fs::remove_file(&house.main).unwrap();
    told(&mut watch, "deleted").await;
    fs::write(&house.main, "three").unwrap();
    told(&mut watch, "restored").await;
}

#[tokio::test]
async fn a_folder_that_is_replaced_is_watched_anew() {
    let house = House::new();
    let module = house.path("lib/workers.lua");
    fs::create_dir(house.path("lib")).unwrap();
    fs::write(&module, "one").unwrap();
    let mut watch = FileWatch::start(seen(&[&house.main, &module]), pace()).unwrap();
    looked(&watch).await;
    fs::create_dir(house.path("lib.new")).unwrap();
    fs::write(house.path("lib.new/workers.lua"), "two").unwrap();
    fs::rename(house.path("lib"), house.path("lib.old")).unwrap();
    told(&mut watch, "the folder went away").await;
    fs::rename(house.path("lib.new"), house.path("lib")).unwrap();
    told(&mut watch, "another folder came").await;
    fs::write(&module, "three").unwrap();
    told(&mut watch, "a change in the new folder").await;
}

#[tokio::test]
async fn a_config_map_that_swaps_its_data_link_is_told() {
    let house = House::new();
    for (version, text) in [("..v1", "one"), ("..v2", "two")] {
        fs::create_dir(house.path(version)).unwrap();
        fs::write(house.path(version).join("cfg.lua"), text).unwrap();
    }
    symlink("..v1", house.path("..data")).unwrap();
    symlink("..data/cfg.lua", house.path("cfg.lua")).unwrap();
    let file = house.path("cfg.lua");
    let mut watch = FileWatch::start(seen(&[&file]), pace()).unwrap();
    looked(&watch).await;
    symlink("..v2", house.path("..data_tmp")).unwrap();
    fs::rename(house.path("..data_tmp"), house.path("..data")).unwrap();
    told(&mut watch, "the swap").await;
    fs::write(house.path("..v2/cfg.lua"), "three").unwrap();
    told(&mut watch, "a change behind the new link").await;
}

#[tokio::test]
async fn a_file_that_was_looked_for_in_vain_is_waited_for() {
    let house = House::new();
    let module = house.path("lib/new.lua");
    let mut watch = FileWatch::start(seen(&[&house.main, &module]), pace()).unwrap();
    looked(&watch).await;
    fs::create_dir(house.path("lib")).unwrap();
    looked(&watch).await;
    fs::write(&module, "here").unwrap();
    told(&mut watch, "the file came").await;
}

#[tokio::test]
async fn what_changed_between_the_reading_and_the_first_look_is_told() {
    let house = House::new();
    let before = seen(&[&house.main]);
    fs::write(&house.main, "two!").unwrap();
    let mut watch = FileWatch::start(before, pace()).unwrap();
    told(&mut watch, "the change").await;
    // The same for files that a later load has read.
    let before = seen(&[&house.main]);
    fs::write(&house.main, "three").unwrap();
    watch.read(before, Watched::Only);
    told(&mut watch, "the second change").await;
}

#[tokio::test]
async fn a_file_that_changed_just_before_it_was_read_is_not_trusted() {
    let house = House::new();
    let fresh = Stamp::of(&house.main).map(|stamp| Stamp { is_fresh: true, ..stamp });
    let mut watch = FileWatch::start([(house.main.clone(), fresh)].into(), pace()).unwrap();
    told(&mut watch, "a change that its times may hide").await;
    looked(&watch).await;
    assert!(!watch.take_changed(), "but once only");
}

#[tokio::test]
async fn a_failed_load_leaves_the_earlier_files_watched_and_a_good_one_forgets_them() {
    let house = House::new();
    let module = house.path("lib.lua");
    fs::write(&module, "one").unwrap();
    let mut watch = FileWatch::start(seen(&[&house.main, &module]), pace()).unwrap();
    watch.read(seen(&[&house.main]), Watched::Also);
    looked(&watch).await;
    fs::write(&module, "two").unwrap();
    told(&mut watch, "a file of the load before").await;
    watch.read(seen(&[&house.main]), Watched::Only);
    assert_eq!(watch.shared.lock().known.len(), 1);
}

#[tokio::test]
async fn many_saves_are_told_as_few_changes() {
    let house = House::new();
    let mut watch = house.watch().await;
    for n in 0..200 {
        fs::write(&house.main, format!("{n:0>9}")).unwrap();
        tokio::task::yield_now().await;
    }
    told(&mut watch, "the last of them").await;
    looked(&watch).await;
    let count = *watch.told.borrow();
    assert!(count <= 20, "told {count} times");
}

#[tokio::test]
async fn without_the_systems_help_the_slow_look_finds_the_change() {
    let house = House::new();
    let slow = Pace { poll: Duration::from_millis(50), blind_poll: Duration::from_millis(50), ..pace() };
    let mut watch = FileWatch::start(seen(&[&house.main]), slow).unwrap();
    fs::write(&house.main, "two!").unwrap();
    told(&mut watch, "the change").await;
}

#[test]
fn an_overflow_and_an_error_are_reasons_to_look_and_a_strange_file_is_none() {
    use notify::{Event, EventKind, event::Flag};
    let names = HashSet::from([PathBuf::from("/x/master.cfg.lua")]);
    assert!(is_reason(&Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)), &names));
    assert!(is_reason(&Err(notify::Error::generic("lost")), &names));
    let of = |kind, path: &str| Ok(Event::new(kind).add_path(path.into()));
    let any = EventKind::Modify(notify::event::ModifyKind::Any);
    assert!(is_reason(&of(any, "/x/master.cfg.lua"), &names));
    assert!(!is_reason(&of(any, "/x/state.sqlite-wal"), &names));
    let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
    assert!(!is_reason(&of(opened, "/x/master.cfg.lua"), &names), "our own reading");
}

#[test]
fn a_file_from_the_future_does_not_look_fresh_for_ever() {
    assert!(is_fresh(0) && is_fresh(TICK_NANOSECONDS - 1));
    assert!(!is_fresh(TICK_NANOSECONDS) && !is_fresh(-1) && !is_fresh(-TICK_NANOSECONDS));
}

#[test]
fn a_ring_of_links_comes_to_an_end() {
    let house = House::new();
    symlink("b", house.path("a")).unwrap();
    symlink("a", house.path("b")).unwrap();
    let mut names = HashSet::new();
    trace(&house.path("a"), &mut names);
    assert!(names.contains(&house.path("a")) && names.contains(&house.path("b")));
}
