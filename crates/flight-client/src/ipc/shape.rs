//! What a batch of a schema is made of, so that one of another schema is not read as if it had this one.

use arrow::datatypes::{DataType, Field};

/// How many pieces of each kind the columns of a batch have together, nested ones too.
///
/// Arrow's reader takes the pieces one after the other as the schema asks for them, and does not look whether there are
/// more, or whether those of a text are those of a number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    /// One for each column and each child.
    nodes: usize,
    /// The buffers that each type has always.
    buffers: i64,
    /// Columns of views, which have any number of buffers besides.
    views: usize,
    /// Whether there are types whose buffers are not the same in all versions of the format.
    varies: bool,
}

impl Shape {
    pub(super) fn of<'a>(fields: impl Iterator<Item = &'a Field>) -> Self {
        let mut shape = Self::default();
        fields.for_each(|field| shape.add(field.data_type()));
        shape
    }

    /// Whether a batch of so many pieces can be of this schema: `views` columns of views, which have `variadic` buffers
    /// besides.
    pub(super) fn fits(&self, nodes: usize, buffers: i64, views: usize, variadic: i64) -> bool {
        nodes == self.nodes && views == self.views && (self.varies || buffers == self.buffers.saturating_add(variadic))
    }

    fn add(&mut self, data_type: &DataType) {
        self.nodes += 1;
        let (buffers, children): (i64, &[&Field]) = match data_type {
            DataType::Utf8View | DataType::BinaryView => {
                self.views += 1;
                (2, &[])
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => (3, &[]),
            DataType::List(field) | DataType::LargeList(field) | DataType::Map(field, _) => (2, &[field]),
            DataType::ListView(field) | DataType::LargeListView(field) => (3, &[field]),
            DataType::FixedSizeList(field, _) => (1, &[field]),
            DataType::Struct(fields) => {
                fields.iter().for_each(|field| self.add(field.data_type()));
                (1, &[])
            }
            DataType::Union(fields, _) => {
                self.varies = true;
                fields.iter().for_each(|(_, field)| self.add(field.data_type()));
                (0, &[])
            }
            DataType::RunEndEncoded(ends, values) => {
                self.varies = true;
                (0, &[ends, values])
            }
            DataType::Null => {
                self.varies = true;
                (0, &[])
            }
            // Numbers, times, fixed sizes, and the keys of a dictionary: which are null, and what they are.
            _ => (2, &[]),
        };
        self.buffers += buffers;
        children.iter().for_each(|field| self.add(field.data_type()));
    }
}
