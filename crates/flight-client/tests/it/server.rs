//! A Flight server that does what a script says, and writes down what it was asked.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use async_trait::async_trait;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http::HeaderMap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

/// How long a test waits for what has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One thing that the server saw, in order.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A call came in.
    Call(Call),
    /// The client went away before the answer was over, or before its own stream was.
    Abandoned(&'static str),
    /// All of what a client put had arrived.
    Put(Vec<FlightData>),
}

/// A call as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) headers: HeaderMap,
    /// The ticket, the command of the descriptor, or the body of the action.
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// One step of a stream of answers.
#[derive(Clone, Debug)]
pub(crate) enum Step<T> {
    Send(T),
    /// The same one so many times.
    Repeat(T, usize),
    Fail(Status),
    /// Nothing more, and no end.
    Hang,
}

pub(crate) type Steps<T> = Result<Vec<Step<T>>, Status>;

type Answer<Q, A> = Box<dyn Fn(Q) -> A + Send + Sync>;

/// What the server answers. What is not set is not implemented.
pub(crate) struct Script {
    flight_info: Answer<FlightDescriptor, Result<FlightInfo, Status>>,
    get: Answer<Ticket, Steps<FlightData>>,
    action: Answer<Action, Steps<arrow_flight::Result>>,
    put: Answer<usize, Steps<PutResult>>,
    handshake: Answer<HeaderMap, Result<Response<Steps<HandshakeResponse>>, Status>>,
    poll: Answer<FlightDescriptor, Result<PollInfo, Status>>,
    /// Whether `GetFlightInfo` is not answered.
    flight_info_hangs: bool,
    token: Option<String>,
    /// Whether calls are not answered at all.
    silent: bool,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self {
            flight_info: Box::new(|_| Err(Status::unimplemented("no flights here"))),
            get: Box::new(|_| Err(Status::unimplemented("nothing to get here"))),
            action: Box::new(|_| Err(Status::unimplemented("no actions here"))),
            put: Box::new(|_| Err(Status::unimplemented("nothing can be put here"))),
            handshake: Box::new(|_| Err(Status::unimplemented("nobody can log in here"))),
            poll: Box::new(|_| Err(Status::unimplemented("nothing is polled here"))),
            flight_info_hangs: false,
            token: None,
            silent: false,
        }
    }

    pub(crate) fn on_flight_info(
        mut self,
        answer: impl Fn(FlightDescriptor) -> Result<FlightInfo, Status> + Send + Sync + 'static,
    ) -> Self {
        self.flight_info = Box::new(answer);
        self
    }

    pub(crate) fn on_get(mut self, answer: impl Fn(Ticket) -> Steps<FlightData> + Send + Sync + 'static) -> Self {
        self.get = Box::new(answer);
        self
    }

    pub(crate) fn on_action(
        mut self,
        answer: impl Fn(Action) -> Steps<arrow_flight::Result> + Send + Sync + 'static,
    ) -> Self {
        self.action = Box::new(answer);
        self
    }

    /// The answer to a put, by how many messages arrived.
    pub(crate) fn on_put(mut self, answer: impl Fn(usize) -> Steps<PutResult> + Send + Sync + 'static) -> Self {
        self.put = Box::new(answer);
        self
    }

    /// The answer to a handshake, by its headers; the headers of the response are sent.
    pub(crate) fn on_handshake(
        mut self,
        answer: impl Fn(HeaderMap) -> Result<Response<Steps<HandshakeResponse>>, Status> + Send + Sync + 'static,
    ) -> Self {
        self.handshake = Box::new(answer);
        self
    }

    pub(crate) fn on_poll(
        mut self,
        answer: impl Fn(FlightDescriptor) -> Result<PollInfo, Status> + Send + Sync + 'static,
    ) -> Self {
        self.poll = Box::new(answer);
        self
    }

    /// Takes `GetFlightInfo`, and does not answer it.
    pub(crate) fn on_flight_info_hanging(mut self) -> Self {
        self.flight_info_hangs = true;
        self
    }

    /// Takes only calls with this bearer token, beside handshakes.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(format!("Bearer {token}"));
        self
    }

    /// Takes calls, and answers none.
    pub(crate) fn silent(mut self) -> Self {
        self.silent = true;
        self
    }
}

