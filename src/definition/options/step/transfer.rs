//! The options of steps that carry files between worker and master.

use super::{MOST, NOT_YET, base};
use crate::definition::options::{Class, Constructor, Default, Kind, OptionSpec, option, rendered};

const MAX_SIZE: OptionSpec = option(
    "maxsize",
    Kind::Bytes { least: 0, most: MOST },
    Default::None,
    "The most bytes that are sent; more is a failure.",
);

const fn block_size(bytes: i64) -> OptionSpec {
    option(
        "blocksize",
        Kind::Bytes { least: 1, most: MOST },
        Default::Integer(bytes),
        "Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that.",
    )
}

const COMPRESS: OptionSpec = option(
    "compress",
    Kind::Text,
    Default::None,
    "How it is compressed on its way: `gz`, `bz2`, or not at all.",
);

const KEEP_STAMP: OptionSpec = option(
    "keepstamp",
    Kind::Bool,
    Default::Bool(false),
    "Whether the file keeps its times of access and change.",
);

/// What is shown beside an upload.
static URL: &[OptionSpec] = &[
    rendered(option("url", Kind::Text, Default::None, "An address that is shown beside the step.")),
    rendered(option(
        "urlText",
        Kind::Text,
        Default::None,
        "How it is called; the name of the target if absent.",
    )),
];

static UPLOAD_BASE: &[OptionSpec] = &base("upload", true);

static FILE_UPLOAD_OPTIONS: &[OptionSpec] = &[
    rendered(option("workersrc", Kind::Text, Default::Required, "The file on the worker, below `workdir`.")),
    rendered(option(
        "masterdest",
        Kind::Text,
        Default::Required,
        "The file on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user. \
         Folders above it are made.",
    )),
    rendered(option(
        "workdir",
        Kind::Text,
        Default::Text("build"),
        "Where `workersrc` begins, below the builder's folder.",
    )),
    MAX_SIZE,
    block_size(256 * 1024),
    option(
        "mode",
        Kind::Mode,
        Default::None,
        "Permissions of the file on the master; for its owner alone if absent, in octal as text: `\"0644\"`.",
    ),
    KEEP_STAMP,
];

/// `steps.FileUpload`.
pub static FILE_UPLOAD: Constructor = Constructor {
    module: "steps",
    name: "FileUpload",
    class: Class::Step,
    positional: &[
        "workersrc",
        "masterdest",
        "workdir",
        "maxsize",
        "blocksize",
        "mode",
        "keepstamp",
        "url",
        "urlText",
    ],
    groups: &[FILE_UPLOAD_OPTIONS, URL, UPLOAD_BASE],
    not_yet: NOT_YET,
    sentence: "Brings a file from the worker to the master. The file is replaced when all of it has come, and not before.",
};

static DIRECTORY_UPLOAD_OPTIONS: &[OptionSpec] = &[
    rendered(option(
        "workersrc",
        Kind::Text,
        Default::Required,
        "The folder on the worker, below `workdir`.",
    )),
    rendered(option(
        "masterdest",
        Kind::Text,
        Default::Required,
        "The folder on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user. \
         Folders above it are made.",
    )),
    rendered(option(
        "workdir",
        Kind::Text,
        Default::Text("build"),
        "Where `workersrc` begins, below the builder's folder.",
    )),
    MAX_SIZE,
    block_size(16 * 1024),
    COMPRESS,
];

/// `steps.DirectoryUpload`.
pub static DIRECTORY_UPLOAD: Constructor = Constructor {
    module: "steps",
    name: "DirectoryUpload",
    class: Class::Step,
    positional: &["workersrc", "masterdest", "workdir", "maxsize", "blocksize", "compress", "url", "urlText"],
    groups: &[DIRECTORY_UPLOAD_OPTIONS, URL, UPLOAD_BASE],
    not_yet: NOT_YET,
    sentence: "Brings a folder from the worker to the master, into one that may be there already. Nothing changes there before all of it \
               has come. A folder with devices, or with links that lead out of it, is refused.",
};

