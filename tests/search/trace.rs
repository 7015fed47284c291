//! Where credentials came from, and what they made: real incidents, traced by hand first, and made records
//! of what no sample has. Asked of a daemon, and of the program.

mod made;

use serde_json::Value;
use wire::{
    TraceCertainty, TraceEdge, TraceKind, TraceNode, TracePlace, TraceRequest, TraceResponse,
    TraceRule,
};

use crate::common::{Daemon, PATIENCE, Place, Ran, run, sample, shared_daemon};

pub(crate) fn request(of: &str) -> TraceRequest {
    TraceRequest { of: of.into(), ..TraceRequest::default() }
}

pub(crate) fn up(daemon: &Daemon, of: &str) -> TraceResponse {
    daemon.client.trace(&request(of)).unwrap_or_else(|error| panic!("{of}: {error}"))
}

pub(crate) fn down(daemon: &Daemon, of: &str) -> TraceResponse {
    let request = TraceRequest { down: true, ..request(of) };
    daemon.client.trace(&request).unwrap_or_else(|error| panic!("{of}: {error}"))
}

#[track_caller]
pub(crate) fn node<'a>(trace: &'a TraceResponse, id: &str) -> &'a TraceNode {
    let found = trace.nodes.iter().find(|node| node.id == id);
    found.unwrap_or_else(|| panic!("no {id} in {trace:#?}"))
}

/// Each origin of a node: its id, the event, the rule, the certainty.
pub(crate) fn origins<'a>(
    trace: &'a TraceResponse,
    id: &str,
) -> Vec<(&'a str, &'a str, TraceRule, TraceCertainty)> {
    let event = |edge: &'a TraceEdge| edge.event.as_ref().map_or("", |event| event.id.as_str());
    let mut origins: Vec<_> = trace
        .edges
        .iter()
        .filter(|edge| edge.to == id)
        .map(|edge| (edge.from.as_str(), event(edge), edge.rule, edge.certainty))
        .collect();
    origins.sort_by_key(|(from, event, ..)| (*from, *event));
    origins
}

fn first(node: &TraceNode) -> &str {
    node.first.as_ref().map_or("", |event| event.id.as_str())
}

fn addresses(node: &TraceNode) -> Vec<(&str, u64)> {
    node.addresses.iter().map(|a| (a.value.as_str().unwrap(), a.events)).collect()
}

const USER: &str = "principal:123837392027/bert-jan";
const LONG_KEY: &str = "key:AKIATFQR7NSC8Q4X20BJ";

#[test]
fn a_key_of_assume_role_leads_to_the_user_who_assumed_it() {
    let trace = up(&shared_daemon(), "ASIATFQR7NSCWLLE7IWW");
    let id = "key:ASIATFQR7NSCWLLE7IWW";
    assert_eq!(trace.subjects, [id]);
    let issued = (
        LONG_KEY,
        "bbe86c7c-5981-4ac8-ad20-9248612b16c1",
        TraceRule::IssuedKey,
        TraceCertainty::Certain,
    );
    assert_eq!(origins(&trace, id), [issued]);
    assert_eq!(origins(&trace, LONG_KEY), [(USER, "", TraceRule::Owner, TraceCertainty::Certain)]);
    assert!(origins(&trace, USER).is_empty());
    let key = node(&trace, id);
    assert_eq!((key.uses, first(key)), (Some(29), "ae9a706f-d8a4-4e50-9043-22b2a03f481c"));
    // Issued in the same second, and never used.
    let twin = node(&trace, "key:ASIATFQR7NSC7E2ZIBM2");
    assert_eq!((twin.uses, twin.place), (Some(0), TracePlace::Sibling));
    let event = "4bd2a6f6-dddc-49e6-ba7d-08f73e809e64";
    assert_eq!(
        origins(&trace, &twin.id),
        [(LONG_KEY, event, TraceRule::IssuedKey, TraceCertainty::Certain)]
    );
    assert!(key.alerts.is_empty() && trace.gaps.is_empty() && trace.left_out.is_empty());
}

