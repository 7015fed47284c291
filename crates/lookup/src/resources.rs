//! The resources that a LookupEvents response names for an event. AWS does not publish its rules;
//! these follow what it returns, and `docs/aws.md` lists them.
//!
//! A record names resources in its `resources`, with ARN and type. Others are derived from request
//! and response: for each service, a table says at which path the name of a resource stands, and of
//! which type it is.

use serde_json::Value;

use language::ast::{Expr, FieldRef, Test, Value as Wanted};

/// Where a record's own list has names and types.
const LISTED_NAME: &str = "resources.ARN";
const LISTED_TYPE: &str = "resources.type";

/// The values at a path of a service's records name resources of a type.
struct Rule {
    /// Without `.amazonaws.com`.
    service: &'static str,
    /// Below `requestParameters` or `responseElements`; lists on the way are gone through.
    path: &'static str,
    kind: &'static str,
}

macro_rules! rules {
    ($($service:literal { $($kind:literal: $($path:literal)*;)* })*) => {
        /// In the order in which an event's resources are told.
        const RULES: &[Rule] = &[$($($(
            Rule { service: $service, path: $path, kind: concat!("AWS::", $kind) },
        )*)*)*];
    };
}

rules! {
    "autoscaling" {
        "AutoScaling::AutoScalingGroup": "requestParameters.autoScalingGroupName";
        "AutoScaling::LaunchConfiguration": "requestParameters.launchConfigurationName";
    }
    "cloudformation" {
        "CloudFormation::Stack": "requestParameters.stackName" "responseElements.stackId";
    }
    "cloudtrail" {
        "CloudTrail::Trail": "requestParameters.name" "requestParameters.trailName";
        "S3::Bucket": "requestParameters.s3BucketName";
    }
    "dynamodb" {
        "DynamoDB::Table": "requestParameters.tableName";
    }
    "ec2" {
        "EC2::Ami":
            "requestParameters.imageId" "requestParameters.instancesSet.items.imageId"
            "responseElements.imageId";
        "EC2::EIP": "requestParameters.allocationId" "responseElements.allocationId";
        "EC2::Instance":
            "requestParameters.instanceId" "requestParameters.instancesSet.items.instanceId"
            "responseElements.instancesSet.items.instanceId";
        "EC2::InternetGateway":
            "requestParameters.internetGatewayId" "responseElements.internetGateway.internetGatewayId";
        "EC2::KeyPair": "requestParameters.keyName";
        "EC2::LaunchTemplate":
            "requestParameters.launchTemplateId"
            "requestParameters.DescribeLaunchTemplateVersionsRequest.LaunchTemplateId"
            "requestParameters.DeleteLaunchTemplateRequest.LaunchTemplateId"
            "responseElements.CreateLaunchTemplateResponse.launchTemplate.launchTemplateId";
        "EC2::NetworkAcl": "requestParameters.networkAclId";
        "EC2::NetworkInterface":
            "requestParameters.networkInterfaceId"
            "responseElements.networkInterface.networkInterfaceId";
        "EC2::RouteTable":
            "requestParameters.routeTableId" "responseElements.routeTable.routeTableId";
        "EC2::SecurityGroup":
            "requestParameters.groupId" "requestParameters.groupName"
            "requestParameters.groupSet.items.groupId" "responseElements.groupId";
        "EC2::Snapshot": "requestParameters.snapshotId" "responseElements.snapshotId";
        "EC2::Subnet": "requestParameters.subnetId" "responseElements.subnet.subnetId";
        "EC2::VPC": "requestParameters.vpcId" "responseElements.vpc.vpcId";
        "EC2::Volume": "requestParameters.volumeId" "responseElements.volumeId";
    }
    "ecr" {
        "ECR::Repository": "requestParameters.repositoryName";
    }
    "ecs" {
        "ECS::Cluster": "requestParameters.cluster";
        "ECS::TaskDefinition": "requestParameters.taskDefinition";
    }
    "eks" {
        "EKS::Cluster": "requestParameters.clusterName";
    }
    "elasticloadbalancing" {
        "ElasticLoadBalancing::LoadBalancer": "requestParameters.loadBalancerName";
        "ElasticLoadBalancingV2::LoadBalancer": "requestParameters.loadBalancerArn";
        "ElasticLoadBalancingV2::TargetGroup": "requestParameters.targetGroupArn";
    }
    "iam" {
        "IAM::AccessKey": "requestParameters.accessKeyId" "responseElements.accessKey.accessKeyId";
        "IAM::Group": "requestParameters.groupName";
        "IAM::InstanceProfile": "requestParameters.instanceProfileName";
        "IAM::MFADevice": "requestParameters.serialNumber";
        "IAM::Policy":
            "requestParameters.policyArn" "requestParameters.policyName"
            "responseElements.policy.arn";
        "IAM::Role":
            "requestParameters.roleName" "responseElements.role.arn" "responseElements.role.roleId";
        "IAM::User":
            "requestParameters.userName" "responseElements.user.arn" "responseElements.user.userId";
    }
    "kms" {
        "KMS::Key": "requestParameters.keyId" "requestParameters.targetKeyId";
    }
    "lambda" {
        "Lambda::Function": "requestParameters.functionName" "responseElements.functionArn";
    }
    "logs" {
        "Logs::LogGroup": "requestParameters.logGroupName";
    }
    "rds" {
        "RDS::DBCluster": "requestParameters.dBClusterIdentifier";
        "RDS::DBInstance": "requestParameters.dBInstanceIdentifier";
        "RDS::DBSnapshot": "requestParameters.dBSnapshotIdentifier";
    }
    "route53" {
        "Route53::HostedZone": "requestParameters.hostedZoneId";
    }
    "s3" {
        "S3::Bucket": "requestParameters.bucketName";
    }
    "secretsmanager" {
        "SecretsManager::Secret": "requestParameters.secretId" "responseElements.arn";
    }
    "sns" {
        "SNS::Topic": "requestParameters.topicArn" "responseElements.topicArn";
    }
    "sqs" {
        "SQS::Queue": "requestParameters.queueUrl" "responseElements.queueUrl";
    }
    "sts" {
        "IAM::AccessKey": "responseElements.credentials.accessKeyId";
        "STS::AssumedRole":
            "requestParameters.roleSessionName" "responseElements.assumedRoleUser.assumedRoleId"
            "responseElements.assumedRoleUser.arn";
        "STS::FederatedUser": "responseElements.federatedUser.arn";
        "IAM::Role": "requestParameters.roleArn";
    }
}

