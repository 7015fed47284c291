//! How costs grow with the archive: a drawing, in SVG, of several results.
//!
//! Colours and grey are of a middle brightness, readable on white and on black. A media query would
//! ask what the system prefers, and not what the page around the drawing looks like.

use std::collections::BTreeMap;

use crate::report::{IngestReport, Report};

/// Pixels. Curves are between these two; values of the axes are before them, names behind.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 520.0;
const WIDTH: f64 = 800.0;

/// Of a panel's title and of the space below it.
const HEAD: f64 = 44.0;
const PANEL_MIN: f64 = 110.0;

/// From one name to the next: the height of a line of text.
const LINE: f64 = 15.0;

/// Between the end of a curve and its name, which may have to stand higher or lower.
const LEADER: f64 = 24.0;

/// Of curves, in turns.
const COLOURS: [&str; 6] = ["#3b82c4", "#c4632f", "#2f9e6e", "#b0539b", "#a07d1c", "#6c74dc"];

const STYLE: &str = "text{font:12px sans-serif;fill:#7a838d}.title{font-weight:bold}\
    .grid{stroke:#7a838d;stroke-opacity:.3}.leader{stroke-opacity:.4}polyline{fill:none;stroke-width:1.5}";

/// What loading costs, what the index takes and how long each query takes, by the number of events,
/// as an SVG. If two reports have equally many events, the later one counts. None if there is
/// nothing to draw.
pub fn growth(reports: &[Report]) -> Option<String> {
    let ingest = |name: &str, value: fn(&IngestReport) -> f64| {
        vec![Curve::of(name, reports, |report| report.ingest.as_ref().map(value))]
    };
    let panels = [
        Panel {
            title: "CPU seconds to load a million events",
            scale: Axis::from_zero,
            curves: ingest("load", IngestReport::cpu_s_per_million),
        },
        Panel {
            title: "index, % of raw",
            scale: Axis::from_zero,
            curves: ingest("index", |ingest| ingest.share_of_raw() * 1e2),
        },
        Panel { title: "median of a query, ms", scale: Axis::log, curves: queries(reports) },
    ];
    let panels = panels.map(Panel::without_empty_curves);
    let points = panels.iter().flat_map(|panel| &panel.curves).flat_map(|curve| &curve.points);
    let events: Vec<f64> = points.map(|(events, _)| *events).collect();
    if events.is_empty() {
        return None;
    }
    let events = Axis::log(&events);
    let mut drawing = String::new();
    let mut top = 0.0;
    for panel in panels.iter().filter(|panel| !panel.curves.is_empty()) {
        panel.draw(&events, top + HEAD, &mut drawing);
        top += HEAD + panel.height();
    }
    for tick in &events.ticks {
        let (x, y) = (events.between(*tick, LEFT, RIGHT), top + LINE);
        drawing.push_str(&text(x, y, "middle", "", &count(*tick)));
    }
    drawing.push_str(&text(LEFT.midpoint(RIGHT), top + 2.2 * LINE, "middle", "", "events"));
    let height = top + 3.0 * LINE;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\">\n<style>{STYLE}</style>\n{drawing}</svg>\n"
    ))
}

/// A curve for each query, by name.
fn queries(reports: &[Report]) -> Vec<Curve> {
    let mut names: Vec<&str> = Vec::new();
    for query in reports.iter().flat_map(|report| &report.queries) {
        if !names.contains(&query.name.as_str()) {
            names.push(&query.name);
        }
    }
    let curve = |name: &str| {
        Curve::of(name, reports, |report| {
            let query = report.queries.iter().find(|query| query.name == name);
            query.map(|query| query.warm.median_ms)
        })
    };
    names.into_iter().map(curve).collect()
}

struct Curve {
    name: String,
    /// Events and what they cost, by events.
    points: Vec<(f64, f64)>,
}

impl Curve {
    fn of(name: &str, reports: &[Report], value: impl Fn(&Report) -> Option<f64>) -> Self {
        let points = reports.iter().filter_map(|report| Some((report.events, value(report)?)));
        // Nothing else has a place on a logarithmic axis.
        let points = points.filter(|(events, value)| *events > 0 && *value > 0.0);
        let points: BTreeMap<u64, f64> = points.collect();
        let points = points.into_iter().map(|(events, value)| (events as f64, value)).collect();
        Self { name: name.to_owned(), points }
    }

    fn last(&self) -> (f64, f64) {
        *self.points.last().expect("empty curves are left out")
    }
}

