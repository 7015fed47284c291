//! Finds the fields of the index that a name in a query means.
//!
//! A name is looked up in this order: a column, the time, and their short names; a short name of
//! several paths; the path itself; another tool's name; the last part of paths, which means all of
//! them; what AWS documents and no event has; a name in another case. In quotes, a name is a
//! record's own, and no short one. What a reader could take otherwise is noted.

mod told;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use tantivy::Term;
use unicode_normalization::UnicodeNormalization;

pub(crate) use self::told::at;
use crate::flags::{FLAG, Odd};
use crate::integrity::INTEGRITY;
use crate::lookups::{LookedUp, Lookups};
use crate::notes::Notes;
use crate::run::stop_of;
use crate::unicode::forms;
use crate::values::ValueSource;
use language::ast::FieldRef;
use segment::schema::Fields;
use segment::view::SegmentView;
use store::snapshot::Snapshot;
use trail::columns;
use trail::columns::{COLUMNS, ColumnId, EVENT_TIME_PATH};
use trail::names::{
    OTHER_NAMES, POLICY_ELEMENTS, SERVICE_ENDING, SHORT_NAMES, is_documented, is_service,
    known_paths, without_addition,
};
use wire::engine::Cancel;
use wire::{ApiError, ErrorKind};

/// A field of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Column(ColumnId),
    /// `eventTime`.
    Time,
    /// `sourceIPAddress`, as an address.
    Ip,
    /// `integrity`, by verdicts of this edition.
    Integrity(u64),
    /// `flag`.
    Flag(Arc<Odd>),
    /// `service`, of events among which are Insight events: the source of the event, or of the calls that
    /// it is about.
    Service,
    /// What is looked up by values.
    LookedUp(LookedUp),
    /// Places in records.
    Places(Places),
}

/// The short name of `eventSource`.
pub(crate) const SERVICE: &str = "service";

/// The service whose calls an Insight event is about.
const SERVICE_OF_INSIGHT: &str = "insightDetails.eventSource";

/// Where `service` is: in events, and in Insight events.
pub(crate) fn service_paths() -> Vec<String> {
    [columns::EVENT_SOURCE.column().path, SERVICE_OF_INSIGHT].map(str::to_owned).into()
}

/// Where in records a field is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// The paths of its values, which count as those of one field; columns can be among them.
    pub(crate) values: Vec<String>,
    /// The paths of objects, which have no value of their own.
    pub(crate) objects: Vec<String>,
    /// Whether a value can be an ARN in place of the name of the thing.
    pub(crate) has_arns: bool,
}

/// What is asked of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Values,
    /// Whether it is there, or something below it.
    Existence,
}

/// Finds fields by their names in one snapshot.
#[derive(Clone, Copy)]
pub(crate) struct Finder<'s> {
    pub(crate) snapshot: &'s Snapshot,
    /// Where it is told what a name was taken for.
    pub(crate) notes: &'s Notes,
    /// What `flag` stands for, once it is asked for.
    pub(crate) odd: &'s OnceCell<Arc<Odd>>,
    pub(crate) lookups: &'s Lookups,
    pub(crate) cancel: &'s Cancel,
}

