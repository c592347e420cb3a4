//! How a test says that it did not run.
//!
//! # Laws
//! - A test that lacks its peer says so on a line that begins with `skipped:`, in plain `cargo test` too.
//! - With `LUNABOT_NO_SKIP=1` there is no skipping: it is a failure. `tests/run` sets it.

use std::io::Write as _;

/// Says that `test` does nothing, since `why`; the test then returns.
///
/// # Panics
/// If the environment allows no skipping.
pub(crate) fn skip(test: &str, why: &str) {
    let line = verdict(test, why, std::env::var("LUNABOT_NO_SKIP").ok().as_deref())
        .unwrap_or_else(|refused| panic!("{refused}"));
    // Written past the capture of the test harness, which shows the output of failed tests only.
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Ends the test, of this name, if there is no `buildbot-worker`.
macro_rules! needs_real_workers {
    ($name:literal) => {
        if $crate::support::real_worker::program().is_none() {
            $crate::support::skip::skip($name, "LUNABOT_TEST_BUILDBOT_WORKER is not set");
            return;
        }
    };
}
pub(crate) use needs_real_workers;

/// Ends the test, of this name, if there is no SMTP server.
macro_rules! needs_smtp {
    ($name:literal) => {
        if $crate::support::smtp::program().is_none() {
            $crate::support::skip::skip($name, "LUNABOT_TEST_SMTP is not set");
            return;
        }
    };
}
pub(crate) use needs_smtp;

/// The line to print, or why skipping is a failure. `no_skip` is the value of `LUNABOT_NO_SKIP`, unset and `0` being no.
fn verdict(test: &str, why: &str, no_skip: Option<&str>) -> Result<String, String> {
    match no_skip {
        None | Some("" | "0") => Ok(format!("skipped: {test}: {why}")),
        Some(_) => Err(format!("`{test}` may not be skipped here (LUNABOT_NO_SKIP is set): {why}")),
    }
}

#[test]
fn a_skipped_test_is_a_failure_where_none_may_be() {
    assert_eq!(verdict("t", "no server", None).as_deref(), Ok("skipped: t: no server"));
    assert!(verdict("t", "no server", Some("0")).is_ok());
    assert!(verdict("t", "no server", Some("1")).unwrap_err().contains("no server"));
}
