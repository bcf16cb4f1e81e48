//! Values of secrets, resolved as late as possible and kept in types that cannot be printed.
//!
//! Where a value may come from is a trait: the command reads the environment, files and Secret documents of the
//! input; the operator reads Secrets of the cluster.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use globset::GlobSet;
use secrecy::{ExposeSecret, SecretString};
use zeroize::{Zeroize, Zeroizing};

use crate::manifest::SecretDocuments;
use crate::model::{SecretKeyRef, SecretSource};

/// No secret is longer than this.
const FILE_LIMIT: u64 = 1024 * 1024;
/// Variables that a manifest may always name.
const OWN_SECRETS: &str = "FUSIONKEEP_SECRET_";
/// Our own variables, which no `--allow-env` opens: they hold the pipeline's credentials.
const OWN_VARIABLES: &str = "FUSIONKEEP_";

/// Why a secret has no value. The text never holds one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("{0} was not found")]
    NotFound(String),
    /// In a cluster: the object that would hold it, or the key in it.
    #[error("{0} is not there")]
    NoKey(String),
    #[error("{what} may not be read here")]
    NotAllowed { what: String, hint: String },
    #[error("{0} is empty")]
    Empty(String),
    #[error("{0} is not UTF-8 text")]
    NotText(String),
    #[error("{what} cannot be read: {why}")]
    Unreadable { what: String, why: String },
}

impl SecretError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            SecretError::NotFound(_) => Some(
                "set it, or give the file that holds it with -f (a v1/Secret) or --secrets-dir".to_owned(),
            ),
            SecretError::NoKey(_) => None,
            SecretError::NotAllowed { hint, .. } => Some(hint.clone()),
            SecretError::Empty(_) => {
                Some("an empty value is never sent; remove the field or fill it".to_owned())
            }
            SecretError::NotText(_) => Some("FusionAuth takes text only".to_owned()),
            SecretError::Unreadable { .. } => None,
        }
    }
}

/// Gives values for sources.
pub trait SecretResolver: Send + Sync {
    /// The value of `source`, as an object in `namespace` names it. It may be empty.
    fn resolve<'a>(
        &'a self,
        namespace: &'a str,
        source: &'a SecretSource,
    ) -> BoxFuture<'a, Result<SecretString, SecretError>>;
}

/// How a source is called in messages.
pub fn describe(source: &SecretSource) -> String {
    if let Some(name) = &source.from_env {
        format!("the environment variable {name}")
    } else if let Some(path) = &source.from_file {
        format!("the file {path}")
    } else if let Some(SecretKeyRef { name, key }) = &source.secret_key_ref {
        format!("the key \"{key}\" of the Secret \"{name}\"")
    } else {
        "a source that names nothing".to_owned()
    }
}

/// Values by namespace and source, each resolved once.
#[derive(Clone, Default)]
pub struct SecretValues(HashMap<(Arc<str>, SecretSource), SecretString>);

impl SecretValues {
    /// Resolves a source, unless it has been.
    ///
    /// # Errors
    /// There is no value, or it is empty and may not be.
    pub async fn load(
        &mut self,
        resolver: &dyn SecretResolver,
        namespace: &Arc<str>,
        source: &SecretSource,
        may_be_empty: bool,
    ) -> Result<SecretString, SecretError> {
        let key = (namespace.clone(), source.clone());
        let value = match self.0.get(&key) {
            Some(value) => value.clone(),
            None => resolver.resolve(namespace, source).await?,
        };
        if value.expose_secret().is_empty() && !may_be_empty {
            return Err(SecretError::Empty(describe(source)));
        }
        self.0.insert(key, value.clone());
        Ok(value)
    }

    pub fn get(&self, namespace: &Arc<str>, source: &SecretSource) -> Option<&SecretString> {
        self.0.get(&(namespace.clone(), source.clone()))
    }
}

impl fmt::Debug for SecretValues {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretValues({})", self.0.len())
    }
}

type Environment = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// The command's resolver.
pub struct CommandSecrets {
    allowed_variables: GlobSet,
    directories: Vec<PathBuf>,
    documents: SecretDocuments,
    environment: Box<Environment>,
}

