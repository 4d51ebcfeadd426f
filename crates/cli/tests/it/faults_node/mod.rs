//! What hosts do to agents, and networks to sessions. Each test is one case, named with what is expected of it.

mod bad_network;
mod descriptors;
mod killed_agent;
mod output;
mod pause;
mod read_only;
mod slow_reader;
mod upgrade;
