//! `lunabot hash-password`: a password in, its hash out, for the `password` of a worker that speaks msgpack.
//!
//! # Laws
//! - The password is read from standard input, never from an argument, which every user of the machine could see. On a
//!   terminal it is asked for twice and not shown.

use std::process::ExitCode;

use crate::{
    cli::{
        failure::{Failure, Kind},
        password::{blocking, from_stdin},
    },
    definition::{HashedPassword, Passwords, SecretText},
    model::Secret,
    net::random,
};

/// Reads a password and prints its hash.
pub(super) async fn run() -> Result<ExitCode, Failure> {
    let password = from_stdin("Password", true).await?;
    if !is_plain(&password) {
        let text = "this is a hash already, or looks like one; a worker cannot have it as its password";
        return Err(Failure::message(Kind::Failed, text));
    }
    let hash = blocking(move || Ok(HashedPassword::make(&password, &random()))).await?;
    anstream::println!("{}", hash.expose());
    Ok(ExitCode::SUCCESS)
}

/// Whether a configuration would take it for a password, and not for the hash of one.
fn is_plain(password: &Secret) -> bool {
    Passwords::new(vec![SecretText::Given(password.clone())])
        .is_ok_and(|passwords| passwords.plain().next().is_some())
}
