//! Reports over hand-made plans: what is shown, what is masked, what hostile text can do.

use std::sync::{Arc, LazyLock};

use fusionkeep::model::{Address, Deletion, Kind, Place, Sensitivity};
use fusionkeep::reconcile::{
    Action, Blame, Call, CallCounts, Change, ChangeOutcome, ContentType, FieldChange, Key, Method, Outcome,
    Plan, Problem, Purpose, Reason, Recipient, RecordUpdate, Risk, SCHEMA_VERSION, Shown, Status, Target,
    Withheld,
};
use fusionkeep::report::{Audience, Report, View, markdown, run_text, text};
use serde_json::{Value, json};
use uuid::Uuid;

const HOSTILE: &str =
    "x|y `z`\n```\n@admins <img src=x onerror=alert(1)> [a](https://evil.example) \u{1b}[2J\u{202e}";

fn field(path: &str, before: Shown, after: Shown, sensitivity: Sensitivity) -> FieldChange {
    FieldChange { path: path.into(), before, after, sensitivity }
}

fn value(value: impl Into<Value>) -> Shown {
    Shown::Value(value.into())
}

fn call() -> Call {
    Call {
        purpose: Purpose::Update,
        method: Method::Patch,
        route: "/api/user/{userId}".to_owned(),
        path: "/api/user/1".to_owned(),
        query: vec![],
        content_type: ContentType::MergePatch,
        body: Some(json!({ "user": { "firstName": "BODY" } }).into()),
        secrets: vec![],
        part: None,
    }
}

fn change(kind: Kind, name: &str, action: Action, reason: Reason, fields: Vec<FieldChange>) -> Change {
    let address = Address::new(kind, "default", name);
    let key = Key::Id(Uuid::from_u128(name.len() as u128));
    Change {
        record: RecordUpdate::Remove(key.clone()),
        address,
        action,
        key,
        reason,
        risk: Risk::Reversible,
        risk_notes: vec![],
        fields,
        deletion: None,
        depends_on: vec![],
        calls: vec![call()],
        fingerprint: None,
        notes: vec![],
        protected: false,
    }
}

fn body() -> (String, String) {
    let before: String = (1..=12).map(|number| format!("  var line{number} = {number};\n")).collect();
    let before = format!("function populate(jwt, user, registration) {{\n{before}}}\n");
    let after = before.replace("line6 = 6", "line6 = 'six'").replace("  var line1 = 1;\n", "");
    (before, after)
}

fn changes() -> Vec<Change> {
    use Sensitivity::{Personal, Public, Secret};
    let (before, after) = body();
    let richard = vec![
        field("email", Shown::Absent, value("richard@piedpiper.com"), Personal),
        field("password", Shown::Absent, Shown::Secret, Secret),
        field("data", Shown::Absent, value(json!({ "team": "compression" })), Personal),
    ];
    let dinesh = vec![
        field("firstName", value("SERVERS-NAME"), value("Dinesh"), Personal),
        field("mobilePhone", value("SERVERS-PHONE"), Shown::Absent, Personal),
        field("password", Shown::Secret, Shown::Secret, Secret),
        field(
            "registrations[3c219e58].roles",
            value(json!(["user"])),
            value(json!(["admin", "user"])),
            Public,
        ),
    ];
    let lambda = vec![
        field("body", value(before), value(after), Public),
        field("debug", value(true), value(false), Public),
    ];
    vec![
        change(Kind::Lambda, "claims", Action::Update, Reason::Differs, lambda),
        change(Kind::User, "richard", Action::Create, Reason::Missing, richard),
        Change {
            risk: Risk::GivesAdministration,
            risk_notes: vec!["role admin of FusionAuth's own application".to_owned()],
            depends_on: vec![Address::new(Kind::Lambda, "default", "claims")],
            ..change(Kind::User, "dinesh", Action::Update, Reason::Differs, dinesh)
        },
        Change {
            risk: Risk::DeactivatesPerson,
            notes: vec!["sessions end, the account stays".to_owned()],
            deletion: Some(Deletion::Deactivate),
            ..change(Kind::User, "erlich", Action::Delete, Reason::Pruned, vec![])
        },
        Change {
            address: Address::new(Kind::EntityGrant, "team-a", "raviga-richard"),
            key: Key::Grant { entity: Uuid::nil(), recipient: Recipient::User(Uuid::nil()) },
            calls: vec![],
            ..change(Kind::EntityGrant, "x", Action::Adopt, Reason::Adoption, vec![])
        },
    ]
}

