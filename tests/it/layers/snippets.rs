//! The proof that each law of the walls can fail: small files that break them, and small files that seem to.

use super::{
    ROOMS,
    scan::{self, Source},
    violations,
};

/// What is wrong with a file of this name and text, one line each.
fn told(file: &str, text: &str) -> Vec<String> {
    let source = Source::new(file, &syn::parse_file(text).unwrap());
    violations(&source).iter().map(ToString::to_string).collect()
}

/// Holds that the file breaks one law, on this line, by this path.
#[track_caller]
fn broken(file: &str, text: &str, line: usize, path: &str, rule: &str) {
    let told = told(file, text);
    let [only] = told.as_slice() else { panic!("one violation was expected, found {told:#?}") };
    let start = format!("src/{file}:{line}: `{path}`: ");
    assert!(only.starts_with(&start), "expected {start:?}, found {only:?}");
    assert!(only.contains(rule), "expected {rule:?} in {only:?}");
}

#[track_caller]
fn kept(file: &str, text: &str) {
    assert_eq!(told(file, text), [""; 0]);
}

#[test]
fn a_use_of_a_higher_room_is_found() {
    let text = "use std::fmt;\nuse crate::{\n    model::Place,\n    store::{self, Store},\n};\n";
    let told = told("definition/check.rs", text);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(
        told[1],
        "src/definition/check.rs:4: `crate::store::Store`: \
         `definition` (level 1) may use levels below 1; `store` is of level 2"
    );
    broken(
        "model/place.rs",
        "use crate::definition::Problem;",
        1,
        "crate::definition::Problem",
        "nothing of ours",
    );
}

#[test]
fn super_is_followed_out_of_nested_modules() {
    let text = "mod inner {\n    use super::super::super::master::Master;\n}";
    broken("worker/registry.rs", text, 2, "crate::master::Master", "`worker` (level 4)");
    broken("mq.rs", "fn f() { super::store::open() }", 1, "crate::store::open", "levels below 2");
    kept("worker/registry.rs", "mod inner { use super::super::registry::X; use super::Y; use self::z::Z; }");
    kept("worker/mod.rs", "use super::model::WorkerName;");
}

#[test]
fn an_inline_path_is_found_wherever_it_stands() {
    broken("net/tls.rs", "fn f() {\n crate::store::open();\n}", 2, "crate::store::open", "`net`");
    broken("net/tls.rs", "fn f(_: &dyn crate::exec::Run) {}", 1, "crate::exec::Run", "`net`");
    broken("net/tls.rs", "fn f() -> Vec<crate::exec::Run> {}", 1, "crate::exec::Run", "`net`");
    broken("net/tls.rs", "impl<T> A for T where T: crate::exec::Run {}", 1, "crate::exec::Run", "`net`");
    broken("net/tls.rs", "fn f() { <X as crate::exec::Run>::run() }", 1, "crate::exec::Run::run", "`net`");
    broken("net/tls.rs", "fn f() { match x { crate::exec::A { .. } => {} } }", 1, "crate::exec::A", "`net`");
}

#[test]
fn a_path_in_a_macro_is_found() {
    let call = "fn f() {\n    tokio::select! {\n        a = b => { crate::master::go(a) }\n    }\n}";
    broken("build/run.rs", call, 3, "crate::master::go", "`build` (level 5)");
    let rules = "macro_rules! m { ($x:expr) => { $crate::store::put($x) } }";
    broken("model/ids.rs", rules, 1, "crate::store::put", "`model`");
    let imports = "m! { use crate::{model::A, store::{B, C::*}}; }";
    assert_eq!(told("model/ids.rs", imports).len(), 2, "{:#?}", told("model/ids.rs", imports));
    broken("model/ids.rs", "fn f() { crate::store::put!(1) }", 1, "crate::store::put", "`model`");
    kept("build/run.rs", "fn f() { format!(\"crate::master::go {}\", crate::store::X) }");
}

#[test]
fn a_path_in_an_attribute_is_found() {
    broken(
        "model/ids.rs",
        "#[derive(sqlx::FromRow)] struct A;",
        1,
        "sqlx::FromRow",
        "`sqlx` stays in `store`",
    );
    let text = "struct A { #[serde(with = \"crate::store::text\")] a: u8 }";
    broken("model/ids.rs", text, 1, "crate::store::text", "`model`");
    kept(
        "model/ids.rs",
        "/// See [`crate::store::Store`].\n#[error(\"no such thing: crate::store\")] struct A;",
    );
}

#[test]
fn another_name_does_not_hide_a_room() {
    let far = |text: &str| told("net/tls.rs", text);
    assert_eq!(far("use super::super as up; fn f() { up::store::open() }").len(), 2);
    assert_eq!(far("use crate as us; use us::store::Store;").len(), 2);
    broken("net/tls.rs", "use crate::*;", 1, "crate::*", "name the room");
    broken("mq.rs", "use super::*;", 1, "crate::*", "name the room");
    broken("net/tls.rs", "use crate::Store;", 1, "crate::Store", "`Store` is no room");
    assert_eq!(far("extern crate self as me; fn f() { me::store::open() }").len(), 2);
    broken("net/tls.rs", "#[path = \"../store/mod.rs\"] mod s;", 1, "crate::net::tls", "`#[path]`");
    broken("net/tls.rs", "include!(\"../store/mod.rs\");", 1, "crate::net::tls", "`include!`");
    kept("net/tls.rs", "use super::*; use self::inner::A; mod inner {}");
}