#[test]
fn credentials_of_an_instance_that_are_used_outside_stand_out() {
    let trace = up(&shared_daemon(), "ASIATFQR7NSC36DZQP7P");
    let (id, instance) = ("key:ASIATFQR7NSC36DZQP7P", "instance:i-0dbc91f429e48eeed");
    let event = "55e25aa9-7165-446e-aef6-815c7a79a961";
    assert_eq!(
        origins(&trace, id),
        [(instance, event, TraceRule::IssuedKey, TraceCertainty::Certain)]
    );
    let event = "86eac0ac-8521-4126-aa32-a22f2b74d02e";
    assert_eq!(
        origins(&trace, instance),
        [(LONG_KEY, event, TraceRule::Made, TraceCertainty::Certain)]
    );
    let key = node(&trace, id);
    assert_eq!((key.uses, addresses(key)), (Some(2), vec![("192.168.10.20", 2)]));
    // The two were in one second; either is the first.
    let uses = ["bf68f8c0-590b-4740-ac89-aad0ed5dfe4f", "d3d5fd99-faa9-4959-a464-56fba613cc2e"];
    assert!(uses.contains(&first(key)), "{key:#?}");
    assert_eq!(key.first.as_ref().unwrap().time, "2023-07-10T11:57:22Z");
    assert_eq!(
        key.alerts,
        [
            "credentials of i-0dbc91f429e48eeed used outside of it: 2 uses from 192.168.10.20, from where \
          bert-jan (AKIATFQR7NSC8Q4X20BJ) acted, too; most of the session's are from 3.225.16.109"
        ]
    );
    let sibling = node(&trace, "key:ASIATFQR7NSCSHSEVYP5");
    assert_eq!((sibling.place, sibling.uses), (TracePlace::Sibling, Some(13)));
    assert_eq!(addresses(sibling), [("3.225.16.109", 13)]);
    assert!(sibling.alerts.is_empty());
    let event = "7a5ee168-7848-4cfa-8d3c-69f78ecb1806";
    assert_eq!(
        origins(&trace, &sibling.id),
        [(instance, event, TraceRule::IssuedKey, TraceCertainty::Certain)]
    );
    // The same from the instance downwards.
    let trace = down(&shared_daemon(), "i-0dbc91f429e48eeed");
    assert_eq!(node(&trace, id).alerts.len(), 1);
    assert_eq!(node(&trace, id).place, TracePlace::Descendant);
}

#[test]
fn a_key_of_the_console_leads_to_the_sign_in() {
    let trace = up(&shared_daemon(), "ASIATFQR7NSCS5BLNV76");
    let session = "session:AIDATFQR7NSC5AU2ZV3IE@2023-07-10T12:27:45Z";
    assert_eq!(
        origins(&trace, "key:ASIATFQR7NSCS5BLNV76"),
        [(session, "", TraceRule::Console, TraceCertainty::Likely)]
    );
    let event = "8feee4c2-5e27-4857-8475-bfa7e7b6d791";
    assert_eq!(
        origins(&trace, session),
        [(USER, event, TraceRule::Console, TraceCertainty::Likely)]
    );
    let session = node(&trace, session);
    assert_eq!((session.keys, session.uses), (Some(21), Some(217)));
    // From the sign-in itself.
    let trace = up(&shared_daemon(), event);
    assert_eq!(trace.subjects, [session.id.as_str()]);
}

/// The notes of the incident count three CreateUser; the records of this key have four that succeeded, of
/// four users, none of them twice.
#[test]
fn what_a_key_made_is_found_to_the_last() {
    let trace = down(&shared_daemon(), "AKIATFQR7NSC8Q4X20BJ");
    let key = node(&trace, LONG_KEY);
    assert_eq!(key.uses, Some(2_104));
    let of = |action: &str| {
        let of_key = trace.edges.iter().filter(|edge| edge.from == LONG_KEY);
        let is_of =
            |edge: &&TraceEdge| edge.event.as_ref().is_some_and(|event| event.action == action);
        of_key.filter(is_of).map(|edge| node(&trace, &edge.to)).collect::<Vec<_>>()
    };
    let used = |nodes: &[&TraceNode]| nodes.iter().filter(|node| node.uses > Some(0)).count();
    let assumed = of("AssumeRole");
    assert_eq!((assumed.len(), used(&assumed)), (10, 5));
    let instances = of("RunInstances");
    assert_eq!(instances.len(), 2);
    assert!(instances.iter().all(|node| node.kind == TraceKind::Instance));
    let keys = of("CreateAccessKey");
    assert_eq!((keys.len(), used(&keys)), (2, 0));
    assert_eq!(of("CreateUser").len(), 4);
    assert_eq!(of("CreateLoginProfile").len(), 2);
    // One of the users signed in; the stolen credentials are found from here, too.
    let session = "session:AIDATFQR7NSCYG26CT6RI@2023-07-10T12:23:15Z";
    let user = "principal:123837392027/stratus-red-team-nmfalu-gfjyeaypjt";
    let event = "70e5932e-9022-4b38-837e-ca10dad94eb7";
    assert_eq!(
        origins(&trace, session),
        [(user, event, TraceRule::Console, TraceCertainty::Likely)]
    );
    assert_eq!(node(&trace, "key:ASIATFQR7NSC36DZQP7P").alerts.len(), 1);
    assert!(trace.left_out.is_empty(), "{:?}", trace.left_out);
}

