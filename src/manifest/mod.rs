//! Files to typed documents with their place. The only door to YAML.
