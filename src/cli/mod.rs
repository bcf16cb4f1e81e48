//! The command: one file a subcommand. Knows the engine and the report, never the operator.