/// A resource that an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// The resource's type, such as `AWS::S3::Bucket`; None where the record's list does not say.
    pub(crate) kind: Option<String>,
    pub(crate) name: String,
}

/// Lists the resources of a record, each once.
pub(crate) fn resources(record: &Value) -> Vec<Resource> {
    let mut found: Vec<Resource> = Vec::new();
    let mut add = |kind: Option<&str>, name: String| {
        let resource = Resource { kind: kind.map(str::to_owned), name };
        if !found.contains(&resource) {
            found.push(resource);
        }
    };
    let service = record["eventSource"].as_str().and_then(|source| {
        let (service, rest) = source.split_once('.')?;
        (rest == "amazonaws.com").then_some(service)
    });
    for rule in RULES.iter().filter(|rule| Some(rule.service) == service) {
        each_scalar(record, rule.path, &mut |name| add(Some(rule.kind), name));
    }
    for listed in record["resources"].as_array().into_iter().flatten() {
        let kind = listed["type"].as_str();
        each_scalar(listed, "ARN", &mut |name| add(kind, name));
    }
    found
}

/// Makes a condition that all events about a resource of this name meet, and perhaps others.
pub(crate) fn with_name(name: &str) -> Expr {
    let is_at = |path: &str| is(path, name);
    let by_rules = services().map(|service| {
        let paths = RULES.iter().filter(|rule| rule.service == service).map(|rule| rule.path);
        Expr::all_of([of_service(service), Expr::any_of(paths.map(is_at))])
    });
    Expr::any_of(std::iter::once(is_at(LISTED_NAME)).chain(by_rules))
}

/// Makes a condition that all events about a resource of this type meet, and perhaps others.
pub(crate) fn with_kind(kind: &str) -> Expr {
    let there = |path: &str| Expr::Field { field: FieldRef::at_path(path), test: Test::Exists };
    let by_rules = RULES
        .iter()
        .filter(|rule| rule.kind == kind)
        .map(|rule| Expr::all_of([of_service(rule.service), there(rule.path)]));
    Expr::any_of(std::iter::once(is(LISTED_TYPE, kind)).chain(by_rules))
}