impl Finder<'_> {
    /// Finds the field whose values a name means. An unknown name is an error with a suggestion, and
    /// so is that of an object which never has a value.
    pub(crate) fn resolve(self, field: &FieldRef) -> Result<Target, ApiError> {
        let places = match self.target(field, Asks::Values)? {
            Target::Places(places) => places,
            target => return Ok(target),
        };
        if !places.values.is_empty() {
            return Ok(one_column(places));
        }
        if !places.objects.iter().all(|path| is_documented(path)) {
            return Err(self.has_no_value(field, &places.objects));
        }
        self.notes.add(self.without_a_value(field, &places.objects));
        Ok(Target::Places(Places { values: places.objects, ..Places::default() }))
    }

    /// Finds the field that a name means, whether it has values or things below it.
    pub(crate) fn resolve_any(self, field: &FieldRef) -> Result<Target, ApiError> {
        Ok(match self.target(field, Asks::Existence)? {
            Target::Places(places) => one_column(places),
            target => target,
        })
    }

    /// Finds the field whose values a name in a stage stands for.
    pub(crate) fn source(self, field: &FieldRef) -> Result<ValueSource, ApiError> {
        Ok(match self.resolve(field)? {
            Target::Time => ValueSource::Time,
            Target::Ip => ValueSource::Column(columns::SOURCE_IP),
            Target::Column(id) => ValueSource::Column(id),
            Target::Integrity(_) => ValueSource::Integrity(self.snapshot.verdicts.load_full()),
            Target::Flag(odd) => ValueSource::Flag(odd),
            Target::Service => ValueSource::Paths(service_paths()),
            Target::LookedUp(of) => ValueSource::LookedUp(of),
            Target::Places(places) => ValueSource::Paths(places.values),
        })
    }

    /// Whether a name is that of a field which some event has, or a short name.
    pub(crate) fn knows(self, field: &FieldRef) -> bool {
        let name = field.name.as_str();
        let silent = Notes::default();
        Finder { notes: &silent, ..self }.short(name).is_some()
            || enrich::Field::named(name).is_some()
            || self.places_at(name).is_some()
            || other_name(field, true).is_some()
            || !self.places_ending_in(name).is_empty()
    }

    /// Whether a name is that of a service, by the list or by the events.
    pub(crate) fn is_service(self, name: &str) -> bool {
        is_service(name) || self.has_service(name)
    }

    /// Whether any event is of a service.
    pub(crate) fn has_service(self, name: &str) -> bool {
        let term = Term::from_field_text(
            Fields::column(columns::EVENT_SOURCE),
            &format!("{name}{SERVICE_ENDING}"),
        );
        let has = |segment: &Arc<SegmentView>| {
            // The search itself meets a fault of the disk, and tells it.
            segment.place_of(&term).is_ok_and(|place| place.info.is_some())
        };
        self.snapshot.segments.iter().any(has)
    }

    /// The path at and below which a name asks for values. The name is a path itself.
    pub(crate) fn below(self, field: &FieldRef) -> Result<String, ApiError> {
        let name = field.name.as_str();
        let is_there = || self.places_at(name).is_some() || is_taken(name);
        if name.is_empty() || field.is_path || is_there() {
            return Ok(name.to_owned());
        }
        if documented(name).is_some() {
            self.notes.add(self.without_events(field));
            return Ok(name.to_owned());
        }
        Err(self.unknown(field))
    }

    fn target(self, field: &FieldRef, asks: Asks) -> Result<Target, ApiError> {
        let name = field.name.as_str();
        if field.has_below {
            let message = format!(
                "{field} stands for the values of many fields: a condition can ask it, and nothing else{}",
                at(field.offset)
            );
            let error = ApiError::new(ErrorKind::BadQuery, message);
            return Err(ApiError { offset: field.offset, ..error });
        }
        if field.is_path {
            let column = ColumnId::at_path(name).map(Target::Column);
            return Ok(column.unwrap_or_else(|| at_paths(forms(name))));
        }
        if let Some(paths) = self.paths_in_any_form(name) {
            return Ok(at_paths(paths));
        }
        if field.is_quoted {
            if name == EVENT_TIME_PATH {
                return Ok(Target::Time);
            }
            if let Some(id) = ColumnId::at_path(name) {
                return Ok(Target::Column(id));
            }
        } else if let Some(target) = self.short(name) {
            return Ok(target);
        } else if let Some(looked_up) = enrich::Field::named(name) {
            return self.looked_up(looked_up, field).map(Target::LookedUp);
        }
        if let Some(places) = self.places_at(name) {
            return Ok(Target::Places(places));
        }
        if let Some(target) = other_name(field, true) {
            return Ok(target);
        }
        let ending = self.places_ending_in(name);
        if !ending.is_empty() {
            self.note_several(field, &ending, asks);
            self.note_foreign(field, &ending);
            return Ok(Target::Places(ending));
        }
        if let Some(target) = other_name(field, false) {
            return Ok(target);
        }
        // AWS documents whole objects: any name in them is one that no event has.
        if !known_paths().any(|known| known == name)
            && let Some(plain) = self.without_additions(field, |plain| self.has_values_as(plain))
        {
            return self.target(&FieldRef { name: plain, ..field.clone() }, asks);
        }
        if let Some(places) = documented(name) {
            self.notes.add(self.without_events(field));
            return Ok(Target::Places(places));
        }
        let is_name =
            |plain: &str| self.knows(&FieldRef::named(plain)) || documented(plain).is_some();
        let other = self
            .without_additions(field, is_name)
            .or_else(|| self.plain_in_another_case(field))
            .or_else(|| self.in_another_case(name));
        match other {
            Some(name) => self.target(&FieldRef { name, ..field.clone() }, asks),
            None => Err(self.unknown(field)),
        }
    }

    /// What is no path, or a column.
    fn short(self, name: &str) -> Option<Target> {
        match name {
            "time" | EVENT_TIME_PATH => return Some(Target::Time),
            "ip" => return Some(Target::Ip),
            INTEGRITY => {
                return Some(Target::Integrity(self.snapshot.verdicts.load().edition()));
            }
            SERVICE if self.snapshot.has_values_at(SERVICE_OF_INSIGHT) => {
                return Some(Target::Service);
            }
            FLAG => {
                return Some(Target::Flag(Arc::clone(self.odd.get_or_init(|| self.odd_events()))));
            }
            _ => {}
        }
        if let Some(id) = ColumnId::named(name) {
            return Some(Target::Column(id));
        }
        let short = SHORT_NAMES.iter().find(|short| short.name == name)?;
        let mut paths: Vec<&str> = short.paths.to_vec();
        paths.retain(|path| self.snapshot.has_values_at(path));
        if paths.is_empty() {
            self.notes.add(Self::without_any(short));
            paths = short.paths.to_vec();
        }
        let values = paths.into_iter().map(str::to_owned).collect();
        Some(Target::Places(Places { values, has_arns: short.has_arns, ..Places::default() }))
    }

    /// A field that is looked up, where it can be. It is told in what, or why it cannot be.
    fn looked_up(self, looked_up: enrich::Field, field: &FieldRef) -> Result<LookedUp, ApiError> {
        if let Err(missing) = self.lookups.of.check(looked_up) {
            let message = format!("{missing}{}", at(field.offset));
            let error = ApiError::new(ErrorKind::BadQuery, message);
            return Err(ApiError { offset: field.offset, ..error });
        }
        self.notes.extend(self.lookups.of.notes(looked_up));
        Ok(self.lookups.field(looked_up))
    }

    /// AWS's service of an address, where its ranges are there; it is told of them.
    pub(crate) fn aws_service(self) -> Option<LookedUp> {
        self.looked_up(enrich::Field::AwsService, &FieldRef::named("ip")).ok()
    }

    fn odd_events(self) -> Arc<Odd> {
        Odd::of(self.snapshot, stop_of(self.cancel))
    }

    /// What is at exactly this path.
    fn places_at(self, path: &str) -> Option<Places> {
        let at = |is_there: bool| if is_there { vec![path.to_owned()] } else { Vec::new() };
        let values = at(self.snapshot.has_values_at(path));
        let objects = at(self.snapshot.has_values_below(path) || is_above_a_column(path));
        let places = Places { values, objects, has_arns: false };
        (!places.is_empty()).then_some(places)
    }

    /// Every place whose path ends in a name.
    fn places_ending_in(self, name: &str) -> Places {
        let paths = self.snapshot.paths();
        let columns = COLUMNS.iter().map(|column| column.path);
        ending_in(name, columns.chain(paths))
    }

    /// The paths that a name means in some form that Unicode has for it, where it has several.
    fn paths_in_any_form(self, name: &str) -> Option<Vec<String>> {
        let forms = forms(name);
        if forms.len() < 2 {
            return None;
        }
        let at: Vec<String> =
            forms.iter().filter(|form| self.snapshot.has_values_at(form)).cloned().collect();
        let paths = if at.is_empty() {
            forms.iter().flat_map(|form| self.places_ending_in(form).values).collect()
        } else {
            at
        };
        let composed = |path: &String| path.nfc().collect::<String>();
        let is_one = paths.windows(2).all(|pair| composed(&pair[0]) == composed(&pair[1]));
        (!paths.is_empty() && is_one).then_some(paths)
    }

    /// A name without what other tools add to it, of which there can be several things; see
    /// [`without_addition`]. None where nothing that is left is a name.
    fn without_additions(self, field: &FieldRef, is_name: impl Fn(&str) -> bool) -> Option<String> {
        let wanted = field.name.as_str();
        let plain = plain_names(field).find(|plain| is_name(plain))?;
        self.notes.add(format!("'{wanted}' is taken for '{plain}'"));
        Some(plain.to_owned())
    }

    /// The same of what is left last, in another case.
    fn plain_in_another_case(self, field: &FieldRef) -> Option<String> {
        self.in_another_case(plain_names(field).last()?)
    }

    /// Whether some event has a value of that name.
    fn has_values_as(self, name: &str) -> bool {
        Finder { notes: &Notes::default(), ..self }.short(name).is_some()
            || enrich::Field::named(name).is_some()
            || self.places_at(name).is_some_and(|places| !places.values.is_empty())
            || other_name(&FieldRef::named(name), true).is_some()
            || !self.places_ending_in(name).values.is_empty()
    }

    /// The one name that is this one but for upper and lower case, or that is written so without
    /// underscores or dots: `user_identity_type`, `UserIdentityType`.
    fn in_another_case(self, wanted: &str) -> Option<String> {
        let joined = wanted.replace(['_', '.'], "");
        let paths = self.snapshot.paths();
        let mut found = BTreeSet::new();
        let (mut alike, mut like) = (BTreeSet::new(), String::new());
        let names = named().chain(paths.iter().copied()).chain(known_paths());
        for path in names {
            // A path, or its end from any of its parts on.
            let starts = path.match_indices('.').map(|(dot, _)| dot + 1);
            let is_meant = |start: &usize| path[*start..].eq_ignore_ascii_case(wanted);
            if let Some(start) = std::iter::once(0).chain(starts).find(is_meant) {
                found.insert(&path[start..]);
            }
            like.clear();
            like.extend(path.chars().filter(|c| !matches!(c, '_' | '.')));
            if like.eq_ignore_ascii_case(&joined) {
                alike.insert(path);
            }
        }
        let found = if found.is_empty() { alike } else { found };
        let [name] = found.into_iter().collect::<Vec<_>>()[..] else { return None };
        self.notes.add(format!("'{wanted}' is taken for '{name}'"));
        Some(name.to_owned())
    }
}

