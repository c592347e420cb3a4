//! The functions of the configuration that choose: how they are asked, and what their answers mean.
//!
//! # Laws
//! - A question has an answer within [`DEADLINE`], whatever the functions do.
//! - A function that fails keeps back the request that it was asked about, and nothing else; its error is in the log with its
//!   line.
//!
//! # Not here
//! When they are asked, and what becomes of the answer (`board`).

use std::time::Duration;

use tokio::time;
use tracing::warn;

use super::tables;
use crate::{
    build::board::{Answer, AnswerTo, BuilderFacts, Matter, Question, Said, WorkerFacts},
    definition::{BuilderDefinition, Hook, HookArgument, HookCall, Hooks, Worth},
    model::{BuildRequestId, BuilderName, PropertyValue, WorkerName},
    store::QueuedRequest,
    worker::RegistryHandle,
};

/// How long the answer to one question may take, all its calls together.
const DEADLINE: Duration = Duration::from_secs(10);

/// Asks; never fails, never lasts longer than [`DEADLINE`].
pub(super) async fn answer(question: &Question, registry: &RegistryHandle) -> Answer {
    let asker = Asker { hooks: question.interpreter.hooks(), registry };
    let said = match &question.matter {
        Matter::Ranking { hook, builders } => {
            let names = time::timeout(DEADLINE, asker.ranking(hook, builders)).await;
            let names = names.unwrap_or_else(|_| Err(late("prioritizeBuilders")));
            AnswerTo::Ranking(names.map_err(|said| complain(&said, hook, None)).ok())
        }
        Matter::Build { builder, about, select, requests } => {
            let asked = asker.build(builder, about, select.as_ref(), requests);
            match time::timeout(DEADLINE, asked).await {
                Ok(said) => said,
                Err(_) => {
                    let said = late("a function of the builder");
                    warn!(builder = %builder.name, source = %builder.place, "{}", said.what);
                    AnswerTo::Not(builder.name.clone(), requests.first().map(|(request, _)| request.id), said)
                }
            }
        }
    };
    question.answered(said)
}

fn late(function: &'static str) -> Said {
    Said { function, what: format!("gave no answer within {} s", DEADLINE.as_secs()) }
}

fn complain(said: &Said, hook: &Hook, builder: Option<&BuilderName>) {
    let builder = builder.map(tracing::field::display);
    warn!(builder, source = %hook.place, "`{}` {}", said.function, said.what);
}

struct Asker<'a> {
    hooks: &'a dyn Hooks,
    registry: &'a RegistryHandle,
}

