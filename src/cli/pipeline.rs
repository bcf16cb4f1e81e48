//! What every command that plans does alike: load, choose the target, connect, read the record, plan.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::engine::journal::Journal;
use crate::engine::keys::RunnerKeys;
use crate::engine::plan::{PlanOptions, Sources};
use crate::engine::record::{
    Discarded, FileRecord, GroupRecord, Loaded, Rebuild, Record, RecordContext, RecordError, Runner, Trust,
};
use crate::engine::saved::Authenticity;
use crate::engine::secrets::CommandSecrets;
use crate::engine::select::Selection;
use crate::engine::session::Session;
use crate::engine::{self};
use crate::manifest::{Input, Object, StandardInput, nearest};
use crate::model::{Address, Guards, NumberOrPercent};
use crate::reconcile::{Limits, Plan, Problem};
use crate::report::{Audience, Progress};
use crate::sandbox;

use super::arguments::{
    AddressArguments, ConnectArguments, GuardArguments, RunArguments, SelectionArguments,
};
use super::connect::{Connected, connect};
use super::failure::Failure;
use super::places::Places;
use super::target::choose;
use super::{load, output, target};

/// A run that is ready to plan.
pub struct Run {
    pub objects: Vec<Object>,
    pub places: Places,
    pub session: Session,
    pub record: Box<dyn Record>,
    pub loaded: Loaded,
    /// Of what was recorded, what `adopt` sets aside.
    pub discarded: Vec<Discarded>,
    pub keys: Option<Arc<RunnerKeys>>,
    pub secrets: CommandSecrets,
    pub options: PlanOptions,
    pub progress: Progress,
    pub audience: Audience,
    /// Changes under way at once.
    pub parallelism: usize,
    /// Serves as long as it is held.
    _sandbox: Option<sandbox::Running>,
}

/// The runtime of one command.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)
}

/// What a command needs besides a target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// It runs without manifests; those that are given serve instances and secrets.
    pub no_objects: bool,
    /// It makes a record anew that cannot be used.
    pub rebuilds: Option<Rebuilds>,
    /// It is refused without a runner key, under this name.
    pub runner_key: Option<&'static str>,
}

/// How a record is made anew.
#[derive(Clone, Copy, Debug)]
pub struct Rebuilds {
    /// One that none of the keys at hand verifies, too.
    pub take_over: bool,
}

impl Needs {
    /// Of a command that can do without manifests.
    pub fn without_manifests() -> Self {
        Needs { no_objects: true, ..Needs::default() }
    }
}

/// From arguments to a run that is ready to plan.
pub async fn prepare(arguments: &RunArguments, needs: Needs) -> Result<Run, Failure> {
    let prune = arguments.prune;
    // Only what deletes by the record needs a runner key from the start.
    let deletes = prune.then_some("--prune").or(needs.runner_key);
    let needs = Needs { runner_key: needs.runner_key.or(deletes), ..needs };
    if let (Some(what), true) = (deletes, arguments.selection.selector.is_some()) {
        return Err(Failure::Argument {
            message: format!("{what} does not go with -l: the record holds no labels"),
            hint: Some("narrow it with --target KIND/NAME".to_owned()),
        });
    }
    let mut run = connected(&arguments.connect, needs).await?;
    let selection = selection(&arguments.selection, &run)?;
    run.audience = Audience { personal: arguments.report.show_personal };
    run.options = PlanOptions {
        selection,
        prune,
        import_batch: arguments.bulk_create,
        limits: limits(&arguments.guards, std::mem::take(&mut run.options.limits.instance)),
        ..PlanOptions::default()
    };
    Ok(run)
}

/// A target that was chosen and has not been asked anything yet, with what the input says.
pub struct Reached {
    pub connected: Connected,
    pub objects: Vec<Object>,
    standard_input: Option<StandardInput>,
    guards: Guards,
    progress: Progress,
}

