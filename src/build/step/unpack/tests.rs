//! Streams that a worker may send, good and bad.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use tar::{Builder, EntryType, Header};

use super::*;

/// A stream of entries: kind, name, what a link leads to, bytes. Names are written as they are, however bad.
fn stream(entries: &[(EntryType, &str, &str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, to, bytes) in entries {
        let mut header = Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(0o6777);
        header.set_mtime(1_000_000_000);
        header.set_size(u64::try_from(bytes.len()).unwrap());
        let raw = header.as_mut_bytes();
        raw[..name.len()].copy_from_slice(name.as_bytes());
        raw[157..157 + to.len()].copy_from_slice(to.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

const DIR: EntryType = EntryType::Directory;
const REG: EntryType = EntryType::Regular;
const SYM: EntryType = EntryType::Symlink;
const LNK: EntryType = EntryType::Link;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        Self { dir }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("in")
    }

    fn unpack(&self, bytes: &[u8], compression: Option<Compression>, most: u64) -> Result<(), UnpackError> {
        let path = self.dir.path().join("stream");
        fs::write(&path, bytes).unwrap();
        let cancelled = AtomicBool::new(false);
        unpack(File::open(path).unwrap(), compression, &self.folder(), Budget(most), &cancelled)
    }
}

fn refused(entries: &[(EntryType, &str, &str, &[u8])]) -> UnpackError {
    let place = Place::new();
    let error = place.unpack(&stream(entries), None, 1 << 26).expect_err("the stream is bad");
    // Beside the stream and the folder there is nothing.
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 2, "{error}");
    error
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_stream_as_pythons_becomes_its_folder_without_bits_that_nobody_should_have() {
    let good = stream(&[
        (DIR, "/", "", b""),
        (DIR, "sub/", "", b""),
        (REG, "sub/file", "", b"hello"),
        (REG, "deep/er/file", "", b"deep"),
        (SYM, "deep/link", "../sub/file", b""),
        (LNK, "twin", "sub/file", b""),
    ]);
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&good).unwrap();
        encoder.finish().unwrap()
    };
    let bzip2 = {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(&good).unwrap();
        encoder.finish().unwrap()
    };
    let streams = [(good, None), (gzip, Some(Compression::Gzip)), (bzip2, Some(Compression::Bzip2))];
    for (bytes, compression) in streams {
        let place = Place::new();
        place.unpack(&bytes, compression, 1 << 20).unwrap();
        let at = place.folder();
        assert_eq!(read(&at.join("sub/file")), "hello");
        assert_eq!(read(&at.join("deep/er/file")), "deep");
        assert_eq!(read(&at.join("deep/link")), "hello");
        assert_eq!(read(&at.join("twin")), "hello");
        let file = fs::metadata(at.join("sub/file")).unwrap();
        assert_eq!(file.permissions().mode() & 0o7022, 0);
        assert_eq!(file.modified().unwrap(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
        assert_eq!(fs::metadata(at.join("sub")).unwrap().permissions().mode() & 0o7022, 0);
    }
}

#[test]
fn nothing_leads_out_of_the_folder() {
    use UnpackError::{InTheWay, LinkOutside, Outside};
    for name in ["/etc/x", "../x", "a/../../x", "//x"] {
        let error = refused(&[(REG, name, "", b"x")]);
        assert!(matches!(error, Outside { .. }), "{name}: {error}");
    }
    for to in ["/etc/passwd", "..", "../x", "a/../../x"] {
        let error = refused(&[(SYM, "link", to, b"")]);
        assert!(matches!(error, LinkOutside { .. }), "{to}: {error}");
    }
    // Each of these two alone stays inside; together they would not.
    let error = refused(&[(SYM, "d/s", "../d", b""), (SYM, "t", "d/s/../../x", b"")]);
    assert!(matches!(error, LinkOutside { .. }), "{error}");
    let error = refused(&[(LNK, "twin", "../stream", b"")]);
    assert!(matches!(error, LinkOutside { .. }), "{error}");
    // Through a link, in either order.
    let error = refused(&[(SYM, "a", "b", b""), (REG, "a/x", "", b"x")]);
    assert!(matches!(error, InTheWay { .. }), "{error}");
    let error = refused(&[(REG, "a", "", b"x"), (REG, "a/x", "", b"x")]);
    assert!(matches!(error, InTheWay { .. }), "{error}");
}

#[test]
fn devices_and_pipes_are_refused() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        let error = refused(&[(kind, "x", "", b"")]);
        assert!(matches!(error, UnpackError::Strange { .. }), "{error}");
    }
}

