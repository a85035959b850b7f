//! The catalogue over mock services: spellings, missing columns, filters.

mod catalog;
mod filters;
mod lake;
mod reading;
