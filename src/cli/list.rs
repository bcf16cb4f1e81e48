//! `fusionkeep list` and `fusionkeep show`: what we own, by the record; with manifests, how it compares to them.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use crate::model::{Address, Deletion};
use crate::reconcile::{Action, Entry, Key};
use crate::report::visible;

use super::arguments::{ConnectArguments, DataFormat, DataOutputArguments, SelectionArguments};
use super::exit::Exit;
use super::failure::Failure;
use super::output;
use super::pipeline::{self, Needs, Run};

/// List what this owner holds; with -f also how it compares to the manifests
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    selection: SelectionArguments,
    #[command(flatten)]
    output: DataOutputArguments,
}

/// Show what the record holds of one object; with -f also how it compares to its manifest
#[derive(Debug, clap::Args)]
pub struct ShowArguments {
    /// The object
    #[arg(value_name = "KIND/[NS/]NAME")]
    address: Address,
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: DataOutputArguments,
}

/// One object of the record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    address: Address,
    /// None for links and grants, whose key is their pair.
    id: Option<String>,
    deletion: Deletion,
    protected: bool,
    adopted: bool,
    deactivated_by_us: bool,
    /// Its creation was begun and not seen to end.
    unfinished: bool,
    taken_from: Option<String>,
    /// Paths of the fields that we wrote.
    written: Vec<String>,
    /// Secrets that were sent, by field, with their `version`.
    secrets: BTreeMap<String, Option<i64>>,
    /// With manifests: how it compares to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    AsDeclared,
    Differs,
    Missing,
    NotDeclared,
}

impl State {
    fn words(self) -> &'static str {
        match self {
            State::AsDeclared => "as declared",
            State::Differs => "differs",
            State::Missing => "missing",
            State::NotDeclared => "not declared",
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        let mut run = pipeline::connected(&arguments.connect, Needs::without_manifests()).await?;
        run.options.selection = pipeline::selection(&arguments.selection);
        let held = held(&mut run).await?;
        match arguments.output.format {
            DataFormat::Json => output::json(&held)?,
            DataFormat::Text => output::result(&held.iter().map(line).collect::<String>())?,
        }
        Ok(Exit::Done)
    })
}

pub fn show(arguments: &ShowArguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        let mut run = pipeline::connected(&arguments.connect, Needs::without_manifests()).await?;
        run.options.selection.targets.insert(arguments.address.clone());
        let held = held(&mut run).await?;
        let Some(object) = held.first() else {
            return Err(Failure::Argument {
                message: format!("the record of {} holds no {}", run.session.owner(), arguments.address),
                hint: Some("`fusionkeep list` lists what it holds".to_owned()),
            });
        };
        match arguments.output.format {
            DataFormat::Json => output::json(object)?,
            DataFormat::Text => output::result(&page(object))?,
        }
        Ok(Exit::Done)
    })
}

/// The selected entries of the record, in the order of kinds and addresses.
async fn held(run: &mut Run) -> Result<Vec<Held>, Failure> {
    let declared: HashSet<Address> = run.objects.iter().map(|object| object.address.clone()).collect();
    let plan = match declared.is_empty() {
        true => None,
        false => Some(run.plan().await?),
    };
    let selected = |entry: &&Entry| run.options.selection.selects_address(&entry.address);
    let mut entries: Vec<&Entry> = run.loaded.entries.iter().filter(selected).collect();
    entries.sort_by(|one, other| one.address.cmp(&other.address));
    let actions: HashMap<&Address, Action> =
        plan.iter().flat_map(|plan| &plan.changes).map(|change| (&change.address, change.action)).collect();
    let state = |entry: &Entry| {
        plan.as_ref()?;
        Some(match (declared.contains(&entry.address), actions.get(&entry.address)) {
            (false, _) => State::NotDeclared,
            (true, Some(Action::Create)) => State::Missing,
            (true, Some(_)) => State::Differs,
            (true, None) => State::AsDeclared,
        })
    };
    Ok(entries.into_iter().map(|entry| Held { state: state(entry), ..Held::from(entry) }).collect())
}

impl From<&Entry> for Held {
    fn from(entry: &Entry) -> Self {
        Held {
            address: entry.address.clone(),
            id: match &entry.key {
                Key::Id(id) => Some(id.to_string()),
                Key::Grant { .. } | Key::Link { .. } => None,
            },
            deletion: entry.deletion,
            protected: entry.protected,
            adopted: entry.adopted,
            deactivated_by_us: entry.deactivated_by_us,
            unfinished: entry.intent,
            taken_from: entry.taken_from.as_ref().map(|owner| owner.as_str().to_owned()),
            written: entry.written.iter().cloned().collect(),
            secrets: entry.secrets.iter().map(|(field, sent)| (field.clone(), sent.version)).collect(),
            state: None,
        }
    }
}

impl Held {
    /// What is not as usual, in words.
    fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<String> = self.state.iter().map(|state| state.words().to_owned()).collect();
        for (is, words) in [
            (self.adopted, "adopted"),
            (self.protected, "protected"),
            (self.deactivated_by_us, "deactivated by us"),
            (self.unfinished, "creation not finished"),
        ] {
            if is {
                remarks.push(words.to_owned());
            }
        }
        remarks.extend(self.taken_from.iter().map(|owner| format!("taken from {owner}")));
        remarks
    }
}

fn line(held: &Held) -> String {
    let id = held.id.as_deref().unwrap_or("-");
    format!("{}\n", format!("{}  {id}  {}", held.address, held.remarks().join(", ")).trim_end())
}

fn page(held: &Held) -> String {
    let mut page = format!("{}\n", held.address);
    let mut row = |name: &str, value: &str| page.push_str(&format!("  {name}: {}\n", visible(value)));
    row("id", held.id.as_deref().unwrap_or("none: its key is its pair"));
    row(
        "when it is no longer declared",
        match held.deletion {
            Deletion::Deactivate => "deactivate",
            Deletion::Delete => "delete",
            Deletion::Orphan => "let go",
        },
    );
    let remarks = held.remarks();
    if !remarks.is_empty() {
        row("state", &remarks.join(", "));
    }
    row("fields that we wrote", &held.written.join(", "));
    for (field, version) in &held.secrets {
        let version = version.map_or_else(String::new, |version| format!(", version {version}"));
        row("secret that was sent", &format!("{field}{version}"));
    }
    page
}
