//! Whole processes against what must never happen: a runner that is killed or frozen at any request, a secret that
//! shows somewhere, somebody who wants the key or somebody else's objects.

mod attacks;
mod canary;
mod careless;
mod frozen;
pub mod killed;
mod lengths;
mod lock;
mod moved;
mod pipeline;
mod process;
mod proxy;
mod question;
mod returned;
mod runners;
mod scene;
mod told;
