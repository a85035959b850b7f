//! Plans, their application and their verification, on a lake that keeps state.

mod apply;
mod by_range;
mod lake;
mod materialise;
mod plan;
mod safety;
