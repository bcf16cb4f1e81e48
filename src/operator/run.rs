//! The operator's life: who it is, its lease, its watches, its end.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt, select_all};
use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::client::ClientBuilder;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Config as ControllerConfig;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer as StoreWriter;
use kube::runtime::watcher::Config as WatchConfig;
use kube::runtime::{Controller, PredicateConfig, WatchStreamExt, reflector, watcher};
use kube::{Api, Client, Config};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tower::limit::ConcurrencyLimitLayer;

use crate::model::{Address, Kind, PlanApprovalSpec};

use super::address::AddressRules;
use super::context::{Backoff, Context, Instances, NamespaceMeta, Stores, Written};
use super::http::{Readiness, serve};
use super::instance::Environment;
use super::lease::{Leadership, Lease, TimesError};
use super::metrics::Metrics;
use super::resource::{Resource, finalizer_of, relevant, slim};
use super::secrets::ClusterSecrets;
use super::settings::Settings;
use super::wake::{On, Wakes};
use super::writer::Writer;
use super::{instances, objects, vanished};

/// Why the operator ended, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("there is no cluster to work in: {0}")]
    NoCluster(#[from] Box<kube::config::InferConfigError>),
    #[error("the API server refuses: {0}")]
    ApiServer(#[from] Box<kube::Error>),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("the process's signals cannot be heeded: {0}")]
    Signals(std::io::Error),
    #[error(transparent)]
    Times(#[from] TimesError),
    #[error("the lease is lost; another replica goes on")]
    LeaseLost,
    #[error("the watch of {0} ended")]
    WatchEnded(Kind),
}

impl OperatorError {
    /// What one can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            OperatorError::NoCluster(_) => Some("run it in a cluster, or name a kubeconfig with KUBECONFIG"),
            OperatorError::ApiServer(_) => Some("has its service account the rights that the chart grants?"),
            OperatorError::Listen { .. } => Some("choose another --metrics-address"),
            OperatorError::Times(_) => Some("see --lease-duration, --renew-deadline and --retry-period"),
            OperatorError::Signals(_) | OperatorError::LeaseLost | OperatorError::WatchEnded(_) => None,
        }
    }
}

impl From<kube::Error> for OperatorError {
    fn from(error: kube::Error) -> Self {
        OperatorError::ApiServer(Box::new(error))
    }
}

/// Requests to the API server under way at once, each on a connection of its own. A watch counts until it has begun.
const AT_ONCE: usize = 32;

/// Runs the operator until the process is asked to end.
///
/// # Errors
/// It cannot start, or it must not go on.
pub async fn run(settings: Settings) -> Result<(), OperatorError> {
    let mut ended = ended().map_err(OperatorError::Signals)?;
    let config = Config::infer().await.map_err(Box::new)?;
    let cluster_api = Arc::new(addresses_of(&config).await);
    let client = Client::try_from(config.clone())?;
    // The lease has a client of its own: its renewals wait behind nobody's writes.
    let bounded = ClientBuilder::try_from(config)?.with_layer(&ConcurrencyLimitLayer::new(AT_ONCE)).build();
    let metrics = Metrics::default();
    let readiness = Readiness::default();
    let address = settings.metrics_address;
    let listener =
        TcpListener::bind(address).await.map_err(|source| OperatorError::Listen { address, source })?;
    if let Ok(bound) = listener.local_addr() {
        tracing::info!(address = %bound, "serving metrics and probes");
    }
    let (stop_http, stopped) = watch::channel(false);
    let http = tokio::spawn(serve(listener, metrics.clone(), readiness.clone(), until(stopped)));
    // A standby is ready: it would take over. That the API server knows us is what it takes.
    let cluster = cluster_uid(&client).await?;
    readiness.set(true);
    let times = settings.election.unwrap_or_default();
    let write_deadline = times.write_deadline()?;
    let process = format!("{}_{}", settings.pod, uuid::Uuid::new_v4());
    let mut lease = settings.election.map(|times| {
        let api: Api<LeaseObject> = Api::namespaced(client.clone(), &settings.namespace);
        Lease::new(api, &settings.lease_name, process.clone(), times)
    });
    if let Some(lease) = &mut lease {
        tracing::info!("waiting for the lease");
        tokio::select! {
            () = lease.acquire() => {}
            () = &mut ended => return Ok(()),
        }
    }
    let leadership = lease.as_ref().map_or_else(Leadership::unconditional, Lease::leadership);
    tracing::info!("leading");
    metrics.leads(true);
    let environment = Environment {
        rules: AddressRules { allowed: settings.allowed_urls.clone(), cluster_api },
        secrets: ClusterSecrets::new(bounded.clone(), !settings.secrets_without_label),
        leadership,
        write_deadline,
        cluster,
        process: format!("{}/{}/{process}", settings.namespace, settings.lease_name),
        elected: settings.election.is_some(),
        namespace: settings.namespace.clone(),
        metrics: metrics.clone(),
    };
    let (context, mut controllers) = start(&settings, bounded, environment, metrics.clone());
    let result = tokio::select! {
        () = &mut ended => Ok(()),
        () = keep(lease.as_mut()) => Err(OperatorError::LeaseLost),
        kind = &mut controllers => Err(OperatorError::WatchEnded(kind)),
    };
    metrics.leads(false);
    if result.is_ok() {
        tracing::info!("stopping");
        finish(&context, lease, settings.grace, controllers).await;
    }
    stop_http.send_replace(true);
    // A server that does not end by itself ends with the process.
    let _ = tokio::time::timeout(Duration::from_secs(1), http).await;
    result
}