/// Curves above one axis of events, with an axis of their own.
struct Panel {
    title: &'static str,
    scale: fn(&[f64]) -> Axis,
    curves: Vec<Curve>,
}

impl Panel {
    fn without_empty_curves(mut self) -> Self {
        self.curves.retain(|curve| !curve.points.is_empty());
        self
    }

    /// Enough for the names of all curves, one below the other.
    fn height(&self) -> f64 {
        PANEL_MIN.max(self.curves.len() as f64 * LINE)
    }

    fn draw(&self, events: &Axis, top: f64, to: &mut String) {
        let bottom = top + self.height();
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        let values = (self.scale)(&points.map(|(_, value)| *value).collect::<Vec<_>>());
        let x = |number| events.between(number, LEFT, RIGHT);
        let y = |value| values.between(value, bottom, top);
        to.push_str(&text(LEFT, top - LINE, "start", "title", self.title));
        for tick in &values.ticks {
            to.push_str(&line("grid", (LEFT, y(*tick)), (RIGHT, y(*tick))));
            to.push_str(&text(LEFT - 6.0, y(*tick) + 4.0, "end", "", &number(*tick)));
        }
        for tick in &events.ticks {
            to.push_str(&line("grid", (x(*tick), top), (x(*tick), bottom)));
        }
        let ends: Vec<f64> = self.curves.iter().map(|curve| y(curve.last().1)).collect();
        let names = spread(&ends, top, bottom);
        for ((curve, name_y), colour) in self.curves.iter().zip(names).zip(COLOURS.iter().cycle()) {
            let points: Vec<_> = curve.points.iter().map(|(n, value)| (x(*n), y(*value))).collect();
            to.push_str(&format!("<g style=\"stroke:{colour};fill:{colour}\">"));
            to.push_str(&polyline(&points));
            let end = points[points.len() - 1];
            to.push_str(&line("leader", (end.0 + 4.0, end.1), (RIGHT + LEADER, name_y)));
            to.push_str("</g>\n");
            let name = format!("{}: {}", curve.name, number(curve.last().1));
            to.push_str(&text(RIGHT + LEADER + 4.0, name_y + 4.0, "start", "", &name));
        }
    }
}

/// A range of numbers, and those that are written beside it.
struct Axis {
    is_log: bool,
    ticks: Vec<f64>,
}

impl Axis {
    /// From zero to a round number.
    fn from_zero(values: &[f64]) -> Self {
        let most = values.iter().copied().fold(0.0, f64::max);
        let power = 10f64.powf(most.log10().floor());
        // Between two and six steps.
        let step = [0.2, 0.5, 1.0, 2.0].map(|step| step * power);
        let step = step.into_iter().find(|step| most / step <= 5.0).unwrap_or(power);
        let steps = (most / step).ceil() as u32;
        Self { is_log: false, ticks: (0..=steps).map(|n| f64::from(n) * step).collect() }
    }

    /// From a power of ten to another, above zero.
    fn log(values: &[f64]) -> Self {
        let (least, most) = values
            .iter()
            .map(|value| value.log10())
            .fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
        let first = least.floor() as i32;
        let last = (most.ceil() as i32).max(first + 1);
        Self { is_log: true, ticks: (first..=last).map(|power| 10f64.powi(power)).collect() }
    }

    /// Where a number is, when the axis goes from `start` to `end`.
    fn between(&self, number: f64, start: f64, end: f64) -> f64 {
        let scaled = |number: f64| if self.is_log { number.log10() } else { number };
        let (first, last) = (scaled(self.ticks[0]), scaled(self.ticks[self.ticks.len() - 1]));
        start + (scaled(number) - first) / (last - first) * (end - start)
    }
}

/// Places for names as near as can be to where their curves end, a line apart, none below `bottom`.
/// There is room for all.
fn spread(ends: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by(|a, b| ends[*a].total_cmp(&ends[*b]));
    let mut places = ends.to_vec();
    let mut free = top;
    for &at in &order {
        places[at] = places[at].max(free);
        free = places[at] + LINE;
    }
    let mut free = bottom;
    for &at in order.iter().rev() {
        places[at] = places[at].min(free);
        free = places[at] - LINE;
    }
    places
}

fn text(x: f64, y: f64, anchor: &str, class: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>\n"
    )
}

fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> String {
    let ((x1, y1), (x2, y2)) = (from, to);
    format!(
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
    )
}

