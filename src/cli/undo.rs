//! `fusionkeep undo`: the inverse of a run, by the journal that it left, through the same pipeline as any plan.

use std::path::{Path, PathBuf};

use crate::engine::error::Error;
use crate::engine::journal::Journal;
use crate::report;

use super::arguments::{
    AddressArguments, ChangeArguments, ConnectArguments, GuardArguments, ReportArguments,
};
use super::carry_out::CarryOut;
use super::exit::Exit;
use super::failure::Failure;
use super::output;
use super::pipeline::{self, Needs};

/// Undo a run, by the journal that it left
///
/// Plans the inverse of what the run did, as far as it still stands as the run left it; what others changed since
/// stays. What cannot be undone, such as messages that were sent, passwords and people deleted for good, is told with
/// the plan. The plan is then shown, guarded and applied like any other, and leaves a journal of its own: to undo an
/// undo makes the change again. --target undoes the changes of some objects only.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The journal [default: the owner's newest in the journal folder]
    #[arg(value_name = "JOURNAL")]
    path: Option<PathBuf>,
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    selection: AddressArguments,
    #[command(flatten)]
    guards: GuardArguments,
    #[command(flatten)]
    pub report: ReportArguments,
    #[command(flatten)]
    change: ChangeArguments,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    pipeline::runtime()?.block_on(async {
        let mut connect = arguments.connect.clone();
        if let Some(path) = &arguments.path {
            // Whose it is and which tenant's is taken from it, which the plan then holds it to.
            let (journal, _) = read(path, None)?;
            let target = &mut connect.target;
            target.owner.get_or_insert_with(|| journal.owner.as_str().to_owned());
            target.tenant_id.get_or_insert_with(|| journal.target.tenant_id.to_string());
        }
        let mut run = pipeline::connected(&connect, Needs::without_manifests()).await?;
        run.audience = report::Audience { personal: arguments.report.show_personal };
        run.options.limits =
            pipeline::limits(&arguments.guards, std::mem::take(&mut run.options.limits.instance));
        let path = match &arguments.path {
            Some(path) => path.clone(),
            None => {
                let owner = run.session.owner();
                Journal::latest(&arguments.change.journal_dir, owner).map_err(Error::from)?
            }
        };
        let (journal, authenticity) = read(&path, run.keys.as_deref())?;
        let changed = || journal.changes.iter().map(|journalled| &journalled.change.address);
        run.options.selection = pipeline::selected(&arguments.selection, changed, "the journal has no")?;
        output::tell(&format!("undoing {}\n", path.display()));
        let plan = run.undo(&journal, authenticity).await?;
        CarryOut::new(&run, arguments.report.format, &arguments.change).plan(&plan).await
    })
}

type Read = (Journal, crate::engine::saved::Authenticity);

fn read(path: &Path, keys: Option<&crate::engine::keys::RunnerKeys>) -> Result<Read, Failure> {
    Ok(Journal::read(path, keys).map_err(Error::from)?)
}
