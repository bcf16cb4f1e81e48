//! Each kind through the whole of its life, by one table: created, changed, drifted, suspended, asked for, approved,
//! adopted in three forms, deleted by each policy.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Test;
use crate::cluster::Cluster;
use crate::scene::{Operator, Scene, manifest};

pub const TESTS: &[Test] = &[
    ("lives::of_a_user", |cluster| life(cluster, &USER)),
    ("lives::of_an_entity_type", |cluster| life(cluster, &ENTITY_TYPE)),
    ("lives::of_a_lambda", |cluster| life(cluster, &LAMBDA)),
    ("lives::of_an_entity", |cluster| life(cluster, &ENTITY)),
    ("lives::of_a_grant", |cluster| life(cluster, &GRANT)),
    ("lives::of_a_link", |cluster| life(cluster, &LINK)),
];

/// How one kind is declared and how its live object is seen and changed. `name` is that of a custom resource, and all
/// that is live of it bears the name too.
struct Row {
    kind: &'static str,
    /// What the object refers to: kind and spec, by name.
    needs: &'static [(&'static str, &'static str, &'static str)],
    /// Fields of the spec, without braces, for a name and a state.
    spec: fn(name: &str, state: State) -> String,
    /// Whether a request writes an object of the kind.
    writes: fn(&str) -> bool,
    /// Requests of one change.
    change: usize,
    /// What the live object of a name says of its state.
    live: fn(&Scene<'_>, name: &str) -> Option<State>,
    /// Puts the live object into a state, by hand.
    by_hand: fn(&Scene<'_>, name: &str, State),
    /// Makes a live object that nobody declares.
    make: fn(&Scene<'_>, name: &str, State),
    unset: Option<Unset>,
}

/// A field to remove: the spec with it, the spec that unsets it, and whether the live object has it.
type Unset = (&'static str, &'static str, fn(&Scene<'_>, &str) -> bool);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    One,
    Two,
    /// Nobody declares it.
    Hand,
    /// A link has nothing that others could change: it stands or it does not.
    Absent,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::One => "one",
            State::Two => "two",
            State::Hand => "hand",
            State::Absent => "absent",
        }
    }

    fn of(text: &Value) -> Option<Self> {
        let text = text.as_str()?;
        [State::One, State::Two, State::Hand].into_iter().find(|state| text.contains(state.word()))
    }
}

fn resource(kind: &str, name: &str) -> String {
    format!("{}.fusionkeep.dev/{name}", kind.to_lowercase())
}

fn id(scene: &Scene<'_>, kind: &str, name: &str) -> String {
    scene.id(&resource(kind, name))
}

const NAMES: [&str; 4] = ["main", "never", "match", "override"];

const COMPANY: (&str, &str, &str) =
    ("EntityType", "company", "{name: Company, permissions: [{name: one}, {name: two}, {name: hand}]}");

const USERS: [(&str, &str, &str); 4] = [
    ("User", "main", "{username: main}"),
    ("User", "never", "{username: never}"),
    ("User", "match", "{username: match}"),
    ("User", "override", "{username: override}"),
];

/// The live user of a name, declared or not.
fn live_user(scene: &Scene<'_>, name: &str) -> Value {
    let answer = scene.api.get(format!("/api/user?username={name}"));
    if answer.status == 404 { Value::Null } else { answer.ok()["user"].clone() }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

const USER: Row = Row {
    kind: "User",
    needs: &[],
    spec: |name, state| format!("username: {name}, firstName: {}", state.word()),
    writes: |request| {
        request.contains(" /api/user") && !request.starts_with("GET") && !request.ends_with("/search")
    },
    change: 1,
    live: |scene, name| State::of(&live_user(scene, name)["firstName"]),
    by_hand: |scene, name, state| {
        let id = live_user(scene, name)["id"].clone();
        let body = json!({"user": {"firstName": state.word()}});
        scene.api.merge_patch(format!("/api/user/{}", text(&id)), &body).ok();
    },
    make: |scene, name, state| {
        let body = json!({"user": {"username": name, "firstName": state.word(), "password": "password"}});
        scene.api.post("/api/user", &body).ok();
    },
    unset: Some((
        "username: main, firstName: two, mobilePhone: '1', data: {a: {b: 1, c: 2}}",
        "username: main, firstName: two, data: {a: {c: 2}}, unset: [mobilePhone, data.a.b]",
        |scene, name| {
            let user = live_user(scene, name);
            assert_eq!(user["data"]["a"]["c"], 2, "what is unset is all that goes: {user}");
            !user["mobilePhone"].is_null() || !user["data"]["a"]["b"].is_null()
        },
    )),
};

fn live_entity_type(scene: &Scene<'_>, name: &str) -> Value {
    let types = scene.api.get("/api/entity/type").ok()["entityTypes"].clone();
    types.as_array().into_iter().flatten().find(|found| found["name"] == name).cloned().unwrap_or_default()
}

const ENTITY_TYPE: Row = Row {
    kind: "EntityType",
    needs: &[],
    spec: |name, state| format!("name: {name}, data: {{state: {}}}", state.word()),
    writes: |request| request.contains(" /api/entity/type") && !request.starts_with("GET"),
    change: 1,
    live: |scene, name| State::of(&live_entity_type(scene, name)["data"]["state"]),
    by_hand: |scene, name, state| {
        let id = live_entity_type(scene, name)["id"].clone();
        let body = json!({"entityType": {"data": {"state": state.word()}}});
        scene.api.merge_patch(format!("/api/entity/type/{}", text(&id)), &body).ok();
    },
    make: |scene, name, state| {
        let body = json!({"entityType": {"name": name, "data": {"state": state.word()}}});
        scene.api.post("/api/entity/type", &body).ok();
    },
    unset: Some((
        "name: main, data: {state: two, other: 1}",
        "name: main, data: {state: two}, unset: [data.other]",
        |scene, name| !live_entity_type(scene, name)["data"]["other"].is_null(),
    )),
};

fn live_lambda(scene: &Scene<'_>, name: &str) -> Value {
    let lambdas = scene.api.get("/api/lambda").ok()["lambdas"].clone();
    lambdas.as_array().into_iter().flatten().find(|found| found["name"] == name).cloned().unwrap_or_default()
}

fn body_of(state: State) -> String {
    format!("function populate(jwt) {{ jwt.state = \"{}\"; }}", state.word())
}

const LAMBDA: Row = Row {
    kind: "Lambda",
    needs: &[],
    spec: |name, state| format!("name: {name}, type: JWTPopulate, body: '{}'", body_of(state)),
    writes: |request| request.contains(" /api/lambda") && !request.starts_with("GET"),
    change: 1,
    live: |scene, name| State::of(&live_lambda(scene, name)["body"]),
    by_hand: |scene, name, state| {
        let id = live_lambda(scene, name)["id"].clone();
        let body = json!({"lambda": {"body": body_of(state)}});
        scene.api.merge_patch(format!("/api/lambda/{}", text(&id)), &body).ok();
    },
    make: |scene, name, state| {
        let body = json!({"lambda": {"name": name, "type": "JWTPopulate", "body": body_of(state)}});
        scene.api.post("/api/lambda", &body).ok();
    },
    unset: None,
};

fn live_entity(scene: &Scene<'_>, name: &str) -> Value {
    let body = json!({"search": {"queryString": "*", "numberOfResults": 100}});
    let entities = scene.api.post("/api/entity/search", &body).ok()["entities"].clone();
    entities.as_array().into_iter().flatten().find(|found| found["name"] == name).cloned().unwrap_or_default()
}

const ENTITY: Row = Row {
    kind: "Entity",
    needs: &[COMPANY],
    spec: |name, state| {
        format!("name: {name}, type: {{name: company}}, clientId: {name}, data: {{state: {}}}", state.word())
    },
    writes: |request| {
        request.contains(" /api/entity/")
            && !request.contains("/api/entity/type")
            && !request.starts_with("GET")
            && !request.ends_with("/search")
    },
    change: 1,
    live: |scene, name| State::of(&live_entity(scene, name)["data"]["state"]),
    by_hand: |scene, name, state| {
        let id = live_entity(scene, name)["id"].clone();
        let body = json!({"entity": {"data": {"state": state.word()}}});
        scene.api.merge_patch(format!("/api/entity/{}", text(&id)), &body).ok();
    },
    make: |scene, name, state| {
        let body = json!({"entity": {"name": name, "clientId": name, "data": {"state": state.word()},
            "type": {"id": id(scene, "EntityType", "company")}}});
        scene.api.post("/api/entity", &body).ok();
    },
    unset: Some((
        "name: main, type: {name: company}, clientId: main, data: {state: two, other: 1}",
        "name: main, type: {name: company}, clientId: main, data: {state: two}, unset: [data.other]",
        |scene, name| !live_entity(scene, name)["data"]["other"].is_null(),
    )),
};

fn grant_path(scene: &Scene<'_>) -> String {
    format!("/api/entity/{}/grant", id(scene, "Entity", "raviga"))
}

fn live_grant(scene: &Scene<'_>, name: &str) -> Value {
    let user = live_user(scene, name)["id"].clone();
    let answer = scene.api.get(format!("{}?userId={}", grant_path(scene), text(&user)));
    if answer.status == 404 { Value::Null } else { answer.ok()["grant"].clone() }
}

fn put_grant(scene: &Scene<'_>, name: &str, state: State) {
    let user = live_user(scene, name)["id"].clone();
    let body = json!({"grant": {"userId": user, "permissions": [state.word()]}});
    assert_eq!(scene.api.post(grant_path(scene), &body).status, 200);
}

const GRANT: Row = Row {
    kind: "EntityGrant",
    needs: &[
        COMPANY,
        ("Entity", "raviga", "{name: Raviga, type: {name: company}}"),
        USERS[0],
        USERS[1],
        USERS[2],
        USERS[3],
    ],
    spec: |name, state| {
        format!("entity: {{name: raviga}}, user: {{name: {name}}}, permissions: [{}]", state.word())
    },
    writes: |request| request.ends_with("/grant") && !request.starts_with("GET"),
    change: 1,
    live: |scene, name| State::of(&live_grant(scene, name)["permissions"][0]),
    by_hand: put_grant,
    make: put_grant,
    unset: Some((
        "entity: {name: raviga}, user: {name: main}, permissions: [two], data: {other: 1, kept: 1}",
        "entity: {name: raviga}, user: {name: main}, permissions: [two], data: {kept: 1}, unset: [data.other]",
        |scene, name| !live_grant(scene, name)["data"]["other"].is_null(),
    )),
};

fn provider(scene: &Scene<'_>) -> String {
    let providers = scene.api.get("/api/identity-provider").ok()["identityProviders"].clone();
    let google = providers.as_array().into_iter().flatten().find(|found| found["name"] == "Google");
    if let Some(google) = google {
        return text(&google["id"]).to_owned();
    }
    let body = json!({"identityProvider": {"type": "Google", "name": "Google", "enabled": true,
        "client_id": "x", "client_secret": "y", "buttonText": "Google"}});
    text(&scene.api.post("/api/identity-provider", &body).ok()["identityProvider"]["id"]).to_owned()
}

fn live_link(scene: &Scene<'_>, name: &str) -> Value {
    let user = live_user(scene, name)["id"].clone();
    let path =
        format!("/api/identity-provider/link?identityProviderId={}&userId={}", provider(scene), text(&user));
    let answer = scene.api.get(path);
    if answer.status == 404 { Value::Null } else { answer.ok()["identityProviderLinks"][0].clone() }
}

fn put_link(scene: &Scene<'_>, name: &str, state: State) {
    let user = text(&live_user(scene, name)["id"]).to_owned();
    if state == State::Absent || state == State::Hand {
        let path = format!(
            "/api/identity-provider/link?identityProviderId={}&identityProviderUserId={}&userId={user}",
            provider(scene),
            text(&live_link(scene, name)["identityProviderUserId"])
        );
        scene.api.delete(path);
        return;
    }
    let body = json!({"identityProviderLink": {"identityProviderId": provider(scene), "userId": user,
        "identityProviderUserId": format!("{name}-{}", state.word())}});
    scene.api.post("/api/identity-provider/link", &body).ok();
}

const LINK: Row = Row {
    kind: "IdentityProviderLink",
    needs: &USERS,
    spec: |name, state| {
        format!(
            "identityProvider: {{name: Google}}, user: {{name: {name}}}, identityProviderUserId: {name}-{}",
            state.word()
        )
    },
    writes: |request| request.contains(" /api/identity-provider/link") && !request.starts_with("GET"),
    // A changed key is unlink and link.
    change: 2,
    live: |scene, name| State::of(&live_link(scene, name)["identityProviderUserId"]).or(Some(State::Absent)),
    by_hand: put_link,
    make: put_link,
    unset: None,
};

impl Row {
    fn object(&self, name: &str) -> String {
        resource(self.kind, name)
    }

    fn apply(&self, scene: &Scene<'_>, name: &str, state: State, more: &str) {
        scene.apply(self.kind, name, &format!("{{{}{more}}}", (self.spec)(name, state)));
    }

    fn count(&self, scene: &Scene<'_>) -> usize {
        scene.requests().iter().filter(|request| (self.writes)(request)).count()
    }

    /// What somebody's hand makes of the object.
    fn hand(&self) -> State {
        if self.kind == "IdentityProviderLink" { State::Absent } else { State::Hand }
    }

    fn meddle(&self, scene: &Scene<'_>) {
        (self.by_hand)(scene, "main", self.hand());
        assert_eq!((self.live)(scene, "main"), Some(self.hand()), "the hand has done its work");
    }

    fn until_live(&self, scene: &Scene<'_>, state: State) {
        scene.until(&format!("the live {} is {state:?}", self.kind), || {
            (self.live)(scene, "main") == Some(state)
        });
    }
}

const EVERY_TWO_SECONDS: &str = "interval: 2s, linkInterval: 2s, guards: {allowHardDelete: true}";
const HARDLY_EVER: &str = "interval: 1h, linkInterval: 1h, guards: {allowHardDelete: true}";

fn life(cluster: &Cluster, row: &Row) {
    let scene = Scene::new(cluster, &format!("life-{}", row.kind.to_lowercase()));
    provider(&scene);
    scene.instance(EVERY_TWO_SECONDS);
    let operator = scene.operator(&[]);
    scene.wait_ready("fusionauthinstance/default");
    let (success, said) = scene.try_apply(
        &row.needs.iter().map(|(kind, name, spec)| manifest(kind, name, spec)).collect::<String>(),
    );
    assert!(row.needs.is_empty() || success, "{said}");
    row.needs.iter().for_each(|(kind, name, _)| scene.wait_ready(&resource(kind, name)));
    created_and_changed(&scene, row);
    unset(&scene, row);
    drifted(&scene, row);
    suspended(&scene, row);
    scene.instance(HARDLY_EVER);
    scene.wait_ready("fusionauthinstance/default");
    asked_for(&scene, row);
    approved(&scene, row);
    adopted(&scene, row);
    deleted(&scene, row);
    quiet(&operator);
}

fn created_and_changed(scene: &Scene<'_>, row: &Row) {
    let object = row.object("main");
    scene.forget_requests();
    row.apply(scene, "main", State::One, "");
    scene.wait_ready(&object);
    assert_eq!((row.live)(scene, "main"), Some(State::One));
    assert_eq!(row.count(scene), 1, "one request creates it: {:?}", scene.requests());
    scene.until("the creation is told", || scene.events().contains("Created main"));
    scene.forget_requests();
    row.apply(scene, "main", State::Two, "");
    scene.wait_ready(&object);
    assert_eq!((row.live)(scene, "main"), Some(State::Two));
    assert_eq!(row.count(scene), row.change, "one change: {:?}", scene.requests());
    if row.change == 1 && row.kind != "EntityGrant" {
        assert!(
            scene.requests().iter().any(|request| request.starts_with("PATCH ")),
            "{:?}",
            scene.requests()
        );
    }
    scene.until("the change is told", || scene.events().contains("Updated main"));
}

fn unset(scene: &Scene<'_>, row: &Row) {
    let Some((with, without, has)) = row.unset else { return };
    scene.apply(row.kind, "main", &format!("{{{with}}}"));
    scene.wait_ready(&row.object("main"));
    assert!(has(scene, "main"), "it is set");
    scene.apply(row.kind, "main", &format!("{{{without}}}"));
    scene.wait_ready(&row.object("main"));
    assert!(!has(scene, "main"), "it is unset");
    row.apply(scene, "main", State::Two, "");
    scene.wait_ready(&row.object("main"));
}

fn drifted(scene: &Scene<'_>, row: &Row) {
    let object = row.object("main");
    (row.by_hand)(scene, "main", row.hand());
    row.until_live(scene, State::Two);
    scene.until("the correction is told", || scene.events().contains("DriftCorrected main"));
    row.apply(scene, "main", State::Two, ", policy: {drift: Report}");
    scene.wait_ready(&object);
    row.meddle(scene);
    scene.wait_reason(&object, "DriftDetected");
    let status = scene.get(&object)["status"].clone();
    assert!(status["drift"]["paths"].as_array().is_some_and(|paths| !paths.is_empty()), "{status}");
    assert_eq!((row.live)(scene, "main"), Some(row.hand()), "reported, not corrected");
    row.apply(scene, "main", State::Two, "");
    row.until_live(scene, State::Two);
    scene.until("no drift is left", || scene.get(&object)["status"]["drift"].is_null());
}

fn suspended(scene: &Scene<'_>, row: &Row) {
    row.apply(scene, "main", State::Two, ", suspend: true");
    std::thread::sleep(Duration::from_millis(500));
    row.meddle(scene);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!((row.live)(scene, "main"), Some(row.hand()), "suspended, it is left alone");
    row.apply(scene, "main", State::Two, "");
    row.until_live(scene, State::Two);
    scene.wait_ready(&row.object("main"));
}

fn asked_for(scene: &Scene<'_>, row: &Row) {
    let object = row.object("main");
    row.meddle(scene);
    scene.annotate(&object, "fusionkeep.dev/reconcile=today");
    row.until_live(scene, State::Two);
    scene.until("the annotation is acknowledged", || {
        scene.get(&object)["status"]["lastHandledReconcileAt"] == "today"
    });
    assert_eq!(scene.ready(&object)["status"], "True");
}

fn approved(scene: &Scene<'_>, row: &Row) {
    let object = row.object("main");
    let hash = || text(&scene.get(&object)["status"]["plan"]["hash"]).to_owned();
    let approve = |name: &str, hash: &str| {
        let spec = format!("{{objectRef: {{kind: {}, name: main}}, planHash: '{hash}'}}", row.kind);
        scene.apply("PlanApproval", name, &spec);
    };
    scene.forget_requests();
    row.apply(scene, "main", State::One, ", policy: {approval: Manual}");
    scene.wait_reason(&object, "AwaitsApproval");
    let first = hash();
    assert!(!text(&scene.get(&object)["status"]["plan"]["diff"]).is_empty());
    assert_eq!(row.count(scene), 0, "{:?}", scene.requests());
    // What is live moves: so does the hash, and the old one approves nothing.
    row.meddle(scene);
    scene.annotate(&object, "fusionkeep.dev/reconcile=moved");
    scene.until("the hash moves", || !hash().is_empty() && hash() != first);
    approve("old", &first);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((row.live)(scene, "main"), Some(row.hand()));
    approve("new", &hash());
    row.until_live(scene, State::One);
    scene.wait_ready(&object);
    assert!(scene.get(&object)["status"]["plan"].is_null());
}

fn adopted(scene: &Scene<'_>, row: &Row) {
    // A link has nothing but its key, so it is equal or another one.
    let other = if row.kind == "IdentityProviderLink" { State::One } else { State::Hand };
    (row.make)(scene, "never", State::One);
    (row.make)(scene, "match", State::One);
    (row.make)(scene, "override", other);
    scene.forget_requests();
    row.apply(scene, "never", State::One, "");
    let refused = scene.wait_reason(&row.object("never"), "Conflict");
    assert!(refused.contains("policy.adoption"), "{refused}");
    scene.forget_requests();
    row.apply(scene, "match", State::One, ", policy: {adoption: Match}");
    scene.wait_ready(&row.object("match"));
    assert_eq!(row.count(scene), 0, "equal, it is adopted without a write: {:?}", scene.requests());
    scene.until("the adoption is told", || scene.events().contains("Adopted match"));
    row.apply(scene, "override", State::One, ", policy: {adoption: Override}");
    scene.wait_ready(&row.object("override"));
    assert_eq!((row.live)(scene, "override"), Some(State::One));
    scene.until("the adoption is told", || scene.events().contains("Adopted override"));
}

fn deleted(scene: &Scene<'_>, row: &Row) {
    row.apply(scene, "match", State::One, ", policy: {adoption: Match, deletion: Orphan}");
    row.apply(scene, "override", State::One, ", policy: {adoption: Override, deletion: Delete}");
    scene.wait_ready(&row.object("match"));
    scene.wait_ready(&row.object("override"));
    for name in NAMES {
        scene.kubectl(&["delete", &row.object(name), "--wait=false"]);
    }
    for name in NAMES {
        scene.wait_gone(&row.object(name));
    }
    let gone = |name: &str| matches!((row.live)(scene, name), None | Some(State::Absent));
    assert!(!gone("never"), "what was never ours stays");
    assert!(!gone("match"), "Orphan lets go");
    assert!(gone("override"), "Delete deletes");
    if row.kind == "User" {
        assert_eq!(live_user(scene, "main")["active"], false, "people are deactivated");
        // Declared again, it is the same person who comes back.
        row.apply(scene, "main", State::One, "");
        scene.wait_ready(&row.object("main"));
        assert_eq!(live_user(scene, "main")["active"], true);
    } else {
        assert!(gone("main"), "the default is to delete");
    }
}

/// Nothing went wrong on the way that nobody was told of.
fn quiet(operator: &Operator) {
    let log = operator.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).collect();
    assert!(errors.is_empty(), "{errors:?}");
}