/// From arguments to a target that can be talked to.
pub async fn reach(arguments: &ConnectArguments, needs: Needs) -> Result<Reached, Failure> {
    let mut input = load::input(&arguments.input, needs.no_objects)?;
    let chosen = crate::manifest::target::choose(&mut input, &target::instance_choice(&arguments.target))
        .map_err(Failure::Instance)?;
    if chosen.others > 0 {
        output::tell(&format!("{} objects belong to other instances and are passed over\n", chosen.others));
    }
    let instance = chosen.instance.and_then(|number| input.instances.get(number));
    let choice = choose(&arguments.target, instance)?;
    let progress = Progress::new(false);
    let documents = std::mem::take(&mut input.secrets);
    let connected = connect(&choice, &arguments.target, &arguments.secrets, documents, &progress).await?;
    let Input { objects, standard_input, .. } = input;
    Ok(Reached { connected, objects, standard_input, guards: choice.guards, progress })
}

/// From arguments to a target that has answered and a record that has been read.
pub async fn connected(arguments: &ConnectArguments, needs: Needs) -> Result<Run, Failure> {
    let Reached { connected, objects, standard_input, guards, progress } = reach(arguments, needs).await?;
    let Connected { connection, keys, secrets, sandbox } = connected;
    if let (Some(what), None) = (needs.runner_key, &keys) {
        return Err(Failure::NeedsRunnerKey(what));
    }
    let session = Session::connect(&connection).await?;
    let record = record(arguments, &session, keys.clone()).await?;
    let read = match needs.rebuilds {
        Some(Rebuilds { take_over }) => {
            record.read_to_rebuild(Rebuild { has_key: keys.is_some(), take_over }).await
        }
        None => record.read().await.map(|loaded| (loaded, Vec::new())),
    };
    let (loaded, discarded) = read.map_err(engine::error::Error::from)?;
    let mut options = PlanOptions::default();
    options.limits.instance = guards;
    Ok(Run {
        options,
        places: Places::of(&objects, standard_input),
        objects,
        session,
        record,
        loaded,
        discarded,
        keys,
        secrets,
        progress,
        audience: Audience::default(),
        parallelism: usize::from(arguments.target.parallelism),
        _sandbox: sandbox,
    })
}

async fn record(
    arguments: &ConnectArguments,
    session: &Session,
    keys: Option<Arc<RunnerKeys>>,
) -> Result<Box<dyn Record>, Failure> {
    let context = RecordContext::of(session, Runner::command(), keys);
    match arguments.record.record.as_deref().filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => Ok(Box::new(FileRecord::new(path, context))),
        None => {
            let default_tenant = session.default_tenant().await?;
            Ok(Box::new(GroupRecord::new(session.client(), default_tenant, context)))
        }
    }
}

/// Which objects the arguments select. A selection of nothing is a slip of the pen: it would make a run that does
/// nothing and says that all is well.
fn selection(arguments: &SelectionArguments, run: &Run) -> Result<Selection, Failure> {
    let objects = &run.objects;
    let known = || objects.iter().map(|object| &object.address).chain(run.held());
    let selection = Selection {
        labels: arguments.selector.clone(),
        ..selected(&arguments.addresses, known, "neither the manifests nor the record have")?
    };
    if selection.labels.is_some() && !objects.iter().any(|object| selection.selects(object)) {
        return Err(Failure::Argument {
            message: "no object of the manifests has these labels".to_owned(),
            hint: Some("`-l` goes by metadata.labels; leave it out to select everything".to_owned()),
        });
    }
    Ok(selection)
}

/// The objects of `--target`; `lacking` says where one that is not known was looked for.
///
/// # Errors
/// One of them is not known.
pub fn selected<'a, I: Iterator<Item = &'a Address>>(
    arguments: &AddressArguments,
    known: impl Fn() -> I,
    lacking: &str,
) -> Result<Selection, Failure> {
    let targets: BTreeSet<Address> = arguments.targets.iter().cloned().collect();
    if targets.is_empty() {
        return Ok(Selection::default());
    }
    let all: HashSet<&Address> = known().collect();
    let unknown: Vec<&Address> = targets.iter().filter(|target| !all.contains(target)).collect();
    let Some(first) = unknown.first() else { return Ok(Selection { targets, labels: None }) };
    let all: Vec<String> = known().map(ToString::to_string).collect();
    let near = nearest(&first.to_string(), all.iter().map(String::as_str));
    let names: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    Err(Failure::Argument {
        message: format!("{lacking} {}", names.join(", ")),
        hint: near.map(|near| format!("did you mean \"{near}\"?")),
    })
}

