//! What reading the manifests yields: typed documents with their place.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretSlice;

use crate::model::{Address, FusionAuthInstanceSpec, InstanceAllow, Place, Spec};

use super::Diagnostic;
use super::source::SourceFile;

/// One declared object.
#[derive(Clone, Debug)]
pub struct Object {
    pub address: Address,
    /// Where its `kind` stands.
    pub place: Place,
    pub labels: BTreeMap<String, String>,
    /// Where it stood before it was renamed (`fusionkeep.dev/moved-from`).
    pub moved_from: Option<Address>,
    pub spec: Spec,
    /// A lambda's source text, wherever it was declared (`body`, `bodyFile`, `bodyFrom`).
    pub lambda_body: Option<String>,
}

/// One declared instance, of either kind.
#[derive(Clone, Debug)]
pub struct Instance {
    pub address: Address,
    pub place: Place,
    pub spec: FusionAuthInstanceSpec,
    /// Of a ClusterFusionAuthInstance: who may use it.
    pub allow: Vec<InstanceAllow>,
}

/// The `v1/Secret` documents of the input: values by (namespace, name), then key.
pub type SecretDocuments = BTreeMap<(String, String), BTreeMap<String, SecretSlice<u8>>>;

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Input {
    /// In the order of the files and their documents.
    pub objects: Vec<Object>,
    pub instances: Vec<Instance>,
    pub secrets: SecretDocuments,
    /// Documents of others, passed over.
    pub passed_over: usize,
    pub warnings: Vec<Diagnostic>,
    /// Standard input, which cannot be read again; none when it held Secrets, which are not kept as text.
    pub standard_input: Option<StandardInput>,
}

/// What came by standard input, kept to find fields in it ([`super::fields::find`]).
pub struct StandardInput(pub(super) SourceFile);

impl fmt::Debug for StandardInput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StandardInput({} bytes)", self.0.text.len())
    }
}