impl Asker<'_> {
    async fn ranking(&self, hook: &Hook, builders: &[BuilderFacts]) -> Result<Vec<BuilderName>, Said> {
        const FUNCTION: &str = "prioritizeBuilders";
        let tables: Vec<PropertyValue> = builders
            .iter()
            .map(|facts| {
                let mut table = table_of(facts);
                if let Some(first) = &facts.first {
                    table["first"] = tables::request(first);
                }
                table
            })
            .collect();
        let answer = self.call(FUNCTION, hook, vec![tables.into()]).await?;
        let wrong = || Said {
            function: FUNCTION,
            what: "must return a list of builders, of those that it was given or their names".into(),
        };
        // An empty table of Lua is no list more than a table of names.
        let list = match &answer {
            PropertyValue::Array(list) => list.as_slice(),
            PropertyValue::Object(table) if table.is_empty() => &[],
            _ => return Err(wrong()),
        };
        list.iter()
            .map(|one| named(one).and_then(|name| BuilderName::new(name).ok()).ok_or_else(wrong))
            .collect()
    }

    async fn build(
        &self,
        builder: &BuilderDefinition,
        about: &BuilderFacts,
        select: Option<&Hook>,
        requests: &[(QueuedRequest, Vec<WorkerFacts>)],
    ) -> AnswerTo {
        let table = table_of(about);
        let not =
            |request: Option<BuildRequestId>, said: Said| AnswerTo::Not(builder.name.clone(), request, said);
        let chosen = match &builder.next_build {
            None => requests.first(),
            Some(hook) => match self.next_build(hook, &table, requests).await {
                Ok(chosen) => chosen,
                Err(said) => {
                    complain(&said, hook, Some(&builder.name));
                    return not(None, said);
                }
            },
        };
        let Some((request, workers)) = chosen else {
            return not(None, Said { function: "nextBuild", what: "chose none of the requests".into() });
        };
        let select = match (&builder.next_worker, select) {
            (Some(own), _) => Some(("nextWorker", own)),
            (None, Some(global)) => Some(("select_next_worker", global)),
            (None, None) => None,
        };
        let mut left: Vec<&WorkerFacts> = workers.iter().collect();
        while !left.is_empty() {
            let index = match select {
                None => 0,
                Some((function, hook)) => {
                    match self.next_worker(function, hook, &table, &left, request).await {
                        Ok(Some(index)) => index,
                        Ok(None) => {
                            let what = "chose none of the workers".into();
                            return not(Some(request.id), Said { function, what });
                        }
                        Err(said) => {
                            complain(&said, hook, Some(&builder.name));
                            return not(Some(request.id), said);
                        }
                    }
                }
            };
            let facts = left.remove(index);
            let name = facts.worker.name.clone();
            let Some(hook) = &builder.can_start_build else {
                return AnswerTo::Start(builder.name.clone(), request.id, name);
            };
            match self.can_start(hook, &table, facts, request).await {
                Ok(true) => return AnswerTo::Start(builder.name.clone(), request.id, name),
                Ok(false) => {}
                Err(said) => {
                    complain(&said, hook, Some(&builder.name));
                    return not(Some(request.id), said);
                }
            }
        }
        not(
            Some(request.id),
            Said { function: "canStartBuild", what: "said no to each worker that is free".into() },
        )
    }

    async fn next_build<'r>(
        &self,
        hook: &Hook,
        builder: &PropertyValue,
        requests: &'r [(QueuedRequest, Vec<WorkerFacts>)],
    ) -> Result<Option<&'r (QueuedRequest, Vec<WorkerFacts>)>, Said> {
        const FUNCTION: &str = "nextBuild";
        let tables: Vec<PropertyValue> =
            requests.iter().map(|(request, _)| tables::request(request)).collect();
        let answer = self.call(FUNCTION, hook, vec![builder.clone(), tables.into()]).await?;
        if answer.is_null() {
            return Ok(None);
        }
        let id = answer.as_i64().or_else(|| answer.get("id").and_then(PropertyValue::as_i64));
        let found = id.and_then(|id| requests.iter().find(|(request, _)| request.id.0 == id));
        found.map(Some).ok_or_else(|| Said {
            function: FUNCTION,
            what: format!(
                "must return one of the requests that it was given, its id, or nil; it returned {answer}"
            ),
        })
    }

    async fn next_worker(
        &self,
        function: &'static str,
        hook: &Hook,
        builder: &PropertyValue,
        workers: &[&WorkerFacts],
        request: &QueuedRequest,
    ) -> Result<Option<usize>, Said> {
        let tables: Vec<PropertyValue> = workers.iter().map(|facts| self.worker(facts)).collect();
        let arguments = vec![builder.clone(), tables.into(), tables::request(request)];
        let answer = self.call(function, hook, arguments).await?;
        if answer.is_null() {
            return Ok(None);
        }
        let name = named(&answer).and_then(|name| WorkerName::new(name).ok());
        let index = name.and_then(|name| workers.iter().position(|facts| facts.worker.name == name));
        index.map(Some).ok_or_else(|| Said {
            function,
            what: format!(
                "must return one of the workers that it was given, its name, or nil; it returned {answer}"
            ),
        })
    }

    async fn can_start(
        &self,
        hook: &Hook,
        builder: &PropertyValue,
        worker: &WorkerFacts,
        request: &QueuedRequest,
    ) -> Result<bool, Said> {
        const FUNCTION: &str = "canStartBuild";
        let arguments = vec![builder.clone(), self.worker(worker), tables::request(request)];
        match self.call(FUNCTION, hook, arguments).await? {
            PropertyValue::Bool(answer) => Ok(answer),
            PropertyValue::Null => Ok(false),
            other => Err(Said {
                function: FUNCTION,
                what: format!("must return true or false; it returned {other}"),
            }),
        }
    }

    async fn call(
        &self,
        function: &'static str,
        hook: &Hook,
        arguments: Vec<PropertyValue>,
    ) -> Result<PropertyValue, Said> {
        let arguments = arguments.into_iter().map(HookArgument::Value).collect();
        let failed = |what: String| Said { function, what };
        let answer = self.hooks.call(HookCall { hook: hook.id, arguments }).await;
        match answer.map_err(|error| failed(format!("failed: {error}")))? {
            Worth::Plain(value) => Ok(value),
            _ => Err(failed(
                "returned what must be rendered first, which has no build to be rendered with".into(),
            )),
        }
    }

    fn worker(&self, facts: &WorkerFacts) -> PropertyValue {
        let connection = self.registry.connection(facts.worker.name.as_str());
        let info = connection.map(|connection| connection.info()).unwrap_or_default();
        tables::worker(&facts.worker, facts.running, &info)
    }
}

fn table_of(facts: &BuilderFacts) -> PropertyValue {
    tables::builder(&facts.builder, facts.running, facts.waiting)
}

/// A name, or a table with one.
fn named(value: &PropertyValue) -> Option<&str> {
    value.as_str().or_else(|| value.get("name").and_then(PropertyValue::as_str))
}
