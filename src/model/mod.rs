//! What can be declared: one file a kind, plus the table of kinds. Knows neither tokio nor reqwest nor kube.
