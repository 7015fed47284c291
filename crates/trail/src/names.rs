//! What people call the fields of a record beside their paths: short names of several paths, and the
//! names that other tools have. Columns have theirs in [`crate::columns`].
//!
//! `docs/query-language.md` has the same tables.

pub use crate::known::{is_documented, known_paths};

/// A short name of several paths, all of which carry the same thing.
#[derive(Clone, Copy, Debug)]
pub struct ShortName {
    /// The name.
    pub name: &'static str,
    /// The paths, which are no columns.
    pub paths: &'static [&'static str],
    /// Whether a value can be an ARN in place of the name of the thing.
    pub has_arns: bool,
}

/// Every short name of several paths.
pub const SHORT_NAMES: [ShortName; 9] = [
    ShortName {
        name: "bucket",
        paths: &[
            "requestParameters.bucketName",
            "requestParameters.bucket",
            "requestParameters.s3BucketName",
            "requestParameters.s3Bucket",
            "requestParameters.code.s3Bucket",
            "requestParameters.exportToS3.s3Bucket",
            "responseElements.bucketName",
            "responseElements.s3BucketName",
        ],
        has_arns: false,
    },
    ShortName {
        name: "object",
        paths: &[
            "requestParameters.key",
            "requestParameters.s3Key",
            "requestParameters.code.s3Key",
        ],
        has_arns: false,
    },
    ShortName {
        name: "function",
        paths: &[
            "requestParameters.functionName",
            "requestParameters.functionArn",
            "requestParameters.fullyQualifiedArn.relativeId.functionName",
            "responseElements.functionName",
            "responseElements.functionArn",
            "additionalEventData.functionVersion",
        ],
        has_arns: true,
    },
    ShortName {
        name: "instance",
        paths: &[
            "requestParameters.instanceId",
            "requestParameters.instanceIds",
            "requestParameters.instancesSet.items.instanceId",
            "requestParameters.instancesSet.item.instanceId",
            "requestParameters.target",
            "requestParameters.GetConsoleScreenshotRequest.InstanceId",
            "requestParameters.GetLaunchTemplateDataRequest.InstanceId",
            "requestParameters.dBInstanceIdentifier",
            "responseElements.instanceId",
            "responseElements.instancesSet.items.instanceId",
            "responseElements.command.instanceIds",
            "responseElements.dBInstanceIdentifier",
        ],
        has_arns: true,
    },
    ShortName {
        name: "secret",
        paths: &[
            "requestParameters.secretId",
            "requestParameters.secretIdList",
            "requestParameters.encryptionContext.SecretARN",
        ],
        has_arns: true,
    },
    ShortName {
        name: "policy",
        paths: &[
            "requestParameters.policyArn",
            "requestParameters.policyName",
            "requestParameters.policyId",
            "responseElements.policy.policyName",
            "responseElements.policy.arn",
        ],
        has_arns: true,
    },
    ShortName {
        name: "group",
        paths: &[
            "requestParameters.groupName",
            "requestParameters.groupId",
            "requestParameters.groupSet.items.groupId",
            "requestParameters.securityGroupIdSet.items.groupId",
            "requestParameters.securityGroupSet.items.groupName",
            "requestParameters.ipPermissions.items.groups.items.groupId",
            "responseElements.groupId",
            "responseElements.group.groupName",
            "responseElements.group.groupId",
            "responseElements.securityGroupRuleSet.items.groupId",
        ],
        has_arns: true,
    },
    ShortName {
        name: "target_user",
        paths: &[
            "requestParameters.userName",
            "responseElements.user.userName",
            "responseElements.user.arn",
            "responseElements.accessKey.userName",
            "responseElements.loginProfile.userName",
        ],
        has_arns: true,
    },
    ShortName {
        name: "target_role",
        paths: &[
            "requestParameters.roleName",
            "requestParameters.roleArn",
            "requestParameters.role",
            "requestParameters.roleArns",
            "responseElements.role",
            "responseElements.role.roleName",
            "responseElements.role.arn",
        ],
        has_arns: true,
    },
];

