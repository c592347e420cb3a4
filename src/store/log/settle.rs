//! After a start: logs that were open when the master was killed are closed, and leftovers are removed.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Arc,
};

use memchr::{memchr_iter, memrchr};

use super::{INLINE, LogError, blocking, record::goes_on, remove, sync_folder, writer::Closed};
use crate::{
    model::{LogId, StepId, Timestamp},
    store::{Store, connection::args, error::failed},
};

impl Store {
    /// Closes the logs that this master's last run left open, with what is on disk; but not those of steps that go on.
    pub(in crate::store) async fn close_open_logs(
        &self,
        going_on: &[StepId],
        at: Timestamp,
    ) -> Result<(), LogError> {
        let deed = "find open logs";
        let sql = "SELECT id, stepid FROM logs WHERE form IN ('open', 'plain') AND form = 'open' AND masterid = $1 ORDER BY id";
        let rows = self.pool.rows(sql, args![self.master.0]).await.map_err(|error| failed(deed, error))?;
        for row in rows {
            let key = |column| row.integer(column).map_err(|error| failed(deed, error));
            let (log, step) = (LogId(key("id")?), StepId(key("stepid")?));
            if going_on.contains(&step) {
                continue;
            }
            let (path, marker) = (self.logs.plain(log), self.logs.marker(log));
            let (file, mark) = (path.clone(), marker.clone());
            let file_error = |source| LogError::File { path: path.clone(), source: Arc::new(source) };
            let closed = blocking(move || {
                let closed = repair(&file)?;
                if closed.content.is_some() {
                    fs::File::create(&mark)?;
                }
                Ok(closed)
            });
            let closed = closed.await.map_err(file_error)?;
            let moved = closed.content.is_some();
            self.record_closed(log, closed, at).await?;
            if moved {
                let file = path.clone();
                blocking(move || remove(&file).and_then(|()| remove(&marker))).await.map_err(file_error)?;
            }
        }
        self.logs.wake.notify_one();
        Ok(())
    }

    /// Removes what a crash left between two forms of a log: each has its marker.
    pub(super) async fn sweep(&self) -> Result<(), LogError> {
        let pending = self.logs.root.join("pending");
        let folder = pending.clone();
        let file_error = |source| LogError::File { path: pending.clone(), source: Arc::new(source) };
        let markers = blocking(move || {
            let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name()));
            names.collect::<io::Result<Vec<_>>>()
        });
        for name in markers.await.map_err(file_error)? {
            let Some(log) = name.to_str().and_then(|name| name.parse().ok()).map(LogId) else { continue };
            let row = self.pool.row("SELECT form FROM logs WHERE id = $1", args![log.0]).await;
            let form = row
                .and_then(|row| row.map(|row| row.text("form")).transpose())
                .map_err(|error| failed("find a log", error))?;
            let (plain, compressed) = (self.logs.plain(log), self.logs.compressed(log));
            let marker = self.logs.marker(log);
            blocking(move || {
                remove(&compressed.with_extension("zst.tmp"))?;
                match form.as_deref() {
                    Some("zstd" | "inline") => remove(&plain)?,
                    _ => remove(&compressed)?,
                }
                remove(&marker)
            })
            .await
            .map_err(file_error)?;
        }
        Ok(())
    }
}

/// Makes a file whole whose last record may be torn, and tells what it holds.
fn repair(path: &Path) -> io::Result<Closed> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        // Nothing was written.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Closed { records: 0, bytes: 0, content: Some(Vec::new()) });
        }
        file => file?,
    };
    let mut bytes = file.metadata()?.len();
    let mut chunk = vec![0; 1024 * 1024];
    let (mut offset, mut records, mut whole) = (0, 0, 0);
    while offset < bytes {
        let most = usize::try_from(bytes - offset).map_or(chunk.len(), |rest| rest.min(chunk.len()));
        let piece = &mut chunk[..most];
        file.read_exact_at(piece, offset)?;
        records += u64::try_from(memchr_iter(b'\n', piece).count()).expect("a piece is small");
        if let Some(end) = memrchr(b'\n', piece) {
            whole = offset + u64::try_from(end).expect("a piece is small") + 1;
        }
        offset += u64::try_from(most).expect("a piece is small");
    }
    if whole < bytes {
        // The line was cut off: what came is kept, as a line that goes on.
        let mut letter = [0];
        file.read_exact_at(&mut letter, whole)?;
        file.write_all_at(&[goes_on(letter[0])], whole)?;
        file.write_all_at(b"\n", bytes)?;
        records += 1;
        bytes += 1;
    }
    if bytes <= INLINE {
        let mut content = vec![0; usize::try_from(bytes).expect("few bytes")];
        file.read_exact_at(&mut content, 0)?;
        return Ok(Closed { records, bytes, content: Some(content) });
    }
    file.sync_all()?;
    sync_folder(path)?;
    Ok(Closed { records, bytes, content: None })
}