#[test]
fn keys_that_a_service_made_are_attached_to_their_principal() {
    let daemon = shared_daemon();
    let query = "userIdentity.invokedBy:secretsmanager.amazonaws.com \
                 userIdentity.sessionContext.attributes.creationDate:2023-07-10T11:57:49Z";
    let found = daemon.find(query);
    assert!(!found.hits.is_empty());
    let record: Value = serde_json::from_str(found.hits[0].event.get()).unwrap();
    let key = record["userIdentity"]["accessKeyId"].as_str().unwrap();
    let trace = up(&daemon, key);
    let id = format!("key:{key}");
    assert_eq!(origins(&trace, &id), [(USER, "", TraceRule::Forwarded, TraceCertainty::Likely)]);
    assert_eq!(node(&trace, &id).notes, ["secretsmanager.amazonaws.com acts for the principal"]);
    assert!(trace.gaps.is_empty());
}

#[test]
fn a_sign_in_that_is_missing_is_a_gap_with_the_files_of_its_hour() {
    let trace = up(&shared_daemon(), "ASIATFQR7NSCSUD2OWV6");
    let [gap] = &trace.gaps[..] else { panic!("{:#?}", trace.gaps) };
    assert_eq!(gap.node, "session:AIDATFQR7NSC5AU2ZV3IE@2023-07-10T12:13:16Z");
    assert_eq!(gap.time.as_deref(), Some("2023-07-10T12:13:16Z"));
    assert_eq!((gap.files.len(), gap.files_total), (10, Some(50)));
    assert!(gap.files.iter().all(|file| file.ends_with(".json.gz")));
    // It leads to its user all the same.
    assert_eq!(origins(&trace, &gap.node), [(USER, "", TraceRule::Owner, TraceCertainty::Certain)]);
}

#[test]
fn a_federated_users_key_leads_to_get_federation_token() {
    let daemon = Place::watching(&[sample("stratus")]).start();
    daemon.wait_indexed(PATIENCE, 310);
    for of in ["ASIASTJKC5GCM7ZE6LUP", "91529247-c4c4-4793-afc8-d70bbcfe9d19", "6e882b9d"] {
        let trace = up(&daemon, of);
        let id = "key:ASIASTJKC5GCM7ZE6LUP";
        assert_eq!(trace.subjects, [id], "{of}");
        let [(from, event, rule, certainty)] = origins(&trace, id)[..] else {
            panic!("{trace:#?}")
        };
        assert!(from.starts_with("key:AKIA"), "{from}");
        assert_eq!(event, "6e882b9d-2af8-4c67-b91f-aeac6a0e5e70");
        assert_eq!((rule, certainty), (TraceRule::IssuedKey, TraceCertainty::Certain));
        assert_eq!(first(node(&trace, id)), "91529247-c4c4-4793-afc8-d70bbcfe9d19");
    }
}

#[test]
fn a_role_a_user_and_an_address_are_traced() {
    let daemon = shared_daemon();
    let arn = "arn:aws:iam::123837392027:role/stratus-red-team-ec2-steal-credentials-role";
    for of in [arn, "stratus-red-team-ec2-steal-credentials-role"] {
        let trace = up(&daemon, of);
        let id = format!("role:{arn}");
        assert_eq!(trace.subjects, [id.as_str()]);
        let rules: Vec<TraceRule> = origins(&trace, &id).iter().map(|origin| origin.2).collect();
        assert_eq!(rules, [TraceRule::Assumed, TraceRule::Made]);
        let assumed = trace.edges.iter().find(|edge| edge.rule == TraceRule::Assumed).unwrap();
        assert_eq!(assumed.events, Some(2));
    }
    for of in ["bert-jan", "arn:aws:iam::123837392027:user/bert-jan"] {
        assert_eq!(up(&daemon, of).subjects, [USER]);
    }
    let trace = down(&daemon, "bert-jan");
    assert_eq!(node(&trace, LONG_KEY).place, TracePlace::Descendant);
    let trace = up(&daemon, "192.168.10.20");
    assert_eq!(trace.subjects, ["address:192.168.10.20"]);
    let used =
        trace.edges.iter().find(|edge| edge.from == LONG_KEY && edge.to == trace.subjects[0]);
    assert_eq!(used.unwrap().events, Some(2_104));
    let trace = down(&daemon, "192.168.10.20");
    assert!(trace.nodes.iter().any(|node| node.name == "AKIATFQR7NSC3ZO6PKAZ"));
}