static MULTIPLE_FILE_UPLOAD_OPTIONS: &[OptionSpec] = &[
    rendered(option(
        "workersrcs",
        Kind::Texts,
        Default::Required,
        "Files and folders on the worker, below `workdir`.",
    )),
    rendered(option(
        "masterdest",
        Kind::Text,
        Default::Required,
        "The folder on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user. \
         Folders above it are made.",
    )),
    rendered(option(
        "workdir",
        Kind::Text,
        Default::Text("build"),
        "Where each of `workersrcs` begins, below the builder's folder.",
    )),
    MAX_SIZE,
    block_size(16 * 1024),
    option("glob", Kind::Bool, Default::Bool(false), "Whether `workersrcs` are patterns: `*.deb`, `out/**`."),
    option(
        "mode",
        Kind::Mode,
        Default::None,
        "Permissions of the files on the master; for their owner alone if absent, in octal as text: `\"0644\"`.",
    ),
    COMPRESS,
    KEEP_STAMP,
];

/// `steps.MultipleFileUpload`.
pub static MULTIPLE_FILE_UPLOAD: Constructor = Constructor {
    module: "steps",
    name: "MultipleFileUpload",
    class: Class::Step,
    positional: &[
        "workersrcs",
        "masterdest",
        "workdir",
        "maxsize",
        "blocksize",
        "glob",
        "mode",
        "compress",
        "keepstamp",
        "url",
        "urlText",
    ],
    groups: &[MULTIPLE_FILE_UPLOAD_OPTIONS, URL, UPLOAD_BASE],
    not_yet: NOT_YET,
    sentence: "Brings files and folders from the worker into a folder on the master, one after the other. The first that fails is the \
               last.",
};

/// Where on the worker a file is put, and how.
static TO_WORKER: &[OptionSpec] = &[
    rendered(option(
        "workerdest",
        Kind::Text,
        Default::Required,
        "The file on the worker, below `workdir`; it is replaced if it is there.",
    )),
    rendered(option(
        "workdir",
        Kind::Text,
        Default::Text("build"),
        "Where `workerdest` begins, below the builder's folder.",
    )),
    MAX_SIZE,
    block_size(16 * 1024),
    option(
        "mode",
        Kind::Mode,
        Default::None,
        "Permissions of the file on the worker, in octal as text: `\"0644\"`.",
    ),
];

static FILE_DOWNLOAD_OPTIONS: &[OptionSpec] = &[rendered(option(
    "mastersrc",
    Kind::Text,
    Default::Required,
    "The file on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user.",
))];

static FILE_DOWNLOAD_BASE: &[OptionSpec] = &base("download", true);

/// `steps.FileDownload`.
pub static FILE_DOWNLOAD: Constructor = Constructor {
    module: "steps",
    name: "FileDownload",
    class: Class::Step,
    positional: &["mastersrc", "workerdest", "workdir", "maxsize", "blocksize", "mode"],
    groups: &[FILE_DOWNLOAD_OPTIONS, TO_WORKER, FILE_DOWNLOAD_BASE],
    not_yet: NOT_YET,
    sentence: "Brings a file from the master to the worker.",
};

static STRING_DOWNLOAD_OPTIONS: &[OptionSpec] =
    &[rendered(option("s", Kind::Text, Default::Required, "What the file holds."))];

static STRING_DOWNLOAD_BASE: &[OptionSpec] = &base("string_download", true);

/// `steps.StringDownload`.
pub static STRING_DOWNLOAD: Constructor = Constructor {
    module: "steps",
    name: "StringDownload",
    class: Class::Step,
    positional: &["s", "workerdest", "workdir", "maxsize", "blocksize", "mode"],
    groups: &[STRING_DOWNLOAD_OPTIONS, TO_WORKER, STRING_DOWNLOAD_BASE],
    not_yet: NOT_YET,
    sentence: "Writes a text into a file on the worker.",
};

static JSON_STRING_DOWNLOAD_OPTIONS: &[OptionSpec] =
    &[rendered(option("o", Kind::Json, Default::Required, "What the file holds, as JSON."))];

static JSON_STRING_DOWNLOAD_BASE: &[OptionSpec] = &base("json_download", true);

/// `steps.JSONStringDownload`.
pub static JSON_STRING_DOWNLOAD: Constructor = Constructor {
    module: "steps",
    name: "JSONStringDownload",
    class: Class::Step,
    positional: &["o", "workerdest", "workdir", "maxsize", "blocksize", "mode"],
    groups: &[JSON_STRING_DOWNLOAD_OPTIONS, TO_WORKER, JSON_STRING_DOWNLOAD_BASE],
    not_yet: NOT_YET,
    sentence: "Writes a value as JSON into a file on the worker.",
};
