//! What tests of children need: waits on a state, with a limit.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    time::Duration,
};

/// Long enough for a machine that is busy with other things; a test that fails need not be fast.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Waits for a future, but not for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it took longer than the limit of a test")
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = tokio::time::Instant::now() + LIMIT;
    while !is_so() {
        assert!(tokio::time::Instant::now() < limit, "never so: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs: neither gone nor waiting to be reaped.
pub(crate) fn is_running(id: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { return false };
    // The name before it is in parentheses and may hold anything.
    stat.rsplit(')').next().is_some_and(|rest| !matches!(rest.trim_start().chars().next(), Some('Z' | 'X')))
}

/// The variable by which a test makes a command fail as only a mistake of ours could; its value says where.
pub(crate) const FAULT: &str = "LUNABOT_TEST_FAULT";

/// Panics, if the command with these variables is to fail here.
pub(crate) fn fault(env: &BTreeMap<OsString, OsString>, here: &str) {
    assert_ne!(env.get(OsStr::new(FAULT)).and_then(|at| at.to_str()), Some(here), "a fault for a test");
}
