//! What every server has to do.

use std::time::Duration;

use arrow::datatypes::{DataType, Schema};
use futures::TryStreamExt;
use futures::future::try_join_all;
use lakepilot_query::{ErrorKind, Query, QueryService, QueryServiceExt};

use crate::interop::case::{Found, Outcome};
use crate::interop::dialect::{Known, NO_TABLE};
use crate::interop::target::{InteropTarget, numbers, offered};
use crate::suite::{Failure, ensure, ensure_equal, spell};

/// How long a server may take for a small query after a large one was called off.
const AFTERWARDS: Duration = Duration::from_secs(20);

const AT_ONCE: usize = 16;

async fn check_known(target: &InteropTarget, known: &Known) -> Outcome {
    let result = target.collect(known.sql).await?;
    ensure_equal(
        "the rows",
        spell::rows(&result)?,
        known.rows.iter().map(ToString::to_string).collect(),
    )?;
    Ok(Found::good(spell::schema(&result.schema)))
}

pub(super) async fn rows(target: &InteropTarget) -> Outcome {
    check_known(target, &target.dialect.rows()).await
}

pub(super) async fn types(target: &InteropTarget) -> Outcome {
    match target.dialect.types() {
        Some(known) => check_known(target, &known).await,
        None => Err(Failure::new("the dialect has no statement for this")),
    }
}

pub(super) async fn empty(target: &InteropTarget) -> Outcome {
    let result = target.collect(target.dialect.empty()).await?;
    ensure_equal("the rows", result.num_rows(), 0)?;
    let names: Vec<&str> = result
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    ensure_equal("the columns", names, vec!["n"])?;
    Ok(Found::good(spell::schema(&result.schema)))
}

pub(super) async fn big(target: &InteropTarget) -> Outcome {
    let series = target.dialect.big();
    let client = target.client().await?;
    let mut stream = client.run(&Query::new(series.sql)?).await?;
    let (mut rows, mut sum, mut batches) = (0, 0, 0);
    let schema = stream.schema();
    while let Some(batch) = stream.try_next().await? {
        let batch = lakepilot_query::QueryResult {
            schema: schema.clone(),
            batches: vec![batch],
        };
        let numbers = numbers(&batch)?;
        rows += numbers.len() as i64;
        sum += numbers.iter().sum::<i64>();
        batches += 1;
    }
    ensure_equal("the rows and their sum", (rows, sum), (series.rows, series.sum()))?;
    Ok(Found::good(format!("{rows} rows in {batches} batches")))
}

pub(super) async fn side_by_side(target: &InteropTarget) -> Outcome {
    let client = target.client().await?;
    let known = target.dialect.rows();
    let query = Query::new(known.sql)?;
    let results = try_join_all((0..AT_ONCE).map(|_| client.collect(&query))).await?;
    for result in results {
        ensure_equal(
            "the rows",
            spell::rows(&result)?,
            known.rows.iter().map(ToString::to_string).collect(),
        )?;
    }
    Ok(Found::good(""))
}

pub(super) async fn bad_sql(target: &InteropTarget) -> Outcome {
    let client = target.client().await?;
    let Err(error) = client.collect(&Query::new(NO_TABLE)?).await else {
        return Err(Failure::new("a table that is not there has rows"));
    };
    ensure(error.message().contains("there_is_no_such_table"), || {
        format!("the table is not named: {error}")
    })?;
    let known = target.dialect.rows();
    let after = spell::rows(&client.collect(&Query::new(known.sql)?).await?)?;
    ensure_equal("rows after the error", after.len(), known.rows.len())?;
    let told = format!("{}: {}", error.kind(), first_line(error.message()));
    ensure(
        matches!(error.kind(), ErrorKind::InvalidQuery | ErrorKind::NotFound),
        || format!("the kind tells nothing of the SQL, which is what the server says: {told}"),
    )?;
    Ok(Found::good(told))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

pub(super) async fn called_off(target: &InteropTarget) -> Outcome {
    let client = target.client().await?;
    let mut stream = client.run(&Query::new(target.dialect.endless())?).await?;
    let first = stream.try_next().await?;
    ensure(first.is_some_and(|batch| batch.num_rows() > 0), || {
        "a result without end has no rows".to_owned()
    })?;
    drop(stream);
    let known = target.dialect.rows();
    let query = Query::new(known.sql)?;
    let afterwards = tokio::time::timeout(AFTERWARDS, client.collect(&query)).await;
    let afterwards = afterwards.map_err(|_| {
        Failure::new(format!(
            "the next query was not answered within {} s",
            AFTERWARDS.as_secs()
        ))
    })??;
    ensure_equal("rows of the next query", afterwards.num_rows(), known.rows.len())?;
    if target.dialect == crate::interop::Dialect::Pyarrow {
        saw_it_end(target).await?;
    }
    Ok(Found::good(""))
}

/// The server says in its log that it stopped producing the result.
async fn saw_it_end(target: &InteropTarget) -> Result<(), Failure> {
    let wanted = "endless was called off".to_owned();
    let looking = async {
        while !target.rows("SELECT call FROM calls").await?.contains(&wanted) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    tokio::time::timeout(AFTERWARDS, looking)
        .await
        .unwrap_or_else(|_| Err(Failure::new("the server goes on with a result that was called off")))
}

pub(super) async fn prepared(target: &InteropTarget) -> Outcome {
    let client = target.client().await?;
    let known = target.dialect.types().unwrap_or_else(|| target.dialect.rows());
    let query = Query::new(known.sql)?;
    let prepared = match client.prepare(&query).await {
        Ok(prepared) => prepared,
        Err(error) => return offered(Err(error)),
    };
    let ran = client.run(&query).await?;
    let (told, came) = (plain(&prepared.schema()), plain(&ran.schema()));
    ensure_equal("the prepared columns, against those of the rows", told, came)?;
    Ok(Found::good(spell::schema(&prepared.schema())))
}

/// Names and types, dictionaries as their values: servers flatten them, or do not, between the plan and the rows.
fn plain(schema: &Schema) -> Vec<String> {
    schema
        .fields()
        .iter()
        .map(|field| {
            let data_type = match field.data_type() {
                DataType::Dictionary(_, values) => values,
                other => other,
            };
            format!("{} {data_type}", field.name())
        })
        .collect()
}