/// Writes in flight are finished under the lease, which is let go last.
async fn finish(
    context: &Context,
    lease: Option<Lease>,
    grace: Duration,
    controllers: impl Future<Output = Kind>,
) {
    let ending = context.instances.end(grace);
    match lease {
        Some(mut lease) => {
            tokio::select! {
                () = ending => {}
                () = lease.keep() => return,
                _ = controllers => {}
            }
            lease.release().await;
        }
        None => {
            tokio::select! {
                () = ending => {}
                _ = controllers => {}
            }
        }
    }
}

async fn keep(lease: Option<&mut Lease>) {
    match lease {
        Some(lease) => lease.keep().await,
        None => std::future::pending().await,
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender's end is an end too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Ends when the process is asked to end.
fn ended() -> std::io::Result<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(Box::pin(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }))
}

/// The addresses of the cluster's API, to which no instance's URL may lead.
async fn addresses_of(config: &Config) -> BTreeSet<IpAddr> {
    let host = config.cluster_url.host().unwrap_or_default().trim_matches(['[', ']']);
    let mut addresses = BTreeSet::new();
    for name in [host, "kubernetes.default.svc"] {
        // Outside of a cluster the second name does not exist.
        if let Ok(found) = tokio::net::lookup_host((name, 443)).await {
            addresses.extend(found.map(|address| address.ip().to_canonical()));
        }
    }
    addresses
        .extend(std::env::var("KUBERNETES_SERVICE_HOST").ok().and_then(|host| host.parse::<IpAddr>().ok()));
    addresses
}

/// What tells one cluster from another, as the record names its runner.
async fn cluster_uid(client: &Client) -> Result<String, OperatorError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let system = namespaces.get_metadata("kube-system").await?;
    Ok(format!("cluster {}", system.metadata.uid.unwrap_or_default()))
}

type Ended = futures::future::BoxFuture<'static, Kind>;

/// One watch that feeds a store and a controller.
struct Source {
    kind: Kind,
    namespace: Option<String>,
    api: Api<Resource>,
    store: StoreWriter<Resource>,
}

