//! Files on their way between worker and master, as the operator defined it.

use crate::definition::{
    problem::Problem,
    record::Record,
    render::{Text, Worth},
    suggest,
};

/// What bounds and paces a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes that are sent; more is a failure.
    pub max_size: Option<u64>,
    /// Bytes that are sent at a time.
    pub block_size: u32,
}

/// Where an upload goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadTarget {
    /// On the master: below its folder, unless absolute.
    pub master_dest: Text,
    /// An address that is shown beside the step.
    pub url: Option<Text>,
    /// How that is called.
    pub url_text: Option<Text>,
}

/// `steps.FileUpload`: a file from the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadFile {
    /// Which, below `workdir`.
    pub source: Text,
    /// Where that begins, below the builder's folder.
    pub workdir: Text,
    /// Where it goes.
    pub target: UploadTarget,
    /// What bounds it.
    pub limits: Limits,
    /// Its permissions on the master; for its owner alone if absent.
    pub mode: Option<u32>,
    /// Whether it keeps its times.
    pub keep_stamp: bool,
}

/// How a folder is compressed on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `gz`.
    Gzip,
    /// `bz2`.
    Bzip2,
}

/// `steps.DirectoryUpload`: a folder from the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadDirectory {
    /// Which, below `workdir`.
    pub source: Text,
    /// Where that begins, below the builder's folder.
    pub workdir: Text,
    /// Where it goes.
    pub target: UploadTarget,
    /// What bounds it.
    pub limits: Limits,
    /// How it is compressed.
    pub compress: Option<Compression>,
}

/// `steps.MultipleFileUpload`: files and folders from the worker, into one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadMany {
    /// Which, below `workdir`.
    pub sources: Vec<Text>,
    /// Whether the sources are patterns.
    pub glob: bool,
    /// Where they begin, below the builder's folder.
    pub workdir: Text,
    /// Where they go.
    pub target: UploadTarget,
    /// What bounds each.
    pub limits: Limits,
    /// Permissions of the files on the master; for their owner alone if absent.
    pub mode: Option<u32>,
    /// Whether the files keep their times.
    pub keep_stamp: bool,
    /// How folders are compressed.
    pub compress: Option<Compression>,
}

/// What a file on the worker is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// What this file on the master holds: below the master's folder, unless absolute.
    File(Text),
    /// This text.
    Text(Text),
    /// This value, as JSON.
    Json(Worth),
}

/// `steps.FileDownload` and its kin: a file for the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// What it holds.
    pub content: Content,
    /// The file, below `workdir`.
    pub worker_dest: Text,
    /// Where that begins, below the builder's folder.
    pub workdir: Text,
    /// What bounds it.
    pub limits: Limits,
    /// Its permissions on the worker.
    pub mode: Option<u32>,
}

impl Limits {
    fn from_record(record: &Record) -> Option<Self> {
        Some(Self {
            max_size: record.integer("maxsize").map(i64::unsigned_abs),
            // What is more than a wire can carry is cut down where the command is made.
            block_size: u32::try_from(record.integer("blocksize")?).unwrap_or(u32::MAX),
        })
    }
}

impl UploadTarget {
    fn from_record(record: &Record) -> Option<Self> {
        Some(Self {
            master_dest: record.renderable("masterdest")?,
            url: record.renderable("url"),
            url_text: record.renderable("urlText"),
        })
    }
}

impl UploadFile {
    pub(super) fn from_record(record: &Record) -> Option<Self> {
        Some(Self {
            source: record.renderable("workersrc")?,
            workdir: record.renderable("workdir")?,
            target: UploadTarget::from_record(record)?,
            limits: Limits::from_record(record)?,
            mode: mode(record),
            keep_stamp: record.flag("keepstamp"),
        })
    }
}

impl UploadDirectory {
    pub(super) fn from_record(step: &str, record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        Some(Self {
            source: record.renderable("workersrc")?,
            workdir: record.renderable("workdir")?,
            target: UploadTarget::from_record(record)?,
            limits: Limits::from_record(record)?,
            compress: compression(step, record, problems),
        })
    }
}

impl UploadMany {
    pub(super) fn from_record(step: &str, record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        Some(Self {
            sources: record.renderables("workersrcs"),
            glob: record.flag("glob"),
            workdir: record.renderable("workdir")?,
            target: UploadTarget::from_record(record)?,
            limits: Limits::from_record(record)?,
            mode: mode(record),
            keep_stamp: record.flag("keepstamp"),
            compress: compression(step, record, problems),
        })
    }
}

impl Download {
    pub(super) fn from_record(record: &Record, content: Content) -> Option<Self> {
        Some(Self {
            content,
            worker_dest: record.renderable("workerdest")?,
            workdir: record.renderable("workdir")?,
            limits: Limits::from_record(record)?,
            mode: mode(record),
        })
    }
}

fn mode(record: &Record) -> Option<u32> {
    record
        .integer("mode")
        .map(|mode| u32::try_from(mode).expect("the reader takes four octal digits at most"))
}

fn compression(step: &str, record: &Record, problems: &mut Vec<Problem>) -> Option<Compression> {
    let word = record.text("compress")?;
    match word.as_str() {
        "gz" => Some(Compression::Gzip),
        "bz2" => Some(Compression::Bzip2),
        _ => {
            let text = format!("step {step:?}: `compress`: unknown compression `{word}`");
            let hint = suggest::did_you_mean(&word, ["gz", "bz2"])
                .or_else(|| Some("`gz`, `bz2`, or `None`".to_owned()));
            problems.push(Problem::error(record.place.clone(), text).hint(hint));
            None
        }
    }
}
