//! Where the log goes: standard error, and a file in the folder; without secrets to both.

use std::path::Path;

use tracing_subscriber::{
    EnvFilter, Layer as _,
    fmt::format::{self, DefaultFields},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{
    cli::{
        LogFormat,
        failure::{Failure, Kind},
        log_file::{LogFile, Rotation},
        log_mask::Masked,
        log_source::WithSource,
    },
    master::Whereabouts,
    secret::Masker,
};

/// The places of a log.
#[derive(Debug)]
pub(super) struct Log<'a> {
    /// The file.
    pub(super) file: &'a Path,
    /// When it is set aside.
    pub(super) rotation: Rotation,
    /// How it is written on standard error; not at all if absent.
    pub(super) stderr: Option<LogFormat>,
    /// What is logged.
    pub(super) level: &'a str,
}

/// Sends all that is logged to these places. `whereabouts` tells where what it is about is written; a worker's program
/// knows of nothing.
pub(super) fn start(log: &Log<'_>, masker: &Masker, whereabouts: &Whereabouts) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(log.level).map_err(|error| {
        let hint =
            "write a level (error, warn, info, debug, trace), or `lunabot::worker=debug,info`".to_owned();
        Failure::new(Kind::Failed, error).hint(hint)
    })?;
    let file = LogFile::open(log.file, log.rotation).map_err(|error| {
        let text = format!("cannot write the log {}: {error}", log.file.display());
        Failure::message(Kind::Environment, text).hint("check the owner and mode of the folder".to_owned())
    })?;
    let fields = || WithSource::new(DefaultFields::new(), whereabouts);
    let to_file = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .fmt_fields(fields())
        .with_writer(Masked::new(file, masker));
    let to_stderr = log.stderr.map(|format| {
        let colours = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        let layer = tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_writer(Masked::new(std::io::stderr, masker));
        match format {
            LogFormat::Text => layer.with_ansi(colours).fmt_fields(fields()).boxed(),
            LogFormat::Json => {
                layer.json().event_format(WithSource::new(format::format().json(), whereabouts)).boxed()
            }
        }
    });
    tracing_subscriber::registry().with(filter).with(to_file).with(to_stderr).init();
    Ok(())
}