impl CommandSecrets {
    /// `allowed_variables` are those of `--allow-env`, `directories` those of `--secrets-dir`.
    pub fn new(allowed_variables: GlobSet, directories: Vec<PathBuf>, documents: SecretDocuments) -> Self {
        CommandSecrets {
            allowed_variables,
            directories,
            documents,
            environment: Box::new(|name| std::env::var_os(name)),
        }
    }

    /// Reads variables from somewhere else than the process.
    #[must_use]
    pub fn with_environment(
        self,
        environment: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Self {
        CommandSecrets { environment: Box::new(environment), ..self }
    }

    fn value(&self, namespace: &str, source: &SecretSource) -> Result<SecretString, SecretError> {
        let what = || describe(source);
        if let Some(name) = &source.from_env {
            self.variable(name, &what)
        } else if let Some(path) = &source.from_file {
            self.file(Path::new(path), &what)
        } else if let Some(reference) = &source.secret_key_ref {
            self.document(namespace, reference, &what)
        } else {
            Err(SecretError::NotFound(what()))
        }
    }

    fn variable(&self, name: &str, what: &dyn Fn() -> String) -> Result<SecretString, SecretError> {
        let own = name.to_ascii_uppercase().starts_with(OWN_VARIABLES);
        let allowed = name.starts_with(OWN_SECRETS) || (!own && self.allowed_variables.is_match(name));
        if !allowed {
            return Err(SecretError::NotAllowed {
                what: what(),
                hint: format!("name it {OWN_SECRETS}…, or allow it with --allow-env"),
            });
        }
        let value = (self.environment)(name).ok_or_else(|| SecretError::NotFound(what()))?;
        value.into_string().map(SecretString::from).map_err(|_| SecretError::NotText(what()))
    }

    fn file(&self, path: &Path, what: &dyn Fn() -> String) -> Result<SecretString, SecretError> {
        let candidates = if path.is_absolute() {
            vec![path.to_owned()]
        } else {
            let below = self.directories.iter().map(|directory| directory.join(path));
            std::iter::once(path.to_owned()).chain(below).collect()
        };
        let directories = self.directories.iter().filter_map(|directory| directory.canonicalize().ok());
        let directories: Vec<PathBuf> = directories.collect();
        let mut outside = false;
        for candidate in candidates {
            // Symbolic links are resolved before the place is judged.
            let Ok(real) = candidate.canonicalize() else { continue };
            if directories.iter().any(|directory| real.starts_with(directory)) {
                return read_text(&real, what);
            }
            outside = true;
        }
        if outside || self.directories.is_empty() {
            let hint = "files are read below a folder that --secrets-dir names, and nowhere else".to_owned();
            return Err(SecretError::NotAllowed { what: what(), hint });
        }
        Err(SecretError::NotFound(what()))
    }

    fn document(
        &self,
        namespace: &str,
        reference: &SecretKeyRef,
        what: &dyn Fn() -> String,
    ) -> Result<SecretString, SecretError> {
        let key = (namespace.to_owned(), reference.name.clone());
        let bytes = self.documents.get(&key).and_then(|document| document.get(&reference.key));
        let bytes = bytes.ok_or_else(|| SecretError::NotFound(what()))?;
        std::str::from_utf8(bytes.expose_secret())
            .map(SecretString::from)
            .map_err(|_| SecretError::NotText(what()))
    }
}

impl SecretResolver for CommandSecrets {
    fn resolve<'a>(
        &'a self,
        namespace: &'a str,
        source: &'a SecretSource,
    ) -> BoxFuture<'a, Result<SecretString, SecretError>> {
        // Secrets are short and local: reading them does not hold the runtime up.
        Box::pin(std::future::ready(self.value(namespace, source)))
    }
}

impl fmt::Debug for CommandSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CommandSecrets")
    }
}

