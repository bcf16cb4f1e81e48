//! Makes a chosen target ready: keys are read, an embedded sandbox is started. Nothing is sent to FusionAuth yet.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use globset::{Glob, GlobSet, GlobSetBuilder};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use url::Url;
use zeroize::{Zeroize, Zeroizing};

use crate::engine::keys::RunnerKeys;
use crate::engine::secrets::{CommandSecrets, SecretResolver, describe};
use crate::engine::session::Connection;
use crate::fusionauth::{self, Notice};
use crate::manifest::SecretDocuments;
use crate::model::{DEFAULT_NAMESPACE, SecretSource};
use crate::report::Progress;
use crate::sandbox::{self, Sandbox};

use super::arguments::{SecretArguments, TargetArguments};
use super::failure::Failure;
use super::output;
use super::target::{Choice, Server};

/// The variables that hold our own keys: the only ones of ours that an instance may name, each for its own purpose.
const API_KEY: &str = "FUSIONKEEP_API_KEY";
const RUNNER_KEY: &str = "FUSIONKEEP_KEY";
/// The runner key of every embedded sandbox. It protects nothing, and spares a newcomer from making one.
const SANDBOX_RUNNER_KEY: &str = "the-runner-key-of-every-embedded-sandbox-of-fusionkeep";
/// No key or certificate file is longer.
const FILE_LIMIT: u64 = 1024 * 1024;

/// A target that can be talked to, with what belongs to the run.
pub struct Connected {
    pub connection: Connection,
    /// Without it rotation is seen by `version` only and nothing is signed.
    pub keys: Option<Arc<RunnerKeys>>,
    pub secrets: CommandSecrets,
    /// Serves as long as it is held.
    pub sandbox: Option<sandbox::Running>,
}

/// Reads keys and starts the sandbox.
pub async fn connect(
    choice: &Choice,
    target: &TargetArguments,
    secrets: &SecretArguments,
    documents: SecretDocuments,
    progress: &Progress,
) -> Result<Connected, Failure> {
    let resolver = CommandSecrets::new(allowed_variables(secrets)?, secrets.secrets_dir.clone(), documents);
    let namespace = choice.instance.as_ref().map_or(DEFAULT_NAMESPACE, |instance| &instance.namespace);
    let (base_url, api_key, running) = match &choice.server {
        Server::Sandbox { store } => {
            let running = start_sandbox(store.as_deref(), target)?;
            let url = Url::parse(&running.url()).map_err(|error| Failure::Argument {
                message: format!("the sandbox has no URL: {error}"),
                hint: None,
            })?;
            (url, SecretString::from(running.api_key()), Some(running))
        }
        Server::FusionAuth { url, api_key } => {
            let source = Source {
                variable: API_KEY,
                file: target.api_key_file.as_deref(),
                declared: api_key.as_ref(),
            };
            let key = source.read(&resolver, namespace).await?.ok_or(Failure::NoApiKey)?;
            (url.clone(), key, None)
        }
    };
    let keys = runner_keys(choice, running.is_some(), secrets, &resolver, namespace).await?;
    let mut server = fusionauth::Target::new(base_url, api_key);
    server.ca_pem = certificates(choice, target)?;
    server.insecure_http = target.insecure_http;
    server.environment_proxies = running.is_none();
    server.request_timeout = target.request_timeout;
    server.run_deadline = target.timeout;
    server.wait_for_key = target.wait_for_key;
    server.parallelism = usize::from(target.parallelism);
    let told = progress.clone();
    server.notices = Some(Arc::new(move |notice| told.note(&notice_words(notice))));
    let shown_url = running.as_ref().map(|running| format!("sandbox:{}", running.store_id()));
    let connection =
        Connection { server, shown_url, tenant_id: choice.tenant_id, owner: choice.owner.clone() };
    Ok(Connected { connection, keys, secrets: resolver, sandbox: running })
}

fn notice_words(notice: Notice) -> String {
    match notice {
        Notice::WaitingForKey(limit) => {
            format!(
                "the API key is refused; new keys can need a moment, so it is tried for {}s",
                limit.as_secs()
            )
        }
        Notice::Waiting(time) => format!("FusionAuth asks to wait {}s", time.as_secs().max(1)),
    }
}