type Sockets = Arc<Mutex<Vec<std::net::TcpStream>>>;

/// A server on a loopback port of its own, until it is dropped.
pub(crate) struct TestServer {
    port: u16,
    events: watch::Receiver<Vec<Event>>,
    /// A second handle on each socket.
    sockets: Sockets,
    task: JoinHandle<()>,
}

impl TestServer {
    pub(crate) async fn start(script: Script) -> Self {
        Self::launch(script, Server::builder()).await
    }

    /// A server that speaks TLS, with a certificate and its key in PEM.
    pub(crate) async fn start_with_tls(script: Script, certificate: &str, key: &str) -> Self {
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        Self::launch(script, Server::builder().tls_config(tls).unwrap()).await
    }

    /// The same, which wants a certificate of every client that this authority has signed.
    pub(crate) async fn start_with_mutual_tls(script: Script, certificate: &str, key: &str, authority: &str) -> Self {
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate, key))
            .client_ca_root(Certificate::from_pem(authority));
        Self::launch(script, Server::builder().tls_config(tls).unwrap()).await
    }

    async fn launch(script: Script, mut builder: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (log, events) = watch::channel(Vec::new());
        let service = ScriptedService {
            script: Arc::new(script),
            log: Log(Arc::new(Mutex::new(log))),
        };
        let sockets = Sockets::default();
        let kept = Arc::clone(&sockets);
        let incoming = TcpListenerStream::new(listener).map(move |accepted| {
            let socket = accepted?.into_std()?;
            kept.lock().unwrap().push(socket.try_clone()?);
            TcpStream::from_std(socket)
        });
        let router = builder.add_service(FlightServiceServer::new(service).max_decoding_message_size(usize::MAX));
        let task = tokio::spawn(async move { router.serve_with_incoming(incoming).await.unwrap() });
        Self {
            port,
            events,
            sockets,
            task,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address with a scheme and a host: `grpc` and `127.0.0.1`.
    pub(crate) fn url(&self) -> String {
        format!("grpc://127.0.0.1:{}", self.port)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    /// The calls so far, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Call(call) => Some(call),
                Event::Abandoned(_) | Event::Put(_) => None,
            })
            .collect()
    }

    pub(crate) fn methods(&self) -> Vec<&'static str> {
        self.calls().iter().map(|call| call.method).collect()
    }

    /// Breaks every connection, as a machine that dies would.
    pub(crate) fn kill_connections(&self) {
        for socket in self.sockets.lock().unwrap().drain(..) {
            // One that the client has closed already needs no more.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Goes away, and returns when the port is free.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        let stopped = (&mut self.task).await;
        assert!(stopped.is_err_and(|error| error.is_cancelled()));
    }

    /// Waits until what has been seen is as expected.
    pub(crate) async fn wait_until(&self, expected: impl Fn(&[Event]) -> bool) {
        let mut events = self.events.clone();
        let waited = tokio::time::timeout(PATIENCE, events.wait_for(|events| expected(events))).await;
        assert!(
            matches!(waited, Ok(Ok(_))),
            "it never happened; seen: {:?}",
            self.events()
        );
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
        self.kill_connections();
    }
}

#[derive(Clone)]
struct Log(Arc<Mutex<watch::Sender<Vec<Event>>>>);

impl Log {
    fn add(&self, event: Event) {
        self.0.lock().unwrap().send_modify(|events| events.push(event));
    }
}

/// Reports a call as abandoned unless it is told that the call came to its end.
struct Watchdog {
    log: Log,
    method: &'static str,
    over: bool,
}

