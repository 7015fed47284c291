//! What a call touched: a bucket and its object, a user, a role, an instance, a key …
//!
//! AWS names these in parameters whose names are much the same in all services, so one table of names
//! has them. A row is a path below `requestParameters` or `responseElements`, in lower case, as
//! [`plain_path`] makes it. What is searched for, filtered by or merely used (the image of a new instance) is not what
//! is touched, as long as there is anything better.
//!
//! Of an event count all values of the best rank that any of its values has ([`Rank`]); where it has none,
//! the ARNs in `resources`. They come in the order of the table. `bucketName` and `key` of S3 are one value,
//! `bucket/key`.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::outcome::without_wrapper;

/// How well a value tells what was touched, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A parameter that names what the call is about, or an answer's id of what was made.
    Touched,
    /// A parameter of a general name, such as `name` or `resourceArn`.
    Named,
    /// What a call uses, or where it takes place, if it names nothing else: `roleArn`, `vpcId`.
    Used,
}

/// The part of an S3 object's name that a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// None of it: the value is a target by itself.
    Whole,
    Bucket,
    Key,
}

/// Bytes of a target; what is longer is no name. A bucket and a key have 1,088 at most.
pub(crate) const TARGET_BYTES_MAX: usize = 1_100;

/// Rows of names for some services, or for all; see the module's documentation.
type Rows = &'static [(&'static [&'static str], &'static [&'static str])];

/// Paths below `requestParameters` that are [`Rank::Touched`].
const TOUCHED: Rows = &[
    // IAM, STS and Organizations.
    (&[], &["username", "groupname", "rolename", "policyname", "policyarn", "accesskeyid"]),
    (&[], &["instanceprofilename", "serialnumber", "virtualmfadevicename", "samlproviderarn"]),
    (&[], &["openidconnectproviderarn", "servercertificatename", "sshpublickeyid", "accountalias"]),
    (&["iam"], &["certificateid", "servicespecificcredentialid"]),
    (&["sts"], &["targetprincipal"]),
    (&["organizations"], &["organizationalunitid", "policyid", "targetid", "handshakeid"]),
    (&["organizations"], &["createaccountrequestid", "serviceprincipal", "accountid"]),
    (&["sso", "sso-directory", "identitystore"], &["permissionsetarn", "principalid", "targetid"]),
    (&["sso", "sso-directory", "identitystore"], &["userid", "groupid", "applicationarn"]),
    (&["rolesanywhere"], &["trustanchorid", "profileid"]),
    // EC2.
    (&[], &["instanceid", "volumeid", "snapshotid", "attachmentid"]),
    (&["ec2"], &["groupid", "securitygroupid", "securitygroupidset.groupid"]),
    (&["ec2"], &["securitygroupset.groupname", "networkinterfaceid", "allocationid", "publicip"]),
    (&["ec2"], &["routetableid", "internetgatewayid", "natgatewayid", "networkaclid"]),
    (&["ec2"], &["vpcendpointid", "serviceid", "flowlogid", "clientvpnendpointid"]),
    (&["ec2"], &["launchtemplateid", "launchtemplatename", "spotinstancerequestidset"]),
    (
        &["ec2"],
        &[
            "transitgatewayid",
            "transitgatewayroutetableid",
            "vpnconnectionid",
            "customergatewayid",
            "prefixlistid",
        ],
    ),
    (&["ec2"], &["vpcpeeringconnectionid", "trafficmirrorfilterid", "trafficmirrorsessionid"]),
    (&["ec2"], &["trafficmirrortargetid"]),
    // Storage and databases. Buckets and keys are below.
    (&["s3", "s3express", "s3-outposts"], &["x-amz-copy-source"]),
    (&["dynamodb", "dax"], &["tablename", "globaltablename", "backuparn", "exportarn"]),
    (&["rds"], &["dbinstanceidentifier", "dbclusteridentifier", "dbsnapshotidentifier"]),
    (&["rds"], &["dbclustersnapshotidentifier", "targetdbsnapshotidentifier"]),
    (&["rds"], &["targetdbclustersnapshotidentifier", "sourcedbsnapshotidentifier"]),
    (&["rds"], &["sourcedbclustersnapshotidentifier", "sourcedbinstanceidentifier"]),
    (&["rds"], &["dbsecuritygroupname", "dbparametergroupname", "dbclusterparametergroupname"]),
    (&["rds"], &["optiongroupname", "dbiresourceid", "dbclusterresourceid", "dbproxyname"]),
    (&["rds"], &["globalclusteridentifier", "targetdbclusteridentifier", "exporttaskidentifier"]),
    (&["rds"], &["targetdbinstanceidentifier"]),
    (&["redshift", "redshift-serverless"], &["clusteridentifier", "snapshotidentifier"]),
    (&["redshift", "redshift-serverless"], &["workgroupname", "namespacename"]),
    (&["elasticache", "memorydb"], &["cacheclusterid", "replicationgroupid", "clustername"]),
    (&["elasticfilesystem"], &["filesystemid", "mounttargetid", "accesspointid"]),
    (&["backup"], &["backupvaultname", "recoverypointarn", "backupplanid"]),
    (&["glue", "athena", "lakeformation"], &["tablename", "databasename", "jobname"]),
    (&["glue", "athena"], &["crawlername", "endpointname", "workgroup", "namedqueryid"]),
    // Code that runs.
    (&["lambda"], &["functionname", "layername", "uuid"]),
    (&["ecs"], &["service", "task", "tasks", "taskdefinition", "family", "containerinstance"]),
    (&["eks"], &["nodegroupname", "fargateprofilename", "addonname", "principalarn"]),
    (&[], &["repositoryname", "projectname", "projectarn", "pipelinename", "stackname"]),
    (&[], &["stacksetname", "autoscalinggroupname", "launchconfigurationname"]),
    (&["states"], &["statemachinearn", "executionarn", "activityarn"]),
    (&["batch"], &["jobqueue", "jobdefinition", "computeenvironment", "jobid"]),
    (&["elasticmapreduce", "emr-serverless"], &["jobflowid", "clusterid", "applicationid"]),
    (&["elasticbeanstalk", "codedeploy"], &["environmentname", "applicationname"]),
    (&["lightsail"], &["instancename", "instancenames", "keypairname", "relationaldatabasename"]),
    (&["sagemaker"], &["notebookinstancename", "endpointname", "trainingjobname", "modelname"]),
    (&["sagemaker"], &["domainid", "userprofilename"]),
    (&["bedrock"], &["modelid", "guardrailidentifier", "agentid", "knowledgebaseid"]),
    // Secrets and keys.
    (&["secretsmanager"], &["secretid", "secretidlist"]),
    (&["kms"], &["keyid", "targetkeyid", "aliasname", "destinationkeyid", "customkeystoreid"]),
    (
        &["ssm"],
        &["documentname", "target", "windowid", "sessionid", "commandid", "automationexecutionid"],
    ),
    (&["ssm"], &["resourceid"]),
    (&["acm", "acm-pca"], &["certificatearn", "certificateauthorityarn"]),
    (&["ec2-instance-connect"], &["instanceid"]),
    (&["cognito-idp", "cognito-identity"], &["identityid", "identitypoolid"]),
    // Queues, streams, logs.
    (&[], &["topicarn", "subscriptionarn", "queueurl", "queuename", "streamname", "streamarn"]),
    (&[], &["deliverystreamname", "loggroupname", "loggroupidentifier", "logstreamname"]),
    (&["sns"], &["targetarn"]),
    (&["monitoring"], &["alarmname", "alarmnames", "dashboardname"]),
    (&["events"], &["rule", "eventbusname"]),
    (&["mq", "kafka"], &["brokerid", "clusterarn"]),
    // Networks and names.
    (&[], &["loadbalancername", "loadbalancerarn", "targetgrouparn", "listenerarn", "rulearn"]),
    (&[], &["hostedzoneid", "domainname", "healthcheckid", "distributionid"]),
    (
        &["route53resolver"],
        &["resolverquerylogconfigid", "resolverendpointid", "firewallrulegroupid"],
    ),
    (&["apigateway", "appsync"], &["restapiid", "apiid", "apikey"]),
    (&["ses", "email"], &["identity", "identities", "emailidentity", "emailaddress"]),
    // What watches.
    (&["cloudtrail"], &["trailname", "trailnamelist", "eventdatastore", "channel"]),
    (&["config"], &["configurationrecordername", "deliverychannelname", "configrulename"]),
    (&["config"], &["configurationrecorder.name", "deliverychannel.name"]),
    (
        &["guardduty", "macie2", "macie"],
        &["detectorid", "ipsetid", "threatintelsetid", "filtername"],
    ),
    (&["securityhub"], &["insightarn", "standardssubscriptionarns", "productsubscriptionarn"]),
    (&["access-analyzer"], &["analyzername", "analyzerarn", "rulename"]),
    (&["wafv2", "waf", "waf-regional"], &["webaclid", "ipsetid", "rulegroupid"]),
    (&["servicequotas"], &["servicecode", "quotacode"]),
    (&["support"], &["caseid"]),
    (&["cloudshell"], &["environmentid"]),
    (&["ram"], &["resourcesharearn"]),
];

/// Paths below `requestParameters` that are [`Rank::Named`].
const NAMED: Rows = &[(
    &[],
    &[
        "name",
        "names",
        "arn",
        "resourcearn",
        "resourcearns",
        "resourcearnlist",
        "resourceid",
        "resourceidlist",
        "configurationarn",
        "agreementrequestid",
        "id",
        "identifier",
        "resourcename",
    ],
)];

/// Paths below `requestParameters` that are [`Rank::Used`].
const USED: Rows = &[
    (&[], &["dbsubnetgroupname", "iaminstanceprofile.name", "iaminstanceprofile.arn"]),
    (&[], &["rolearn", "imageid", "vpcid", "subnetid"]),
    (&[], &["keyname", "associationid", "groupid", "clustername", "cluster"]),
    (&[], &["accountid", "userpoolid", "clientid", "identitystoreid", "instancearn"]),
    (&[], &["regionname", "sourcearn", "webaclarn", "modelid", "domain"]),
    (&[], &["awsservicename", "findingid", "organizationid", "rootid", "userid"]),
];

/// Paths below `responseElements` that are [`Rank::Touched`]: ids of what was made, which no parameter
/// can name.
const MADE: Rows = &[
    (&["ec2"], &["instanceid", "volumeid", "snapshotid", "imageid", "groupid"]),
    (&["ec2"], &["vpc.vpcid", "subnet.subnetid", "internetgateway.internetgatewayid"]),
    (&["ec2"], &["natgateway.natgatewayid", "networkinterface.networkinterfaceid"]),
    (&["ec2"], &["routetable.routetableid", "networkacl.networkaclid", "allocationid"]),
    (&["ec2"], &["launchtemplate.launchtemplateid", "vpcendpoint.vpcendpointid"]),
    (&["ec2"], &["trafficmirrorfilter.trafficmirrorfilterid"]),
    (&["ec2"], &["trafficmirrorsession.trafficmirrorsessionid"]),
    (&["ec2"], &["trafficmirrortarget.trafficmirrortargetid"]),
    (&["iam"], &["accesskey.accesskeyid", "servicespecificcredential.servicespecificcredentialid"]),
    (&["kms"], &["keymetadata.keyid"]),
    (&["guardduty"], &["detectorid"]),
];

/// Paths below `responseElements` that are [`Rank::Used`].
const ANSWERED: Rows = &[
    (&[], &["role.rolename", "functionarn", "arn", "name", "createaccountstatus.accountid"]),
    (&[], &["trailarn", "analyzerarn", "insightarn", "apiid", "id", "account.id"]),
];

/// What the values at one path tell of what was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Ranks in the records of some services, without `.amazonaws.com`; of all, where none is named.
    ranks: Vec<(Rank, &'static [&'static str])>,
    /// Its place in the table.
    pub(crate) order: usize,
    pub(crate) part: Part,
}

