//! Questions of the HTTP API, each answered with typed rows.

use std::collections::{BTreeMap, HashMap};

use sqlx::AssertSqlSafe;

use crate::{
    model::{BuildId, BuildRequestId, BuilderId, BuilderName, MasterId, Properties, WorkerId, WorkerName},
    store::{
        Store,
        connection::{Kind, Row, args},
        error::{StoreError, failed},
        generation::json,
        query::{Page, Query, QueryError, compile},
        row::{
            ApiRow, BuildRequestRow, BuildRow, BuilderRow, BuildsetRow, ConfiguredOn, EventRow,
            GenerationRow, LetterRow, LogRow, SchedulerRow, StepRow, WorkerRow,
        },
    },
};

/// Begins the question for the builders of workers; what `workerid` must be follows.
pub(super) const CONFIGURED_ON: &str = "SELECT workerid, builderid FROM builder_workers WHERE workerid";

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident: $row:ty;)*) => {
        impl Store {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// [`QueryError::UnknownField`] and kin for a question that makes no sense.
            pub async fn $name(&self, query: &Query) -> Result<Page<$row>, QueryError> {
                self.page(query).await
            }
        )*}
    };
}

resources! {
    /// Builders, those too that are no longer configured.
    builders: BuilderRow;
    /// Schedulers, those too that are no longer configured.
    schedulers: SchedulerRow;
    /// What was asked for.
    buildsets: BuildsetRow;
    /// What was asked for, by builder.
    build_requests: BuildRequestRow;
    /// Builds.
    builds: BuildRow;
    /// Steps.
    steps: StepRow;
    /// The configurations that came into force.
    generations: GenerationRow;
    /// Letters that are not sent yet, those too that are given up.
    letters: LetterRow;
    /// What happened.
    events: EventRow;
}

impl Store {
    /// Workers, those too that are no longer configured.
    ///
    /// # Errors
    /// [`QueryError::UnknownField`] and kin for a question that makes no sense.
    pub async fn workers(&self, query: &Query) -> Result<Page<WorkerRow>, QueryError> {
        let mut page = self.page::<WorkerRow>(query).await?;
        self.fill_configured_on(&mut page.rows).await.map_err(|error| failed("read workers", error))?;
        Ok(page)
    }

    /// Logs. The lines and bytes of an open one are those that a reader can see.
    ///
    /// # Errors
    /// [`QueryError::UnknownField`] and kin for a question that makes no sense.
    pub async fn logs(&self, query: &Query) -> Result<Page<LogRow>, QueryError> {
        let mut page = self.page::<LogRow>(query).await?;
        for log in page.rows.iter_mut().filter(|log| !log.complete) {
            if let Some((bytes, lines)) = self.logs.seen(log.logid) {
                log.num_bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                log.num_lines = i64::try_from(lines).unwrap_or(i64::MAX);
            }
        }
        Ok(page)
    }

    /// A build by the name of its builder and its number.
    pub async fn build_by_number(
        &self,
        builder: &BuilderName,
        number: i64,
    ) -> Result<Option<BuildRow>, StoreError> {
        let deed = "read a build";
        let sql = format!(
            "SELECT {} FROM builds WHERE builderid = (SELECT id FROM builders WHERE name = $1) AND number = $2",
            BuildRow::TABLE.columns
        );
        let row = self.pool.row(AssertSqlSafe(sql), args![builder.as_str(), number]).await;
        let row = row.map_err(|error| failed(deed, error))?;
        row.map(|row| BuildRow::read(&row, self.master)).transpose().map_err(|error| failed(deed, error))
    }

    /// The properties of a build; none if there is no such build.
    pub async fn build_properties(&self, build: BuildId) -> Result<Option<Properties>, StoreError> {
        let deed = "read the properties of a build";
        let row = self.pool.row("SELECT properties FROM builds WHERE id = $1", args![build.0]).await;
        let row = row.map_err(|error| failed(deed, error))?;
        row.map(|row| row.json("properties")).transpose().map_err(|error| failed(deed, error))
    }

