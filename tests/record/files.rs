//! What stands in files: the record of `--record FILE`, saved plans, journals. Private, whole, strict, no secrets.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use fusionkeep::engine::journal::{BeforeImage, Journal, JournalChange, JournalError, file_name};
use fusionkeep::engine::keys::RunnerKeys;
use fusionkeep::engine::record::{Acquire, FileRecord, Record as _, RecordContext, RecordError, Trust};
use fusionkeep::engine::saved::{self, Authenticity, SavedPlanError};
use fusionkeep::engine::secrets::{SecretResolver, SecretValues};
use fusionkeep::model::{Kind, SecretSource};
use fusionkeep::reconcile::{
    Action, Call, Change, ChangeOutcome, ContentType, Fingerprint, Key, Live, Method, Outcome, Plan, Purpose,
    Reason, Risk, SCHEMA_VERSION, SecretSlot, Status, Target,
};
use futures::future::{BoxFuture, FutureExt};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{TENANT, context, entry, keys, put};

const CANARY: &str = "canary-5eCr3t-value";

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_record_in_a_file_holds_what_one_in_groups_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.json");
    let record = FileRecord::new(&path, context("acme", "host"));
    run(async {
        assert_eq!(record.read().await.unwrap().trust, Trust::Absent);
        let held = record.acquire(&Acquire::default()).await.unwrap();
        let second = record.acquire(&Acquire::default()).await.err().unwrap();
        assert!(matches!(&second, RecordError::Locked(holder) if holder.host == "host"), "{second}");
        let (user, lambda) = (entry("acme", Kind::User, "richard"), entry("acme", Kind::Lambda, "claims"));
        held.intend(vec![user.clone(), lambda]).await.unwrap();
        assert_eq!(record.read().await.unwrap().entries.len(), 2, "intents are durable");
        held.update(put(&user));
        held.close().await.unwrap();
        let loaded = record.read().await.unwrap();
        assert_eq!(loaded.trust, Trust::Verified);
        assert!(!loaded.entries.by_key(&user.key).unwrap().intent);
    });
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_file_that_is_not_ours_or_not_whole_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.json");
    let record = |context: RecordContext| FileRecord::new(&path, context);
    let read = |context| run(record(context).read());
    run(async {
        let held = record(context("acme", "host")).acquire(&Acquire::default()).await.unwrap();
        held.intend(vec![entry("acme", Kind::User, "richard")]).await.unwrap();
        held.close().await.unwrap();
    });
    assert!(matches!(read(context("other", "host")), Err(RecordError::OtherOwner { .. })));
    let other_tenant = RecordContext { tenant_id: Uuid::nil(), ..context("acme", "host") };
    assert!(matches!(read(other_tenant), Err(RecordError::OtherTenant { .. })));
    let whole = std::fs::read_to_string(&path).unwrap();
    let versions = whole.replace("\"version\":1", "\"version\":2");
    for (text, version) in [(&whole[..whole.len() / 2], false), ("", false), ("{}", false), (&versions, true)]
    {
        std::fs::write(&path, text).unwrap();
        let error = read(context("acme", "host")).unwrap_err();
        assert_eq!(matches!(error, RecordError::NewerVersion { found: 2 }), version, "{error}");
        assert!(version || matches!(error, RecordError::Damaged { .. }), "{error}");
        assert!(error.is_refusal());
    }
    std::fs::write(&path, whole.replace("richard", "erlich!")).unwrap();
    assert!(matches!(read(context("acme", "host")), Err(RecordError::WrongSeal)));
    let unwritable = FileRecord::new(folder.path().join("missing/record.json"), context("acme", "host"));
    let error =
        run(unwritable.acquire(&Acquire { wait: Duration::ZERO, ..Acquire::default() })).err().unwrap();
    assert!(matches!(error, RecordError::File { .. }) && error.hint().is_some());
}