/// Services that name an object by bucket and key.
const S3: &[&str] = &["s3", "s3express", "s3-outposts", "s3-object-lambda"];

static REQUESTS: LazyLock<HashMap<&str, Place>> = LazyLock::new(|| {
    let all: &[&str] = &[];
    let parts =
        [("bucketname", Part::Bucket, all), ("bucket", Part::Bucket, S3), ("key", Part::Key, S3)];
    let parts = parts.map(|(name, part, services)| {
        (name, Place { ranks: vec![(Rank::Touched, services)], order: 0, part })
    });
    let mut places = by_name(&[(TOUCHED, Rank::Touched), (NAMED, Rank::Named), (USED, Rank::Used)]);
    places.extend(parts);
    places
});

static ANSWERS: LazyLock<HashMap<&str, Place>> =
    LazyLock::new(|| by_name(&[(MADE, Rank::Touched), (ANSWERED, Rank::Used)]));

fn by_name(tables: &[(Rows, Rank)]) -> HashMap<&'static str, Place> {
    let mut places: HashMap<&str, Place> = HashMap::new();
    for (rows, rank) in tables {
        for (services, names) in *rows {
            for name in *names {
                let order = places.len();
                let new = || Place { ranks: Vec::new(), order, part: Part::Whole };
                places.entry(name).or_insert_with(new).ranks.push((*rank, services));
            }
        }
    }
    places
}

