//! The emulator: a house of its own, which imports nothing of this crate.
//!
//! It serves the FusionAuth HTTP API of the reference documents over real HTTP, in memory or on a file, and is stricter
//! than the real thing where the real thing is unknown. `FIDELITY.md` beside this file lists each rule with its source.
//!
//! ```no_run
//! use fusionkeep::sandbox::{Config, Sandbox};
//!
//! let running = Sandbox::start(Config::default())?;
//! println!("listening on {}", running.url());
//! running.shutdown();
//! # Ok::<(), fusionkeep::sandbox::Error>(())
//! ```
//!
//! | what | module |
//! |---|---|
//! | sockets and HTTP | `http` |
//! | one request's way: route, fault, authentication, endpoint, journal | `server`, `router`, `auth`, `faults`, `journal` |
//! | what an endpoint sees and answers | `call`, `reply` |
//! | objects, indexes, transactions, the database | `store` |
//! | one API family each | the rest; each lists its own routes |

mod api_keys;
mod application_items;
mod applications;
mod auth;
mod bootstrap;
mod call;
mod clock;
mod config;
mod control;
mod crud;
mod entities;
mod entity_types;
mod events;
mod families;
mod faults;
mod fields;
mod generic;
mod grants;
mod group_members;
mod groups;
mod http;
mod identity_providers;
mod journal;
mod jwt;
mod kickstart;
mod lambdas;
mod links;
mod numbers;
mod password;
mod patch;
mod reply;
mod router;
mod search;
mod server;
mod signing_keys;
mod store;
mod system;
mod tenants;
mod tokens;
mod unserved;
mod users;
mod version;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use tokio::sync::watch;
use uuid::Uuid;

pub use config::{Config, Error, SearchEngine};
pub use version::Version;

use bootstrap::Origin;
use faults::Faults;
use journal::Journal;
use router::{Route, Router};
use server::Server;
use store::{Database, State, Table};

/// The routes of every API family.
fn routes() -> Vec<Route> {
    let families = [
        api_keys::routes(),
        application_items::routes(),
        applications::routes(),
        control::routes(),
        entities::routes(),
        entity_types::routes(),
        families::routes(),
        generic::routes(),
        grants::routes(),
        group_members::routes(),
        groups::routes(),
        identity_providers::routes(),
        lambdas::routes(),
        links::routes(),
        signing_keys::routes(),
        system::routes(),
        tenants::routes(),
        unserved::routes(),
        users::routes(),
    ];
    families.into_iter().flatten().collect()
}

/// Every table that a store may hold.
fn tables() -> Vec<Table> {
    Table::TYPED.into_iter().chain(families::TABLES).chain(generic::tables()).collect()
}

/// The emulator; [`Sandbox::start`] makes one run.
pub struct Sandbox;

impl Sandbox {
    /// Opens the store, fills an empty one, runs Kickstart, and serves on threads of its own until the result is shut
    /// down or dropped. Callable from inside and outside an async runtime.
    pub fn start(config: Config) -> Result<Running, Error> {
        let (server, notices) = prepare(&config)?;
        let server = Arc::new(server);
        let address = config.listen;
        let listener = std::net::TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|source| Error::Listen { address, source })?;
        let bound = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
        // After all that can fail: a runtime must not be dropped inside another one.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("sandbox")
            .enable_all()
            .build()
            .map_err(Error::Threads)?;
        let (stop, stopped) = watch::channel(false);
        let served = Arc::clone(&server);
        let thread = std::thread::Builder::new()
            .name("sandbox".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    match tokio::net::TcpListener::from_std(listener) {
                        Ok(listener) => http::serve(listener, served, stopped).await,
                        Err(error) => tracing::error!(%error, "the sandbox cannot listen"),
                    }
                });
                runtime.shutdown_background();
            })
            .map_err(Error::Threads)?;
        Ok(Running { addr: bound, server, notices, stop, thread: Some(thread) })
    }
}

/// Opens everything that a server needs and fills an empty store.
fn prepare(config: &Config) -> Result<(Server, Vec<String>), Error> {
    let (database, state) = match &config.store {
        None => (None, State::default()),
        Some(path) => {
            let database = Database::open(path)?;
            let state = database.load(path, &tables())?;
            (Some(database), state)
        }
    };
    let setting = |name: &str, make: &dyn Fn() -> String| -> Result<String, Error> {
        let Some(database) = &database else { return Ok(make()) };
        let failed = |error: rusqlite::Error| Error::Write(error.to_string());
        if let Some(value) = database.setting(name).map_err(failed)? {
            return Ok(value);
        }
        let value = make();
        database.set_setting(name, &value).map_err(failed)?;
        Ok(value)
    };
    let random = || Uuid::new_v4().to_string();
    let store_id = uuid_setting(&setting("storeId", &random)?)?;
    let default_tenant = uuid_setting(&setting("defaultTenantId", &random)?)?;
    let made_key = setting("apiKey", &|| format!("sandbox-{}", Uuid::new_v4().simple()))?;
    let is_empty = state.len(Table::TENANT) == 0;
    let engine = config.search_engine;
    let delay = i64::try_from(config.index_delay.as_millis()).unwrap_or(i64::MAX);
    let server = Server {
        version: config.server_version,
        engine,
        index_delay: if engine == SearchEngine::Elasticsearch { delay } else { 0 },
        licensed: !config.unlicensed,
        clock: clock::Clock::default(),
        store_id,
        state: RwLock::new(state),
        journal: Journal::open(config.log.as_deref())?,
        faults: Faults::open(config.faults.as_deref(), config.seed)?,
        database: database.map(Mutex::new),
        router: Router::new(routes()),
        origin: Origin {
            key_was_given: config.api_key.is_some(),
            api_key: config.api_key.clone().unwrap_or(made_key),
            default_tenant,
            kickstart: config.kickstart.clone(),
            faults: config.faults.clone(),
        },
    };
    let mut notices = Vec::new();
    if is_empty {
        notices.extend(bootstrap::fill(&server)?.into_iter().flat_map(|report| report.notices));
    } else {
        bootstrap::install_key(&server, &server.origin.api_key)
            .map_err(|error| Error::Write(error.to_string()))?;
        if config.kickstart.is_some() {
            notices.push("the store is not empty, so Kickstart is not run".to_owned());
        }
    }
    Ok((server, notices))
}

fn uuid_setting(text: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(text).map_err(|error| Error::Write(format!("a setting of the store is no UUID: {error}")))
}

/// A sandbox that serves. Dropping it shuts it down.
pub struct Running {
    addr: SocketAddr,
    server: Arc<Server>,
    notices: Vec<String>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// The address that was bound.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://ADDRESS:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The unrestricted API key: the given one, or the one that was made.
    pub fn api_key(&self) -> &str {
        &self.server.origin.api_key
    }

    /// Identifies the content: kept in a store, random in memory.
    pub fn store_id(&self) -> Uuid {
        self.server.store_id
    }

    /// What a person should be told on stderr: Kickstart's warnings and failures.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Stops accepting, lets exchanges under way end, and waits for the threads.
    pub fn shutdown(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the sandbox's thread ended by a panic");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}
