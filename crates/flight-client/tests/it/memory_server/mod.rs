//! A Flight SQL server with one table of numbers in memory, that offers all of Flight SQL: statements that change something,
//! prepared ones with parameters, transactions and savepoints, polling, calling off.

mod answers;
mod flights;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::flight_service_server::FlightServiceServer;
use arrow_flight::sql::metadata::{SqlInfoDataBuilder, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionBeginSavepointRequest, ActionBeginSavepointResult, ActionBeginTransactionRequest,
    ActionBeginTransactionResult, ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, ActionEndSavepointRequest, ActionEndTransactionRequest, CommandGetCatalogs,
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementIngest, CommandStatementQuery,
    CommandStatementUpdate, DoPutPreparedStatementResult, ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightData, FlightDescriptor,
    FlightEndpoint, FlightInfo, Ticket,
};
use futures::{Stream, StreamExt, stream};
use lakepilot_flight_client::{ClientConfig, FlightClient};
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use self::answers::{batch, foreign_keys, info, ipc, put, rows, schema, text};
use self::flights::Flights;

/// How often a query is polled before it is done.
pub(crate) const POLLS: usize = 3;

/// What the server did that a client cannot see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) open_statements: usize,
    pub(crate) open_transactions: usize,
    pub(crate) committed: usize,
    pub(crate) rolled_back: usize,
    pub(crate) polls: usize,
    pub(crate) cancelled: usize,
}

#[derive(Debug, Default)]
struct State {
    numbers: Vec<i64>,
    /// The numbers as a transaction has them.
    transactions: HashMap<String, Vec<i64>>,
    /// The transaction of a savepoint, and the numbers at it.
    savepoints: HashMap<String, (String, Vec<i64>)>,
    statements: HashMap<String, Prepared>,
    names: usize,
    seen: Seen,
}

#[derive(Clone, Debug)]
struct Prepared {
    sql: String,
    transaction: Option<String>,
    parameters: Vec<i64>,
}

impl State {
    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}-{}", self.names)
    }

    fn numbers(&mut self, transaction: Option<&str>) -> Result<&mut Vec<i64>, Status> {
        match transaction {
            None => Ok(&mut self.numbers),
            Some(id) => self
                .transactions
                .get_mut(id)
                .ok_or_else(|| Status::not_found(format!("there is no transaction {id}"))),
        }
    }

    fn query(&mut self, sql: &str, transaction: Option<&str>, parameters: &[i64]) -> Result<RecordBatch, Status> {
        let numbers = match sql {
            "SELECT 1" => vec![1],
            "SELECT CAST($1 AS BIGINT) AS n" => parameters
                .first()
                .map(|value| vec![*value])
                .ok_or_else(|| Status::invalid_argument("$1 is not bound"))?,
            "SELECT n FROM numbers" => self.numbers(transaction)?.clone(),
            "SELECT * FROM \"numbers\" WHERE 1 = 0" => Vec::new(),
            other => return Err(Status::invalid_argument(format!("SQL error: {other}"))),
        };
        Ok(batch(&numbers))
    }

    fn update(&mut self, sql: &str, transaction: Option<&str>, parameters: &[i64]) -> Result<i64, Status> {
        let numbers = self.numbers(transaction)?;
        if let Some(values) = sql.strip_prefix("INSERT INTO numbers VALUES ") {
            let values = match values.trim_matches(['(', ')']) {
                "$1" => parameters.to_vec(),
                number => vec![number.parse().map_err(|_| Status::invalid_argument("not a number"))?],
            };
            numbers.extend(&values);
            return Ok(values.len() as i64);
        }
        match sql {
            "DELETE FROM numbers" => {
                let count = numbers.len() as i64;
                numbers.clear();
                Ok(count)
            }
            "TRUNCATE numbers" => {
                numbers.clear();
                // Flight SQL's way to say that nobody has counted.
                Ok(-1)
            }
            _ if sql.starts_with("INSERT INTO \"numbers\" SELECT") && sql.ends_with("WHERE 1 = 0") => Ok(0),
            other => Err(Status::invalid_argument(format!("SQL error: {other}"))),
        }
    }
}

