//! Searches files for the marker that each secret of the tests carries: as it is, in hex, within what zstd has compressed,
//! and in the tables of SQLite, where a value may lie in pieces.

use std::{fs, io, path::Path};

use sqlx::{Connection as _, Row as _, SqliteConnection};

/// What each secret of the tests carries.
pub(crate) const MARKER: &str = "SECRET-MARKER-5f3a";

/// The first bytes of a database of SQLite. Source: its file format.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// The first bytes of a zstd frame. Source: RFC 8878.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What a search came to.
#[derive(Debug, Default)]
pub(crate) struct Searched {
    /// All files.
    pub(crate) files: Vec<String>,
    /// Where the marker is.
    pub(crate) found: Vec<String>,
}

/// Searches all files below a folder.
pub(crate) fn search(folder: &Path) -> io::Result<Searched> {
    let mut searched = Searched::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path)?;
            if holds(&bytes) {
                searched.found.push(path.display().to_string());
            }
            if bytes.starts_with(&ZSTD) && holds(&zstd::decode_all(&*bytes)?) {
                searched.found.push(format!("{} (compressed)", path.display()));
            }
            if bytes.starts_with(SQLITE) {
                let tables = tables_with_marker(&path).map_err(io::Error::other)?;
                let name = |table| format!("{} (table {table})", path.display());
                searched.found.extend(tables.into_iter().map(name));
            }
            searched.files.push(path.display().to_string());
        }
    }
    searched.files.sort();
    Ok(searched)
}

/// Whether the marker is in there, as it is or in hex.
fn holds(bytes: &[u8]) -> bool {
    let is_in =
        |part: &str| bytes.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()));
    is_in(MARKER) || is_in(&marker_in_hex())
}

fn marker_in_hex() -> String {
    let hex: Vec<String> = MARKER.bytes().map(|byte| format!("{byte:02x}")).collect();
    hex.concat()
}

/// The tables in which a value holds the marker, with what has not yet come from the journal beside the file.
fn tables_with_marker(path: &Path) -> Result<Vec<String>, sqlx::Error> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(sqlx::Error::Io)?;
    runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await?;
        let tables = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table'");
        let mut found = Vec::new();
        for table in tables.fetch_all(&mut connection).await? {
            let table: String = table.try_get(0)?;
            let columns = format!("SELECT name FROM pragma_table_info('{table}')");
            for column in sqlx::query(sqlx::AssertSqlSafe(columns)).fetch_all(&mut connection).await? {
                let column: String = column.try_get(0)?;
                let values = format!(r#"SELECT CAST("{column}" AS BLOB) FROM "{table}""#);
                for value in sqlx::query(sqlx::AssertSqlSafe(values)).fetch_all(&mut connection).await? {
                    let value: Option<Vec<u8>> = value.try_get(0)?;
                    let value = value.unwrap_or_default();
                    let unpacked =
                        if value.starts_with(&ZSTD) { zstd::decode_all(&*value)? } else { Vec::new() };
                    if holds(&value) || holds(&unpacked) {
                        found.push(format!("{table}.{column}"));
                    }
                }
            }
        }
        found.dedup();
        Ok(found)
    })
}

/// Hides the marker in each way in which a master could leave it, and looks whether it is found; and that nothing is found
/// where nothing is.
pub(crate) fn prove_that_it_finds() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let text = format!("{}{MARKER}-and-more", "a line of a log\n".repeat(10_000));
    let compressed = zstd::encode_all(text.as_bytes(), 3).map_err(|error| error.to_string())?;
    let first = zstd::encode_all(&b"another frame"[..], 3).map_err(|error| error.to_string())?;
    let plants: [(&str, Vec<u8>); 5] = [
        ("lunabot.log", text.clone().into_bytes()),
        ("logs/0/1.log.zst", compressed.clone()),
        ("logs/0/2.log.zst", [first.clone(), compressed].concat()),
        ("postgres.txt", marker_in_hex().to_uppercase().into_bytes()),
        ("api.txt", MARKER.to_lowercase().into_bytes()),
    ];
    for (number, (name, bytes)) in plants.into_iter().enumerate() {
        let folder = folder.path().join(number.to_string());
        plant(&folder.join(name), &bytes).map_err(|error| error.to_string())?;
        // What is compressed may stand there in clear as well, and must not be found by that alone.
        let end =
            if Path::new(name).extension().is_some_and(|end| end == "zst") { "(compressed)" } else { name };
        expect(&folder, |found| found.iter().any(|place| place.ends_with(end)))?;
    }
    let folder = folder.path().join("database");
    plant(&folder.join("state.sqlite"), b"").map_err(|error| error.to_string())?;
    plant_in_database(&folder.join("state.sqlite"), text.as_bytes()).map_err(|error| error.to_string())?;
    expect(&folder, |found| found.iter().any(|place| place.ends_with("(table logs.content)")))?;
    let folder = folder.join("clean");
    plant(&folder.join("lunabot.log.zst"), &first).map_err(|error| error.to_string())?;
    expect(&folder, <[String]>::is_empty)
}

fn expect(folder: &Path, is_so: impl Fn(&[String]) -> bool) -> Result<(), String> {
    let found = search(folder).map_err(|error| error.to_string())?.found;
    if is_so(&found) { Ok(()) } else { Err(format!("in {}, it finds {found:?}", folder.display())) }
}

fn plant(place: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(place, bytes)
}

fn plant_in_database(path: &Path, content: &[u8]) -> Result<(), sqlx::Error> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(sqlx::Error::Io)?;
    runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await?;
        sqlx::query("CREATE TABLE logs (id INTEGER, content BLOB)").execute(&mut connection).await?;
        let insert = sqlx::query("INSERT INTO logs VALUES (1, $1)");
        insert.bind(content).execute(&mut connection).await?;
        connection.close().await
    })
}
