//! A plan or a run as text, JSON or Markdown, and progress on a terminal.
