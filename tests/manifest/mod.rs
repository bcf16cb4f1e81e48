//! Reading manifests: each sentence of what is accepted, on each side.

mod yaml;