impl Place {
    /// What the values at this path of the record tell of what was touched; None for any other path.
    pub(crate) fn at(path: &str) -> Option<&'static Self> {
        let (object, path) = path.split_once('.')?;
        let places = match object {
            "requestParameters" => &REQUESTS,
            "responseElements" => &ANSWERS,
            _ => return None,
        };
        places.get(plain_path(path).as_str())
    }

    /// The rank in records of this `eventSource`; None if it tells nothing there.
    pub(crate) fn rank(&self, event_source: &str) -> Option<Rank> {
        let service = event_source.split('.').next().unwrap_or_default();
        let of_service = self
            .ranks
            .iter()
            .filter(|(_, services)| services.is_empty() || services.contains(&service));
        of_service.map(|(rank, _)| *rank).min()
    }
}

/// Lists of what a new instance has: security groups and network interfaces.
const PARTS: [&str; 2] = ["group", "networkinterface"];

/// A path in lower case without what EC2 puts around names and ids: the object that holds all of a
/// request (`CreateFlowLogsRequest.ResourceId.content`), lists (`volumeSet.items.volumeId`,
/// `routeTableIdSet.items.routeTableId`), and the plural of ids (`VpcIds.content`, `instanceIds`).
fn plain_path(path: &str) -> String {
    let path = without_wrapper(path).to_ascii_lowercase();
    let path = path.replace(".items.", ".").replace(".item.", ".");
    let path = path.strip_suffix(".content").unwrap_or(&path);
    let path = match path.split_once("set.") {
        // `instancesSet` has other things, too, of which each is another parameter.
        Some((list, name))
            if !PARTS.contains(&list) && name.starts_with(list.trim_end_matches('s')) =>
        {
            name
        }
        _ => path,
    };
    let singular = path.strip_suffix('s').filter(|path| path.ends_with("id"));
    singular.unwrap_or(path).to_owned()
}
