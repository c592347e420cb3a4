//! The processes of this machine, as `/proc` tells them.
//!
//! # Laws
//! - A look is shared by all who asked for one before it began: many commands that end at once cost two looks.
//! - Who asks waits [`LIMIT`] at most, also if `/proc` hangs, as it can for a process that hangs in the kernel.
//!
//! # Not here
//! Processes that have ended and wait to be reaped.

use std::{
    fs, io,
    io::Read,
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::getpid;

/// How long a look may take. Source of the figure: some 20 µs for each process.
const LIMIT: Duration = Duration::from_secs(1);
/// The longest environment that is looked into. The kernel allows 6 MiB of arguments and environment by default.
const ENVIRONMENT_BYTES: u64 = 8 * 1024 * 1024;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// When it began, in ticks since the machine did: with its id, this is one process for ever.
    pub(super) began: u64,
    /// Whether it has ended.
    pub(super) is_over: bool,
    /// Which of our commands it says it belongs to.
    pub(super) command: Option<Box<[u8]>>,
}

/// The variable that says to which command a process belongs.
pub(super) const COMMAND: &str = "LUNABOT_COMMAND";

#[derive(Debug)]
struct Looks {
    is_looking: bool,
    last: Option<(Instant, Arc<[Entry]>)>,
}

static LOOKS: Mutex<Looks> = Mutex::new(Looks { is_looking: false, last: None });
static LOOKED: Condvar = Condvar::new();

/// All processes, as they are now or a little later.
///
/// Blocks.
pub(super) fn look() -> io::Result<Arc<[Entry]>> {
    let asked = Instant::now();
    // Nothing that is done while it is held can panic.
    let mut looks = LOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some((_, found)) = looks.last.as_ref().filter(|(began, _)| *began >= asked) {
            return Ok(Arc::clone(found));
        }
        if !looks.is_looking {
            break;
        }
        let left = (asked + LIMIT).saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        looks = LOOKED.wait_timeout(looks, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    looks.is_looking = true;
    drop(looks);
    let began = Instant::now();
    let found = read();
    let mut looks = LOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    looks.is_looking = false;
    let told = found.map(|found| {
        let found = Arc::from(found);
        looks.last = Some((began, Arc::clone(&found)));
        found
    });
    LOOKED.notify_all();
    told
}

/// When a process began, if it is there.
pub(super) fn began(id: i32) -> Option<u64> {
    entry(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?).map(|entry| entry.began)
}

/// The environment of a process. One that cannot be read is not ours, or has gone.
pub(super) fn environment(process: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(process.join("environ"))?.take(ENVIRONMENT_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read() -> io::Result<Vec<Entry>> {
    let ours = getpid().as_raw_nonzero().get();
    // Whoever is older than we are is no child of ours.
    let oldest = began(ours).unwrap_or(0);
    let mut found = Vec::new();
    for process in fs::read_dir("/proc")? {
        let Ok(process) = process else { continue };
        if !process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let path = process.path();
        // Names may be any bytes.
        let Ok(stat) = fs::read(path.join("stat")) else { continue };
        let Some(mut entry) = entry(&String::from_utf8_lossy(&stat)) else { continue };
        if !entry.is_over && entry.began >= oldest && entry.id != ours {
            entry.command = environment(&path).ok().and_then(|bytes| command(&bytes));
        }
        found.push(entry);
    }
    Ok(found)
}

fn command(environment: &[u8]) -> Option<Box<[u8]>> {
    let mut variables = environment.split(|&byte| byte == 0);
    variables
        .find_map(|variable| variable.strip_prefix(COMMAND.as_bytes())?.strip_prefix(b"=").map(Box::from))
}

/// A process as its `stat` tells it. Source of the fields: proc(5). The name, in parentheses, may hold anything.
pub(super) fn entry(stat: &str) -> Option<Entry> {
    let (head, rest) = stat.rsplit_once(')')?;
    let id = head.split('(').next()?.trim().parse().ok()?;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
    Some(Entry {
        id,
        is_over: matches!(*fields.first()?, "Z" | "X" | "x"),
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        began: fields.get(19)?.parse().ok()?,
        command: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "17 (a) b (c) Z 1 15 14 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 2 3\n";
        let read = entry(stat).unwrap();
        let expected =
            Entry { id: 17, parent: 1, group: 15, session: 14, began: 4711, is_over: true, command: None };
        assert_eq!(read, expected);
        assert_eq!(entry("17 (cut off"), None);
        assert_eq!(entry("17 (cut off) S 1"), None);
    }

    #[test]
    fn we_are_among_the_processes_and_looks_are_shared() {
        let ours = getpid().as_raw_nonzero().get();
        let found = look().unwrap();
        assert!(found.iter().any(|entry| entry.id == ours && !entry.is_over));
        assert_eq!(began(ours), found.iter().find(|entry| entry.id == ours).map(|entry| entry.began));
        std::thread::scope(|scope| {
            let looks: Vec<_> = (0..8).map(|_| scope.spawn(|| look().unwrap())).collect();
            for look in looks {
                assert!(look.join().unwrap().iter().any(|entry| entry.id == ours));
            }
        });
    }

    #[test]
    fn the_command_of_a_process_is_the_value_of_its_variable() {
        assert_eq!(command(b"A=1\0LUNABOT_COMMAND=7.1\0B=2\0").as_deref(), Some(b"7.1".as_slice()));
        assert_eq!(command(b"XLUNABOT_COMMAND=7.1\0LUNABOT_COMMANDS=8\0"), None);
    }
}
