//! What the server answers with, and what it reads of requests.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::server::PeekableFlightDataStream;
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, SchemaAsIpc, Ticket};
use futures::{StreamExt, TryStreamExt, stream};
use tonic::{Request, Response, Status};

use super::{Info, Rows};

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

pub(super) fn batch(numbers: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
    RecordBatch::try_new(schema(), vec![column]).unwrap()
}

pub(super) fn ipc(schema: &Schema) -> bytes::Bytes {
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &Default::default()).try_into().unwrap();
    bytes
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The command itself is the ticket.
pub(super) fn info(request: Request<FlightDescriptor>) -> Info {
    let descriptor = request.into_inner();
    let ticket = Ticket::new(descriptor.cmd.clone());
    Ok(Response::new(
        FlightInfo::new()
            .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
            .with_descriptor(descriptor),
    ))
}

pub(super) fn rows(batch: RecordBatch) -> Rows {
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(batch.schema())
        .build(stream::iter([Ok(batch)]))
        .map_err(Status::from);
    Ok(Response::new(messages.boxed()))
}

pub(super) fn empty(fields: &[(&str, DataType)]) -> Rows {
    let fields: Vec<Field> = fields
        .iter()
        .map(|(name, data_type)| Field::new(*name, data_type.clone(), true))
        .collect();
    rows(RecordBatch::new_empty(Arc::new(Schema::new(fields))))
}

pub(super) fn foreign_keys() -> Rows {
    let text = [
        "pk_catalog_name",
        "pk_db_schema_name",
        "pk_table_name",
        "pk_column_name",
        "fk_catalog_name",
        "fk_db_schema_name",
        "fk_table_name",
        "fk_column_name",
    ];
    let mut fields: Vec<_> = text.map(|name| (name, DataType::Utf8)).into_iter().collect();
    fields.push(("key_sequence", DataType::Int32));
    fields.push(("fk_key_name", DataType::Utf8));
    fields.push(("pk_key_name", DataType::Utf8));
    fields.push(("update_rule", DataType::UInt8));
    fields.push(("delete_rule", DataType::UInt8));
    empty(&fields)
}

/// The numbers in the rows that a client puts.
pub(super) async fn put(request: Request<PeekableFlightDataStream>) -> Result<Vec<i64>, Status> {
    let messages = request
        .into_inner()
        .map_err(|status| FlightError::Tonic(Box::new(status)));
    let batches: Vec<RecordBatch> = FlightRecordBatchStream::new_from_flight_data(messages)
        .try_collect()
        .await?;
    Ok(batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect())
}
