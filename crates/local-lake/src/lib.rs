//! local-lake