fn plan() -> Plan {
    let user = entry("acme", Kind::User, "richard");
    let id = user.key.id().unwrap();
    let source =
        SecretSource { from_env: Some("FUSIONKEEP_SECRET_RICHARD".into()), ..SecretSource::default() };
    let call = Call {
        purpose: Purpose::Create,
        method: Method::Post,
        route: "/api/user/{userId}".into(),
        path: format!("/api/user/{id}"),
        query: vec![],
        content_type: ContentType::Json,
        body: Some(json!({ "user": { "email": "richard@piedpiper.com", "data": { "ratio": 5.2 } } }).into()),
        secrets: vec![SecretSlot { pointer: "/user/password".into(), source, may_be_empty: false }],
        part: None,
    };
    let change = Change {
        address: user.address.clone(),
        action: Action::Create,
        key: user.key.clone(),
        reason: Reason::Missing,
        risk: Risk::Reversible,
        risk_notes: vec![],
        fields: vec![],
        deletion: None,
        depends_on: vec![],
        calls: vec![call],
        fingerprint: Some(Fingerprint::default()),
        notes: vec![],
        protected: false,
        record: put(&user),
    };
    Plan {
        schema_version: SCHEMA_VERSION,
        target: Target { url: "https://a.b".into(), tenant_id: TENANT, server_version: "1.69.0".into() },
        owner: "acme".parse().unwrap(),
        changes: vec![change],
        withheld: vec![],
        warnings: vec![],
        errors: vec![],
        unchanged: 3,
        suspended: 0,
        records: vec![],
        import_batch: None,
    }
}

struct One(&'static str);

impl SecretResolver for One {
    fn resolve<'a>(
        &'a self,
        _namespace: &'a str,
        _source: &'a SecretSource,
    ) -> BoxFuture<'a, Result<SecretString, fusionkeep::engine::secrets::SecretError>> {
        futures::future::ready(Ok(self.0.into())).boxed()
    }
}

fn values(plan: &Plan, value: &'static str) -> SecretValues {
    run(fusionkeep::engine::apply::load_secrets(plan, &One(value))).unwrap()
}

#[test]
fn a_saved_plan_is_what_was_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    let (plan, keys) = (plan(), keys("k"));
    let secrets = saved::planned_secrets(&plan, &values(&plan, CANARY), Some(&keys));
    saved::write(&path, &plan, secrets, Some(&keys)).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(!std::fs::read_to_string(&path).unwrap().contains(CANARY));
    let back = saved::read(&path, Some(&keys)).unwrap();
    assert_eq!((&back.plan, back.authenticity), (&plan, Authenticity::Signed));
    assert!(back.moved_secrets(&values(&plan, CANARY), Some(&keys)).is_empty());
    let moved = back.moved_secrets(&values(&plan, "another value"), Some(&keys));
    assert_eq!(moved, [(plan.changes[0].address.clone(), "password".to_owned())]);
    assert!(
        back.moved_secrets(&values(&plan, "another value"), None).is_empty(),
        "without a key it cannot be told"
    );
    assert_eq!(saved::read(&path, None).unwrap().authenticity, Authenticity::NotAuthenticated);
}

#[test]
fn a_plan_that_was_not_written_so_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    let signed = |keys: Option<&RunnerKeys>| {
        saved::write(&path, &plan(), vec![], keys).unwrap();
        std::fs::read_to_string(&path).unwrap()
    };
    let key = keys("k");
    let text = signed(Some(&key));
    let parse = |text: &str| saved::parse(text.as_bytes(), Some(&key)).map(|_| ()).unwrap_err();
    let edit = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    assert_eq!(parse(&text[..text.len() - 10]), SavedPlanError::CutOff);
    assert_eq!(parse(&edit("richard@", "erlich@")), SavedPlanError::Altered);
    assert_eq!(parse(&edit("\"unchanged\": 3", "\"unchanged\": 3, \"extra\": 1")), SavedPlanError::Altered);
    assert_eq!(
        parse(&edit("\"schemaVersion\": 1", "\"schemaVersion\": 0")),
        SavedPlanError::SchemaVersion { found: 0 }
    );
    assert!(matches!(parse("[]"), SavedPlanError::NotAPlan(_)));
    assert!(matches!(parse("{}"), SavedPlanError::NotAPlan(_)));
    assert!(matches!(parse(&signed(Some(&keys("x")))), SavedPlanError::OtherKey { .. }));
    let unsigned = signed(None);
    assert_eq!(parse(&unsigned), SavedPlanError::NotSigned);
    let parse = |text: String| saved::parse(text.as_bytes(), None).map(|_| ());
    assert_eq!(parse(unsigned.clone()), Ok(()));
    assert_eq!(
        parse(unsigned.replace("\"unchanged\": 3", "\"unchanged\": 3, \"extra\": 1")),
        Err(SavedPlanError::OtherFields)
    );
    let off_route = parse(unsigned.replace("\"path\": \"/api/user/", "\"path\": \"/api/lambda/"));
    assert!(matches!(off_route, Err(SavedPlanError::CallOffRoute { number: 1, .. })), "{off_route:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to one byte of a signed plan: it is refused, or reads as what was signed.
    #[test]
    fn no_altered_byte_of_a_signed_plan_changes_it(at in 0.0_f64..1.0, byte in any::<u8>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        let key = keys("k");
        saved::write(&path, &plan(), vec![], Some(&key)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let at = (at * bytes.len() as f64) as usize;
        bytes[at] = byte;
        if let Ok(read) = saved::parse(&bytes, Some(&key)) {
            prop_assert_eq!(read.plan, plan());
        }
    }

    #[test]
    fn no_bytes_make_the_plan_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(saved::parse(&bytes, None).is_err());
    }
}

