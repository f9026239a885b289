//! What the guide says in numbers, in order and in tables is what the code does.

mod limits;
mod order;
mod outcomes;

const CALLER: &str = include_str!("../../src/docs/guide/caller.md");
