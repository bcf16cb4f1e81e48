//! `fusionkeep list` and `fusionkeep show`: what we own, by the record; with manifests, how it compares to them.

use std::collections::{BTreeMap, HashMap, HashSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::error::exit_of_plan;
use crate::manifest::Object;
use crate::model::{Address, Deletion};
use crate::reconcile::{Action, Blame, Entry, Key, Plan, Problem};
use crate::report::{View, visible};

use super::arguments::{AddressArguments, ConnectArguments, DataFormat, DataOutputArguments};
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
    selection: AddressArguments,
    #[command(flatten)]
    pub output: DataOutputArguments,
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
    pub output: DataOutputArguments,
}

/// One object of the record: what `show` prints with `-o json`, and `list` a list of.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "fusionkeep show", deny_unknown_fields)]
pub struct Held {
    /// `Kind/name`, or `Kind/namespace/name` outside the namespace `default`.
    #[schemars(with = "String")]
    address: Address,
    /// None for links and grants, whose key is their pair.
    id: Option<String>,
    /// What becomes of it when it is no longer declared.
    deletion: Deletion,
    /// Nothing deletes it.
    protected: bool,
    /// It was there before us.
    adopted: bool,
    deactivated_by_us: bool,
    /// Its creation was begun and not seen to end.
    unfinished: bool,
    /// The owner that held it before.
    taken_from: Option<String>,
    /// Paths of the fields that we wrote.
    written: Vec<String>,
    /// Secrets that were sent, by field, with their `version`.
    secrets: BTreeMap<String, Option<i64>>,
    /// With manifests: how it compares to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<State>,
}

/// What `list` prints with `-o json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "fusionkeep list")]
pub struct HeldList(Vec<Held>);

/// How an object of the record compares to the manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum State {
    AsDeclared,
    Differs,
    /// It is declared, and FusionAuth does not have it.
    Missing,
    NotDeclared,
    /// It cannot be told: an error about the object is said on stderr.
    Unclear,
    /// Its manifest says `spec.suspend`, and it was not compared.
    Suspended,
}

impl State {
    fn words(self) -> &'static str {
        match self {
            State::AsDeclared => "as declared",
            State::Differs => "differs",
            State::Missing => "missing",
            State::NotDeclared => "not declared",
            State::Unclear => "unclear",
            State::Suspended => "suspended",
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        let mut run = pipeline::connected(&arguments.connect, Needs::without_manifests()).await?;
        run.tell_if_there_is_no_record();
        run.options.selection =
            pipeline::selected(&arguments.selection, || run.held(), "the record holds no")?;
        let (held, exit) = held(&mut run).await?;
        match arguments.output.format {
            DataFormat::Json => output::json(&HeldList(held))?,
            DataFormat::Text => output::result(&held.iter().map(line).collect::<String>())?,
        }
        Ok(exit)
    })
}

pub fn show(arguments: &ShowArguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        let mut run = pipeline::connected(&arguments.connect, Needs::without_manifests()).await?;
        run.tell_if_there_is_no_record();
        run.options.selection.targets.insert(arguments.address.clone());
        let (held, exit) = held(&mut run).await?;
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
        Ok(exit)
    })
}

/// The selected entries of the record, in the order of kinds and addresses; and how the comparison ended.
async fn held(run: &mut Run) -> Result<(Vec<Held>, Exit), Failure> {
    let (states, exit) = match run.objects.is_empty() {
        true => (None, Exit::Done),
        false => {
            let mut declared = Declared::of(&run.objects);
            let plan = run.plan().await?;
            declared.compare(&plan);
            output::tell_problems(&View::of_plan(&plan, run.audience));
            (Some(declared), exit_of_plan(&plan, false))
        }
    };
    let selected = |entry: &&Entry| run.options.selection.selects_address(&entry.address);
    let mut entries: Vec<&Entry> = run.loaded.entries.iter().filter(selected).collect();
    entries.sort_by(|one, other| one.address.cmp(&other.address));
    let held = |entry: &Entry| {
        let state = states.as_ref().map(|declared| declared.state(&entry.address));
        Held { state, ..Held::from(entry) }
    };
    Ok((entries.into_iter().map(held).collect(), exit))
}

/// How what is declared compares to what is live.
struct Declared {
    states: HashMap<Address, State>,
    /// What the record may still hold under a former name.
    moved: HashMap<Address, Address>,
}

impl Declared {
    fn of(objects: &[Object]) -> Self {
        let state =
            |object: &Object| if object.spec.suspend() { State::Suspended } else { State::AsDeclared };
        let moved =
            objects.iter().filter_map(|object| Some((object.moved_from.clone()?, object.address.clone())));
        Declared {
            states: objects.iter().map(|object| (object.address.clone(), state(object))).collect(),
            moved: moved.collect(),
        }
    }

    fn compare(&mut self, plan: &Plan) {
        // An error of the whole input leaves open what was compared.
        let of_all = |problem: &Problem| problem.address.is_none() && problem.blame == Blame::Error;
        let all = plan.errors.iter().any(of_all);
        let wrong: HashSet<&Address> =
            plan.errors.iter().filter_map(|error| error.address.as_ref()).collect();
        for (address, state) in &mut self.states {
            if *state == State::AsDeclared && (all || wrong.contains(address)) {
                *state = State::Unclear;
            }
        }
        let withheld = plan.withheld.iter().map(|withheld| (&withheld.address, withheld.action));
        let changes = plan.changes.iter().map(|change| (&change.address, change.action));
        for (address, action) in withheld.chain(changes) {
            if let Some(state) = self.states.get_mut(address) {
                *state = if action == Action::Create { State::Missing } else { State::Differs };
            }
        }
    }

    fn state(&self, held: &Address) -> State {
        let now = self.states.get(held).or_else(|| self.states.get(self.moved.get(held)?));
        now.copied().unwrap_or(State::NotDeclared)
    }
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