#[test]
fn a_file_that_was_sent_as_a_folder_is_told_as_what_it_is() {
    // A worker's archive of a file has one entry, without a name.
    assert!(matches!(refused(&[(REG, "/", "", b"bytes")]), UnpackError::NoFolder));
}

#[test]
fn a_name_that_cannot_be_read_is_an_error_and_no_other_name() {
    for name in ["ä\nb", "ä\n\nb", "ä\n13 path=../x"] {
        let mut builder = Builder::new(Vec::new());
        builder.append_pax_extensions([("path", name.as_bytes())]).unwrap();
        let mut header = Header::new_ustar();
        header.set_path("other").unwrap();
        header.set_size(0);
        header.set_cksum();
        builder.append(&header, io::empty()).unwrap();
        let place = Place::new();
        let error = place.unpack(&builder.into_inner().unwrap(), None, 1 << 26).expect_err("the name is bad");
        assert!(error.to_string().contains("line break"), "{error}");
        assert_eq!(fs::read_dir(place.folder()).unwrap().count(), 0);
    }
}

#[test]
fn a_stream_that_was_cut_is_no_folder() {
    let whole = stream(&[(REG, "file", "", &[7; 4000])]);
    for length in [0, 100, 512, 2000] {
        let error = Place::new().unpack(&whole[..length], None, 1 << 20).expect_err("it was cut");
        assert!(matches!(error, UnpackError::Broken { .. }), "{length}: {error}");
    }
    let error = Place::new().unpack(b"no gzip at all", Some(Compression::Gzip), 1 << 20);
    assert!(matches!(error, Err(UnpackError::Broken { .. })), "{error:?}");
}

#[test]
fn a_bomb_stops_at_its_bounds() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&stream(&[(REG, "zeros", "", &vec![0; 8 << 20])])).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 64 * 1024);
    let place = Place::new();
    let error = place.unpack(&bomb, Some(Compression::Gzip), 1 << 20).expect_err("it is too large");
    assert!(matches!(error, UnpackError::TooLarge { most } if most == 1 << 20), "{error}");
    assert!(fs::metadata(place.folder().join("zeros")).unwrap().len() <= 1 << 20);
}

#[test]
fn a_name_without_end_fills_no_memory() {
    let name = vec![b'x'; 4 << 20];
    let error = refused(&[(EntryType::GNULongName, "././@LongLink", "", &name), (REG, "x", "", b"")]);
    assert!(matches!(error, UnpackError::Broken { .. }), "{error}");
}

#[test]
fn a_stop_is_heard() {
    let place = Place::new();
    let path = place.dir.path().join("stream");
    fs::write(&path, stream(&[(REG, "file", "", b"x")])).unwrap();
    let stopped =
        unpack(File::open(path).unwrap(), None, &place.folder(), Budget(1 << 20), &AtomicBool::new(true));
    assert!(matches!(stopped, Err(UnpackError::Stopped)), "{stopped:?}");
}

#[test]
fn what_is_there_already_stays_beside_what_comes() {
    let place = Place::new();
    let to = place.dir.path().join("out");
    fs::create_dir_all(to.join("sub")).unwrap();
    fs::write(to.join("sub/old"), "old").unwrap();
    fs::write(to.join("sub/file"), "old").unwrap();
    place
        .unpack(&stream(&[(REG, "sub/file", "", b"new"), (REG, "more", "", b"new")]), None, 1 << 20)
        .unwrap();
    merge(&place.folder(), &to).unwrap();
    assert_eq!(read(&to.join("sub/old")), "old");
    assert_eq!(read(&to.join("sub/file")), "new");
    assert_eq!(read(&to.join("more")), "new");
}

#[test]
fn a_merge_passes_through_no_link() {
    let place = Place::new();
    let (to, other) = (place.dir.path().join("out"), place.dir.path().join("other"));
    fs::create_dir(&to).unwrap();
    fs::create_dir(&other).unwrap();
    std::os::unix::fs::symlink(&other, to.join("sub")).unwrap();
    place.unpack(&stream(&[(REG, "sub/file", "", b"new")]), None, 1 << 20).unwrap();
    let error = merge(&place.folder(), &to).expect_err("a link is in the way");
    assert!(matches!(error, UnpackError::InTheWay { .. }), "{error}");
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
}
