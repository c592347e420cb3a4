//! Where the master's log goes: standard error, and a file in its folder; without secrets to both.

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
        log_file::{KEPT, LogFile, ROTATE_BYTES},
        log_mask::Masked,
        log_source::WithSource,
    },
    master::{MasterFolder, Whereabouts},
    secret::Masker,
};

/// Sends all that is logged to both places.
pub(super) fn start(
    folder: &MasterFolder,
    format: LogFormat,
    level: &str,
    masker: &Masker,
    whereabouts: &Whereabouts,
) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(level).map_err(|error| {
        let hint =
            "write a level (error, warn, info, debug, trace), or `lunabot::worker=debug,info`".to_owned();
        Failure::new(Kind::Failed, error).hint(hint)
    })?;
    let path = folder.log_file();
    let file = LogFile::open(&path, ROTATE_BYTES, KEPT).map_err(|error| {
        let text = format!("cannot write the log {}: {error}", path.display());
        Failure::message(Kind::Environment, text).hint("check the owner and mode of the folder".to_owned())
    })?;
    let fields = || WithSource::new(DefaultFields::new(), whereabouts);
    let to_file = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .fmt_fields(fields())
        .with_writer(Masked::new(file, masker));
    let colours = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let to_stderr =
        tracing_subscriber::fmt::layer().with_target(false).with_writer(Masked::new(std::io::stderr, masker));
    let to_stderr = match format {
        LogFormat::Text => to_stderr.with_ansi(colours).fmt_fields(fields()).boxed(),
        LogFormat::Json => {
            to_stderr.json().event_format(WithSource::new(format::format().json(), whereabouts)).boxed()
        }
    };
    tracing_subscriber::registry().with(filter).with(to_file).with(to_stderr).init();
    Ok(())
}
