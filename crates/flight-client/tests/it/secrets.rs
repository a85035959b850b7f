//! A token is in the calls, and nowhere else.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lakepilot_flight_client::{
    ClientConfig, CredentialProvider, FlightClient, MockCredentialProvider, ProxySettings, StaticCredentials,
};
use lakepilot_query::{BulkIngestion, Error, ErrorKind, QueryService, QueryServiceExt, RecordBatchStream};
use tonic::Status;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use crate::answers::{answering, batch, config, numbered, query, schema, sending, with_endpoints};
use crate::endpoints::at;
use crate::proxy::TestProxy;
use crate::server::{Script, TestServer};

const SECRET: &str = "hunter2";

/// What is logged.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn with_secrets(config: ClientConfig) -> ClientConfig {
    let provider: Arc<dyn CredentialProvider> = Arc::new(
        StaticCredentials::new()
            .with_header("x-provided", &format!("{SECRET}-provided"))
            .unwrap(),
    );
    config
        .with_bearer_token(format!("{SECRET}-bearer"))
        .unwrap()
        .with_api_key(format!("{SECRET}-key"))
        .unwrap()
        .with_header("x-custom", &format!("{SECRET}-custom"))
        .unwrap()
        .with_credentials(provider)
}

/// Everything that a client, a good query, and several bad ones say.
async fn everything_said() -> Vec<String> {
    use lakepilot_query::ServerMetadata;

    let good = TestServer::start(answering(sending(&[batch(&[1])]))).await;
    let refusing = TestServer::start(Script::new().with_token("another")).await;
    let failing = TestServer::start(Script::new().on_flight_info(|_| Err(Status::internal("broken")))).await;
    let gone = TestServer::start(Script::new()).await;
    let mut said = Vec::new();

    let client = FlightClient::connect(with_secrets(config(&good))).await.unwrap();
    said.push(format!(
        "{client:?} {:?} {:#?}",
        with_secrets(config(&good)),
        StaticCredentials::new().with_bearer_token(SECRET)
    ));
    said.push(format!("{:?}", client.run(&query()).await));
    said.push(format!("{:?}", client.collect(&query()).await));
    let sent = good.calls();
    for name in ["authorization", "x-api-key", "x-custom", "x-provided"] {
        assert!(sent[0].header(name).unwrap().contains(SECRET), "{name} is sent");
    }

    let gone_client = FlightClient::connect(with_secrets(config(&gone))).await.unwrap();
    let gone_config = with_secrets(config(&gone));
    gone.stop().await;
    let mut errors = vec![FlightClient::connect(gone_config).await.err()];
    for client in [
        FlightClient::connect(with_secrets(config(&refusing))).await.unwrap(),
        FlightClient::connect(with_secrets(config(&failing))).await.unwrap(),
        gone_client,
    ] {
        errors.push(client.run(&query()).await.err());
        errors.push(client.prepare(&query()).await.err());
        errors.push(client.catalogs().await.err());
        let batches = RecordBatchStream::from_batches(schema(), vec![batch(&[1])]);
        errors.push(client.ingest("table", batches).await.err());
    }
    errors.extend(errors_of_parts_and_time().await);
    for error in errors {
        let error = error.expect("each of them fails");
        said.push(format!("{error} {error:?} {error:#?}"));
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            said.push(format!("{error} {error:?}"));
            source = error.source();
        }
    }
    said
}

/// What goes wrong with results in several parts, and with servers and providers that are silent or refuse.
async fn errors_of_parts_and_time() -> Vec<Option<Error>> {
    let mut errors = Vec::new();
    // Parts elsewhere: where nobody is, and where the credentials are wanted and not given.
    let gone = TestServer::start(Script::new()).await;
    let gone_url = gone.url();
    gone.stop().await;
    let guarded = TestServer::start(with_endpoints(Vec::new(), vec![sending(&[])]).with_token("another")).await;
    let by_name = format!("grpc+tcp://localhost:{}", guarded.port());
    for location in [&*gone_url, &by_name, "grpc://user:word@host", "nonsense"] {
        let endpoints = vec![at(numbered(0), &[location]), numbered(0)];
        let server = TestServer::start(with_endpoints(endpoints, vec![sending(&[batch(&[1])])])).await;
        let client = FlightClient::connect(with_secrets(config(&server))).await.unwrap();
        errors.push(client.collect(&query()).await.err());
    }
    let silent = TestServer::start(Script::new().silent()).await;
    let soon = Duration::from_millis(50);
    let limited = with_secrets(config(&silent))
        .with_plan_timeout(soon)
        .with_gap_timeout(soon);
    let client = FlightClient::connect(limited).await.unwrap();
    errors.push(client.run(&query()).await.err());
    let rows = RecordBatchStream::from_batches(schema(), vec![batch(&[1])]);
    errors.push(client.ingest("table", rows).await.err());

    errors.extend(errors_of_logins_and_proxies(&silent).await);
    let mut provider = MockCredentialProvider::new();
    provider
        .expect_headers()
        .returning(|| Err(Error::new(ErrorKind::Unauthenticated, "the token has expired")));
    let refusing = with_secrets(config(&silent)).with_credentials(Arc::new(provider));
    let client = FlightClient::connect(refusing).await.unwrap();
    errors.push(client.run(&query()).await.err());
    // What a person may get wrong with a secret in it.
    let plain = || ClientConfig::new("grpc://localhost").unwrap();
    errors.push(plain().with_bearer_token(format!("Bearer {SECRET}")).err());
    errors.push(plain().with_header("x-custom", &format!("{SECRET}\nx")).err());
    errors.push(plain().with_header("content-type", SECRET).err());
    errors.push(plain().with_api_key(format!("{SECRET}\u{7f}")).err());
    errors.push(ClientConfig::new(format!("grpc://user:{SECRET}@localhost")).err());
    errors.push(
        plain()
            .with_location_rewrite(format!("grpc://user:{SECRET}@a"), "grpc://b")
            .err(),
    );
    errors.push(plain().with_replica(format!("grpc://user:{SECRET}@a")).err());
    errors
}

