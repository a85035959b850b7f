//! What a batch of a schema is made of, so that one of another schema is not read as if it had this one.

use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{DataType, Field};

/// What a type of Arrow may ask for at most, and what every buffer of a body is set off by.
const ALIGNMENT: usize = 8;

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
    /// Whether there are unions.
    unions: bool,
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

    /// The body of a batch as Arrow's reader can take it: for unions, whose offsets it reads where they lie, and panics
    /// where they are not aligned.
    pub(super) fn aligned(&self, body: Buffer) -> Buffer {
        if !self.unions || body.as_ptr().align_offset(ALIGNMENT) == 0 {
            return body;
        }
        let mut copy = MutableBuffer::with_capacity(body.len());
        copy.extend_from_slice(&body);
        copy.into()
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
                self.unions = true;
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
            DataType::Dictionary(_, values) => {
                let values = Field::new("", values.as_ref().clone(), true);
                self.unions |= Self::of(std::iter::once(&values)).unions;
                (2, &[])
            }
            // Numbers, times and fixed sizes: which are null, and what they are.
            _ => (2, &[]),
        };
        self.buffers += buffers;
        children.iter().for_each(|field| self.add(field.data_type()));
    }
}
