//! Where the expected number of rows comes from.

use std::sync::Arc;

use async_trait::async_trait;
use lakepilot_analysis::{EstimateBasis as Basis, EstimateOptions, ResultEstimate, RowEstimate, estimate_result};
use lakepilot_execution::{CountEstimator, Estimate, EstimateBasis, RowEstimator};
use lakepilot_query::{Query, QueryService, Result};

use crate::args::EstimateSource;

/// The estimator that was chosen. One that was made before the query, for its limits, is taken as it is.
pub(super) fn estimator(
    source: EstimateSource,
    service: Arc<dyn QueryService>,
    made: Option<&ResultEstimate>,
) -> Option<Arc<dyn RowEstimator>> {
    Some(match (source, made) {
        (EstimateSource::None, _) => return None,
        (EstimateSource::Count, _) => Arc::new(CountEstimator::new(service)),
        (EstimateSource::Partitions, Some(made)) => Arc::new(Made(estimate_of(&made.rows))),
        (EstimateSource::Partitions, None) => Arc::new(Analysed(service)),
    })
}

/// Asks the analyser, which asks for the schema and the partitions.
struct Analysed(Arc<dyn QueryService>);

#[async_trait]
impl RowEstimator for Analysed {
    async fn estimate(&self, query: &Query) -> Result<Option<Estimate>> {
        let estimate = estimate_result(self.0.as_ref(), query, &EstimateOptions::default()).await?;
        Ok(estimate_of(&estimate.rows))
    }
}

/// An estimate that is there already.
struct Made(Option<Estimate>);

#[async_trait]
impl RowEstimator for Made {
    async fn estimate(&self, _query: &Query) -> Result<Option<Estimate>> {
        Ok(self.0.clone())
    }
}

/// The estimate for progress, which is not to be a guess.
fn estimate_of(rows: &RowEstimate) -> Option<Estimate> {
    let basis = match rows.basis {
        Basis::Exact => EstimateBasis::Exact,
        Basis::PartitionMetadata => EstimateBasis::PartitionMetadata,
        Basis::SampledSelectivity => EstimateBasis::Sample,
        _ => return None,
    };
    Some(Estimate {
        rows: rows.expected.round() as u64,
        basis,
    })
}
