//! The program that made a call: product and major version of a user agent, such as `aws-cli/2`.
//!
//! A client writes what it likes there, often several products with their versions, systems and ids of
//! runs. The first of these rules that applies decides:
//!
//! | user agent | client |
//! |---|---|
//! | a host name of AWS that begins with `console.`, or a first product with `Console` in its name | `console` |
//! | any other host name of AWS | itself |
//! | `AWS Internal`, with anything behind | `AWS Internal` |
//! | one of [`INSIDE`] anywhere | that one |
//! | `Mozilla/…` | `browser`; `console` if the credentials came from a console session |
//! | `NAME/VERSION …`, those of [`NO_PRODUCTS`] left out | `NAME/MAJOR` |
//! | a name of letters, digits, `-`, `_`, `.` and spaces | the name, without an id at its end |
//! | anything else | none |

use std::borrow::Cow;

/// Products that are told from what carries them: `APN/1.0 HashiCorp/1.0 Terraform/1.1.2
/// (+https://www.terraform.io) terraform-provider-aws/3.76.1 … aws-sdk-go/1.44`. The first of this list
/// that is there counts.
const INSIDE: [&str; 8] = [
    "terraform-provider-aws",
    "Terraform",
    "Pulumi",
    "Ansible",
    "AWSPowerShell",
    "WindowsPowerShell",
    "PowerShell",
    "amazon-ssm-agent",
];

/// What stands before the product: AWS's mark of partners.
const NO_PRODUCTS: [&str; 2] = ["APN", "HashiCorp"];

/// Bytes of a name; what is longer is no name of a product.
const NAME_BYTES_MAX: usize = 48;

/// Ends of the host names of AWS's services, in all of its partitions.
const AWS_HOSTS: [&str; 7] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".c2s.ic.gov",
    ".sc2s.sgov.gov",
    ".cloud.adc-e.uk",
    ".csp.hci.ic.gov",
];

/// Whether a text is the host name of a service of AWS, in any partition: `ec2.amazonaws.com`,
/// `ec2.amazonaws.com.cn`.
pub fn is_aws_host(text: &str) -> bool {
    AWS_HOSTS.iter().any(|end| text.ends_with(end))
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// The client of a user agent; empty if that names none. `is_console_session` is whether the credentials
/// came from a session of the console (`sessionCredentialFromConsole`).
pub fn client(user_agent: &str, is_console_session: bool) -> Cow<'_, str> {
    let agent = user_agent.trim();
    let agent = agent.strip_prefix('[').unwrap_or(agent);
    let agent = agent.strip_suffix(']').unwrap_or(agent).trim();
    if is_aws_host(agent) {
        return if agent.starts_with("console.") { "console" } else { agent }.into();
    }
    if agent.starts_with("AWS Internal") {
        return "AWS Internal".into();
    }
    let first = agent.split(['/', ',', '(']).next().unwrap_or_default();
    if first.contains("Console") && is_name(first) {
        return "console".into();
    }
    if let Some(product) = INSIDE.iter().find_map(|name| product_named(agent, name)) {
        return product;
    }
    if agent == "Mozilla" || agent.starts_with("Mozilla/") {
        return if is_console_session { "console" } else { "browser" }.into();
    }
    let mut rest = agent;
    while let Some((word, behind)) = rest.split_once(' ')
        && let Some((name, _)) = word.split_once('/')
        && NO_PRODUCTS.contains(&name)
    {
        rest = behind;
    }
    match rest.find(['/', ',', '(']) {
        Some(at) if rest[at..].starts_with('/') => product(&rest[..at], &rest[at + 1..]),
        Some(at) => plain_name(&rest[..at]),
        None => plain_name(rest),
    }
}

/// The product of a name anywhere in a user agent.
fn product_named<'a>(agent: &'a str, name: &str) -> Option<Cow<'a, str>> {
    agent.match_indices(name).find_map(|(at, _)| {
        let is_begin = !agent[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        let version = agent[at + name.len()..].strip_prefix('/').filter(|_| is_begin)?;
        Some(product(&agent[at..at + name.len()], version))
    })
}

/// `aws-cli` and `2.1.3 Python/3` as `aws-cli/2`.
fn product<'a>(name: &'a str, version: &str) -> Cow<'a, str> {
    if !is_name(name) {
        return "".into();
    }
    let version = version.strip_prefix(['v', 'V']).unwrap_or(version);
    let digits = version.bytes().take_while(u8::is_ascii_digit).count();
    match &version[..digits] {
        "" => name.into(),
        // Four digits are enough for a year.
        major => format!("{name}/{}", &major[..digits.min(4)]).into(),
    }
}

/// A user agent without a version: `Datadog`, `stratus-red-team_0362e208-cc47-4ba7-9c39-195518d6e937`.
fn plain_name(agent: &str) -> Cow<'_, str> {
    let name = agent.trim();
    let id = name.len().checked_sub(36).and_then(|at| name.split_at_checked(at));
    let name = match id {
        Some((name, id)) if is_uuid(id) => name.trim_end_matches(['-', '_', '.', ' ']),
        _ => name,
    };
    let is_none = ["none", "null", "-"].iter().any(|none| name.eq_ignore_ascii_case(none));
    if is_name(name) && !is_none { name.into() } else { "".into() }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