/// Starts everything that the leader does. The future ends only when a controller does.
fn start(
    settings: &Settings,
    client: Client,
    environment: Environment,
    metrics: Metrics,
) -> (Arc<Context>, Ended) {
    let wakes = Wakes::default();
    let mut stores = Stores::default();
    let mut sources = Vec::new();
    for kind in Kind::ALL {
        let served: Vec<Option<String>> = match settings.namespaces.as_slice() {
            [] => vec![None],
            _ if kind == Kind::ClusterFusionAuthInstance => vec![None],
            namespaces => namespaces.iter().cloned().map(Some).collect(),
        };
        for namespace in served {
            let api = match &namespace {
                Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
                None => Api::all_with(client.clone(), &kind),
            };
            let store = StoreWriter::new(kind);
            stores.objects.entry(kind).or_default().push(store.as_reader());
            sources.push(Source { kind, namespace, api, store });
        }
    }
    let (namespaces, namespace_writer) = reflector::store::<NamespaceMeta>();
    stores.namespaces = Some(namespaces);
    let (seen_sender, seen) = watch::channel(false);
    let context = Arc::new(Context {
        writer: Writer::new(
            client.clone(),
            &settings.pod,
            settings.namespaces.is_empty(),
            finalizer_of(&settings.namespace, &settings.lease_name),
        ),
        instances: Instances::new(environment, wakes.clone()),
        wakes: wakes.clone(),
        stores,
        metrics,
        backoff: Backoff::default(),
        seen,
        serves_all: settings.namespaces.is_empty(),
        written: Written::default(),
        stuck: Mutex::default(),
    });
    let seen = Seen::new(sources.len() + 1, seen_sender);
    let mut running: Vec<Ended> = Vec::new();
    for source in sources {
        let kind = source.kind;
        let queue = wakes.queue(kind, source.namespace.as_deref());
        running.push(match kind {
            Kind::PlanApproval => approvals(source, wakes.clone(), &seen),
            _ => control(source, queue, context.clone(), &seen),
        });
    }
    running.push(watch_namespaces(&client, namespace_writer, wakes.clone(), &seen));
    running.push(watch_config_maps(settings, &client, wakes.clone()));
    if settings.watch_secrets {
        running.push(watch_secrets(settings, &client, wakes));
    }
    // Each on a task of its own: a long list of one kind must not keep the others from being served.
    let mut tasks = tokio::task::JoinSet::new();
    running.into_iter().for_each(|future| drop(tasks.spawn(future)));
    let all = async move {
        loop {
            match tasks.join_next().await {
                Some(Ok(kind)) => return kind,
                Some(Err(error)) => {
                    tracing::error!(%error, "a controller failed");
                    return Kind::PlanApproval;
                }
                None => std::future::pending::<()>().await,
            }
        }
    };
    (context, Box::pin(all))
}

/// Tells when the first list of every watch has been taken in. A store's own readiness can be awaited by one task alone,
/// which is the controller's.
#[derive(Clone)]
struct Seen(Arc<SeenInner>);

struct SeenInner {
    left: AtomicUsize,
    seen: watch::Sender<bool>,
}

impl Seen {
    fn new(watches: usize, seen: watch::Sender<bool>) -> Self {
        Seen(Arc::new(SeenInner { left: AtomicUsize::new(watches), seen }))
    }

    /// For one watch: notes the end of its first list. A namespace of a list of namespaces that is not there, or whose
    /// rights went with it, has nothing to see and keeps no other one waiting.
    fn of_one<K>(
        &self,
        namespace: Option<String>,
    ) -> impl FnMut(&Result<watcher::Event<K>, watcher::Error>) + use<K> {
        let inner = self.0.clone();
        let mut first = true;
        move |event| {
            let ended = match event {
                Ok(event) => matches!(event, watcher::Event::InitDone),
                Err(error) => namespace.as_ref().is_some_and(|namespace| {
                    let refused = is_refused(error);
                    if refused && first {
                        tracing::warn!(%namespace, %error, "a namespace cannot be listed; the others are served");
                    }
                    refused
                }),
            };
            if ended && std::mem::take(&mut first) && inner.left.fetch_sub(1, Ordering::Relaxed) == 1 {
                tracing::info!("all objects have been seen");
                inner.seen.send_replace(true);
            }
        }
    }
}

/// Whether the API server refuses a list for good: not a matter of its being reached.
fn is_refused(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if matches!(status.code, 403 | 404))
}

/// A controller of one kind.
fn control(
    source: Source,
    mut queue: UnboundedReceiver<ObjectRef<Resource>>,
    context: Arc<Context>,
    seen: &Seen,
) -> Ended {
    let Source { kind, namespace, api, store } = source;
    let reader = store.as_reader();
    let is_instance = matches!(kind, Kind::FusionAuthInstance | Kind::ClusterFusionAuthInstance);
    let of_gone = context.clone();
    let changes = watcher(api, WatchConfig::default())
        .default_backoff()
        .modify(Resource::slim)
        .reflect(store)
        .inspect(seen.of_one(namespace))
        .inspect(move |event| {
            if let Ok(watcher::Event::Delete(object)) = event {
                vanished::seen(&of_gone, kind, object);
            }
        })
        .applied_objects()
        .predicate_filter(relevant, PredicateConfig::default());
    // The instance's own limit is what bounds.
    let controller = Controller::for_stream_with(changes, reader, kind)
        .with_config(ControllerConfig::default().concurrency(0))
        .reconcile_on(futures::stream::poll_fn(move |task| queue.poll_recv(task)));
    let one = move |resource: Arc<Resource>, context: Arc<Context>| async move {
        if is_instance {
            instances::reconcile(kind, resource, context).await
        } else {
            objects::reconcile(kind, resource, context).await
        }
    };
    let after_error =
        move |resource: Arc<Resource>, error: &objects::ReconcileError, context: Arc<Context>| {
            objects::after_error(kind, &resource, error, &context)
        };
    let running = controller.run(one, after_error, context).for_each(|ended| {
        match ended {
            Err(error @ kube::runtime::controller::Error::QueueError(_)) => {
                tracing::warn!(%error, "the API server is not heard; it is tried again");
            }
            // An object that is gone before its turn is the usual one.
            Err(error) => tracing::debug!(%error, "a reconcile did not end well"),
            Ok(_) => {}
        }
        std::future::ready(())
    });
    Box::pin(async move {
        running.await;
        kind
    })
}