/// A line through points, with a dot at each.
fn polyline(points: &[(f64, f64)]) -> String {
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let dot = |(x, y): &(f64, f64)| format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\"/>");
    let dots: String = points.iter().map(dot).collect();
    format!("<polyline points=\"{}\"/>{dots}", path.join(" "))
}

/// Three digits, more before the point, and no zeros at the end.
fn number(number: f64) -> String {
    let digits = if number >= 100.0 {
        0
    } else if number >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{number:.digits$}");
    if digits == 0 {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A power of ten.
fn count(number: f64) -> String {
    let units = [(1e9, " billion"), (1e6, " million"), (1e3, ",000")];
    let (unit, name) = units.into_iter().find(|(unit, _)| number >= *unit).unwrap_or((1.0, ""));
    format!("{:.0}{name}", number / unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latencies;
    use crate::report::QueryReport;

    fn report(events: u64, cpu_s: Option<f64>, queries: &[(&str, f64)]) -> Report {
        let ingest = |cpu_s| IngestReport { events, cpu_s, ..IngestReport::default() };
        let query = |&(name, median_ms): &(&str, f64)| QueryReport {
            name: name.to_owned(),
            warm: Latencies { median_ms, ..Latencies::default() },
            ..QueryReport::default()
        };
        Report {
            events,
            ingest: cpu_s.map(ingest),
            queries: queries.iter().map(query).collect(),
            ..Report::default()
        }
    }

    fn curves(drawing: &str) -> Vec<&str> {
        drawing.lines().filter_map(|line| line.split_once("<polyline")).map(|(_, c)| c).collect()
    }

    #[test]
    fn a_curve_has_a_point_for_each_number_of_events() {
        let reports = [
            report(10_000, Some(0.5), &[("all", 1.0), ("word", 20.0)]),
            report(1_000_000, None, &[("all", 2.0)]),
        ];
        let drawing = growth(&reports).unwrap();
        let points: Vec<usize> =
            curves(&drawing).iter().map(|curve| curve.matches("<circle").count()).collect();
        assert_eq!(points, [1, 2, 1]);
        for text in [">load: 50<", ">all: 2<", ">word: 20<", ">10,000<", ">1 million<"] {
            assert!(drawing.contains(text), "{text}: {drawing}");
        }
        assert!(!drawing.contains("of raw"), "no result has an index: {drawing}");
    }

    #[test]
    fn of_two_results_with_as_many_events_the_later_counts() {
        let reports =
            [report(1_000, Some(0.1), &[("all", 1.0)]), report(1_000, None, &[("all", 3.0)])];
        let drawing = growth(&reports).unwrap();
        assert!(drawing.contains(">load: 100<") && drawing.contains(">all: 3<"), "{drawing}");
        assert_eq!(curves(&drawing).len(), 2);
    }

    #[test]
    fn names_are_a_line_apart_and_within_the_panel() {
        let ends = [50.0, 100.0, 99.0, 98.0, 51.0];
        let mut places = spread(&ends, 0.0, 100.0);
        assert!(places[3] < places[2] && places[2] < places[1]);
        places.sort_by(f64::total_cmp);
        assert!(places[0] >= 0.0 && places[4] <= 100.0, "{places:?}");
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= LINE), "{places:?}");
    }

    #[test]
    fn axes_end_at_round_numbers_around_all_values() {
        for most in [0.013, 1.0, 4.9, 5.1, 48.3, 100.0] {
            let ticks = Axis::from_zero(&[most]).ticks;
            assert!(ticks[0] == 0.0 && ticks[ticks.len() - 1] >= most, "{most}: {ticks:?}");
            assert!((3..=7).contains(&ticks.len()), "{most}: {ticks:?}");
        }
        assert_eq!(Axis::log(&[3.0, 20.0]).ticks, [1.0, 10.0, 100.0]);
        assert_eq!(Axis::log(&[10.0]).ticks, [10.0, 100.0]);
    }

    #[test]
    fn names_cannot_become_markup() {
        let drawing = growth(&[report(10, None, &[("a < b & <script>", 1.0)])]).unwrap();
        assert!(drawing.contains(">a &lt; b &amp; &lt;script>: 1<"), "{drawing}");
    }

    #[test]
    fn without_a_value_nothing_is_drawn() {
        assert_eq!(growth(&[]), None);
        assert_eq!(growth(&[report(0, None, &[("all", 1.0)])]), None);
    }
}
