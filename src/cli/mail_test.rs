//! `lunabot mail-test`: one mail by the way that the configuration tells, with all that is said on it.

use std::{path::Path, process::ExitCode};

use crate::{
    cli::failure::{Failure, HINT, Kind},
    config,
    definition::{
        MasterDefinition, Problem, ReporterDefinition, address::Address, master::Settings, suggest,
    },
    model::Timestamp,
    reporter::mail::{
        self,
        letter::{Body, Letter, compose},
        relay::{Cause, Phase, Relay, SendError},
    },
    secret::{Keeper, Masker, Providers},
};

/// Sends a mail to `address`; exit code 1 if it is not taken.
pub(super) async fn run(dir: &Path, address: &str, reporter: Option<&str>) -> Result<ExitCode, Failure> {
    let to = Address::new(address).map_err(|error| Failure::new(Kind::Usage, error))?;
    let definition = load(dir).await?;
    let settings = definition.settings.as_deref().expect("a checked configuration has its settings");
    let reporter = chosen(&definition, reporter)?;
    let keeper = Keeper::new(Providers::new(&definition, dir), Masker::new());
    let (from, relay, headers) = match reporter {
        None => (mail::default_sender(), mail::default_relay(), Vec::new()),
        Some(reporter) => {
            let relay = Relay::of(reporter, &keeper).await;
            let relay = relay.map_err(|error| Failure::new(Kind::Failed, error))?;
            (reporter.from.clone(), relay, mail::plain_headers(reporter))
        }
    };
    let by = reporter.map_or_else(
        || "no reporter is configured, so the usual one is taken".to_owned(),
        |reporter| format!("reporter {:?}", reporter.name.as_str()),
    );
    anstream::println!("-- {by}: from {from} by {relay}");
    let letter = Letter {
        message_id: mail::new_message_id(),
        date: Timestamp::now(),
        from,
        to: vec![to.clone()],
        subject: format!("Test of {}", settings.title),
        body: Body::Plain(words(settings)),
        in_reply_to: None,
        headers,
        attachments: Vec::new(),
    };
    let message = compose(&letter).map_err(|error| Failure::new(Kind::Failed, error))?;
    let mut tell = |line| anstream::println!("{line}");
    let outcome = relay.send_told(&letter.from.address, &[to], &message, &mut tell).await;
    let accepted = outcome.map_err(|error| {
        let hint = hint(&error);
        Failure::new(Kind::Failed, error).hint(hint)
    })?;
    let how = if accepted.is_encrypted { "through TLS" } else { "in the clear" };
    anstream::println!("{} has taken the mail, {how}: {}", relay.host, accepted.reply);
    anstream::println!(
        "{HINT}whether it arrives is up to that host: look for <{}>{HINT:#}",
        letter.message_id
    );
    Ok(ExitCode::SUCCESS)
}

/// The configuration as `checkconfig` reads it.
async fn load(dir: &Path) -> Result<MasterDefinition, Failure> {
    let file = dir.join("master.cfg.lua");
    let loaded = config::load(&file, config::Limits::default()).await.map_err(|error| {
        let hint = format!("make one with `lunabot create-master {}`", dir.display());
        Failure::from(error).hint((!file.exists()).then_some(hint))
    })?;
    let checked = loaded.check().map_err(bad)?;
    let problems = mail::problems(&checked.definition);
    if problems.is_empty() { Ok(checked.definition) } else { Err(bad(problems)) }
}

fn bad(problems: Vec<Problem>) -> Failure {
    let hint = "nothing was sent; `lunabot checkconfig` checks again".to_owned();
    Failure::message(Kind::Failed, "the configuration cannot be used").problems(problems).hint(hint)
}

/// The reporter of this name, or the first one as they are written; none if none is configured.
fn chosen<'a>(
    definition: &'a MasterDefinition,
    name: Option<&str>,
) -> Result<Option<&'a ReporterDefinition>, Failure> {
    let reporters = definition.reporters.values().map(AsRef::as_ref);
    let Some(name) = name else {
        let place = |reporter: &&ReporterDefinition| (reporter.place.line, reporter.place.column);
        return Ok(reporters.min_by_key(place));
    };
    let mut names = Vec::new();
    for reporter in reporters {
        if reporter.name.as_str() == name {
            return Ok(Some(reporter));
        }
        names.push(reporter.name.as_str());
    }
    let hint = suggest::did_you_mean(name, names.iter().copied()).or_else(|| match &names[..] {
        [] => Some("none is configured; without --reporter the usual one is taken".to_owned()),
        names => Some(format!(
            "there are {}",
            names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
        )),
    });
    Err(Failure::message(Kind::Failed, format!("there is no reporter {name:?}")).hint(hint))
}

fn words(settings: &Settings) -> String {
    format!(
        "This is a test of the mails of {}, asked for by `lunabot mail-test`.\nWho reads it, can be told of missing \
         workers.\n\n{}\n",
        settings.title, settings.buildbot_url
    )
}

/// What to do about it.
fn hint(error: &SendError) -> String {
    match (error.phase, &error.cause) {
        (_, Cause::NoSmtp(_)) => "check `relayhost` and `smtpPort`: is that the port of a mail server? One for TLS from the first byte (465) needs `useSmtps`",
        (Phase::Connect, Cause::Socket(_)) => "check `relayhost` and `smtpPort`, whether a mail server runs there, and the firewall between",
        (Phase::Connect, Cause::Silent(_) | Cause::HungUp) => "a host that is silent at first may speak TLS from the first byte, which `useSmtps` is for; or a firewall swallows the connection",
        (Phase::Tls, Cause::NoTls) => "without `useTls` the mail goes in the clear; the port for TLS from the first byte, often 465, needs `useSmtps`",
        (Phase::Tls, Cause::Handshake(_)) => "`relayhost` must be the name in its certificate; its authority is trusted if it stands in the file that SSL_CERT_FILE names, in the environment of the master, too. STARTTLS (587, 25) is `useTls`, TLS from the first byte (465) is `useSmtps`",
        (Phase::Tls, _) => "ask the operator of the host, or try its other port: STARTTLS (587, 25) is `useTls`, TLS from the first byte (465) is `useSmtps`",
        (Phase::Login, Cause::NoLogin(_)) => "many hosts offer a login only on an encrypted link: try `useTls` or `useSmtps`; a host that needs none takes mail without `smtpUser` and `smtpPassword`",
        (Phase::Login, _) => "check `smtpUser` and `smtpPassword`; some hosts want a password made for programs",
        (Phase::Sender, _) => "check `fromaddr`; some hosts want a login (`smtpUser`, `smtpPassword`) or a sender of their own domain",
        (Phase::Recipient, _) => "check the address; a host that delivers to others only for those it knows wants a login (`smtpUser`, `smtpPassword`)",
        (Phase::Connect | Phase::Data, _) => "ask the operator of the host, whose log tells more",
    }
    .to_owned()
}
