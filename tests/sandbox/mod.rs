//! Each rule of the sandbox over real HTTP; `src/sandbox/FIDELITY.md` names the test that holds each.

mod harness;
mod house;
mod transport;
mod users;
mod users_import;
mod users_passwords;
mod users_registrations;
mod users_search;
