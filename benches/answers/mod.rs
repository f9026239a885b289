//! Users in every state, the endpoint on a socket, who calls it, and what the times tell.

pub(crate) mod caller;
pub(crate) mod report;
pub(crate) mod server;
pub(crate) mod states;
