//! Adds to what the log says of a worker, a builder or a scheduler where that is written: `source=master.cfg.lua:14:3`.
//!
//! # Laws
//! - A message that tells its `source` itself is left as it is, as is one of what is not configured.

use std::fmt::{self, Debug};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::{
    master::{Noun, Whereabouts},
    model::Place,
};

/// Before another format: of fields, for people; of whole events as JSON, for programs.
#[derive(Clone, Debug)]
pub(super) struct WithSource<F> {
    inner: F,
    whereabouts: Whereabouts,
}

impl<F> WithSource<F> {
    /// Before another.
    pub(super) fn new(inner: F, whereabouts: &Whereabouts) -> Self {
        Self { inner, whereabouts: whereabouts.clone() }
    }

    fn source(&self, fields: &impl RecordFields) -> Option<Place> {
        let mut named = Named::default();
        fields.record(&mut named);
        let name = |noun: Noun| named.names.iter().find(|(of, _)| *of == noun).map(|(_, name)| name);
        // Of several, the one that the others are there for.
        let nouns = [Noun::Builder, Noun::Scheduler, Noun::Worker];
        let (noun, name) = nouns.into_iter().find_map(|noun| Some((noun, name(noun)?)))?;
        if named.has_source { None } else { self.whereabouts.place(noun, name) }
    }
}

/// The fields that matter here.
#[derive(Default)]
struct Named {
    names: Vec<(Noun, String)>,
    has_source: bool,
}

impl Visit for Named {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "worker" => self.names.push((Noun::Worker, value.to_owned())),
            "builder" => self.names.push((Noun::Builder, value.to_owned())),
            "scheduler" => self.names.push((Noun::Scheduler, value.to_owned())),
            "source" => self.has_source = true,
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if matches!(field.name(), "worker" | "builder" | "scheduler" | "source") {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

impl<'w, F: for<'a> FormatFields<'a>> FormatFields<'w> for WithSource<F> {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let source = self.source(&fields);
        self.inner.format_fields(writer.by_ref(), fields)?;
        source.map_or(Ok(()), |source| write!(writer, " source={source}"))
    }
}

/// With this a line of JSON begins to tell the fields of its event. What stands before is not the event's.
const FIELDS: &str = "\"fields\":{";

impl<S, N, F> FormatEvent<S, N> for WithSource<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(source) = self.source(event) else {
            return self.inner.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        match line.split_once(FIELDS) {
            Some((before, after)) => {
                let source = serde_json::Value::String(source.to_string());
                write!(writer, "{before}{FIELDS}\"source\":{source},{after}")
            }
            None => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;
    use tracing::{info, subscriber::with_default};
    use tracing_subscriber::{
        fmt::{format, layer},
        layer::SubscriberExt as _,
    };

    use super::{super::kept_log::KeptLog, *};
    use crate::config::{self, Limits};

    #[tokio::test]
    async fn what_is_said_of_a_worker_tells_where_it_is_written_in_either_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a \"b\".lua");
        let config = "c.workers = { require 'buildbot.plugins'.worker.LocalWorker 'bot' }";
        std::fs::write(&path, config).unwrap();
        let checked = config::load(&path, Limits::default()).await.unwrap().check().unwrap();
        let whereabouts = Whereabouts::default();
        whereabouts.change(&Arc::new(checked.definition));
        let (text, json) = (KeptLog::default(), KeptLog::default());
        let (to_text, to_json) = (text.clone(), json.clone());
        let as_text = layer()
            .with_ansi(false)
            .fmt_fields(WithSource::new(format::DefaultFields::new(), &whereabouts))
            .with_writer(move || to_text.clone());
        let as_json = layer()
            .json()
            .event_format(WithSource::new(format().json(), &whereabouts))
            .with_writer(move || to_json.clone());
        with_default(tracing_subscriber::registry().with(as_text).with(as_json), || {
            let name = "bot";
            info!(worker = %name, "attached \"fields\":{{");
            info!(worker = name, source = "told", "said");
            info!(worker = "other", "unknown");
            info!("nothing \"fields\":{{");
        });
        let texts = text.text();
        let texts: Vec<_> = texts.lines().collect();
        assert!(texts[0].ends_with("worker=bot source=a \"b\".lua:1:15"), "{}", texts[0]);
        assert!(texts[1].ends_with("worker=\"bot\" source=\"told\""), "{}", texts[1]);
        assert!(!texts[2].contains("source=") && !texts[3].contains("source="), "{texts:?}");
        let events: Vec<Value> =
            json.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events[0]["fields"]["source"], "a \"b\".lua:1:15");
        assert_eq!(events[0]["fields"]["message"], "attached \"fields\":{");
        assert_eq!(events[1]["fields"]["source"], "told");
        assert!(events[2]["fields"]["source"].is_null() && events[3]["fields"]["source"].is_null());
    }
}
