//! A query that the server works on while it is asked how far it is: `PollFlightInfo`.
//!
//! Each answer tells the result so far, and a descriptor to ask again with; without one, the result is whole
//! (`PollInfo` in Arrow's `Flight.proto`). A server may answer when something is new, or at once.

use std::time::Duration;

use arrow_flight::{CancelFlightInfoRequest, FlightDescriptor, FlightInfo, PollInfo};
use bytes::Bytes;
use lakepilot_query::{ErrorKind, Query, Result};
use prost::Message;

use crate::client::FlightClient;
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::expiry;
use crate::status::Call;

/// How long is waited before asking again a server that had nothing new: the first time, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl FlightClient {
    /// Asks for the result of a command until it is whole, or asks once with `GetFlightInfo` when the server is not one that
    /// can be polled.
    pub(crate) async fn polled_info(
        &self,
        command: Bytes,
        query: Option<&Query>,
        deadline: Deadline,
    ) -> Result<(FlightInfo, Connection)> {
        if !self.shared.may_poll() {
            return self.flight_info(command, query, deadline).await;
        }
        let descriptor = FlightDescriptor::new_cmd(command.clone());
        let first = async |home: Connection| {
            let answer = self.poll(&home, descriptor.clone(), query, deadline).await?;
            Ok((answer, home))
        };
        let (answer, home) = match self.shared.connections.with_failover(first).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                tracing::debug!(%error, "the server is not polled");
                self.shared.cannot_poll();
                return self.flight_info(command, query, deadline).await;
            }
            answer => answer?,
        };
        let mut unfinished = Unfinished {
            client: self,
            home: &home,
            info: answer.info,
        };
        let mut next = answer.flight_descriptor;
        let mut pause = FIRST_PAUSE;
        while let Some(descriptor) = next {
            let pausing = async {
                tokio::time::sleep(pause).await;
                Ok(())
            };
            deadline
                .bound(&mut deadline.no_wait(), Call::Poll, &home.url, pausing)
                .await
                .flatten()?;
            let answer = self.poll(&home, descriptor, query, deadline).await?;
            let is_new = answer.info != unfinished.info;
            pause = if is_new {
                FIRST_PAUSE
            } else {
                (pause * 2).min(LONGEST_PAUSE)
            };
            unfinished.info = answer.info.or(unfinished.info.take());
            next = answer.flight_descriptor;
        }
        let info = unfinished
            .info
            .take()
            .ok_or_else(|| self.not_flight_sql(Call::Poll, "it ended without a result"))?;
        drop(unfinished);
        Ok((info, home))
    }

    /// Asks once.
    pub(crate) async fn poll(
        &self,
        home: &Connection,
        descriptor: FlightDescriptor,
        query: Option<&Query>,
        deadline: Deadline,
    ) -> Result<PollInfo> {
        const CALL: Call = Call::Poll;
        let mut patience = deadline.plan();
        let request = home
            .request(descriptor, &self.shared.config, query, deadline, CALL, &patience)
            .await?;
        tracing::debug!(url = %home.url, call = %CALL, "calling");
        let mut service = home.service();
        let work = async {
            match service.poll_flight_info(request).await {
                Ok(response) => Ok(response.into_inner()),
                Err(status) => Err(home.error(status, CALL)),
            }
        };
        home.bounded(deadline, &mut patience, CALL, work).await
    }
}

/// A result that the server works on, which it is told to give up when nobody waits for it any more.
struct Unfinished<'a> {
    client: &'a FlightClient,
    home: &'a Connection,
    info: Option<FlightInfo>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let shared = self.client.shared.clone();
        let (Some(info), true) = (self.info.take(), shared.may_cancel()) else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let home = self.home.clone();
        let body = CancelFlightInfoRequest { info: Some(info) }.encode_to_vec().into();
        runtime.spawn(async move {
            let deadline = Deadline::of_one_call(expiry::PATIENCE);
            if let Err(error) = shared.action_at(home, Call::Cancel, body, deadline).await {
                tracing::debug!(%error, "the server was not told that a polled query is not wanted any more");
            }
        });
    }
}
