//! A log that a test keeps, to read what was said.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

/// Keeps what is written; its clones keep it together.
#[derive(Clone, Default)]
pub(super) struct KeptLog(Arc<Mutex<Vec<u8>>>);

impl KeptLog {
    /// All that was written so far.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for KeptLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