impl Places {
    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.objects.is_empty()
    }

    /// Every path, each once.
    pub(crate) fn all(self) -> Vec<String> {
        let objects = self.objects.into_iter().filter(|path| !self.values.contains(path));
        self.values.iter().cloned().chain(objects).collect()
    }
}

/// Whether a name always means a column, the time, or certain paths, whatever paths events have.
pub(crate) fn is_taken(name: &str) -> bool {
    named().any(|taken| taken == name)
}

/// Every name that is no path of [`known_paths`], or a column's path.
fn named<'n>() -> impl Iterator<Item = &'n str> {
    let columns = COLUMNS
        .iter()
        .flat_map(|column| std::iter::once(&column.path).chain(column.aliases).copied());
    columns
        .chain(SHORT_NAMES.iter().map(|short| short.name))
        .chain(["time", "ip", INTEGRITY, FLAG, EVENT_TIME_PATH])
        .chain(enrich::Field::ALL.iter().map(|(_, name, _)| *name))
        .map(|name| name as &'n str)
}

/// `userIdentity`, say.
pub(crate) fn is_above_a_column(name: &str) -> bool {
    COLUMNS
        .iter()
        .any(|column| column.path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// A column where the one path is a column's.
fn one_column(places: Places) -> Target {
    match (&places.values[..], &places.objects[..]) {
        ([path], []) => match ColumnId::at_path(path) {
            Some(id) => Target::Column(id),
            None => Target::Places(places),
        },
        _ => Target::Places(places),
    }
}

fn at_paths(values: Vec<String>) -> Target {
    Target::Places(Places { values, ..Places::default() })
}

/// What is left of a name without what other tools add to it, one thing after the other.
fn plain_names(field: &FieldRef) -> impl Iterator<Item = &str> {
    // `@` may be gone when what is behind it goes.
    let at = if field.name.starts_with('@') { "@" } else { "" };
    let is_field = move |name: &str| {
        let is = |other: &str| other == name || other.strip_prefix(at) == Some(name);
        !told::NO_FIELDS.iter().any(|(other, _)| is(other))
    };
    let first = Some(field.name.as_str()).filter(|_| !field.is_quoted);
    let names = std::iter::successors(first, |name| without_addition(name));
    names.take_while(move |name| is_field(name)).skip(1)
}

/// Another tool's name for a field: one with dots, or one without.
fn other_name(field: &FieldRef, has_dots: bool) -> Option<Target> {
    let is_asked = !field.is_quoted && field.name.contains('.') == has_dots;
    let (_, ours) =
        OTHER_NAMES.iter().filter(|_| is_asked).find(|(other, _)| *other == field.name)?;
    match *ours {
        "ip" => Some(Target::Ip),
        "time" => Some(Target::Time),
        ours => ColumnId::named(ours)
            .map(Target::Column)
            .or_else(|| is_documented(ours).then(|| at_paths(vec![ours.to_owned()]))),
    }
}

/// The places of a name that AWS documents; None where it documents none.
fn documented(name: &str) -> Option<Places> {
    let at = |name: &str| Places { values: vec![name.to_owned()], ..Places::default() };
    if is_documented(name) || POLICY_ELEMENTS.contains(&first_part(name)) {
        return Some(at(name));
    }
    let below = format!("{name}.");
    if is_documented(&format!("{below}x")) || known_paths().any(|path| path.starts_with(&below)) {
        return Some(Places { objects: vec![name.to_owned()], ..Places::default() });
    }
    Some(ending_in(name, known_paths())).filter(|places| !places.is_empty())
}

/// Of some paths, those that end in a name, and the beginnings of others up to it.
fn ending_in<'p>(name: &str, paths: impl Iterator<Item = &'p str>) -> Places {
    let (mut values, mut objects) = (BTreeSet::new(), BTreeSet::new());
    let end = format!(".{name}");
    for path in paths {
        for (start, _) in path.match_indices(&end) {
            let stop = start + end.len();
            match path.as_bytes().get(stop) {
                None => drop(values.insert(path)),
                Some(b'.') => drop(objects.insert(&path[..stop])),
                Some(_) => {}
            }
        }
    }
    let owned = |paths: BTreeSet<&str>| paths.into_iter().map(str::to_owned).collect();
    Places { values: owned(values), objects: owned(objects), has_arns: false }
}

fn first_part(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}