#[test]
fn what_a_bound_leaves_out_is_told() {
    let daemon = shared_daemon();
    let request = |children, depth| TraceRequest {
        down: true,
        children,
        depth,
        ..request("AKIATFQR7NSC8Q4X20BJ")
    };
    let trace = daemon.client.trace(&request(Some(3), None)).unwrap();
    let told = "19 more events by which key:AKIATFQR7NSC8Q4X20BJ made credentials";
    assert_eq!(trace.left_out, [told]);
    let trace = daemon.client.trace(&request(None, Some(1))).unwrap();
    assert!(trace.left_out.iter().any(|told| told.ends_with("depth is 1")), "{trace:#?}");
    assert!(trace.nodes.iter().all(|node| node.name != "ASIATFQR7NSC36DZQP7P"));
    let refused = daemon.client.trace(&request(Some(501), None)).unwrap_err();
    assert_eq!(refused.to_string(), "children 501 is more than 500, the most there is");
}

/// Runs `traildex trace` on this daemon.
fn ask(daemon: &Daemon, args: &[&str]) -> Ran {
    let socket = daemon.socket.to_str().unwrap();
    run(&[&["trace", "--socket", socket][..], args].concat())
}

#[test]
fn the_program_prints_a_tree_json_and_dot() {
    let daemon = shared_daemon();
    let ran = ask(&daemon, &["ASIATFQR7NSC36DZQP7P"]);
    let note = "note: --down shows what was made with these credentials, too\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (0, note));
    let lines: Vec<&str> =
        ran.stdout.lines().map(|line| line.trim_start_matches(['│', ' '])).collect();
    for (at, line) in [
        (0, "principal 123837392027/bert-jan"),
        (
            1,
            "└─ key AKIATFQR7NSC8Q4X20BJ, bert-jan, 2,104 uses from 192.168.10.20, first \
             2023-07-10T11:54:33Z DescribeAccountAttributes f8e608fd-8465-48e2-b65d-0ad849244ead \
             [owner, certain]",
        ),
        (
            3,
            "└─ 2023-07-10T11:55:21Z RunInstances 86eac0ac-8521-4126-aa32-a22f2b74d02e by bert-jan from \
             192.168.10.20 [made, certain]",
        ),
        (4, "► instance i-0dbc91f429e48eeed"),
    ] {
        assert_eq!(lines[at], line, "{}", ran.stdout);
    }
    assert!(ran.stdout.contains("! credentials of i-0dbc91f429e48eeed used outside of it"));
    assert!(ran.stdout.contains("(sibling)"));

    let ran = ask(&daemon, &["ASIATFQR7NSC36DZQP7P", "--format", "json"]);
    let printed: TraceResponse = serde_json::from_str(&ran.stdout).unwrap();
    let answered = up(&daemon, "ASIATFQR7NSC36DZQP7P");
    assert_eq!((printed.nodes, printed.edges), (answered.nodes, answered.edges));

    let ran = ask(&daemon, &["ASIATFQR7NSC36DZQP7P", "--format", "dot"]);
    assert!(ran.stdout.starts_with("digraph trace {\n") && ran.stdout.ends_with("}\n"));
    assert!(
        ran.stdout.contains("\"instance:i-0dbc91f429e48eeed\" -> \"key:ASIATFQR7NSC36DZQP7P\"")
    );

    let ran = ask(&daemon, &["nobody-at-all"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("error: no event has 'nobody-at-all' as a key, "));
    let ran = ask(&daemon, &["0000"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let ran = ask(&daemon, &["bert-jan", "--depth", "33"]);
    assert_eq!(ran.code, 2);
}

#[test]
fn an_index_on_disk_is_traced_without_a_daemon() {
    let place = Place::new();
    let data_dir = place.data_dir();
    let (dir, archive) = (data_dir.to_str().unwrap(), sample("invictus"));
    assert_eq!(run(&["import", archive.to_str().unwrap(), "--data-dir", dir]).code, 0);
    let args = ["trace", "--data-dir", dir, "ASIATFQR7NSCWLLE7IWW", "--format", "json"];
    let offline: TraceResponse = serde_json::from_str(&run(&args).stdout).unwrap();
    let answered = up(&shared_daemon(), "ASIATFQR7NSCWLLE7IWW");
    assert_eq!(offline.edges.len(), answered.edges.len());
    assert_eq!(offline.nodes.len(), answered.nodes.len());
}
