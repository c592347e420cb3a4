//! A writer of the log that masks secrets.
//!
//! # Laws
//! - A line comes whole in one write, as `tracing_subscriber` does it, so that no secret is cut.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use crate::secret::Masker;

/// Makes writers that mask.
#[derive(Clone, Debug)]
pub(super) struct Masked<M> {
    inner: M,
    masker: Masker,
}

/// One such.
#[derive(Debug)]
pub(super) struct MaskedWriter<W> {
    inner: W,
    masker: Masker,
}

impl<M> Masked<M> {
    /// Before another.
    pub(super) fn new(inner: M, masker: &Masker) -> Self {
        Self { inner, masker: masker.clone() }
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Masked<M> {
    type Writer = MaskedWriter<M::Writer>;
    fn make_writer(&'a self) -> Self::Writer {
        MaskedWriter { inner: self.inner.make_writer(), masker: self.masker.clone() }
    }
}

impl<W: Write> Write for MaskedWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.inner.write_all(&self.masker.mask_bytes(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use tracing::{error, subscriber::with_default};
    use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

    use super::{super::kept_log::KeptLog, *};
    use crate::{definition::SecretName, model::Secret};

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn no_secret_is_in_any_form_of_the_log_nor_in_a_chain_of_causes() {
        let masker = Masker::new();
        let secret = "ses\"ame\\é\x1b";
        masker.note(&SecretName::new("db").unwrap(), &Secret::new(secret));
        let (text, json) = (KeptLog::default(), KeptLog::default());
        let (to_text, to_json) = (text.clone(), json.clone());
        let as_text = Masked::new(move || to_text.clone(), &masker);
        let as_json = Masked::new(move || to_json.clone(), &masker);
        let subscriber = tracing_subscriber::registry()
            .with(tracing_subscriber::fmt::layer().with_ansi(false).with_writer(as_text).boxed())
            .with(tracing_subscriber::fmt::layer().json().with_writer(as_json).boxed());
        with_default(subscriber, || {
            let failure = Outer(io::Error::other(format!("cause {secret}")));
            let failure = &failure as &dyn std::error::Error;
            error!(error = failure, field = secret, debug = ?secret, display = %secret, "message {secret}");
        });
        // As JSON, an error is told without its causes.
        for (log, count) in [(text, 5), (json, 4)] {
            let log = log.text();
            assert_eq!(log.matches("<db>").count(), count, "{log}");
            assert!(!log.contains("ame"), "{log}");
        }
    }
}
