//! The analyser from outside: a corpus of queries with what is to be found in them, and what people and programs read.

mod corpus;
mod estimate;
mod fuzz;
mod grammar;
mod invariants;
mod limits;
mod rendering;
mod rules_page;
mod slicing;