fn plan() -> Plan {
    Plan {
        schema_version: SCHEMA_VERSION,
        target: Target {
            url: "https://auth.example.com".to_owned(),
            tenant_id: Uuid::from_u128(7),
            server_version: "1.69.0".to_owned(),
        },
        owner: "acme-prod".parse().unwrap(),
        changes: changes(),
        withheld: vec![Withheld {
            address: Address::new(Kind::Entity, "default", "old"),
            action: Action::Delete,
            why: "no longer declared; --prune deletes it".to_owned(),
            fields: vec![],
        }],
        warnings: vec![problem("slow-search", "the search index is behind", None)],
        errors: vec![],
        unchanged: 33,
        suspended: 0,
        records: vec![],
        import_batch: None,
    }
}

fn problem(code: &str, message: &str, place: Option<Place>) -> Problem {
    Problem {
        code: code.to_owned(),
        message: message.to_owned(),
        hint: Some("run again".to_owned()),
        address: None,
        place,
        pointer: None,
        line: None,
        blame: Blame::Error,
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn view() -> View<'static> {
    static PLAN: LazyLock<Plan> = LazyLock::new(plan);
    View::of_plan(&PLAN, Audience::default())
}

fn valid(view: &View<'_>) -> Value {
    let report = serde_json::to_value(Report::from(view)).unwrap();
    let schema = std::fs::read_to_string(crate::command::root().join("schemas/report.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{report:#}");
    report
}

fn snapshot(name: &str, content: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots");
    settings.bind(|| insta::assert_snapshot!(name, content));
}

#[test]
fn a_plan_as_text() {
    snapshot("report-plan-text", &plain(&text(&view())));
}

#[test]
fn a_plan_as_markdown() {
    snapshot("report-plan-markdown", &markdown(&view()));
}

#[test]
fn a_plan_as_json() {
    let report = valid(&view());
    snapshot("report-plan-json", &format!("{report:#}"));
    let risks: Vec<&str> =
        report["changes"].as_array().unwrap().iter().map(|change| change["risk"].as_str().unwrap()).collect();
    assert_eq!(risks[..2], ["givesAdministration", "deactivatesPerson"], "highest risk first");
}

#[test]
fn a_run_tells_what_became_of_each_change() {
    let plan = plan();
    let mut changes: Vec<ChangeOutcome> = plan
        .changes
        .iter()
        .map(|change| ChangeOutcome {
            address: change.address.clone(),
            status: Status::Done,
            problem: None,
            notes: vec![],
        })
        .collect();
    changes[1].status = Status::Failed;
    changes[1].problem = Some(Box::new(problem("duplicate", "another user has this e-mail address", None)));
    changes[2].status = Status::Blocked;
    changes[0].notes.push("a lost write was repeated".to_owned());
    let outcome = Outcome {
        changes,
        calls: CallCounts { predicted: 4, actual: 3, ..CallCounts::default() },
        errors: vec![],
        interrupted: None,
    };
    let view = View::of_run(&plan, &outcome, Audience::default());
    snapshot("report-run-text", &plain(&run_text(&view)));
    let report = valid(&view);
    assert_eq!(report["summary"]["failed"], 1);
    assert_eq!(report["summary"]["blocked"], 1);
    assert_eq!(report["summary"]["create"], 0);
    assert_eq!(report["summary"]["apiCalls"], json!({ "predicted": 4, "actual": 3 }));
    assert_eq!(report["errors"][0]["address"], "User/richard");
}

#[test]
fn nothing_to_do_is_said_in_these_words() {
    let plan = Plan { changes: vec![], withheld: vec![], warnings: vec![], ..plan() };
    let view = View::of_plan(&plan, Audience::default());
    assert!(text(&view).contains("no changes"), "{}", text(&view));
    assert!(markdown(&view).contains("no changes"));
    assert_eq!(valid(&view)["summary"]["unchanged"], 33);
}

#[test]
fn values_of_the_server_are_masked_unless_asked_for() {
    for personal in [false, true] {
        let plan = plan();
        let view = View::of_plan(&plan, Audience { personal });
        for shown in [plain(&text(&view)), markdown(&view), valid(&view).to_string()] {
            assert_eq!(
                shown.contains("SERVERS-NAME") && shown.contains("SERVERS-PHONE"),
                personal,
                "{shown}"
            );
            assert!(shown.contains("richard@piedpiper.com"), "the manifest's values are shown: {shown}");
        }
    }
    let mut undo = plan();
    undo.changes = vec![change(
        Kind::User,
        "a",
        Action::Update,
        Reason::Undo,
        vec![field("firstName", value("SERVERS-NOW"), value("SERVERS-THEN"), Sensitivity::Personal)],
    )];
    let view = View::of_plan(&undo, Audience::default());
    for shown in [text(&view), markdown(&view), valid(&view).to_string()] {
        assert!(!shown.contains("SERVERS-"), "{shown}");
    }
}

#[test]
fn a_secret_never_shows_whatever_it_was_taken_for() {
    let mut plan = plan();
    plan.changes = vec![change(
        Kind::Entity,
        "a",
        Action::Update,
        Reason::Differs,
        vec![field("clientSecret", value("CANARY-1"), value("CANARY-2"), Sensitivity::Secret)],
    )];
    let view = View::of_plan(&plan, Audience { personal: true });
    for shown in [text(&view), markdown(&view), valid(&view).to_string(), format!("{view:?}")] {
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}

fn hostile_plan() -> Plan {
    let mut plan = plan();
    plan.errors = vec![Problem {
        address: Some(Address { kind: Kind::User, namespace: "default".into(), name: HOSTILE.into() }),
        hint: Some(HOSTILE.to_owned()),
        ..problem("bad", HOSTILE, Some(Place { file: Arc::from(HOSTILE), line: 1, column: 1 }))
    }];
    plan.changes = vec![Change {
        address: Address { kind: Kind::User, namespace: "default".into(), name: HOSTILE.into() },
        risk: Risk::BreaksSignIn,
        risk_notes: vec![HOSTILE.to_owned()],
        ..change(
            Kind::User,
            "x",
            Action::Update,
            Reason::Differs,
            vec![
                field(&format!("data.{HOSTILE}"), Shown::Absent, value(HOSTILE), Sensitivity::Public),
                field("body", value(HOSTILE), value(format!("{HOSTILE}\nmore")), Sensitivity::Public),
            ],
        )
    }];
    plan.withheld[0].why = HOSTILE.to_owned();
    plan.target.url = HOSTILE.to_owned();
    plan
}

#[test]
fn hostile_text_reaches_no_terminal() {
    let plan = hostile_plan();
    let view = View::of_plan(&plan, Audience::default());
    let shown = plain(&text(&view));
    assert!(!text(&view).contains("\u{1b}[2J") && !shown.contains('\u{202e}'), "{shown}");
}

#[test]
fn hostile_text_breaks_no_markdown() {
    let plan = hostile_plan();
    let shown = markdown(&View::of_plan(&plan, Audience::default()));
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
    let mut fence: Option<String> = None;
    for line in shown.lines() {
        let ticks: String = line.chars().take_while(|character| *character == '`').collect();
        match &fence {
            Some(open) if ticks.len() >= open.len() && line == ticks => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => {
                assert!(!line.contains("<img"), "{line}");
                assert!(!line.contains("@admins"), "{line}");
                assert!(!line.contains("https://evil"), "{line}");
                assert!(!line.starts_with('|') || line.matches('|').count() == 6, "{line}");
            }
        }
    }
    assert_eq!(fence, None, "every fence is closed");
}
