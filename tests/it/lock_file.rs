//! One TLS in the tree: one version of rustls, one crypto provider, and it is aws-lc-rs.
//!
//! A second one comes in silently, by a default feature of some client: then the process has two providers, and rustls,
//! asked for its default, refuses to choose. It is also a minute of compile time, and a second set of security advisories.
//!
//! # Laws
//! - What the lock file names is held to the table below, whatever features are on.
//! - What would be built, with all features, is asked from cargo and held to the same table.

use std::{collections::BTreeSet, time::Duration};

use crate::support::tree;

/// What must be there exactly once if anything speaks TLS.
const ONCE: [&str; 2] = ["rustls", "aws-lc-rs"];

/// Other providers and other TLS.
const REFUSED: [&str; 9] = [
    "ring",
    "openssl",
    "openssl-sys",
    "native-tls",
    "boring",
    "boring-sys",
    "rustls-rustcrypto",
    "rustls-openssl",
    "aws-lc-fips-sys",
];

/// `(package, its user)`: lines of the lock file that are never built.
///
/// `rustls-webpki` writes `ring?/alloc` ("if somebody turned ring on, then its `alloc` too"); cargo locks what such a weak
/// feature names, though nobody turned it on. rustls with ring turned on names it as a dependency of its own.
const SHADOWS: [(&str, &str); 1] = [("ring", "rustls-webpki")];

/// What is wrong with a lock file.
fn complaints(lock: &str) -> Vec<String> {
    let lock: toml::Table = lock.parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let name_of = |package: &toml::Value| package["name"].as_str().unwrap().to_owned();
    let count = |name: &str| packages.iter().filter(|package| package["name"].as_str() == Some(name)).count();

    let mut out = Vec::new();
    for name in ONCE {
        match count(name) {
            1 => {}
            0 => out.push(format!("no `{name}`")),
            several => out.push(format!("{several} versions of `{name}`")),
        }
    }
    for refused in REFUSED.into_iter().filter(|name| count(name) > 0) {
        let users: Vec<String> = packages
            .iter()
            .filter(|package| {
                let dependencies = package.get("dependencies").and_then(toml::Value::as_array);
                // A line is `name`, or `name version` where several are locked.
                let names = dependencies.into_iter().flatten().filter_map(toml::Value::as_str);
                names.map(|line| line.split(' ').next().unwrap_or(line)).any(|name| name == refused)
            })
            .map(name_of)
            .filter(|user| !SHADOWS.contains(&(refused, user)))
            .collect();
        let is_shadow = users.is_empty() && SHADOWS.iter().any(|(package, _)| *package == refused);
        if !is_shadow {
            out.push(format!("`{refused}`, brought in by {users:?}"));
        }
    }
    out
}

#[test]
fn the_lock_file_has_one_rustls_and_one_crypto_provider() {
    let lock = std::fs::read_to_string(tree::crate_root().join("Cargo.lock")).unwrap();
    assert_eq!(complaints(&lock), [""; 0], "see `cargo tree -i NAME --all-features` for who brings it in");
}

#[tokio::test]
async fn no_second_crypto_provider_is_built() {
    /// A question to cargo that needs no compiling; a download in the worst case.
    const PATIENCE: Duration = Duration::from_secs(120);
    #[expect(
        clippy::disallowed_methods,
        reason = "the test asks cargo; `exec` is what the crate has for its own children"
    )]
    let asked = tokio::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--all-features", "--edges", "all", "--prefix", "none", "--format", "{p}"])
        .current_dir(tree::crate_root())
        .kill_on_drop(true)
        .output();
    let answer = tokio::time::timeout(PATIENCE, asked).await.expect("cargo answers in time").unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let text = String::from_utf8(answer.stdout).unwrap();
    let built: BTreeSet<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    let missing: Vec<&str> = ONCE.into_iter().filter(|name| !built.contains(name)).collect();
    let refused: Vec<&str> = REFUSED.into_iter().filter(|name| built.contains(name)).collect();
    assert!(missing.is_empty() && refused.is_empty(), "missing: {missing:?}; built but refused: {refused:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lock file of packages, each with what it depends on.
    fn lock(packages: &[(&str, &str, &[&str])]) -> String {
        packages.iter().fold("version = 4\n".to_owned(), |text, (name, version, dependencies)| {
            format!(
                "{text}[[package]]\nname = {name:?}\nversion = {version:?}\ndependencies = {dependencies:?}\n"
            )
        })
    }

    const GOOD: [(&str, &str, &[&str]); 3] = [
        ("aws-lc-rs", "1.0.0", &[]),
        ("rustls", "0.23.1", &["aws-lc-rs", "rustls-webpki"]),
        ("rustls-webpki", "0.103.1", &["aws-lc-rs", "ring"]),
    ];

    #[test]
    fn a_shadow_of_ring_is_let_pass_but_no_more() {
        let shadow = [GOOD.as_slice(), &[("ring", "0.17.0", &[])]].concat();
        assert_eq!(complaints(&lock(&shadow)), [""; 0]);
        let real = [shadow.as_slice(), &[("quinn", "0.11.0", &["ring 0.17.0"])]].concat();
        assert_eq!(complaints(&lock(&real)), [r#"`ring`, brought in by ["quinn"]"#]);
    }

    #[test]
    fn a_second_rustls_and_another_tls_are_told() {
        let old = [GOOD.as_slice(), &[("rustls", "0.21.0", &[])]].concat();
        assert_eq!(complaints(&lock(&old)), ["2 versions of `rustls`"]);
        let native =
            [GOOD.as_slice(), &[("native-tls", "0.2.0", &[]), ("x", "1.0.0", &["native-tls"])]].concat();
        assert_eq!(complaints(&lock(&native)), [r#"`native-tls`, brought in by ["x"]"#]);
        assert_eq!(complaints(&lock(&[("x", "1.0.0", &[])])), ["no `rustls`", "no `aws-lc-rs`"]);
    }
}
