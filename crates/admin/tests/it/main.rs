//! Plans, their application and their verification, on a lake that keeps state.

mod apply;
mod fake_lake;
mod materialise;
mod plan;
mod safety;