fn live() -> Live {
    let fields = |value: Value| value.as_object().unwrap().clone();
    Live {
        key: Key::Id(Uuid::from_u128(1)),
        fields: fields(json!({ "email": "richard@piedpiper.com", "password": CANARY, "salt": CANARY })),
        parts: BTreeMap::from([(
            Uuid::nil().to_string(),
            fields(
                json!({ "roles": ["user"], "authenticationToken": CANARY, "tokens": { "google": CANARY } }),
            ),
        )]),
        active: true,
        secrets_equal: BTreeMap::new(),
    }
}

#[test]
fn a_journal_holds_what_was_there_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let change = plan().changes.remove(0);
    let before = Some(BeforeImage::new(Kind::User, &live()));
    let changes = vec![JournalChange {
        change: change.clone(),
        before: before.map(Box::new),
        entry: None,
        status: Status::NotStarted,
    }];
    let mut journal = Journal::new(plan().target, "acme".parse().unwrap(), 1_800_000_000_123, changes);
    let file = |owner: &str, started_at| {
        let started_at = jiff::Timestamp::from_millisecond(started_at).unwrap();
        folder.path().join("journals").join(file_name(&owner.parse().unwrap(), started_at))
    };
    let path = file("acme", 1_800_000_000_123);
    journal.write(&path, None).unwrap();
    assert_eq!(mode(&path), 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(CANARY) && text.contains("richard@piedpiper.com"), "{text}");
    assert!(!Journal::read(&path, None).unwrap().0.ended, "a crash leaves it so");
    let done =
        ChangeOutcome { address: change.address.clone(), status: Status::Done, problem: None, notes: vec![] };
    journal.end(&Outcome { changes: vec![done], ..Outcome::default() });
    journal.write(&path, None).unwrap();
    let (back, _) = Journal::read(&path, None).unwrap();
    assert_eq!(back, journal);
    assert!(back.ended && back.changes[0].status == Status::Done);

    let journals = path.parent().unwrap();
    let (acme, acme_prod) = ("acme".parse().unwrap(), "acme-prod".parse().unwrap());
    assert_eq!(Journal::latest(journals, &acme).unwrap(), path);
    assert!(matches!(Journal::latest(journals, &acme_prod), Err(JournalError::None { .. })));
    let later: Journal = Journal::new(plan().target, acme_prod, 1_800_000_001_000, vec![]);
    later.write(&file("acme-prod", 1_800_000_001_000), None).unwrap();
    assert_eq!(
        Journal::latest(journals, &acme).unwrap(),
        path,
        "an owner whose name begins alike is another"
    );
    std::fs::write(&path, &text.as_bytes()[..40]).unwrap();
    assert!(matches!(Journal::read(&path, None), Err(JournalError::CutOff { .. })));
    std::fs::write(&path, text.replace("\"version\":1", "\"version\":9")).unwrap();
    assert!(matches!(Journal::read(&path, None), Err(JournalError::Version { found: 9, .. })));
}
