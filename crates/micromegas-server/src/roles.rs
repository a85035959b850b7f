//! The roles of the service, as its own programs put them together.

use std::env;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use micromegas::analytics::lakehouse::lakehouse_context::LakehouseContext;
use micromegas::analytics::lakehouse::session_configurator::NoOpSessionConfigurator;
use micromegas::analytics::lakehouse::view_definition_store::PgViewDefinitionStore;
use micromegas::analytics::lakehouse::view_factory::default_view_factory;
use micromegas::analytics::lakehouse::view_registry::ViewRegistry;
use micromegas::analytics::time::TimeRange;
use micromegas::chrono::{DateTime, TimeDelta, Utc};
use micromegas::ingestion::data_lake_connection::DataLakeConnection;
use micromegas::ingestion::remote_data_lake::connect_to_remote_data_lake;
use micromegas::servers::flight_sql_server::FlightSqlServer;
use micromegas::servers::ingestion::serve_ingestion;
use micromegas::servers::maintenance::{daemon, get_global_views_with_update_group, materialize_all_views};
use micromegas::servers::shutdown::wait_for_sigterm;
use micromegas::settings::{EnvFallbacks, SettingsSource};

use crate::ready;

pub(crate) const DATABASE: &str = "MICROMEGAS_SQL_CONNECTION_STRING";
const OBJECT_STORE: &str = "MICROMEGAS_OBJECT_STORE_URI";

/// How long work in flight may take after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

pub(crate) async fn ingestion(listen: SocketAddr) -> Result<()> {
    let address = ready::with_port(listen).await?;
    let lake = connect().await?;
    tokio::select! {
        result = serve_ingestion(address, lake, None, wait_for_sigterm(), GRACE) => result,
        never = announced("http", address) => never,
    }
}

pub(crate) async fn flight_sql(listen: SocketAddr) -> Result<()> {
    let address = ready::with_port(listen).await?;
    let server = FlightSqlServer::builder()
        .with_lakehouse(lakehouse().await?)
        .with_listen_addr(address)
        .with_shutdown_grace(GRACE)
        .build_and_serve();
    tokio::select! {
        result = server => result,
        never = announced("grpc", address) => never,
    }
}

pub(crate) async fn maintenance() -> Result<()> {
    let lakehouse = lakehouse().await?;
    let registry = registry(&lakehouse).await?;
    let settings = Arc::new(SettingsSource::env_only(EnvFallbacks::from_env()?));
    daemon(lakehouse, registry, settings, wait_for_sigterm(), GRACE).await
}

pub(crate) async fn materialise(begin: DateTime<Utc>, end: DateTime<Utc>, step_seconds: u32) -> Result<()> {
    ensure!(
        begin < end,
        "the range begins ({begin}) when it has ended ({end}); swap them"
    );
    ensure!(step_seconds > 0, "a partition cannot be of zero length");
    let lakehouse = lakehouse().await?;
    let registry = registry(&lakehouse).await?;
    registry.reload().await.context("load the definitions of the views")?;
    // The groups are in the order in which views are made of one another, `blocks` first.
    let mut views = get_global_views_with_update_group(&registry.current());
    views.sort_by_key(|view| view.get_update_group());
    let step = TimeDelta::seconds(i64::from(step_seconds));
    materialize_all_views(lakehouse, Arc::new(views), TimeRange::new(begin, end), step).await
}

/// Announces the address, and then waits for ever: the service ends the role, not this.
async fn announced(scheme: &str, address: SocketAddr) -> Result<()> {
    ready::announce(scheme, address).await;
    std::future::pending().await
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set"))
}

/// Connects to the lake, and brings its database to the present schema first.
async fn connect() -> Result<DataLakeConnection> {
    connect_to_remote_data_lake(&variable(DATABASE)?, &variable(OBJECT_STORE)?)
        .await
        .context("connect to the lake")
}

async fn lakehouse() -> Result<Arc<LakehouseContext>> {
    LakehouseContext::from_connection(Arc::new(connect().await?)).await
}

async fn registry(lakehouse: &Arc<LakehouseContext>) -> Result<Arc<ViewRegistry>> {
    let lake = lakehouse.lake().clone();
    let views = default_view_factory(lakehouse.runtime().clone(), lake.clone(), lakehouse.default_audience()).await?;
    let store = PgViewDefinitionStore::new(lake.db_pool.clone());
    Ok(Arc::new(ViewRegistry::new(
        Arc::new(views),
        Arc::new(store),
        lakehouse.runtime().clone(),
        lake,
        Arc::new(NoOpSessionConfigurator),
    )))
}
