//! Sees to it that what was sent has arrived: the sink waits five seconds at its end, and drops the rest in silence.

use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use micromegas::sqlx::{Connection, PgConnection, query_scalar};

use crate::roles::DATABASE;

/// How long what is under way may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Log entries of the latest processes that were filled, by the service's own count of what its blocks hold.
const COUNT: &str = "SELECT coalesce(sum(nb_objects), 0)::bigint FROM blocks JOIN streams USING (stream_id) \
                     WHERE 'log' = ANY(tags) AND streams.process_id IN \
                     (SELECT process_id FROM processes ORDER BY start_time DESC LIMIT $1)";

/// Waits until the log entries are in the database, where the database is known.
pub(crate) fn check(processes: u32, log_entries: u32) -> Result<()> {
    let Ok(database) = env::var(DATABASE) else {
        return Ok(());
    };
    let wanted = i64::from(processes) * i64::from(log_entries);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(wait_for(&database, processes, wanted))
}

async fn wait_for(database: &str, processes: u32, wanted: i64) -> Result<()> {
    let mut connection = PgConnection::connect(database)
        .await
        .context("connect to the database")?;
    let start = Instant::now();
    loop {
        let arrived: i64 = query_scalar(COUNT)
            .bind(i64::from(processes))
            .fetch_one(&mut connection)
            .await
            .context("count what has arrived")?;
        if arrived >= wanted {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            bail!("{arrived} of {wanted} log entries have arrived; use more processes with fewer entries each");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