fn start_sandbox(store: Option<&Path>, target: &TargetArguments) -> Result<sandbox::Running, Failure> {
    let config = sandbox::Config {
        store: store.map(Path::to_owned),
        kickstart: target.sandbox_kickstart.clone().filter(|path| !path.as_os_str().is_empty()),
        ..sandbox::Config::default()
    };
    if let Some(folder) = store.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|source| Failure::Write { path: folder.to_owned(), source })?;
    }
    let running = Sandbox::start(config)?;
    for notice in running.notices() {
        output::tell(&format!("sandbox: {notice}\n"));
    }
    Ok(running)
}

async fn runner_keys(
    choice: &Choice,
    is_sandbox: bool,
    arguments: &SecretArguments,
    resolver: &CommandSecrets,
    namespace: &str,
) -> Result<Option<Arc<RunnerKeys>>, Failure> {
    let bytes = if is_sandbox {
        Some(SecretSlice::from(SANDBOX_RUNNER_KEY.as_bytes().to_vec()))
    } else {
        let source = Source {
            variable: RUNNER_KEY,
            file: arguments.key_file.as_deref(),
            declared: choice.runner_key.as_ref(),
        };
        let text = source.read(resolver, namespace).await?;
        text.map(|text| SecretSlice::from(text.expose_secret().as_bytes().to_vec()))
    };
    match bytes {
        Some(bytes) => Ok(Some(Arc::new(RunnerKeys::parse(&bytes)?))),
        None => Ok(None),
    }
}

/// Where one of our own keys comes from: what the pipeline's operator set goes before what an instance declares.
struct Source<'a> {
    variable: &'static str,
    file: Option<&'a Path>,
    declared: Option<&'a SecretSource>,
}

impl Source<'_> {
    async fn read(
        &self,
        resolver: &CommandSecrets,
        namespace: &str,
    ) -> Result<Option<SecretString>, Failure> {
        if let Some(path) = self.file.filter(|path| !path.as_os_str().is_empty()) {
            return read_text(path).map(Some);
        }
        match std::env::var(self.variable) {
            Ok(text) if !text.is_empty() => return Ok(Some(SecretString::from(text))),
            Err(std::env::VarError::NotUnicode(_)) => {
                let message = format!("{} is not UTF-8 text", self.variable);
                return Err(Failure::Argument { message, hint: None });
            }
            Ok(_) | Err(std::env::VarError::NotPresent) => {}
        }
        // The variable of that very name was looked at just now.
        match self.declared.filter(|source| source.from_env.as_deref() != Some(self.variable)) {
            Some(source) => {
                let value = resolver.resolve(namespace, source).await;
                value.map(Some).map_err(|error| Failure::Secret { what: describe(source), source: error })
            }
            None => Ok(None),
        }
    }
}

/// A file's text without the line break at its end.
fn read_text(path: &Path) -> Result<SecretString, Failure> {
    let mut bytes = read_file(path)?;
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        error.into_bytes().zeroize();
        Failure::Argument { message: format!("{} is not UTF-8 text", path.display()), hint: None }
    })?;
    let text = Zeroizing::new(text);
    Ok(SecretString::from(text.trim_end_matches(['\n', '\r'])))
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |source| Failure::Read { path: path.to_owned(), source };
    let mut bytes = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_LIMIT {
        let large = std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it is larger than 1 MiB");
        return Err(failed(large));
    }
    Ok(bytes)
}

fn certificates(choice: &Choice, target: &TargetArguments) -> Result<Option<Vec<u8>>, Failure> {
    let mut pem = Vec::new();
    if let Some(path) = target.ca_file.as_deref().filter(|path| !path.as_os_str().is_empty()) {
        pem.extend_from_slice(&read_file(path)?);
        pem.push(b'\n');
    }
    if let Some(bundle) = &choice.ca_bundle {
        pem.extend_from_slice(bundle.as_bytes());
    }
    Ok((!pem.is_empty()).then_some(pem))
}

fn allowed_variables(secrets: &SecretArguments) -> Result<GlobSet, Failure> {
    let mut globs = GlobSetBuilder::new();
    let wrong =
        |error: globset::Error| Failure::Argument { message: format!("--allow-env: {error}"), hint: None };
    for pattern in secrets.allow_env.iter().filter(|pattern| !pattern.is_empty()) {
        globs.add(Glob::new(pattern).map_err(wrong)?);
    }
    globs.build().map_err(wrong)
}
