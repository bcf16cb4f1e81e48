//! What Prometheus sees. No label has values that users could multiply: kinds, outcomes, routes and statuses only, never
//! names of objects, instances or namespaces.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::fusionauth::{Exchange, ExchangeSink};
use crate::model::Kind;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: &'static str,
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    registry: Registry,
    reconciles: Family<OutcomeLabels, Counter>,
    durations: Durations<KindLabel>,
    queue: Family<KindLabel, Gauge>,
    requests: Family<RequestLabels, Counter>,
    drift: Family<KindLabel, Counter>,
    instances: Family<StateLabel, Gauge>,
    leader: Gauge,
}

fn histogram() -> Histogram {
    // 5 ms to 80 s.
    Histogram::new(exponential_buckets(0.005, 2.0, 15))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("fusionkeep");
        let reconciles = Family::default();
        registry.register("reconciles", "Reconciles that ended, by outcome", Family::clone(&reconciles));
        let durations = Durations::new_with_constructor(histogram as fn() -> Histogram);
        registry.register_with_unit(
            "reconcile_duration",
            "From the start of a reconcile to its end",
            Unit::Seconds,
            durations.clone(),
        );
        let queue = Family::default();
        registry.register("queue_depth", "Objects that wait for their instance", Family::clone(&queue));
        let requests = Family::default();
        registry.register(
            "fusionauth_requests",
            "HTTP requests to FusionAuth; status 0 is no answer",
            Family::clone(&requests),
        );
        let drift = Family::default();
        registry.register("drift", "Objects that were found changed by others", Family::clone(&drift));
        let instances = Family::default();
        registry.register("instances", "Instances by whether they can be used", Family::clone(&instances));
        let leader = Gauge::default();
        registry.register("leader", "1 while this replica leads", leader.clone());
        Metrics(Arc::new(Families {
            registry,
            reconciles,
            durations,
            queue,
            requests,
            drift,
            instances,
            leader,
        }))
    }
}

impl Metrics {
    pub fn reconciled(&self, kind: Kind, outcome: &'static str, took: Duration) {
        let kind = kind.as_str();
        self.0.reconciles.get_or_create(&OutcomeLabels { kind, outcome }).inc();
        self.0.durations.get_or_create(&KindLabel { kind }).observe(took.as_secs_f64());
    }

    pub fn queued(&self, kind: Kind) {
        self.0.queue.get_or_create(&KindLabel { kind: kind.as_str() }).inc();
    }

    pub fn unqueued(&self, kind: Kind) {
        self.0.queue.get_or_create(&KindLabel { kind: kind.as_str() }).dec();
    }

    pub fn drifted(&self, kind: Kind) {
        self.0.drift.get_or_create(&KindLabel { kind: kind.as_str() }).inc();
    }

    /// How many instances can be used, and how many cannot.
    pub fn instances(&self, up: usize, down: usize) {
        for (state, count) in [("up", up), ("down", down)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.0.instances.get_or_create(&StateLabel { state }).set(count);
        }
    }

    pub fn leads(&self, leads: bool) {
        self.0.leader.set(i64::from(leads));
    }

    /// Counts a client's exchanges.
    pub fn exchanges(&self) -> ExchangeSink {
        let metrics = self.clone();
        Arc::new(move |exchange: Exchange<'_>| {
            let labels = RequestLabels {
                method: exchange.method.as_str().to_owned(),
                route: exchange.route,
                status: exchange.status.unwrap_or_default().to_string(),
            };
            metrics.0.requests.get_or_create(&labels).inc();
        })
    }

    /// OpenMetrics text.
    ///
    /// # Errors
    /// Never, unless a metric cannot be written as text.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_counted() {
        let metrics = Metrics::default();
        metrics.reconciled(Kind::User, "Created", Duration::from_millis(3));
        metrics.queued(Kind::User);
        metrics.instances(1, 2);
        metrics.leads(true);
        let exchange =
            Exchange { method: &crate::fusionauth::Method::GET, route: "/api/user/{userId}", status: None };
        metrics.exchanges()(exchange);
        let text = metrics.text().unwrap();
        for line in [
            r#"fusionkeep_reconciles_total{kind="User",outcome="Created"} 1"#,
            r#"fusionkeep_queue_depth{kind="User"} 1"#,
            r#"fusionkeep_instances{state="down"} 2"#,
            "fusionkeep_leader 1",
            r#"fusionkeep_fusionauth_requests_total{method="GET",route="/api/user/{userId}",status="0"} 1"#,
            "fusionkeep_reconcile_duration_seconds_count{kind=\"User\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
