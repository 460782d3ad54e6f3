//! Cost against size as a small picture: both axes are logarithmic.

use std::fmt::Write;

use super::stats::short;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
const COLOURS: [&str; 6] = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b9770e", "#555555"];

/// A line of a plot.
pub(crate) struct Line {
    /// What it shows.
    pub(crate) label: String,
    /// Size and cost, by size.
    pub(crate) points: Vec<(u64, f64)>,
}

/// A picture and the file that it goes into.
pub(crate) struct Plot {
    /// The name of the file, without its ending.
    pub(crate) name: &'static str,
    /// What stands above it.
    pub(crate) title: &'static str,
    /// What the sizes count.
    pub(crate) sizes: &'static str,
    /// The lines; those that were not measured have no points.
    pub(crate) lines: Vec<Line>,
}

impl Plot {
    /// The picture as SVG.
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points).filter(|(_, cost)| *cost > 0.0);
        let across = Axis::around(points().map(|(size, _)| *size as f64), LEFT, WIDTH - RIGHT);
        let up = Axis::around(points().map(|(_, cost)| *cost), HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        let mut text = |x: f64, y: f64, anchor: &str, text: &str| {
            writeln!(svg, "<text x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"{anchor}\">{text}</text>")
                .expect("a string takes everything");
        };
        text(LEFT, 20.0, "start", &format!("{} (microseconds)", self.title));
        text(f64::midpoint(LEFT, WIDTH - RIGHT), HEIGHT - 12.0, "middle", self.sizes);
        for size in across.powers() {
            text(across.place(size), HEIGHT - BOTTOM + 18.0, "middle", &short(size));
        }
        for cost in up.powers() {
            text(LEFT - 8.0, up.place(cost) + 4.0, "end", &short(cost));
        }
        // labels stand where their lines end, and not on each other
        let mut labels: Vec<_> =
            self.lines.iter().filter_map(|line| Some((up.place(line.points.last()?.1) + 4.0, &line.label))).collect();
        labels.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut lowest = f64::NEG_INFINITY;
        for (y, label) in labels {
            lowest = y.max(lowest + 14.0);
            text(WIDTH - RIGHT + 8.0, lowest, "start", label);
        }
        let mut stroke = |colour: &str, places: &str| {
            writeln!(svg, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{places}\"/>")
                .expect("a string takes everything");
        };
        for cost in up.powers() {
            let y = up.place(cost);
            stroke("#dddddd", &format!("{LEFT:.0},{y:.1} {:.0},{y:.1}", WIDTH - RIGHT));
        }
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let places: Vec<String> = line
                .points
                .iter()
                .map(|(size, cost)| format!("{:.1},{:.1}", across.place(*size as f64), up.place(*cost)))
                .collect();
            stroke(colour, &places.join(" "));
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// A logarithmic axis from one power of ten to another.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn around(figures: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for figure in figures {
            low = low.min(figure.log10().floor());
            high = high.max(figure.log10().ceil());
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        Self { low, high: high.max(low + 1.0), from, to }
    }

    fn place(&self, figure: f64) -> f64 {
        self.from + (self.to - self.from) * (figure.log10() - self.low) / (self.high - self.low)
    }

    fn powers(&self) -> Vec<f64> {
        (self.low as i32..=self.high as i32).map(|power| 10_f64.powi(power)).collect()
    }
}