impl Watchdog {
    fn call_off(&mut self) {
        self.over = true;
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if !self.over {
            self.log.add(Event::Abandoned(self.method));
        }
    }
}

struct ScriptedService {
    script: Arc<Script>,
    log: Log,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl ScriptedService {
    /// Writes the call down, and lets it in.
    async fn admit<T>(&self, method: &'static str, request: &Request<T>, body: &[u8]) -> Result<Watchdog, Status> {
        let headers = request.metadata().clone().into_headers();
        let authorized = match &self.script.token {
            _ if method == "Handshake" => true,
            Some(token) => headers
                .get("authorization")
                .is_some_and(|value| value == token.as_str()),
            None => true,
        };
        self.log.add(Event::Call(Call {
            method,
            headers,
            body: body.to_vec(),
        }));
        let watchdog = Watchdog {
            log: self.log.clone(),
            method,
            over: !self.script.silent,
        };
        if self.script.silent {
            std::future::pending::<()>().await;
        }
        if authorized {
            Ok(watchdog)
        } else {
            Err(Status::unauthenticated("invalid token"))
        }
    }

    fn play<T: Clone + Send + 'static>(&self, method: &'static str, steps: Vec<Step<T>>) -> Answers<T> {
        let watchdog = Watchdog {
            log: self.log.clone(),
            method,
            over: false,
        };
        stream::unfold(
            (VecDeque::from(steps), watchdog),
            |(mut steps, mut watchdog)| async move {
                match steps.pop_front() {
                    Some(Step::Send(item)) => Some((Ok(item), (steps, watchdog))),
                    Some(Step::Repeat(item, times)) => {
                        if times > 1 {
                            steps.push_front(Step::Repeat(item.clone(), times - 1));
                        }
                        Some((Ok(item), (steps, watchdog)))
                    }
                    Some(Step::Fail(status)) => {
                        watchdog.call_off();
                        Some((Err(status), (VecDeque::new(), watchdog)))
                    }
                    Some(Step::Hang) => std::future::pending().await,
                    None => {
                        watchdog.call_off();
                        None
                    }
                }
            },
        )
        .boxed()
    }
}

#[async_trait]
impl FlightService for ScriptedService {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        self.admit("GetFlightInfo", &request, &request.get_ref().cmd).await?;
        if self.script.flight_info_hangs {
            std::future::pending::<()>().await;
        }
        (self.script.flight_info)(request.into_inner()).map(Response::new)
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        self.admit("DoGet", &request, &request.get_ref().ticket).await?;
        let steps = (self.script.get)(request.into_inner())?;
        Ok(Response::new(self.play("DoGet", steps)))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        self.admit("DoAction", &request, &request.get_ref().body).await?;
        let steps = (self.script.action)(request.into_inner())?;
        Ok(Response::new(self.play("DoAction", steps)))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let mut watchdog = self.admit("DoPut", &request, &[]).await?;
        watchdog.over = false;
        let messages: Vec<FlightData> = request.into_inner().try_collect().await?;
        watchdog.call_off();
        let steps = (self.script.put)(messages.len());
        self.log.add(Event::Put(messages));
        Ok(Response::new(self.play("DoPut", steps?)))
    }

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        self.admit("Handshake", &request, &[]).await?;
        let (metadata, _, messages) = request.into_parts();
        let messages: Vec<HandshakeRequest> = messages.try_collect().await?;
        assert!(messages.iter().all(|message| message.payload.is_empty()));
        let answer = (self.script.handshake)(metadata.into_headers())?;
        let (metadata, steps, extensions) = answer.into_parts();
        Ok(Response::from_parts(
            metadata,
            self.play("Handshake", steps?),
            extensions,
        ))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented("list_flights"))
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        self.admit("PollFlightInfo", &request, &request.get_ref().cmd).await?;
        (self.script.poll)(request.into_inner()).map(Response::new)
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Err(Status::unimplemented("get_schema"))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented("do_exchange"))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(Status::unimplemented("list_actions"))
    }
}
