//! Measures: named values over time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int32Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use lakepilot_query::Result;
use rand::Rng;
use rand::rngs::SmallRng;

use super::columns::{Names, batch, keyed, texts};
use super::events::{Origin, Sending, any_document, moments};
use super::fleet::{Fleet, Origins, Role};

struct Measure {
    name: &'static str,
    unit: &'static str,
    target: &'static str,
    usual: f64,
    /// Whether values are whole numbers.
    is_whole: bool,
}

const fn measure(name: &'static str, unit: &'static str, target: &'static str, usual: f64, is_whole: bool) -> Measure {
    Measure {
        name,
        unit,
        target,
        usual,
        is_whole,
    }
}

const MEASURES: [Measure; 10] = [
    measure("cpu_usage", "percent", "system", 37.0, false),
    measure("used_memory", "bytes", "system", 3.2e9, true),
    measure("frame_time", "ms", "render::frame", 15.8, false),
    measure("request_duration", "ms", "gateway::http", 23.0, false),
    measure("request_count", "count", "gateway::http", 410.0, true),
    measure("queue_depth", "count", "matchmaking::queue", 64.0, true),
    measure("players_online", "count", "game::session", 1_850.0, true),
    measure("bytes_written", "bytes", "storage::writer", 7.4e6, true),
    measure("cache_hit_ratio", "percent", "assets::cache", 91.0, false),
    measure("draw_calls", "count", "render::frame", 2_300.0, true),
];

/// The dictionaries of the columns that tell which measure a row is of.
#[derive(Debug)]
pub(super) struct MeasureNames {
    names: ArrayRef,
    units: Names,
    targets: Names,
}

impl MeasureNames {
    pub(super) fn new() -> Self {
        Self {
            names: texts(MEASURES.iter().map(|measure| measure.name)),
            units: Names::new(MEASURES.iter().map(|measure| measure.unit)),
            targets: Names::new(MEASURES.iter().map(|measure| measure.target)),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct MeasureRows {
    origin: Origin,
    measures: Vec<i32>,
    values: Vec<f64>,
    properties: Vec<i32>,
}

impl MeasureRows {
    pub(super) fn len(&self) -> usize {
        self.origin.len()
    }

    pub(super) fn add_window(
        &mut self,
        fleet: &Fleet,
        counts: &[usize],
        window: (i64, i64),
        sending: &mut Sending,
        random: &mut SmallRng,
    ) {
        let moments = moments(counts, window, random);
        let stream = |process: usize| fleet.processes[process].metrics();
        self.origin.extend(&moments, fleet.processes.len(), stream, sending);
        for _ in moments {
            let which = random.random_range(0..MEASURES.len());
            self.measures.push(which as i32);
            self.values.push(value(&MEASURES[which], random));
            self.properties.push(any_document(random));
        }
    }

    /// The rows so far, and the process of each; afterwards there are none.
    pub(super) fn take(
        &mut self,
        schema: SchemaRef,
        origins: &Origins,
        names: &MeasureNames,
        documents: &ArrayRef,
    ) -> Result<(RecordBatch, Int32Array)> {
        let rows = std::mem::take(self);
        let (mut columns, processes) = rows.origin.columns(origins, Role::Metrics);
        let measures = Int32Array::from(rows.measures);
        columns.extend([
            ("unit", names.units.of(&measures)),
            ("target", names.targets.of(&measures)),
            ("name", keyed(measures, &names.names)),
            ("value", Arc::new(Float64Array::from(rows.values)) as Arc<dyn Array>),
            ("properties", keyed(Int32Array::from(rows.properties), documents)),
        ]);
        Ok((batch(schema, columns)?, processes))
    }
}

/// Around what is usual, and one in a hundred far above it; a percentage is one.
fn value(measure: &Measure, random: &mut SmallRng) -> f64 {
    let spread = 0.6 + 0.4 * (random.random::<f64>() + random.random::<f64>());
    let outlier = if random.random_range(0..100) == 0 { 6.0 } else { 1.0 };
    let value = measure.usual * spread * outlier;
    match measure {
        Measure { is_whole: true, .. } => value.round(),
        Measure { unit: "percent", .. } => value.min(100.0),
        _ => value,
    }
}