    /// The key of a worker's name.
    pub async fn worker_id(&self, worker: &WorkerName) -> Result<Option<WorkerId>, StoreError> {
        let id = self.id("SELECT id FROM workers WHERE name = $1", worker.as_str()).await;
        Ok(id.map_err(|error| failed("find a worker", error))?.map(WorkerId))
    }

    /// The key of a builder's name.
    pub async fn builder_id(&self, builder: &BuilderName) -> Result<Option<BuilderId>, StoreError> {
        let id = self.id("SELECT id FROM builders WHERE name = $1", builder.as_str()).await;
        Ok(id.map_err(|error| failed("find a builder", error))?.map(BuilderId))
    }

    /// The keys of all builders that are configured.
    pub async fn builder_ids(&self) -> Result<BTreeMap<BuilderName, BuilderId>, StoreError> {
        let deed = "read the builders";
        let rows = self.pool.rows("SELECT id, name FROM builders WHERE configured = 1", args![]).await;
        let rows = rows.map_err(|error| failed(deed, error))?;
        let pairs = rows.iter().map(|row| Ok((row.parsed("name")?, BuilderId(row.integer("id")?))));
        pairs.collect::<Result<_, _>>().map_err(|error| failed(deed, error))
    }

    /// The build of a request that has not ended, if there is one.
    pub async fn running_build(&self, request: BuildRequestId) -> Result<Option<BuildId>, StoreError> {
        let deed = "find the build of a request";
        let sql = "SELECT id FROM builds WHERE buildrequestid = $1 AND complete_at IS NULL";
        let row = self.pool.row(sql, args![request.0]).await.map_err(|error| failed(deed, error))?;
        let id = row.map(|row| row.integer("id")).transpose().map_err(|error| failed(deed, error))?;
        Ok(id.map(BuildId))
    }

    async fn id(&self, sql: &'static str, name: &str) -> Result<Option<i64>, sqlx::Error> {
        self.pool.row(sql, args![name]).await?.map(|row| row.integer("id")).transpose()
    }

    async fn page<R: ApiRow>(&self, query: &Query) -> Result<Page<R>, QueryError> {
        let deed = "answer a question";
        let compiled = compile::<R>(query, self.pool.dialect())?;
        let rows = self.pool.rows(AssertSqlSafe(compiled.select), compiled.args.clone()).await;
        let rows = rows.map_err(|error| failed(deed, error))?;
        let rows: Vec<R> = rows
            .iter()
            .map(|row| R::read(row, self.master))
            .collect::<Result<_, _>>()
            .map_err(|error| failed(deed, error))?;
        let found = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let total = if found < compiled.limit && (found > 0 || query.offset == 0) {
            // This was the last page.
            Some(u64::from(query.offset) + u64::from(found))
        } else if let Some(count) = compiled.count {
            let row = self.pool.row(AssertSqlSafe(count), compiled.args).await;
            let row = row.map_err(|error| failed(deed, error))?;
            let total =
                row.map(|row| row.integer("total")).transpose().map_err(|error| failed(deed, error))?;
            total.and_then(|total| u64::try_from(total).ok())
        } else {
            None
        };
        Ok(Page { rows, total })
    }

    async fn fill_configured_on(&self, workers: &mut [WorkerRow]) -> Result<(), sqlx::Error> {
        let ids = json(workers.iter().map(|worker| (worker.workerid.0,)));
        let listed = self.pool.dialect().rows(1, &[Kind::Integer]);
        let sql = format!("{CONFIGURED_ON} IN (SELECT c0 FROM {listed} AS r) ORDER BY workerid, builderid");
        let mut by_worker: HashMap<i64, Vec<ConfiguredOn>> = HashMap::with_capacity(workers.len());
        for row in self.pool.rows(AssertSqlSafe(sql), args![ids]).await? {
            by_worker.entry(row.integer("workerid")?).or_default().push(configured_on(&row, self.master)?);
        }
        for worker in workers {
            worker.configured_on = by_worker.remove(&worker.workerid.0).unwrap_or_default();
        }
        Ok(())
    }
}

pub(super) fn configured_on(row: &Row, master: MasterId) -> Result<ConfiguredOn, sqlx::Error> {
    Ok(ConfiguredOn { masterid: master, builderid: BuilderId(row.integer("builderid")?) })
}