/// What goes wrong with a user name and a password: of a server that is silent, refuses them, or gives a secret token, and of
/// a proxy that refuses them.
async fn errors_of_logins_and_proxies(silent: &TestServer) -> Vec<Option<Error>> {
    let login = |config: ClientConfig| config.with_basic_login("somebody", SECRET).unwrap();
    let soon = Duration::from_millis(50);
    let refusing = Script::new().on_handshake(|_| Err(Status::unauthenticated("no")));
    let refusing = TestServer::start(refusing).await;
    let giving = Script::new().with_token("another").on_handshake(|headers| {
        let sent = headers["authorization"].to_str().unwrap().to_owned();
        assert_eq!(sent, format!("Basic {}", basic(SECRET)));
        let mut metadata = tonic::metadata::MetadataMap::new();
        metadata.insert("authorization", format!("Bearer {SECRET}-token").parse().unwrap());
        Ok(tonic::Response::from_parts(
            metadata,
            Ok(Vec::new()),
            Default::default(),
        ))
    });
    let giving = TestServer::start(giving).await;
    let mut errors = Vec::new();
    for config in [
        login(config(silent)).with_plan_timeout(soon),
        login(config(&refusing)),
        login(config(&giving)),
    ] {
        let client = FlightClient::connect(config).await.unwrap();
        tracing::info!(?client, "a client with a password");
        errors.push(client.run(&query()).await.err());
    }
    let proxy = TestProxy::guarded("nobody").await;
    let url = format!("http://somebody:{SECRET}@{}", proxy.address());
    let proxied = config(silent).with_proxy(ProxySettings::for_all(url).unwrap());
    tracing::info!(?proxied, "a configuration with a proxy");
    errors.push(FlightClient::connect(proxied).await.err());
    errors.push(ProxySettings::for_all(format!("socks5://somebody:{SECRET}@a")).err());
    errors.push(ProxySettings::for_all(format!("http://somebody:{SECRET}@a/b")).err());
    let plain = ClientConfig::new("grpc://localhost").unwrap();
    errors.push(plain.clone().with_basic_login("some:body", SECRET).err());
    errors.push(plain.with_client_certificate(SECRET, SECRET).err());
    errors
}

/// The password as the protocol spells it, which is as secret.
fn basic(password: &str) -> String {
    base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("somebody:{password}"))
}

/// The secret, and the ways in which a program that prints bytes may spell it.
fn spellings() -> Vec<String> {
    let numbers = |text: &dyn Fn(&u8) -> String| SECRET.as_bytes().iter().map(text).collect::<Vec<_>>();
    vec![
        SECRET.to_owned(),
        basic(SECRET),
        numbers(&|byte| format!("{byte}")).join(", "),
        numbers(&|byte| format!("{byte:#x}")).join(", "),
        numbers(&|byte| format!("{byte:02x}")).concat(),
    ]
}

#[test]
fn a_secret_is_in_no_debug_output_error_or_log_at_any_level() {
    for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
        no_secret_is_said_at(level);
    }
}

fn no_secret_is_said_at(level: Level) {
    let logs = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(logs.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // All tasks run on this thread, those of the transport and of the server too.
    let said = tracing::subscriber::with_default(subscriber, || runtime.block_on(everything_said()));

    let logs = logs.text();
    for target in ["lakepilot_flight_client", "h2::", "tonic::"] {
        assert!(
            level < Level::TRACE || logs.contains(target),
            "{target} says something at TRACE"
        );
    }
    for (text, spelling) in said
        .iter()
        .chain([&logs])
        .flat_map(|text| spellings().into_iter().map(move |spelling| (text, spelling)))
    {
        if let Some(place) = text.find(&spelling) {
            let around: String = text[..place]
                .chars()
                .rev()
                .take(300)
                .collect::<String>()
                .chars()
                .rev()
                .collect();
            panic!("a secret at {level} after: {around}");
        }
    }
}

#[tokio::test]
async fn credentials_in_plain_text_to_another_machine_are_warned_about() {
    let logs = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::WARN)
        .with_ansi(false)
        .with_writer(logs.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for (url, with_token, warned) in [
        ("grpc://lake.example", false, false),
        ("grpc://localhost", true, false),
        ("grpc+tls://lake.example", true, false),
        ("grpc://lake.example", true, true),
    ] {
        let mut config = ClientConfig::new(url).unwrap();
        if with_token {
            config = config.with_bearer_token(SECRET).unwrap();
        }
        FlightClient::connect_lazily(config).unwrap();
        assert_eq!(logs.text().contains("plain text"), warned, "{url}");
    }
    assert!(!logs.text().contains(SECRET));
}