/// The file's text without one trailing line break, which editors and `echo` leave and nobody means.
fn read_text(path: &Path, what: &dyn Fn() -> String) -> Result<SecretString, SecretError> {
    let unreadable = |why: String| SecretError::Unreadable { what: what(), why };
    let file = std::fs::File::open(path).map_err(|error| unreadable(error.kind().to_string()))?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(FILE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(error.kind().to_string()))?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(unreadable(format!("it is larger than {FILE_LIMIT} bytes")));
    }
    let mut text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        error.into_bytes().zeroize();
        SecretError::NotText(what())
    })?;
    for end in ['\n', '\r'] {
        if text.ends_with(end) {
            text.pop();
        }
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use globset::{Glob, GlobSetBuilder};
    use secrecy::SecretSlice;

    fn globs(patterns: &[&str]) -> GlobSet {
        let mut builder = GlobSetBuilder::new();
        for pattern in patterns {
            builder.add(Glob::new(pattern).unwrap());
        }
        builder.build().unwrap()
    }

    fn from_env(name: &str) -> SecretSource {
        SecretSource { from_env: Some(name.into()), ..SecretSource::default() }
    }

    fn from_file(path: &Path) -> SecretSource {
        SecretSource { from_file: Some(path.to_string_lossy().into_owned()), ..SecretSource::default() }
    }

    fn secrets(allowed: &[&str], directories: Vec<PathBuf>) -> CommandSecrets {
        let key = ("default".to_owned(), "richard".to_owned());
        let values = [("password".to_owned(), SecretSlice::from(b"from document".to_vec()))];
        let documents = [(key, values.into_iter().collect())].into_iter().collect();
        CommandSecrets::new(globs(allowed), directories, documents)
            .with_environment(|name| (name != "UNSET").then(|| format!("value of {name}").into()))
    }

    fn value(secrets: &CommandSecrets, source: &SecretSource) -> Result<String, SecretError> {
        secrets.value("default", source).map(|value| value.expose_secret().to_owned())
    }

    #[test]
    fn a_manifest_does_not_reach_the_pipelines_own_variables() {
        let secrets = secrets(&["*"], vec![]);
        assert!(value(&secrets, &from_env("FUSIONKEEP_SECRET_A")).is_ok());
        assert!(value(&secrets, &from_env("ANYTHING")).is_ok());
        for name in ["FUSIONKEEP_API_KEY", "FUSIONKEEP_KEY", "fusionkeep_api_key"] {
            assert!(
                matches!(value(&secrets, &from_env(name)), Err(SecretError::NotAllowed { .. })),
                "{name}"
            );
        }
        let closed = super::tests::secrets(&[], vec![]);
        assert!(matches!(value(&closed, &from_env("AWS_SECRET")), Err(SecretError::NotAllowed { .. })));
        assert!(matches!(value(&secrets, &from_env("UNSET")), Err(SecretError::NotFound(_))));
    }

    #[test]
    fn files_lie_below_a_secrets_dir_whatever_the_links() {
        let inside = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(inside.path().join("good"), "hunter2\r\n").unwrap();
        std::fs::write(outside.path().join("bad"), "stolen").unwrap();
        let secrets = secrets(&[], vec![inside.path().to_owned()]);
        assert_eq!(value(&secrets, &from_file(&inside.path().join("good"))).unwrap(), "hunter2");
        assert_eq!(value(&secrets, &from_file(Path::new("good"))).unwrap(), "hunter2");
        let refused = |source: &SecretSource| {
            assert!(matches!(value(&secrets, source), Err(SecretError::NotAllowed { .. })));
        };
        refused(&from_file(&outside.path().join("bad")));
        refused(&from_file(&inside.path().join("..").join(outside.path().file_name().unwrap()).join("bad")));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(outside.path().join("bad"), inside.path().join("link")).unwrap();
            refused(&from_file(&inside.path().join("link")));
        }
    }

    #[test]
    fn documents_are_found_in_the_objects_own_namespace() {
        let reference = SecretKeyRef { name: "richard".into(), key: "password".into() };
        let source = SecretSource { secret_key_ref: Some(reference), ..SecretSource::default() };
        let secrets = secrets(&[], vec![]);
        assert_eq!(value(&secrets, &source).unwrap(), "from document");
        assert!(secrets.value("other", &source).is_err());
    }

    #[tokio::test]
    async fn empty_values_are_refused_unless_they_may_be() {
        let secrets = secrets(&["*"], vec![]).with_environment(|_| Some("".into()));
        let mut values = SecretValues::default();
        let namespace: Arc<str> = "default".into();
        let source = from_env("ANY");
        assert!(values.load(&secrets, &namespace, &source, false).await.is_err());
        assert!(values.load(&secrets, &namespace, &source, true).await.is_ok());
        assert!(!format!("{values:?}").contains("ANY"));
    }
}