#[test]
fn rooms_of_one_level_do_not_know_each_other() {
    for (a, level_of_a, _) in ROOMS {
        for (b, level_of_b, _) in ROOMS {
            let told = told(&format!("{a}/x.rs"), &format!("use lunabot::{b}::X;"));
            let is_neighbour = a != b && level_of_a == level_of_b;
            let is_higher = level_of_b > level_of_a;
            assert!(!(is_neighbour || is_higher) || told.len() == 1, "{a} may use {b}");
            assert!(a != b || told.is_empty(), "{a} may not use itself");
        }
    }
}

#[test]
fn only_those_above_the_master_know_the_configuration() {
    for room in ["worker", "build", "change", "scheduler", "reporter"] {
        let rule = "but `config`; `config` is of level 2";
        broken(&format!("{room}/mod.rs"), "use crate::config::load;", 1, "crate::config::load", rule);
        kept(
            &format!("{room}/mod.rs"),
            "use crate::{bot, definition, exec, latent, model, mq, net, protocol, secret, store};",
        );
    }
    kept("master/mod.rs", "use crate::{config, build, scheduler, worker, reporter, change};");
    kept("bin/lunabot.rs", "fn main() -> anyhow::Result<()> { lunabot::cli::run() }");
}

#[test]
fn the_bot_is_a_program_of_its_own() {
    kept("bot/mod.rs", "use crate::{exec, model, net, protocol};");
    broken(
        "bot/mod.rs",
        "use crate::definition::Problem;",
        1,
        "crate::definition::Problem",
        "`protocol` only",
    );
    broken("bot/mod.rs", "use crate::store::Store;", 1, "crate::store::Store", "`protocol` only");
}

#[test]
fn the_root_and_unknown_rooms_are_told() {
    broken("lib.rs", "mod model; pub use model::Place;", 1, "crate::model::Place", "uses none");
    broken(
        "util/mod.rs",
        "use crate::model::Place;",
        1,
        "crate::model::Place",
        "`util`, where this stands, is no room",
    );
    kept("lib.rs", "pub mod model; pub mod store;");
}

#[test]
fn a_fenced_crate_stays_in_its_room() {
    broken("store/mod.rs", "use mlua::Lua;", 1, "mlua::Lua", "`mlua` stays in `config`");
    broken("master/mod.rs", "fn f() -> anyhow::Result<()> {}", 1, "anyhow::Result", "`cli`, `bin`");
    broken("master/mod.rs", "use ::sqlx as db;", 1, "sqlx", "`store`");
    broken("master/mod.rs", "extern crate sqlx as db;", 1, "sqlx", "`store`");
    broken("cli/mod.rs", "use axum::{self as http};", 1, "axum", "`web`");
    broken("web/mod.rs", "#[derive(clap::Parser)] struct A;", 1, "clap::Parser", "`cli`");
    broken(
        "build/mod.rs",
        "mod tests { fn f() { bail!(anyhow::anyhow!(1)) } }",
        1,
        "anyhow::anyhow",
        "`cli`",
    );
    broken("master/mod.rs", "use crate::store::sqlx::Pool;", 1, "crate::store::sqlx::Pool", "`sqlx` stays");
    kept("config/script.rs", "use mlua::Lua; #[cfg(test)] mod tests { use mlua::Value; }");
    kept("build/mod.rs", "mod clap { pub fn f() {} } fn g() { clap::f() }");
}

#[test]
fn a_pure_room_touches_neither_file_nor_socket_nor_clock() {
    let pure = ["model/a.rs", "definition/mod.rs", "protocol/pb/broker.rs", "worker/lifecycle.rs"];
    for file in pure {
        broken(file, "use std::net::TcpStream;", 1, "std::net::TcpStream", "opens no file");
        broken(file, "use tokio::{net, time};", 1, "tokio::net", "opens no file");
        broken(file, "use std::*;", 1, "std::*", "opens no file");
        broken(file, "fn f() { std::fs::read(\"x\"); }", 1, "std::fs::read", "opens no file");
        broken(file, "fn f() { tokio::fs::read(\"x\") }", 1, "tokio::fs::read", "opens no file");
        broken(file, "fn f() { Instant::now(); }", 1, "Instant::now", "reads no clock");
        broken(
            file,
            "use std::time::SystemTime as S; fn f() { S::now() }",
            1,
            "std::time::SystemTime::now",
            "clock",
        );
        broken(
            file,
            "use crate::model::Timestamp;\nfn f() { g(Timestamp::now) }",
            2,
            "crate::model::Timestamp::now",
            "clock",
        );
        broken(file, "fn f(x: Instant) { x.elapsed(); }", 1, "Instant::elapsed", "clock");
        kept(file, "use std::{net::{IpAddr, SocketAddr}, time::Instant}; use tokio::sync::mpsc;");
        kept(
            file,
            "#[cfg(test)] mod tests { use std::fs; #[test] fn t() { Instant::now(); fs::read(\"x\"); } }",
        );
    }
    broken("model/a.rs", "#[cfg(not(test))] mod a { use std::fs; }", 1, "std::fs", "opens no file");
    broken("model/a.rs", "#[cfg(any(test, unix))] mod a { use std::fs; }", 1, "std::fs", "opens no file");
    kept("worker/driver.rs", "use std::fs; fn f() { Instant::now() }");
    kept("model/a.rs", "#[cfg(all(test, unix))] use std::fs;");
}

#[test]
fn a_file_that_only_tests_have_may_read_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("model/tests")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("model/mod.rs", "#[cfg(test)] mod tests;\nmod plain;");
    write("model/tests/mod.rs", "mod deep; use std::fs;");
    write("model/tests/deep.rs", "use std::fs;");
    write("model/plain.rs", "use std::fs;");
    let sources = scan::sources(folder.path());
    let files: Vec<String> = sources.iter().flat_map(violations).map(|violation| violation.file).collect();
    assert_eq!(files, ["src/model/plain.rs"]);
}
