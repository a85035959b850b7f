//! Every call over a network that goes wrong: 300 schedules by seed, each of which ends within the limits.
//!
//! What the rows are is not looked at here: in plain text nothing has a checksum. The tests of the executor look at it.

use std::collections::HashMap;
use std::time::Duration;

use arrow_flight::sql::{ActionCreatePreparedStatementResult, DoPutUpdateResult, ProstMessageExt};
use arrow_flight::{FlightInfo, IpcMessage, PutResult, SchemaAsIpc};
use futures::{StreamExt, stream};
use lakepilot_fault_proxy::{ActionKind, Direction, FaultProxy, FaultSpace, Schedule};
use lakepilot_flight_client::{ClientConfig, FlightClient, QuerySpelling};
use lakepilot_query::{
    BulkIngestion, ErrorKind, QueryService, QueryServiceExt, RecordBatchStream, Result, ServerMetadata,
};
use prost::Message;

use crate::answers::{bare_ticket, batch, endpoint, query, schema, sending};
use crate::server::{Script, Step, TestServer};

/// What one wait may take under a schedule that makes something stand still. Several follow each other in a call.
const SHORT: Duration = Duration::from_millis(500);

/// What it may take under another, where it is not to run out however busy the machine is.
const LONG: Duration = Duration::from_secs(20);

/// After this a call hangs: it is many times what all of its waits may take together.
const HANG: Duration = Duration::from_secs(60);

const SCHEDULES: u64 = 300;

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    Query,
    DirectQuery,
    Prepare,
    Metadata,
    Ingest,
    FirstRow,
}

const CALLS: [Call; 6] = [
    Call::Query,
    Call::DirectQuery,
    Call::Prepare,
    Call::Metadata,
    Call::Ingest,
    Call::FirstRow,
];

impl Call {
    async fn make(self, proxy: &FaultProxy, limit: Duration) -> Result<()> {
        let spelling = match self {
            Self::DirectQuery => QuerySpelling::DirectTicket,
            _ => QuerySpelling::FlightInfo,
        };
        let config = ClientConfig::new(format!("grpc://{}", proxy.address()))?
            .with_connect_timeout(limit)
            .with_plan_timeout(limit)
            .with_first_batch_timeout(limit)
            .with_gap_timeout(limit)
            .with_bearer_token("token-1")?
            .with_spelling(spelling);
        let client = FlightClient::connect(config).await?;
        match self {
            Self::Query | Self::DirectQuery => client.collect(&query()).await.map(drop),
            Self::Prepare => client.prepare(&query()).await.map(drop),
            Self::Metadata => client.catalogs().await.map(drop),
            Self::Ingest => {
                let rows = vec![batch(&[1; 1_000]); 20];
                let rows = RecordBatchStream::from_batches(schema(), rows);
                client.ingest("table", rows).await.map(drop)
            }
            Self::FirstRow => client.first_row(&query()).await.map(drop),
        }
    }
}

fn script() -> Script {
    let prepared = || {
        let IpcMessage(schema) = SchemaAsIpc::new(&schema(), &Default::default()).try_into().unwrap();
        let result = ActionCreatePreparedStatementResult {
            // One that has to be closed again.
            prepared_statement_handle: vec![1, 2, 3].into(),
            dataset_schema: schema,
            parameter_schema: Vec::new().into(),
        };
        arrow_flight::Result {
            body: result.as_any().encode_to_vec().into(),
        }
    };
    let count = DoPutUpdateResult { record_count: 20_000 };
    let rows: Vec<_> = (0..20).map(|n| batch(&vec![n; 500])).collect();
    let steps = sending(&rows);
    Script::new()
        .on_flight_info(|descriptor| Ok(FlightInfo::new().with_endpoint(endpoint(bare_ticket(descriptor.cmd)))))
        .on_get(move |_| Ok(steps.clone()))
        .on_action(move |action| match action.r#type.as_str() {
            "CreatePreparedStatement" => Ok(vec![Step::Send(prepared())]),
            _ => Ok(Vec::new()),
        })
        .on_put(move |_| {
            Ok(vec![Step::Send(PutResult {
                app_metadata: count.encode_to_vec().into(),
            })])
        })
}

fn proxy(server: &TestServer, schedule: Schedule) -> FaultProxy {
    FaultProxy::start(([127, 0, 0, 1], server.port()).into(), schedule).unwrap()
}

/// The space of each call: the bytes that it takes when nothing goes wrong.
async fn spaces(server: &TestServer) -> HashMap<Call, FaultSpace> {
    let mut spaces = HashMap::new();
    for call in CALLS {
        let proxy = proxy(server, Schedule::new());
        call.make(&proxy, LONG)
            .await
            .unwrap_or_else(|error| panic!("{call:?}: {error:?}"));
        let bytes = |direction| proxy.transferred(0, direction);
        let space = FaultSpace::new(1, bytes(Direction::ToServer), bytes(Direction::ToClient));
        spaces.insert(call, space.with_most_faults(2));
    }
    spaces
}

/// Whether something can stand still: a length that was corrupted makes a reader wait for what never comes.
fn stands_still(schedule: &Schedule) -> bool {
    schedule
        .faults()
        .iter()
        .any(|fault| matches!(fault.action.kind(), ActionKind::Stall | ActionKind::Corrupt))
}

fn limit(schedule: &Schedule) -> Duration {
    if stands_still(schedule) { SHORT } else { LONG }
}

/// Whether the faults that happened, or can have, explain an error of this kind.
fn explained(kind: ErrorKind, schedule: &Schedule) -> bool {
    let has = |action| schedule.faults().iter().any(|fault| fault.action.kind() == action);
    match kind {
        ErrorKind::TimedOut => stands_still(schedule),
        ErrorKind::Unavailable => has(ActionKind::Reset) || has(ActionKind::Truncate) || has(ActionKind::Corrupt),
        // Plain text that was changed can be any other text: of a header, of a status, of an answer.
        _ => has(ActionKind::Corrupt),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_schedules_end_every_call_within_its_limits() {
    let server = TestServer::start(script()).await;
    let spaces = spaces(&server).await;
    let cases: Vec<(u64, Call, Schedule)> = (0..SCHEDULES)
        .map(|seed| {
            let call = CALLS[seed as usize % CALLS.len()];
            (seed, call, spaces[&call].draw(seed))
        })
        .collect();
    let mut outcomes = stream::iter(&cases)
        .map(|(seed, call, schedule)| {
            let proxy = proxy(&server, schedule.clone());
            async move {
                let outcome = tokio::time::timeout(HANG, call.make(&proxy, limit(schedule))).await;
                let told = format!("seed {seed}, {call:?}: {schedule}; fired {:?}", proxy.fired());
                (schedule, outcome.unwrap_or_else(|_| panic!("it hangs: {told}")), told)
            }
        })
        .buffer_unordered(30);
    let mut ended_well = 0;
    while let Some((schedule, outcome, told)) = outcomes.next().await {
        match outcome {
            Ok(()) => ended_well += 1,
            Err(error) => assert!(
                explained(error.kind(), schedule),
                "an error of a kind that nothing explains: {told}: {error:?}"
            ),
        }
    }
    assert!((30..270).contains(&ended_well), "{ended_well} ended well");
}