/// The server, until it is dropped.
pub(crate) struct MemoryServer {
    port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl MemoryServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            numbers: vec![1, 2, 3],
            ..State::default()
        }));
        let service = Flights(Sql(Arc::clone(&state)));
        let router = Server::builder().add_service(FlightServiceServer::new(service));
        let incoming = TcpListenerStream::new(listener);
        let task = tokio::spawn(async move { router.serve_with_incoming(incoming).await.unwrap() });
        Self { port, state, task }
    }

    pub(crate) fn config(&self) -> ClientConfig {
        ClientConfig::new(format!("grpc://127.0.0.1:{}", self.port)).unwrap()
    }

    pub(crate) async fn client(&self) -> FlightClient {
        FlightClient::connect(self.config()).await.unwrap()
    }

    pub(crate) fn numbers(&self) -> Vec<i64> {
        self.state.lock().unwrap().numbers.clone()
    }

    pub(crate) fn seen(&self) -> Seen {
        let state = self.state.lock().unwrap();
        Seen {
            open_statements: state.statements.len(),
            open_transactions: state.transactions.len(),
            ..state.seen.clone()
        }
    }

    /// Waits until the server has seen something, which nobody is told of.
    pub(crate) async fn until(&self, expected: impl Fn(&Seen) -> bool) {
        let waiting = async {
            while !expected(&self.seen()) {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(crate::server::PATIENCE, waiting).await;
        assert!(waited.is_ok(), "it never happened; seen: {:?}", self.seen());
    }
}

impl Drop for MemoryServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Sql(Arc<Mutex<State>>);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Info = Result<Response<FlightInfo>, Status>;
type Rows = Result<Response<Answers<FlightData>>, Status>;

impl Sql {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn prepared(&self, handle: &[u8]) -> Result<Prepared, Status> {
        let handle = text(handle);
        self.state()
            .statements
            .get(&handle)
            .cloned()
            .ok_or_else(|| Status::not_found(format!("there is no statement {handle}")))
    }
}

#[tonic::async_trait]
impl FlightSqlService for Sql {
    type FlightService = Self;

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let transaction = query.transaction_id.as_deref().map(text);
        let sql = query.query.clone();
        // What is not SQL is refused before there is a ticket.
        self.state().query(&sql, transaction.as_deref(), &[])?;
        let ticket = TicketStatementQuery {
            statement_handle: query.encode_to_vec().into(),
        };
        let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket.as_any().encode_to_vec()));
        let info = FlightInfo::new()
            .try_with_schema(&schema())
            .unwrap()
            .with_endpoint(endpoint)
            .with_descriptor(request.into_inner());
        Ok(Response::new(info))
    }

    async fn do_get_statement(&self, ticket: TicketStatementQuery, _request: Request<Ticket>) -> Rows {
        let query = CommandStatementQuery::decode(ticket.statement_handle)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let transaction = query.transaction_id.as_deref().map(text);
        rows(self.state().query(&query.query, transaction.as_deref(), &[])?)
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.prepared(&query.prepared_statement_handle)?;
        info(request)
    }

    async fn do_get_prepared_statement(&self, query: CommandPreparedStatementQuery, _: Request<Ticket>) -> Rows {
        let Prepared {
            sql,
            transaction,
            parameters,
        } = self.prepared(&query.prepared_statement_handle)?;
        rows(self.state().query(&sql, transaction.as_deref(), &parameters)?)
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let parameters = put(request).await?;
        let handle = text(&query.prepared_statement_handle);
        let mut state = self.state();
        let statement = state
            .statements
            .get_mut(&handle)
            .ok_or_else(|| Status::not_found(format!("there is no statement {handle}")))?;
        statement.parameters = parameters;
        Ok(DoPutPreparedStatementResult {
            prepared_statement_handle: None,
        })
    }

    async fn do_put_prepared_statement_update(
        &self,
        query: CommandPreparedStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let statement = self.prepared(&query.prepared_statement_handle)?;
        let parameters = put(request).await?;
        self.state()
            .update(&statement.sql, statement.transaction.as_deref(), &parameters)
    }

    async fn do_put_statement_update(
        &self,
        command: CommandStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let transaction = command.transaction_id.as_deref().map(text);
        self.state().update(&command.query, transaction.as_deref(), &[])
    }

    async fn do_put_statement_ingest(
        &self,
        command: CommandStatementIngest,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        if command.table != "numbers" {
            return Err(Status::not_found(format!("there is no table {}", command.table)));
        }
        let numbers = put(request).await?;
        self.state().numbers.extend(&numbers);
        Ok(numbers.len() as i64)
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let is_query = query.query.starts_with("SELECT ");
        let has_parameter = query.query.contains("$1");
        if query.query.contains('?') || !(is_query || query.query.starts_with("INSERT ")) {
            return Err(Status::invalid_argument(format!("SQL error: {}", query.query)));
        }
        let mut state = self.state();
        let handle = state.name("statement");
        let prepared = Prepared {
            sql: query.query,
            transaction: query.transaction_id.as_deref().map(text),
            parameters: Vec::new(),
        };
        state.statements.insert(handle.clone(), prepared);
        let parameters = Schema::new(vec![Field::new("$1", DataType::Int64, true)]);
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle.into(),
            dataset_schema: if is_query {
                ipc(&schema())
            } else {
                ipc(&Schema::empty())
            },
            parameter_schema: if has_parameter {
                ipc(&parameters)
            } else {
                bytes::Bytes::new()
            },
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        self.prepared(&query.prepared_statement_handle)?;
        let handle = text(&query.prepared_statement_handle);
        self.state().statements.remove(&handle);
        Ok(())
    }

    async fn do_action_begin_transaction(
        &self,
        _query: ActionBeginTransactionRequest,
        _request: Request<Action>,
    ) -> Result<ActionBeginTransactionResult, Status> {
        let mut state = self.state();
        let id = state.name("transaction");
        let numbers = state.numbers.clone();
        state.transactions.insert(id.clone(), numbers);
        Ok(ActionBeginTransactionResult {
            transaction_id: id.into(),
        })
    }

    async fn do_action_end_transaction(
        &self,
        query: ActionEndTransactionRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        let id = text(&query.transaction_id);
        let mut state = self.state();
        let numbers = state
            .transactions
            .remove(&id)
            .ok_or_else(|| Status::not_found(format!("there is no transaction {id}")))?;
        match query.action {
            1 => {
                state.numbers = numbers;
                state.seen.committed += 1;
            }
            2 => state.seen.rolled_back += 1,
            other => return Err(Status::invalid_argument(format!("no such end: {other}"))),
        }
        Ok(())
    }

    async fn do_action_begin_savepoint(
        &self,
        query: ActionBeginSavepointRequest,
        _request: Request<Action>,
    ) -> Result<ActionBeginSavepointResult, Status> {
        let transaction = text(&query.transaction_id);
        let mut state = self.state();
        let numbers = state.numbers(Some(&transaction))?.clone();
        let id = state.name(&query.name);
        state.savepoints.insert(id.clone(), (transaction, numbers));
        Ok(ActionBeginSavepointResult {
            savepoint_id: id.into(),
        })
    }

    async fn do_action_end_savepoint(
        &self,
        query: ActionEndSavepointRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        let id = text(&query.savepoint_id);
        let mut state = self.state();
        let (transaction, numbers) = state
            .savepoints
            .get(&id)
            .cloned()
            .ok_or_else(|| Status::not_found(format!("there is no savepoint {id}")))?;
        match query.action {
            1 => {
                state.savepoints.remove(&id);
            }
            2 => *state.numbers(Some(&transaction))? = numbers,
            other => return Err(Status::invalid_argument(format!("no such end: {other}"))),
        }
        Ok(())
    }

    async fn do_action_fallback(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Answers<arrow_flight::Result>>, Status> {
        let action = request.into_inner();
        if action.r#type != "CancelFlightInfo" {
            return Err(Status::unimplemented(action.r#type));
        }
        let request = CancelFlightInfoRequest::decode(action.body)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        if request.info.is_none() {
            return Err(Status::invalid_argument("nothing to cancel"));
        }
        self.state().seen.cancelled += 1;
        let result = arrow_flight::Result {
            body: CancelFlightInfoResult::new(CancelStatus::Cancelled)
                .encode_to_vec()
                .into(),
        };
        Ok(Response::new(stream::iter([Ok(result)]).boxed()))
    }

    async fn get_flight_info_catalogs(&self, _: CommandGetCatalogs, request: Request<FlightDescriptor>) -> Info {
        info(request)
    }

    async fn do_get_catalogs(&self, query: CommandGetCatalogs, _: Request<Ticket>) -> Rows {
        let mut builder = query.into_builder();
        builder.append("memory");
        rows(builder.build()?)
    }

    async fn get_flight_info_schemas(&self, _: CommandGetDbSchemas, request: Request<FlightDescriptor>) -> Info {
        info(request)
    }

    async fn do_get_schemas(&self, query: CommandGetDbSchemas, _: Request<Ticket>) -> Rows {
        let mut builder = query.into_builder();
        builder.append("memory", "public");
        builder.append("memory", "other");
        rows(builder.build()?)
    }

    async fn get_flight_info_tables(&self, _: CommandGetTables, request: Request<FlightDescriptor>) -> Info {
        info(request)
    }

    async fn do_get_tables(&self, query: CommandGetTables, _: Request<Ticket>) -> Rows {
        let mut builder = query.into_builder();
        builder.append("memory", "public", "numbers", "TABLE", &schema())?;
        builder.append("memory", "public", "squares", "VIEW", &schema())?;
        rows(builder.build()?)
    }

    async fn get_flight_info_table_types(&self, _: CommandGetTableTypes, request: Request<FlightDescriptor>) -> Info {
        info(request)
    }

    async fn do_get_table_types(&self, query: CommandGetTableTypes, _: Request<Ticket>) -> Rows {
        let mut builder = query.into_builder();
        builder.append("TABLE");
        builder.append("VIEW");
        rows(builder.build()?)
    }

    async fn get_flight_info_sql_info(&self, _: CommandGetSqlInfo, request: Request<FlightDescriptor>) -> Info {
        info(request)
    }

    async fn do_get_sql_info(&self, query: CommandGetSqlInfo, _: Request<Ticket>) -> Rows {
        let mut info = SqlInfoDataBuilder::new();
        info.append(SqlInfo::FlightSqlServerName, "numbers in memory");
        info.append(SqlInfo::FlightSqlServerVersion, "1.0");
        info.append(SqlInfo::FlightSqlServerReadOnly, false);
        info.append(SqlInfo::FlightSqlServerSql, true);
        // It takes none.
        info.append(SqlInfo::FlightSqlServerSubstrait, true);
        info.append(SqlInfo::FlightSqlServerTransaction, 2i64);
        info.append(SqlInfo::FlightSqlServerCancel, true);
        info.append(SqlInfo::SqlNumericFunctions, &["abs", "ceil"][..]);
        let info = info.build()?;
        rows(query.into_builder(&info).build()?)
    }

    async fn get_flight_info_primary_keys(&self, _: CommandGetPrimaryKeys, request: Request<FlightDescriptor>) -> Info {
        info(request)
    }

    async fn do_get_primary_keys(&self, query: CommandGetPrimaryKeys, _: Request<Ticket>) -> Rows {
        if query.table != "numbers" {
            return Err(Status::not_found(format!("there is no table {}", query.table)));
        }
        let text = |value: &str| -> ArrayRef { Arc::new(arrow::array::StringArray::from(vec![value])) };
        let sequence: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([
            ("catalog_name", text("memory")),
            ("db_schema_name", text("public")),
            ("table_name", text("numbers")),
            ("column_name", text("n")),
            ("key_name", text("numbers_key")),
            ("key_sequence", sequence),
        ]);
        rows(batch.unwrap())
    }

    async fn get_flight_info_exported_keys(
        &self,
        _: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        info(request)
    }

    async fn do_get_exported_keys(&self, _: CommandGetExportedKeys, _: Request<Ticket>) -> Rows {
        foreign_keys()
    }

    async fn get_flight_info_imported_keys(
        &self,
        _: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        info(request)
    }

    async fn do_get_imported_keys(&self, _: CommandGetImportedKeys, _: Request<Ticket>) -> Rows {
        foreign_keys()
    }

    async fn get_flight_info_cross_reference(
        &self,
        _: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Info {
        info(request)
    }

    async fn do_get_cross_reference(&self, _: CommandGetCrossReference, _: Request<Ticket>) -> Rows {
        foreign_keys()
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        _: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Info {
        info(request)
    }

    async fn do_get_xdbc_type_info(&self, query: CommandGetXdbcTypeInfo, _: Request<Ticket>) -> Rows {
        let info = XdbcTypeInfoDataBuilder::new().build()?;
        rows(query.into_builder(&info).build()?)
    }
}
