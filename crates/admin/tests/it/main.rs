//! Plans, their application and their verification, on a lake that keeps state.

mod apply;
mod by_range;
mod journal;
mod kept_lake;
mod lake;
mod materialise;
mod plan;
mod retention;
mod safety;
mod saved;
