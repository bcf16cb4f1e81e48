//! A saved plan is held against each object right before its write: what moves while the run is at work is left as
//! somebody made it, the rest is done, and the exit status says that the plan was stale.

use serde_json::{Value, json};

use super::scene::{Scene, manifests};
use crate::command::place::report;
use crate::command::{shown, stdout};

const PEOPLE: [&str; 4] = ["away", "fine", "gone", "moved"];

fn declared(level: &str, more: &[(&str, &str, Value)]) -> String {
    let body = format!("function populate() {{ return '{level}'; }}");
    let lambda = ("Lambda", "first", json!({"type": "JWTPopulate", "body": body}));
    let people = PEOPLE.map(|name| ("User", name, json!({"username": name, "firstName": level})));
    manifests(&[&[lambda], &people[..], more].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moves_during_the_run_is_left_alone_and_the_rest_is_done() {
    let scene = Scene::new().await;
    let file = scene.write("manifests.yaml", &declared("one", &[]));
    let applied = scene.run(&["apply", "-f", &file, "--auto-approve"]);
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
    let new = [("User", "new", json!({"username": "new"}))];
    let file = scene.write("manifests.yaml", &declared("two", &new));
    let plan = scene.path("plan.json").display().to_string();
    let planned = scene.run(&["plan", "-f", &file, "--out", &plan]);
    assert_eq!(planned.status.code(), Some(0), "{}", shown(&planned));
    let saved = std::fs::read_to_string(&plan).unwrap();
    let users = scene.world.get("/api/user/search?queryString=*").await;
    let users = users["users"].as_array().unwrap().clone();
    let id = |name: &str| {
        users.iter().find(|user| user["username"] == name).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let to_come = new_id(&saved, &users);

    // The lambda comes first, and takes its time; everything was looked at before it.
    let slow = json!([{"fault": "latency", "milliseconds": 3000, "method": "PATCH", "route": "/api/lambda/{lambdaId}"}]);
    scene.world.faults(slow).await;
    let apply = ["apply", &plan, "--auto-approve", "--parallelism=1", "-o", "json"];
    let mut running = scene.command(&apply).spawn().unwrap();
    assert!(scene.struck(&mut running).await, "{}", shown(&running.wait_with_output().unwrap()));
    let patch = |name: &str, fields: Value| (format!("/api/user/{}", id(name)), json!({ "user": fields }));
    let (path, body) = patch("moved", json!({"firstName": "theirs"}));
    scene.world.request("PATCH", &path, body).await;
    // What the plan does not touch is no matter; whether the account is open is.
    let (path, body) = patch("fine", json!({"lastName": "Theirs"}));
    scene.world.request("PATCH", &path, body).await;
    scene.world.request("DELETE", &format!("/api/user/{}", id("away")), Value::Null).await;
    scene.world.request("DELETE", &format!("/api/user/{}?hardDelete=true", id("gone")), Value::Null).await;
    let squatter = json!({"user": {"username": "squatter"}});
    scene.world.request("POST", &format!("/api/user/{to_come}"), squatter).await;
    let output = running.wait_with_output().unwrap();

    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    let report = report(&output);
    assert_eq!(report["changes"].as_array().unwrap().len(), 6, "{report:#}");
    assert_eq!((&report["summary"]["update"], &report["summary"]["create"]), (&json!(2), &json!(0)));
    let errors = report["errors"].as_array().unwrap();
    for (name, why) in
        [("moved", "firstName"), ("away", "active"), ("gone", "it is gone"), ("new", "it exists by now")]
    {
        let error = errors.iter().find(|error| error["address"] == format!("User/{name}"));
        let error = error.unwrap_or_else(|| panic!("{name}: {report:#}"));
        assert_eq!(error["code"], "stale", "{error:#}");
        assert!(error["message"].as_str().unwrap().contains(why), "{error:#}");
    }
    assert_eq!(errors.len(), 4, "nobody else is stale: {report:#}");

    let live = |id: String| {
        let scene = &scene;
        async move { scene.world.get(&format!("/api/user/{id}")).await["user"].clone() }
    };
    assert_eq!(live(id("moved")).await["firstName"], "theirs");
    assert_eq!(live(id("away")).await["active"], false);
    assert_eq!(live(to_come).await["username"], "squatter");
    let fine = live(id("fine")).await;
    assert_eq!((&fine["firstName"], &fine["lastName"]), (&json!("two"), &json!("Theirs")));
    // What was done is ours, what was not is as it was: nobody was lost from the record, and nobody came into it.
    let listed = stdout(&scene.run(&["list"]));
    assert!(PEOPLE.iter().all(|name| listed.contains(&format!("User/{name}"))), "{listed}");
    assert_eq!(stdout(&scene.run(&["unlock"])), "there is no lock\n");
    let undone = scene.run(&["undo", "--auto-approve", "-o", "json"]);
    assert_eq!(undone.status.code(), Some(0), "{}", shown(&undone));
    assert_eq!(live(id("fine")).await["firstName"], "one", "the journal tells what was done");
    assert_eq!(live(id("moved")).await["firstName"], "theirs");
}

/// The id of the user whom the plan creates: the one that nobody has.
fn new_id(saved: &str, users: &[Value]) -> String {
    let is_id = |text: &&str| text.len() == 36 && text.parse::<uuid::Uuid>().is_ok();
    let after = |at: usize| saved[at..].split(['"', '\\', '/']).find(is_id).unwrap().to_owned();
    let mut ids = saved.match_indices("/api/user/").map(|(at, found)| after(at + found.len()));
    let taken = |id: &String| users.iter().any(|user| user["id"] == **id);
    ids.find(|id| !taken(id)).unwrap()
}