/// Makes a condition that a path has this value.
pub(crate) fn is(path: &str, value: &str) -> Expr {
    Expr::Field { field: FieldRef::at_path(path), test: Test::Is(Wanted::of(value)) }
}

fn of_service(service: &str) -> Expr {
    is("eventSource", &format!("{service}.amazonaws.com"))
}

/// Each once: the rules of a service stand together.
fn services() -> impl Iterator<Item = &'static str> {
    RULES.chunk_by(|a, b| a.service == b.service).map(|rules| rules[0].service)
}

/// Calls `visit` with each text, number and truth value at a path, through lists.
pub(crate) fn each_scalar(json: &Value, path: &str, visit: &mut dyn FnMut(String)) {
    match (json, path) {
        (Value::Array(items), _) => items.iter().for_each(|item| each_scalar(item, path, visit)),
        (Value::String(text), "") if !text.is_empty() => visit(text.clone()),
        (Value::Number(_) | Value::Bool(_), "") => visit(json.to_string()),
        (Value::Object(members), path) if !path.is_empty() => {
            let (key, rest) = path.split_once('.').unwrap_or((path, ""));
            if let Some(value) = members.get(key) {
                each_scalar(value, rest, visit);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn told(record: &Value) -> Vec<(String, String)> {
        let pair = |resource: Resource| (resource.kind.unwrap_or_default(), resource.name);
        resources(record).into_iter().map(pair).collect()
    }

    /// As AWS tells it, in whatever order.
    #[test]
    fn an_assumed_role_is_told_by_its_three_names() {
        let record = json!({
            "eventSource": "sts.amazonaws.com",
            "requestParameters": {
                "roleArn": "arn:aws:iam::1:role/R", "roleSessionName": "AutoScaling"
            },
            "responseElements": {
                "credentials": {"accessKeyId": "ASIA1"},
                "assumedRoleUser": {
                    "assumedRoleId": "AROA1:AutoScaling",
                    "arn": "arn:aws:sts::1:assumed-role/R/AutoScaling"
                }
            },
            "resources": [
                {"ARN": "arn:aws:iam::1:role/R", "accountId": "1", "type": "AWS::IAM::Role"}
            ]
        });
        let expected = [
            ("AWS::IAM::AccessKey", "ASIA1"),
            ("AWS::STS::AssumedRole", "AutoScaling"),
            ("AWS::STS::AssumedRole", "AROA1:AutoScaling"),
            ("AWS::STS::AssumedRole", "arn:aws:sts::1:assumed-role/R/AutoScaling"),
            ("AWS::IAM::Role", "arn:aws:iam::1:role/R"),
        ];
        let expected = expected.map(|(kind, name)| (kind.to_owned(), name.to_owned()));
        assert_eq!(told(&record), expected);
    }

    #[test]
    fn lists_are_gone_through_and_other_services_are_left_alone() {
        let instances = json!({"instancesSet": {"items": [
            {"instanceId": "i-1"}, {"instanceId": "i-2"}, {"instanceId": {"no": "text"}}, {}
        ]}});
        let of = |source: &str| {
            told(&json!({"eventSource": source, "requestParameters": instances.clone()}))
        };
        assert_eq!(of("ec2.amazonaws.com").len(), 2);
        assert_eq!(of("rds.amazonaws.com").len() + of("ec2.example.com").len(), 0);
    }

    #[test]
    fn every_rule_is_in_the_documentation() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/aws.md");
        let page = fs::read_to_string(page).unwrap();
        let mut lines = page.lines().skip_while(|line| !line.starts_with("| service | type |"));
        let mut next = lines.by_ref().skip(2);
        for service in services() {
            let rules: Vec<&Rule> = RULES.iter().filter(|rule| rule.service == service).collect();
            for kind in rules.chunk_by(|a, b| a.kind == b.kind) {
                let paths: Vec<_> = kind.iter().map(|rule| format!("`{}`", rule.path)).collect();
                let row = format!("| `{service}` | `{}` | {} |", kind[0].kind, paths.join(", "));
                assert_eq!(next.next(), Some(&*row));
            }
        }
    }
}