pub fn limits(arguments: &GuardArguments, instance: Guards) -> Limits {
    Limits {
        max_deletes: arguments.max_deletes,
        max_changed_users: arguments.max_changed_users,
        allow_hard_delete: arguments.allow_hard_delete,
        allow_admin_roles: arguments.allow_admin_roles,
        allow_foreign_entities: arguments.allow_foreign_entities,
        allow_entities_elsewhere: arguments.allow_foreign_entities,
        instance,
    }
}

impl Run {
    /// Says that there is no record, where that looks like holding nothing.
    pub fn tell_if_there_is_no_record(&self) {
        if self.loaded.is_absent() {
            output::tell(&format!(
                "there is no record of the owner {} here: nothing was applied yet, or it is lost (`fusionkeep adopt` \
                 rebuilds it from the manifests)\n",
                self.session.owner()
            ));
        }
    }

    /// The addresses of what the record holds.
    pub fn held(&self) -> impl Iterator<Item = &Address> {
        self.loaded.entries.iter().map(|entry| &entry.address)
    }

    /// Plans, with what is to be said of keys and record. The objects are used up: a plan says all that is left to do.
    pub async fn plan(&mut self) -> Result<Plan, Failure> {
        let let_go = self.let_go();
        let objects = std::mem::take(&mut self.objects);
        let bar = Bar(self.progress.clone());
        let sources = self.sources(&bar);
        let plan = engine::plan::plan(sources, objects, &self.options).await;
        self.progress.end();
        let doubtful = match &plan {
            Ok(plan) => !plan.errors.is_empty(),
            Err(error) => matches!(error, engine::error::Error::Record(RecordError::Lost { .. })),
        };
        if doubtful {
            self.refuse_if_moved().await?;
        }
        Ok(self.with_record_warnings(plan?, let_go))
    }

    /// What looks wrong may only be of two times: another run wrote the record between our reading of it and of what is
    /// live. A record that cannot be read says so in words of its own.
    async fn refuse_if_moved(&self) -> Result<(), Failure> {
        if !self.discarded.is_empty() {
            return Ok(());
        }
        match self.record.read().await {
            Ok(now) if now.revision != self.loaded.revision => Err(Failure::RecordMoved),
            _ => Ok(()),
        }
    }

    /// Judges a plan that was saved by the guards of this run. What was allowed when it was made holds for a plan that
    /// is signed, and can only be tightened; nobody vouches for what stands in another.
    pub async fn guards(&mut self, plan: &Plan, authenticity: Authenticity) -> Result<Vec<Problem>, Failure> {
        if authenticity == Authenticity::Signed {
            let limits = &mut self.options.limits;
            let unlimited = NumberOrPercent::Number(u64::MAX);
            limits.max_deletes.get_or_insert(unlimited);
            limits.max_changed_users.get_or_insert(unlimited);
            limits.allow_hard_delete = true;
            limits.allow_admin_roles = true;
            limits.allow_foreign_entities = true;
            limits.allow_entities_elsewhere = true;
        }
        let bar = Bar(self.progress.clone());
        Ok(engine::plan::guards(self.sources(&bar), plan, &self.options).await?)
    }

    /// Reads the record again, and plans from the start with these objects.
    pub async fn start_over(&mut self, objects: Vec<Object>) -> Result<(), Failure> {
        self.loaded = self.record.read().await.map_err(engine::error::Error::from)?;
        self.objects = objects;
        Ok(())
    }

    /// Plans the inverse of a run.
    pub async fn undo(&self, journal: &Journal, authenticity: Authenticity) -> Result<Plan, Failure> {
        let bar = Bar(self.progress.clone());
        let plan = engine::undo::plan(self.sources(&bar), journal, authenticity, &self.options).await?;
        Ok(self.with_record_warnings(plan, self.let_go()))
    }

