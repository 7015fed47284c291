//! The account, region and day that a trail file's path names, by S3's layout. A hint: the records
//! decide.

/// The parts of a path that follow the layout:
/// `…/ACCOUNT/KIND/REGION/YYYY/MM/DD/NAME`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathFacts<'p> {
    /// Twelve digits; None where the path has none there.
    pub account: Option<&'p str>,
    /// Such as `us-east-1`; None where the path has none there.
    pub region: Option<&'p str>,
    /// Year, month and day of delivery; None where the path has none there.
    pub day: Option<[&'p str; 3]>,
}

impl<'p> PathFacts<'p> {
    /// Reads a path; parts that do not follow the layout are None.
    pub fn of(path: &'p str) -> Self {
        let parts: Vec<&str> = path.split('/').collect();
        let is_kind = |part: &str| part == "CloudTrail" || part.starts_with("CloudTrail-");
        let Some(kind) = parts.iter().rposition(|part| is_kind(part)) else {
            return Self::default();
        };
        let is_number =
            |part: &&str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        let before = kind.checked_sub(1).map(|at| parts[at]);
        let day = match parts.get(kind + 2..kind + 5) {
            Some([year, month, day])
                if is_number(year, 4) && is_number(month, 2) && is_number(day, 2) =>
            {
                Some([*year, *month, *day])
            }
            _ => None,
        };
        Self {
            account: before.filter(|part| is_number(part, 12)),
            // Something must follow it, or it is the file's name.
            region: parts.get(kind + 1).copied().filter(|_| parts.len() > kind + 2),
            day,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_read_wherever_it_begins() {
        let day = Some(["2023", "07", "10"]);
        let place = PathFacts { account: Some("111122223333"), region: Some("us-east-1"), day };
        for prefix in ["", "/srv/CloudTrail/prefix/AWSLogs/o-a1b2c3/"] {
            for kind in ["CloudTrail", "CloudTrail-Digest", "CloudTrail-NetworkActivity"] {
                let path = format!("{prefix}111122223333/{kind}/us-east-1/2023/07/10/x.json.gz");
                assert_eq!(PathFacts::of(&path), place, "{path}");
            }
        }
    }

    #[test]
    fn other_paths_say_what_they_say() {
        assert_eq!(PathFacts::of("/data/trail.json"), PathFacts::default());
        assert_eq!(PathFacts::of("CloudTrail"), PathFacts::default());
        assert_eq!(PathFacts::of("/x/CloudTrail/a.json"), PathFacts::default());
        let place = PathFacts { account: None, region: Some("eu-west-1"), day: None };
        assert_eq!(PathFacts::of("/x/CloudTrail/eu-west-1/2023/7/a.json"), place);
    }
}
