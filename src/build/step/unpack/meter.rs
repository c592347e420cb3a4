//! A stream that ends with an error where its bounds are, whatever it was compressed to.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
    sync::atomic::{AtomicBool, Ordering},
};

/// Why a [`Metered`] stream ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// What stands between two entries is too long.
    Header,
    /// All of it is too long.
    All,
    /// It was stopped.
    Stopped,
}

/// What may still be read, shared between a stream and the one who unpacks it: the archive owns the stream.
#[derive(Debug)]
pub(super) struct Meter {
    /// Until the next entry must begin; unbounded within an entry's bytes.
    header: Cell<Option<u64>>,
    all: Cell<u64>,
    cut: Cell<Option<Cut>>,
}

/// A stream that ends with an error where its bounds are.
pub(super) struct Metered<'a, R> {
    inner: R,
    meter: Rc<Meter>,
    cancelled: &'a AtomicBool,
}

impl Meter {
    /// So many bytes may be read in all.
    pub(super) const fn new(all: u64) -> Self {
        Self { header: Cell::new(None), all: Cell::new(all), cut: Cell::new(None) }
    }

    /// So many bytes may be read until the next bound is set.
    pub(super) fn bound_header(&self, most: Option<u64>) {
        self.header.set(most);
    }

    /// Why the stream ended early, if it was here that it ended.
    pub(super) fn cut(&self) -> Option<Cut> {
        self.cut.get()
    }
}

impl<'a, R> Metered<'a, R> {
    /// Reads from `inner`, until the bounds or `cancelled`.
    pub(super) const fn new(inner: R, meter: Rc<Meter>, cancelled: &'a AtomicBool) -> Self {
        Self { inner, meter, cancelled }
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let cut = if self.cancelled.load(Ordering::Relaxed) {
            Some(Cut::Stopped)
        } else if self.meter.all.get() == 0 {
            Some(Cut::All)
        } else if self.meter.header.get() == Some(0) {
            Some(Cut::Header)
        } else {
            None
        };
        if let Some(cut) = cut {
            self.meter.cut.set(Some(cut));
            return Err(io::Error::other("the bounds of the stream"));
        }
        let most = self.meter.header.get().unwrap_or(u64::MAX).min(self.meter.all.get());
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(into.len());
        let count = self.inner.read(&mut into[..most])?;
        let length = u64::try_from(count).expect("memory is smaller than 2^64 bytes");
        self.meter.all.set(self.meter.all.get() - length);
        self.meter.header.set(self.meter.header.get().map(|left| left - length));
        Ok(count)
    }
}
