//! What is left of a record that somebody took apart by hand. Nothing reads it, and no run removes it: a header that
//! was only given another name could list it still.

use crate::engine::record::{GroupRecord, RecordContext, RecordError, Runner};
use crate::engine::session::{Connection, Session};

use super::Finding;

/// Shards of the owner that belong to no header.
pub(super) async fn left_over(connection: &Connection) -> Option<Finding> {
    match search(connection).await {
        Ok(names) => finding(&names),
        // What the key may not read, or the server does not answer, is told by route.
        Err(error) => {
            tracing::debug!(%error, "what is left of a record could not be looked for");
            None
        }
    }
}

async fn search(connection: &Connection) -> Result<Vec<String>, crate::engine::error::Error> {
    let session = Session::connect(connection).await?;
    let default_tenant = session.default_tenant().await?;
    let context = RecordContext::of(&session, Runner::command(), None);
    let record = GroupRecord::new(session.client(), default_tenant, context);
    record.left_over().await.map_err(|error: RecordError| error.into())
}

fn finding(names: &[String]) -> Option<Finding> {
    let first = names.first()?;
    let (what, them) = match names.len() {
        1 => (format!("the group \"{first}\" is"), "it"),
        count => (format!("{count} groups are, the first of them \"{first}\","), "them"),
    };
    let message = format!("{what} left of a record whose header is gone: nothing reads {them}");
    let hint =
        format!("if a header was given another name, name it as it was; else delete {them} in FusionAuth");
    Some(Finding::new("record-left-over", message, &hint))
}