fn is_name(text: &str) -> bool {
    let is_part =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b' ' | b'+');
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && text.bytes().all(is_part)
        && text.bytes().any(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// User agents of real records.
    #[test]
    fn a_client_is_product_and_major_version() {
        for (agent, expected) in [
            ("aws-cli/1.11.76 Python/2.7.10 Darwin/17.7.0 botocore/1.5.39", "aws-cli/1"),
            ("aws-cli/2.32.3 md/awscrt#0.28.4 ua/2.1 os/linux#0.0.0.0-microsoft", "aws-cli/2"),
            ("[aws-cli/1.18.136 Python/3.8.5 Darwin/19.5.0 botocore/1.17.59]", "aws-cli/1"),
            ("[Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165]", "Boto3/1"),
            ("Boto3/1.26.0", "Boto3/1"),
            (
                "APN/1.0 HashiCorp/1.0 Terraform/1.1.2 (+https://www.terraform.io) \
                 terraform-provider-aws/3.76.1 (+https://registry.terraform.io) aws-sdk-go/1.44.157",
                "terraform-provider-aws/3",
            ),
            ("APN/1.0 HashiCorp/1.0 Terraform/1.11.0 (+https://www.terraform.io)", "Terraform/1"),
            ("APN/1.0 HashiCorp/1.0 vault/1.13.1", "vault/1"),
            ("AWS Internal", "AWS Internal"),
            ("AWS Internal/3", "AWS Internal"),
            ("Datadog", "Datadog"),
            ("TruffleHog", "TruffleHog"),
            ("trufflehog/3.63.0", "trufflehog/3"),
            ("aws sdk", "aws sdk"),
            (
                "EC2ConsoleFrontend, aws-internal/3 aws-sdk-java/1.11.848 Linux/4.9.217-0.1",
                "console",
            ),
            ("RDS Console, aws-internal/3 aws-sdk-java/1.11.975 Linux/5.10.184-152.730", "console"),
            ("[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488 Linux/5.10]", "console"),
            ("console.amazonaws.com", "console"),
            ("console.ec2.amazonaws.com", "console"),
            ("[AWSCloudTrail, aws-internal/3 aws-sdk-java/1.12.433 Linux/5.4]", "AWSCloudTrail"),
            ("aws-internal/3 aws-sdk-java/1.12.124 Linux/4.9.273-0.1.ac", "aws-internal/3"),
            ("Jersey/${project.version} (HttpUrlConnection 17.0.12)", "Jersey"),
            (
                "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
                "browser",
            ),
            (
                "Mozilla/5.0 (Windows NT; Windows NT 10.0; de-DE) WindowsPowerShell/5.1.17763.316",
                "WindowsPowerShell/5",
            ),
            ("AWSPowerShell/3.3.270.0 .NET_Runtime/4.0 .NET_Framework/4.0", "AWSPowerShell/3"),
            ("Python-httplib2/0.8 (gzip)", "Python-httplib2/0"),
            ("python-requests/2.28.0", "python-requests/2"),
            ("stratus-red-team_0362e208-cc47-4ba7-9c39-195518d6e937", "stratus-red-team"),
            ("[stratus-red-team_1807d824-ddbc-4a01-9249-8175115f1397]", "stratus-red-team"),
            (
                "aws-sdk-go/1.41.4 (go1.18.3; linux; amd64) amazon-ssm-agent/3.1.1732.0",
                "amazon-ssm-agent/3",
            ),
            ("aws-sdk-go/1.15.12 (go1.12.6; linux; amd64)", "aws-sdk-go/1"),
            ("aws-sdk-go-v2/1.14.0 os/macos lang/go/1.17.6 md/GOOS/darwin", "aws-sdk-go-v2/1"),
            ("aws-sdk-java/2.20.0", "aws-sdk-java/2"),
            ("awslambda-worker/1.0 rusoto/0.47.0 rust/1.55.0 linux", "awslambda-worker/1"),
            ("kubectl/v1.29.0 (linux/amd64) kubernetes/3f7a50f", "kubectl/1"),
            ("cloudformation.amazonaws.com", "cloudformation.amazonaws.com"),
            ("ec2.amazonaws.com.cn", "ec2.amazonaws.com.cn"),
            ("signin.amazonaws.com", "signin.amazonaws.com"),
            ("Mozilla", "browser"),
            ("S3 Browser 9.5.5 https://s3browser.com", ""),
            ("S3 Browser/11.6.7 (https://s3browser.com)", "S3 Browser/11"),
            // Nothing that names a product.
            ("68319f60-9dec-43b2-9702-de3a08c9d8a3", ""),
            ("None", ""),
            ("-", ""),
            ("", ""),
            ("<Attacker user agent (here: Boto3/1.17.80 Python/3.9.5 Darwin/20.3.0)>", ""),
            ("<Victim browser user agent>", ""),
            ("\u{1b}[2J/1.0", ""),
        ] {
            assert_eq!(client(agent, false), expected, "{agent}");
        }
    }

    #[test]
    fn a_browser_with_the_credentials_of_a_console_session_is_the_console() {
        assert_eq!(client("Mozilla/5.0 (Macintosh) Chrome/115.0", true), "console");
        assert_eq!(client("aws-cli/2.1", true), "aws-cli/2");
    }

    #[test]
    fn hosts_of_all_partitions_are_known() {
        for host in
            ["s3.amazonaws.com", "s3.amazonaws.com.cn", "s3.c2s.ic.gov", "ec2.sc2s.sgov.gov"]
        {
            assert!(is_aws_host(host), "{host}");
        }
        for host in ["203.0.113.7", "s3.example.com", "evil amazonaws.com", "x/y.amazonaws.com"] {
            assert!(!is_aws_host(host), "{host}");
        }
    }
}
