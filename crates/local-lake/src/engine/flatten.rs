//! Dictionary columns delivered as plain ones.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

/// The type with every dictionary in it replaced by the type of its values.
fn flat_type(data_type: &DataType) -> DataType {
    let flat = |field: &FieldRef| Arc::new(flat_field(field));
    match data_type {
        DataType::Dictionary(_, values) => flat_type(values),
        DataType::List(item) => DataType::List(flat(item)),
        DataType::LargeList(item) => DataType::LargeList(flat(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(flat(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(flat).collect()),
        other => other.clone(),
    }
}

fn flat_field(field: &Field) -> Field {
    field.clone().with_data_type(flat_type(field.data_type()))
}

/// The schema that a plan delivers when its dictionaries are flattened.
pub(crate) fn flat_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|field| flat_field(field)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The plan with a cast of its dictionary columns on top. Each of its partitions casts its own batches, so the work is
/// spread as the plan is.
pub(crate) fn flatten(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = plan.schema();
    if flat_schema(&schema) == schema {
        return Ok(plan);
    }
    let columns = schema.fields().iter().enumerate().map(|(index, field)| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), index));
        let flat = flat_type(field.data_type());
        let expr = if flat == *field.data_type() {
            column
        } else {
            Arc::new(CastExpr::new(column, flat, None))
        };
        ProjectionExpr::new(expr, field.name())
    });
    Ok(Arc::new(ProjectionExec::try_new(columns, plan)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary(values: DataType) -> DataType {
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(values))
    }

    #[test]
    fn dictionaries_are_replaced_at_every_depth() {
        let item = |data_type| Arc::new(Field::new("item", data_type, true));
        for (nested, flat) in [
            (dictionary(DataType::Utf8), DataType::Utf8),
            (dictionary(dictionary(DataType::Binary)), DataType::Binary),
            (
                DataType::List(item(dictionary(DataType::Utf8))),
                DataType::List(item(DataType::Utf8)),
            ),
            (
                DataType::Struct(vec![item(dictionary(DataType::Utf8))].into()),
                DataType::Struct(vec![item(DataType::Utf8)].into()),
            ),
            (DataType::Int64, DataType::Int64),
        ] {
            assert_eq!(flat_type(&nested), flat, "{nested}");
        }
    }
}