/// A name without one thing that other tools add to it: `@` before it (Datadog), or the kind of its index
/// behind it (Elastic). None where there is nothing to leave out.
pub fn without_addition(name: &str) -> Option<&str> {
    let endings = [".keyword", ".raw", ".text"];
    name.strip_prefix('@')
        .or_else(|| endings.iter().find_map(|ending| name.strip_suffix(ending)))
        .filter(|plain| !plain.is_empty())
}

/// What other tools call a field, and what it is called here. Elastic's names have dots, and mean
/// these fields unless an event has such a path.
pub const OTHER_NAMES: [(&str, &str); 52] = [
    ("source.ip", "ip"),
    ("source.address", "sourceIPAddress"),
    ("client.ip", "ip"),
    ("user.name", "user"),
    ("user.id", "principal"),
    ("user_agent.original", "userAgent"),
    ("event.action", "action"),
    ("event.provider", "eventSource"),
    ("event.outcome", "outcome"),
    ("event.id", "eventID"),
    ("error.code", "errorCode"),
    ("error.message", "errorMessage"),
    ("cloud.region", "awsRegion"),
    ("cloud.account.id", "account"),
    ("aws.cloudtrail.api_version", "apiVersion"),
    ("aws.cloudtrail.error_code", "errorCode"),
    ("aws.cloudtrail.error_message", "errorMessage"),
    ("aws.cloudtrail.event_category", "eventCategory"),
    ("aws.cloudtrail.event_type", "eventType"),
    ("aws.cloudtrail.event_version", "eventVersion"),
    ("aws.cloudtrail.management_event", "managementEvent"),
    ("aws.cloudtrail.read_only", "readOnly"),
    ("aws.cloudtrail.recipient_account_id", "recipientAccountId"),
    ("aws.cloudtrail.request_id", "requestID"),
    ("aws.cloudtrail.shared_event_id", "sharedEventID"),
    ("aws.cloudtrail.resources.arn", "resources.ARN"),
    ("aws.cloudtrail.vpc_endpoint_id", "vpcEndpointId"),
    ("aws.cloudtrail.user_identity.access_key_id", "userIdentity.accessKeyId"),
    ("aws.cloudtrail.user_identity.arn", "userIdentity.arn"),
    ("aws.cloudtrail.user_identity.invoked_by", "userIdentity.invokedBy"),
    ("aws.cloudtrail.user_identity.type", "userIdentity.type"),
    (
        "aws.cloudtrail.user_identity.session_context.creation_date",
        "userIdentity.sessionContext.attributes.creationDate",
    ),
    (
        "aws.cloudtrail.user_identity.session_context.mfa_authenticated",
        "userIdentity.sessionContext.attributes.mfaAuthenticated",
    ),
    (
        "aws.cloudtrail.user_identity.session_context.session_issuer.arn",
        "userIdentity.sessionContext.sessionIssuer.arn",
    ),
    (
        "aws.cloudtrail.user_identity.session_context.session_issuer.principal_id",
        "userIdentity.sessionContext.sessionIssuer.principalId",
    ),
    (
        "aws.cloudtrail.user_identity.session_context.session_issuer.type",
        "userIdentity.sessionContext.sessionIssuer.type",
    ),
    ("@timestamp", "time"),
    ("_time", "time"),
    ("timestamp", "time"),
    ("src_ip", "ip"),
    ("sourceip", "ip"),
    ("user_name", "user"),
    ("user_agent", "userAgent"),
    ("aws_account_id", "account"),
    ("TimeGenerated", "time"),
    ("eventAction", "action"),
    ("SessionIssuerUserName", "role"),
    ("SessionIssuerArn", "userIdentity.sessionContext.sessionIssuer.arn"),
    ("SessionMfaAuthenticated", "userIdentity.sessionContext.attributes.mfaAuthenticated"),
    ("AwsEventId", "eventID"),
    ("AwsRequestId", "requestID"),
    ("client_ip", "ip"),
];

/// The elements of a policy. They are looked for in every policy, wherever it travels.
pub const POLICY_ELEMENTS: [&str; 11] = [
    "Action",
    "Condition",
    "Effect",
    "NotAction",
    "NotPrincipal",
    "NotResource",
    "Principal",
    "Resource",
    "Sid",
    "Statement",
    "Version",
];

