//! A token is in the calls, and nowhere else.

use std::io;
use std::sync::{Arc, Mutex};

use lakepilot_flight_client::{ClientConfig, CredentialProvider, FlightClient, StaticCredentials};
use lakepilot_query::{QueryService, QueryServiceExt, RecordBatchStream};
use tonic::Status;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use crate::answers::{answering, batch, config, query, schema, sending};
use crate::server::{Script, TestServer};

const SECRET: &str = "hunter2";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
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
    use lakepilot_flight_client::{BulkIngestion, ServerMetadata};

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

#[test]
fn a_secret_is_in_no_debug_output_error_or_log() {
    let logs = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
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
        assert!(logs.contains(target), "{target} says something at TRACE");
    }
    for text in said.iter().chain([&logs]) {
        if let Some(place) = text.find(SECRET) {
            let around: String = text[..place]
                .chars()
                .rev()
                .take(300)
                .collect::<String>()
                .chars()
                .rev()
                .collect();
            panic!("a secret after: {around}");
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
