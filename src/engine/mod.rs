//! Connects manifests, API and the pure core: observe, apply, record, lock, journal.
