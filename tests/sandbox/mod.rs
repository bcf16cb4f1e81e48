//! Each rule of the sandbox over real HTTP; `src/sandbox/FIDELITY.md` names the test that holds each.

mod entities;
mod faults;
mod generic;
mod groups;
pub mod harness;
mod house;
mod keys_and_tenants;
mod kickstart;
mod lambdas;
mod links;
mod store;
mod transport;
mod users;
mod users_import;
mod users_passwords;
mod users_registrations;
mod users_search;
