//! One object through its life: created, changed, drifted, deleted by each policy.

use serde_json::json;

use crate::Test;
use crate::cluster::Cluster;
use crate::scene::Scene;

pub const TESTS: &[Test] = &[("users::a_user_lives_and_goes", a_user_lives_and_goes)];

const USER: &str = "user.fusionkeep.dev/richard";

fn a_user_lives_and_goes(cluster: &Cluster) {
    let (scene, _operator) = Scene::at_work(cluster, "users");
    scene.apply("User", "richard", "{email: richard@piedpiper.com, firstName: Richard}");
    scene.wait_ready(USER);
    assert_eq!(scene.user("richard")["firstName"], "Richard");

    scene.forget_requests();
    scene.apply("User", "richard", "{email: richard@piedpiper.com, firstName: Dick}");
    scene.wait_ready(USER);
    assert_eq!(scene.user("richard")["firstName"], "Dick");

    let id = scene.id(USER);
    scene.api.merge_patch(format!("/api/user/{id}"), &json!({"user": {"firstName": "Hand"}}));
    scene.until("the drift is corrected", || scene.user("richard")["firstName"] == "Dick");
    scene.until("it is told", || scene.events().contains("DriftCorrected richard"));

    scene.kubectl(&["delete", USER, "--wait=false"]);
    scene.wait_gone(USER);
    assert_eq!(scene.api.get(format!("/api/user/{id}")).ok()["user"]["active"], false);
}
