//! The only door to the FusionAuth API.