/// What stands behind the name of a service in `eventSource`.
pub const SERVICE_ENDING: &str = ".amazonaws.com";

/// Whether AWS has a service of this name, as `eventSource` has it before [`SERVICE_ENDING`]. The
/// list is of those whose events are seen most; the archive may have others.
pub fn is_service(name: &str) -> bool {
    SERVICES.split_ascii_whitespace().any(|service| service == name)
}

const SERVICES: &str = "
    access-analyzer account acm acm-pca airflow amplify aoss apigateway appconfig appflow
    application-autoscaling appmesh apprunner appstream appsync athena auditmanager autoscaling
    backup batch bedrock billing billingconsole budgets ce chatbot chime cleanrooms cloud9
    clouddirectory cloudformation cloudfront cloudhsm cloudsearch cloudshell cloudtrail
    cloudtrail-data codeartifact codebuild codecommit codedeploy codepipeline codestar cognito-idp
    cognito-identity cognito-sync comprehend compute-optimizer config connect controltower cur
    databrew dataexchange datapipeline datasync datazone dax detective devicefarm devops-guru
    directconnect discovery dlm dms docdb-elastic ds dynamodb ebs ec2 ec2-instance-connect
    ec2messages ecr ecr-public ecs eks elasticache elasticbeanstalk elasticfilesystem
    elasticloadbalancing elasticmapreduce elastictranscoder emr-containers emr-serverless es events
    evidently execute-api finspace firehose fis fms forecast frauddetector freetier fsx gamelift
    glacier globalaccelerator glue grafana greengrass groundstation guardduty health healthlake iam
    identitystore imagebuilder importexport inspector inspector2 internetmonitor iot iotanalytics
    iotevents iotsitewise ivs kafka kafkaconnect kendra kinesis kinesisanalytics kinesisvideo kms
    lakeformation lambda launchwizard lex license-manager lightsail logs lookoutmetrics m2 macie
    macie2 managedblockchain marketplace mediaconnect mediaconvert medialive mediapackage mediastore
    memorydb mgh mgn mobiletargeting monitoring mq neptune-db network-firewall networkmanager
    notifications oam omics opensearch opsworks organizations osis outposts payments personalize pi
    pinpoint pipes polly portal pricing private-networks proton q qbusiness qldb quicksight ram rbin
    rds rds-data redshift redshift-data redshift-serverless rekognition resiliencehub
    resource-explorer-2 resource-groups robomaker rolesanywhere route53 route53-recovery-control-config
    route53domains route53resolver rum s3 s3-object-lambda s3-outposts s3express sagemaker savingsplans
    scheduler schemas sdb secretsmanager securityhub securitylake serverlessrepo servicecatalog
    servicecatalog-appregistry servicediscovery servicequotas ses shield signer signin simspaceweaver
    sms snowball sns sqs ssm ssm-contacts ssm-incidents ssmmessages sso sso-directory sso-oauth states
    storagegateway sts support swf synthetics tag tax textract timestream tnb transcribe transfer
    translate trustedadvisor verifiedpermissions voiceid vpc-lattice waf waf-regional wafv2
    wellarchitected wisdom workdocs worklink workmail workspaces workspaces-web xray";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::columns::ColumnId;

    #[test]
    fn a_name_stands_in_one_table() {
        let short = SHORT_NAMES.iter().map(|short| short.name);
        let names: Vec<&str> = short.chain(OTHER_NAMES.iter().map(|(other, _)| *other)).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.iter().all(|name| ColumnId::named(name).is_none()), "{names:?}");
        for short in &SHORT_NAMES {
            assert!(short.paths.iter().all(|path| ColumnId::at_path(path).is_none()), "{short:?}");
        }
    }

    #[test]
    fn services_are_known_by_the_names_of_their_events() {
        assert!(is_service("iam") && is_service("s3") && is_service("access-analyzer"));
        assert!(!is_service("iam.amazonaws.com") && !is_service("") && !is_service("s"));
    }
}