    /// What becomes of a record that is set aside: what is declared is taken over anew, the rest is let go.
    fn let_go(&self) -> Vec<Problem> {
        self.discarded.iter().flat_map(|discarded| self.let_go_of(discarded)).collect()
    }

    fn let_go_of(&self, discarded: &Discarded) -> Vec<Problem> {
        let rebuilt = Problem::error(
            "record-rebuilt",
            format!("{}; it is made anew from the manifests", discarded.why),
            "what it held and the manifests do not declare is let go: it stays in FusionAuth, and is nobody's",
        );
        let declared: std::collections::HashSet<_> =
            self.objects.iter().map(|object| &object.address).collect();
        let undeclared = discarded.addresses.iter().filter(|address| !declared.contains(address));
        let let_go = undeclared.map(|address| {
            let message = "it is let go: the record that is set aside held it, and no manifest declares it";
            Problem::error("let-go", message, "declare it and adopt again, or delete it by hand").of(address)
        });
        std::iter::once(rebuilt).chain(let_go).collect()
    }

    fn sources<'a>(&'a self, bar: &'a Bar) -> Sources<'a> {
        Sources {
            session: &self.session,
            record: Some((&self.loaded, self.record.as_ref())),
            keys: self.keys.as_deref(),
            secrets: &self.secrets,
            progress: bar,
        }
    }

    fn with_record_warnings(&self, mut plan: Plan, let_go: Vec<Problem>) -> Plan {
        let mut warnings = record_warnings(&self.loaded, self.keys.as_deref());
        warnings.extend(let_go);
        warnings.append(&mut plan.warnings);
        plan.warnings = warnings;
        self.places.point(&mut plan.errors);
        self.places.point(&mut plan.warnings);
        plan
    }
}

/// What a reader should know of the record and of the runner's keys.
fn record_warnings(loaded: &Loaded, keys: Option<&RunnerKeys>) -> Vec<Problem> {
    let mut warnings = Vec::new();
    let mut warn = |code: &str, message: String, hint: &str| {
        warnings.push(Problem::error(code, message, hint));
    };
    if keys.is_none() {
        warn(
            "no-runner-key",
            "there is no runner key: a new password is seen by its `version` only, and neither plan nor record \
             is signed"
                .to_owned(),
            engine::keys::MAKE_A_KEY,
        );
    }
    match &loaded.trust {
        Trust::Unverified(key) => warn(
            "record-unverified",
            format!("the record is signed with the key {key}, which this run does not have"),
            "give that key as FUSIONKEEP_KEY; nothing can be applied without it",
        ),
        Trust::Unsigned if keys.is_some() => warn(
            "record-unsigned",
            "the record is not signed, and this run has a runner key".to_owned(),
            "`fusionkeep adopt` takes it over and signs it",
        ),
        Trust::Absent | Trust::Verified | Trust::Unsigned => {}
    }
    if let Some(foreign) = &loaded.foreign {
        warn(
            "record-foreign",
            format!("the record was last written by {foreign}"),
            "apply refuses until --take-over",
        );
    }
    if let Some(holder) = &loaded.holder
        && !loaded.left_behind.is_none()
    {
        warn(
            "record-left-locked",
            format!("a run did not come to its end, and its lock is over: {holder}"),
            "the next apply takes the lock and lets it go",
        );
    } else if let Some(holder) = &loaded.holder {
        warn(
            "record-locked",
            format!("another run is at work: {holder}"),
            "what it does may change this plan",
        );
    }
    for claim in &loaded.taken {
        let what = claim.address.as_ref().map_or_else(|| "an object".to_owned(), ToString::to_string);
        warn("taken-over", format!("{what} was taken over by the owner {}", claim.owner), "");
    }
    warnings
}

/// The engine's steps on the progress bar.
pub struct Bar(pub Progress);

impl engine::progress::Progress for Bar {
    fn observed(&self, done: u64, total: u64) {
        self.0.show("reading", done, total);
    }

    fn applied(&self, done: u64, total: u64) {
        self.0.show("applying", done, total);
    }
}
