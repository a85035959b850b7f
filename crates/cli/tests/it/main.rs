//! The program as a person and a script meet it: real processes, real servers on loopback ports.

#![cfg(feature = "lake")]

mod bad_input;
mod checks;
mod connecting;
mod doctor;
mod harness;
mod help;
mod linting;
mod map;
mod partitions;
mod parts;
mod profiles;
mod retirements;
mod rows;
mod running;
mod serve;
mod stopping;
mod talk;
