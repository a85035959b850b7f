//! TLS with client certificates, and a password, as gRPC's C++ core has them.

use arrow::array::AsArray;
use lakepilot_flight_client::{ClientConfig, FlightClient};
use lakepilot_query::{Error, ErrorKind, Query, QueryResult, QueryServiceExt, Result};

use crate::interop::case::{Found, Outcome};
use crate::interop::target::InteropTarget;
use crate::suite::{Failure, ensure, ensure_equal};

/// What has to be known of the guarded server.
struct Guarded {
    url: String,
    authority: String,
    certificate: String,
    key: String,
    user: String,
    password: String,
}

impl Guarded {
    async fn of(target: &InteropTarget) -> Result<Self, Failure> {
        let batch = target.collect("SELECT * FROM guarded").await?.to_batch()?;
        let text = |name: &str| {
            let column = batch
                .column_by_name(name)
                .and_then(|column| column.as_string_opt::<i32>());
            let column = column.ok_or_else(|| Failure::new(format!("there is no column {name}")))?;
            Ok::<_, Failure>(column.value(0).to_owned())
        };
        Ok(Self {
            url: text("url")?,
            authority: text("authority")?,
            certificate: text("certificate")?,
            key: text("key")?,
            user: text("user")?,
            password: text("password")?,
        })
    }

    fn trusting(&self) -> Result<ClientConfig> {
        ClientConfig::new(&self.url)?.with_ca_certificate(&self.authority)
    }

    fn trusted(&self) -> Result<ClientConfig> {
        self.trusting()?.with_client_certificate(&self.certificate, &self.key)
    }
}

async fn ask(config: Result<ClientConfig>) -> Result<QueryResult> {
    let client = FlightClient::connect(config?).await?;
    client.collect(&Query::new("SELECT n FROM numbers")?).await
}

async fn refused(what: &str, config: Result<ClientConfig>) -> Result<Error, Failure> {
    match ask(config).await {
        Ok(_) => Err(Failure::new(format!("{what}: the server answers all the same"))),
        Err(error) => Ok(error),
    }
}

pub(super) async fn guarded(target: &InteropTarget) -> Outcome {
    let server = Guarded::of(target).await?;
    let logged_in = server
        .trusted()
        .and_then(|config| config.with_basic_login(&server.user, &server.password));
    ensure_equal("the rows", ask(logged_in).await?.num_rows(), 1_000)?;

    let wrong = server
        .trusted()
        .and_then(|config| config.with_basic_login(&server.user, "wrong"));
    let error = refused("a wrong password", wrong).await?;
    ensure_equal(
        "the kind for a wrong password",
        error.kind(),
        ErrorKind::Unauthenticated,
    )?;
    let error = refused("no password", server.trusted()).await?;
    ensure_equal("the kind for no password", error.kind(), ErrorKind::Unauthenticated)?;

    let unknown = ClientConfig::new(&server.url)?.with_client_certificate(&server.certificate, &server.key);
    let error = refused("an authority that is not known", unknown).await?;
    ensure_equal("the kind for an unknown authority", error.kind(), ErrorKind::Protocol)?;
    let error = refused("no client certificate", server.trusting()).await?;
    // With TLS 1.3 a server refuses a client when that one is done, so that it may look like a connection that broke.
    ensure(
        matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Unavailable),
        || format!("the error for no client certificate is {}: {error}", error.kind()),
    )?;
    Ok(Found::good(format!(
        "no client certificate is told as {}",
        error.kind()
    )))
}
