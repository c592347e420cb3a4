//! The running master, as commands reach it.

use std::path::Path;

use serde_json::Value;

use crate::{
    cli::failure::{Failure, Kind},
    master::MasterFolder,
    net::{HttpError, UnixHttp},
};

/// A folder and the master that runs there.
pub(super) struct RunningMaster {
    pub(super) folder: MasterFolder,
    pub(super) api: UnixHttp,
}

impl RunningMaster {
    /// The master of a folder.
    pub(super) fn of(dir: &Path) -> Result<Self, Failure> {
        let folder = MasterFolder::open(dir)?;
        if folder.holder().is_none() {
            let text = format!("no master runs in {}", dir.display());
            let hint = format!("start it with `lunabot start {}`", dir.display());
            return Err(Failure::message(Kind::NotRunning, text).hint(hint));
        }
        let api = UnixHttp::new(&folder.socket(), "/api/v2")?;
        Ok(Self { folder, api })
    }

    /// The rows of a list.
    pub(super) async fn list(
        &self,
        noun: &str,
        path: &str,
        pairs: &[(&str, &str)],
    ) -> Result<Vec<Value>, HttpError> {
        let mut answer = self.api.get(path, pairs).await?;
        match answer[noun].take() {
            Value::Array(rows) => Ok(rows),
            _ => Ok(Vec::new()),
        }
    }

    /// The one row of a path.
    pub(super) async fn one(&self, noun: &str, path: &str) -> Result<Option<Value>, HttpError> {
        match self.list(noun, path, &[]).await {
            Ok(rows) => Ok(rows.into_iter().next()),
            Err(HttpError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The id of a builder, or a failure that names the nearest one.
    pub(super) async fn builder_id(&self, name: &str) -> Result<i64, Failure> {
        let rows = self.list("builders", "/builders", &[("name", name)]).await?;
        if let Some(id) = rows.first().and_then(|row| row["builderid"].as_i64()) {
            return Ok(id);
        }
        let all = self.list("builders", "/builders", &[("field", "name")]).await?;
        let names: Vec<&str> = all.iter().filter_map(|row| row["name"].as_str()).collect();
        let hint = crate::definition::suggest::did_you_mean(name, names.iter().copied())
            .or_else(|| (!names.is_empty()).then(|| format!("there are: {}", names.join(", "))));
        Err(Failure::message(Kind::Failed, format!("no builder is named {name:?}")).hint(hint))
    }
}

/// The text of a field, empty if it is none.
pub(super) fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}
