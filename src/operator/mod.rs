//! Custom resources to engine. Knows the engine, never the command.
