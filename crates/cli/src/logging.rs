//! Log lines on standard error: as text for a person, and as JSON objects where a program reads it.

use std::fmt;
use std::io;

use chrono::Utc;
use lakepilot_query::to_rfc3339;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::args::ColorChoice;
use crate::terminal;

/// Sends tracing events to standard error: with `-v` those of our crates (their names all begin with `lakepilot`), with more
/// those of others too. `LAKEPILOT_LOG` sets the filter by itself.
pub(crate) fn start(verbose: u8, color: ColorChoice, in_json: bool) {
    let level = match verbose {
        0 => "off",
        1 => "warn,lakepilot=debug",
        2 => "debug,lakepilot=trace",
        _ => "trace",
    };
    let filter = std::env::var("LAKEPILOT_LOG").unwrap_or_else(|_| level.to_owned());
    if filter == "off" {
        return;
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(io::stderr);
    if in_json {
        builder.event_format(Objects).init();
    } else {
        builder.with_ansi(terminal::colored(color, &io::stderr())).init();
    }
}

/// Writes an event as an object like those of the progress: `{"event":"log","time":...,"level":...,"target":...,"message":...,
/// "fields":{...}}` on a line.
struct Objects;

impl<S, N> FormatEvent<S, N> for Objects
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let object = serde_json::json!({
            "event": "log",
            "time": to_rfc3339(Utc::now()),
            "level": metadata.level().as_str().to_lowercase(),
            "target": metadata.target(),
            "message": fields.message,
            "fields": fields.others,
        });
        writeln!(writer, "{object}")
    }
}

/// What an event has: its message, and the rest by name.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn note(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.note(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.note(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.note(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.note(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_an_object_on_a_line() {
        let written = Lines::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .event_format(Objects)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("outer", id = 1).entered();
            tracing::warn!(
                rows = 3_u64,
                share = 0.5,
                text = "a \"b\"\nc",
                done = true,
                "it\nwent {}",
                "well"
            );
            tracing::debug!(error = %"none", "and again");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects.len(), 2, "{text}");
        assert_eq!(
            (&objects[0]["event"], &objects[0]["level"], &objects[0]["message"]),
            (&"log".into(), &"warn".into(), &"it\nwent well".into())
        );
        assert_eq!(
            objects[0]["fields"],
            serde_json::json!({"rows": 3, "share": 0.5, "text": "a \"b\"\nc", "done": true})
        );
        assert_eq!(objects[1]["fields"], serde_json::json!({"error": "none"}));
        assert!(
            objects[1]["target"].as_str().unwrap().starts_with("lakepilot"),
            "{text}"
        );
    }
}