/// Approvals have nothing to reconcile themselves: they wake the object that they speak of.
fn approvals(source: Source, wakes: Wakes, seen: &Seen) -> Ended {
    let Source { kind, namespace, api, store } = source;
    let changes = watcher(api, WatchConfig::default())
        .default_backoff()
        .modify(Resource::slim)
        .reflect(store)
        .inspect(seen.of_one(namespace))
        .applied_objects();
    let running = changes.for_each(move |approval| {
        if let Ok(approval) = approval
            && let Ok(spec) = serde_json::from_str::<PlanApprovalSpec>(&approval.spec)
        {
            let object = spec.object_ref;
            wakes.objects([Address::new(object.kind, approval.namespace(), &object.name)]);
        }
        std::future::ready(())
    });
    Box::pin(async move {
        running.await;
        kind
    })
}

fn watch_namespaces(client: &Client, store: StoreWriter<NamespaceMeta>, wakes: Wakes, seen: &Seen) -> Ended {
    let api: Api<NamespaceMeta> = Api::all(client.clone());
    let changes = watcher(api, WatchConfig::default())
        .default_backoff()
        .modify(|namespace| slim(&mut namespace.metadata))
        .reflect(store)
        .inspect(seen.of_one(None))
        .applied_objects();
    let running = changes.for_each(move |namespace| {
        if let Ok(name) = namespace.map(|namespace| namespace.metadata.name.unwrap_or_default()) {
            wakes.happened(&On::Namespace(name.into()));
        }
        std::future::ready(())
    });
    Box::pin(async move {
        running.await;
        Kind::ClusterFusionAuthInstance
    })
}

/// Only that they changed is watched; their text is read by name.
fn watch_config_maps(settings: &Settings, client: &Client, wakes: Wakes) -> Ended {
    let apis: Vec<Api<PartialObjectMeta<ConfigMap>>> = apis(settings, client);
    let streams = apis.into_iter().map(|api| {
        let changes = watcher(api, WatchConfig::default()).default_backoff().touched_objects();
        changes.filter_map(|found| std::future::ready(found.ok().map(|found| found.metadata))).boxed()
    });
    woken(streams, wakes, On::ConfigMap, Kind::Lambda)
}

fn watch_secrets(settings: &Settings, client: &Client, wakes: Wakes) -> Ended {
    let apis: Vec<Api<PartialObjectMeta<Secret>>> = apis(settings, client);
    let streams = apis.into_iter().map(|api| {
        let changes = watcher(api, WatchConfig::default()).default_backoff().touched_objects();
        changes.filter_map(|found| std::future::ready(found.ok().map(|found| found.metadata))).boxed()
    });
    woken(streams, wakes, On::Secret, Kind::User)
}

fn apis<K>(settings: &Settings, client: &Client) -> Vec<Api<K>>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    match settings.namespaces.as_slice() {
        [] => vec![Api::all(client.clone())],
        namespaces => namespaces.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect(),
    }
}

fn woken(
    streams: impl Iterator<Item = BoxStream<'static, kube::api::ObjectMeta>>,
    wakes: Wakes,
    on: fn(Arc<str>, Arc<str>) -> On,
    kind: Kind,
) -> Ended {
    let running = select_all(streams).for_each(move |metadata| {
        let text = |text: Option<String>| -> Arc<str> { text.unwrap_or_default().into() };
        wakes.happened(&on(text(metadata.namespace), text(metadata.name)));
        std::future::ready(())
    });
    Box::pin(async move {
        running.await;
        kind
    })
}
