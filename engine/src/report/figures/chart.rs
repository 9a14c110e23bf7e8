//! Charts as small SVGs. Axes have the page's text colour; series differ in colour and dashes.

use std::fmt::Write;

use crate::report::page::escape;

/// Size of the drawing in SVG units.
const SIZE: [f64; 2] = [440.0, 280.0];
/// Left, right, top (without the legend's rows) and bottom margins of the plot.
const MARGINS: [f64; 4] = [52.0, 14.0, 34.0, 40.0];
/// Height of a row of the legend, which has two columns.
const LEGEND_ROW: f64 = 17.0;
/// Colours of Okabe and Ito, which colour-blind readers can distinguish. A page may override them by the classes s0, s1, ...
const COLOURS: [&str; 4] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"];
/// Dash patterns of the series.
const DASHES: [&str; 4] = ["none", "7 3", "2 3", "9 3 2 3"];
/// Radius of a dot, and distance between the dots of neighbouring series.
const DOT_RADIUS: f64 = 2.5;
const DOT_SHIFT: f64 = 6.0;
/// Maximum fraction of the distance of two values that the dots of all series take.
const DOT_SHARE: f64 = 0.8;
/// Factor between the first or last label budget and the end of its axis.
const BUDGET_ROOM: f64 = 1.5;
/// Markers on the curves, a path around the point, by round of colours and dashes: none, square, triangle, diamond.
const MARKERS: [&str; 4] = ["", "M-3.5-3.5h7v7h-7z", "M0-4.5l4.5 8h-9z", "M0-5l5 5l-5 5l-5-5z"];
/// Larger numbers are taken for invalid and not drawn.
const MAX_VALUE: f64 = 1e15;

/// Curves in one pair of axes.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Title above the plot.
    pub title: String,
    /// Name of the horizontal axis.
    pub x: String,
    /// Scale of the horizontal axis.
    pub x_scale: XScale,
    /// Name of the vertical axis.
    pub y: String,
    /// Scale of the vertical axis.
    pub scale: Scale,
    /// The curves.
    pub series: Vec<Series>,
    /// A sentence below the chart; may be empty.
    pub note: String,
}

/// A curve. Points that are not finite interrupt it.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// x and y, with ascending x.
    pub points: Vec<[f64; 2]>,
    /// Individual values, each drawn as a small dot behind the curve.
    pub dots: Vec<[f64; 2]>,
}

/// Scale of the horizontal axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XScale {
    /// Whole numbers, linear.
    Epochs,
    /// Logarithmic, with a tick at each value.
    Budgets,
}

/// Scale of the vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From the smallest to the largest value, including 0 if it is near.
    Linear,
    /// Always 0 to 1.
    Share,
    /// Logarithmic if all values are positive and far apart, otherwise linear.
    Auto,
}

/// The range and the ticks of an axis. `fraction` maps `low` to 0 and `high` to 1.
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
}

impl Axis {
    fn fraction(&self, value: f64) -> f64 {
        let of = |v: f64| if self.logarithmic { v.max(f64::MIN_POSITIVE).log10() } else { v };
        ((of(value) - of(self.low)) / (of(self.high) - of(self.low))).clamp(-0.1, 1.1)
    }

    /// An axis of whole numbers with ticks at the first and the last.
    fn of_epochs(low: f64, high: f64) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low - 1.0, low + 1.0) };
        let step = nice((high - low) / 6.0).max(1.0);
        let ticks = multiples(low, high, step);
        Self { low, high, logarithmic: false, ticks }
    }

    /// A logarithmic axis with room for dots beside the first and the last of `values`.
    fn of_budgets(values: impl Iterator<Item = f64>) -> Self {
        let mut ticks: Vec<f64> = values.filter(|value| *value > 0.0).collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        let (low, high) = (ticks.first().copied().unwrap_or(1.0), ticks.last().copied().unwrap_or(1.0));
        Self { low: low / BUDGET_ROOM, high: high * BUDGET_ROOM, logarithmic: true, ticks }
    }

    fn linear(low: f64, high: f64) -> Self {
        // A range that nearly reaches 0 starts there, because truncated axes exaggerate differences.
        let low = if low > 0.0 && low < 0.5 * high { 0.0 } else { low };
        let spread = (high - low).max(high.abs() * 1e-6).max(1e-9);
        let step = nice(spread / 5.0);
        let (low, high) = ((low / step).floor() * step, ((low + spread) / step).ceil() * step);
        Self { low, high, logarithmic: false, ticks: multiples(low, high, step) }
    }

    fn logarithmic(low: f64, high: f64) -> Self {
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let (low, high) = (10f64.powi(first), 10f64.powi(last.max(first + 1)));
        let stride = ((last - first) / 6 + 1).max(1) as usize;
        let ticks = (first..=last.max(first + 1)).step_by(stride).map(|power| 10f64.powi(power)).collect();
        Self { low, high, logarithmic: true, ticks }
    }
}

/// The smallest of 1, 2 or 5 times a power of ten that is at least `step`.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|m| m * power).find(|s| *s >= step * 0.999_999).unwrap_or(10.0 * power)
}

fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step - 1e-6).ceil();
    (0..64).map(|index| (first + f64::from(index)) * step).take_while(|v| *v <= high + step * 1e-6).collect()
}

fn drawable(point: &[f64; 2]) -> bool {
    point.iter().all(|v| v.is_finite() && v.abs() <= MAX_VALUE)
}

/// Formats the number at a tick in few characters.
fn label(value: f64, step: f64) -> String {
    let size = value.abs();
    if value == 0.0 || size < step * 1e-6 {
        return "0".into();
    }
    if !(1e-3..1e5).contains(&size) {
        return format!("{value:.0e}");
    }
    let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}

impl Chart {
    /// The chart as an `<svg>` element for a page; its text is escaped.
    pub fn svg(&self) -> String {
        let rows = self.series.len().div_ceil(2) as f64;
        let [left, right, top, bottom] = MARGINS;
        let plot = Plot { x: left, y: top + rows * LEGEND_ROW, w: SIZE[0] - left - right, h: SIZE[1] - top - bottom };
        let height = SIZE[1] + rows * LEGEND_ROW;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {} {height}\" role=\"img\" aria-label=\"{}\" font-size=\"12\" fill=\"currentColor\">\n\
             <text x=\"0\" y=\"14\" font-size=\"14\" font-weight=\"600\">{}</text>\n",
            SIZE[0],
            escape(&self.in_words()),
            escape(&self.title),
        );
        self.legend(&mut svg);
        if let Some([x, y]) = self.axes() {
            self.frame(&mut svg, &plot, &x, &y);
            for (index, series) in self.series.iter().enumerate() {
                curve(&mut svg, &plot, &x, &y, index, series);
            }
            // Series are shifted sideways, or their dots would overlap, but not towards the next value.
            let places: Vec<f64> = x.ticks.iter().map(|tick| plot.across(x.fraction(*tick))).collect();
            let between = places.windows(2).map(|pair| pair[1] - pair[0]);
            let before = places.first().filter(|_| x.logarithmic).map(|first| 2.0 * (first - plot.x));
            let room = between.chain(before).fold(f64::INFINITY, f64::min);
            let shift = DOT_SHIFT.min(DOT_SHARE * room / self.series.len().max(1) as f64);
            for (index, series) in self.series.iter().enumerate() {
                let aside = (index as f64 - (self.series.len() as f64 - 1.0) / 2.0) * shift;
                dots(&mut svg, &plot, &x, &y, index, aside, series);
            }
        } else {
            let (x, y) = (plot.x + plot.w / 2.0, plot.y + plot.h / 2.0);
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">no values</text>");
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Text alternative of the chart: the first and last value of each curve.
    fn in_words(&self) -> String {
        let mut words = format!("Chart. {}, {} by {}.", self.title, self.y, self.x);
        for series in &self.series {
            let mut points = series.points.iter().filter(|p| drawable(p));
            if let Some(first) = points.next() {
                let last = points.next_back().unwrap_or(first);
                let _ = write!(words, " {}: from {:.3} to {:.3}.", series.name, first[1], last[1]);
            }
        }
        words
    }

    /// Both axes; `None` if there is nothing to draw.
    fn axes(&self) -> Option<[Axis; 2]> {
        let points = || self.series.iter().flat_map(|s| s.points.iter().chain(&s.dots)).filter(|p| drawable(p));
        points().next()?;
        let range = |axis: usize| {
            points().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p[axis]), high.max(p[axis])))
        };
        let ((x_low, x_high), (low, high)) = (range(0), range(1));
        let far_apart = low > 1e-12 && high / low > 30.0;
        let y = match self.scale {
            Scale::Share => Axis { low: 0.0, high: 1.0, logarithmic: false, ticks: multiples(0.0, 1.0, 0.2) },
            Scale::Auto if far_apart => Axis::logarithmic(low, high),
            Scale::Auto | Scale::Linear => Axis::linear(low, high),
        };
        let x = match self.x_scale {
            XScale::Epochs => Axis::of_epochs(x_low, x_high),
            XScale::Budgets => Axis::of_budgets(points().map(|point| point[0])),
        };
        Some([x, y])
    }

    fn legend(&self, svg: &mut String) {
        for (index, series) in self.series.iter().enumerate() {
            let (x, y) = ((index % 2) as f64 * SIZE[0] / 2.0, 32.0 + (index / 2) as f64 * LEGEND_ROW);
            let _ = writeln!(
                svg,
                "<path d=\"M{x} {}h28\" {}/>{}<text x=\"{}\" y=\"{y}\">{}</text>",
                y - 4.0,
                style(index),
                marker(index, x + 14.0, y - 4.0),
                x + 34.0,
                escape(&series.name)
            );
        }
    }

    fn frame(&self, svg: &mut String, plot: &Plot, x: &Axis, y: &Axis) {
        let step = |axis: &Axis| axis.ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        for tick in &y.ticks {
            let height = plot.down(y.fraction(*tick));
            let step = if y.logarithmic { *tick } else { step(y) };
            let _ = writeln!(
                svg,
                "<path d=\"M{:.1} {height:.1}h{:.1}\" stroke=\"currentColor\" stroke-opacity=\".15\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                plot.x,
                plot.w,
                plot.x - 6.0,
                height + 4.0,
                label(*tick, step)
            );
        }
        let base = plot.y + plot.h;
        for tick in &x.ticks {
            let left = plot.across(x.fraction(*tick));
            let _ = writeln!(
                svg,
                "<path d=\"M{left:.1} {base:.1}v5\" stroke=\"currentColor\"/>\
                 <text x=\"{left:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                base + 18.0,
                label(*tick, step(x).min(1.0))
            );
        }
        let (middle, side) = (plot.x + plot.w / 2.0, plot.y + plot.h / 2.0);
        let note = if y.logarithmic { ", log scale" } else { "" };
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {:.1}v{:.1}h{:.1}\" fill=\"none\" stroke=\"currentColor\"/>\n\
             <text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(11 {side:.1}) rotate(-90)\" text-anchor=\"middle\">{}{note}</text>",
            plot.x,
            plot.y,
            plot.h,
            plot.w,
            base + 35.0,
            escape(&self.x),
            escape(&self.y)
        );
    }
}

/// The rectangle that curves are drawn in.
struct Plot {
    x: f64,
    y: f64,
    w: f64,
    h: f64,
}

impl Plot {
    fn across(&self, share: f64) -> f64 {
        self.x + share * self.w
    }

    fn down(&self, share: f64) -> f64 {
        self.y + (1.0 - share) * self.h
    }
}

fn style(index: usize) -> String {
    let (colour, dash) = (index % COLOURS.len(), (index + index / COLOURS.len()) % DASHES.len());
    format!(
        "class=\"s{colour}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-dasharray=\"{}\"",
        COLOURS[colour], DASHES[dash]
    )
}

/// The marker of a series at a point; empty for the first series, which differ in colour or dashes.
fn marker(index: usize, x: f64, y: f64) -> String {
    let shape = MARKERS[index / (COLOURS.len() * DASHES.len()) % MARKERS.len()];
    if shape.is_empty() {
        return String::new();
    }
    let fill = page_colour(index % COLOURS.len());
    format!("<path d=\"{shape}\" transform=\"translate({x:.1} {y:.1})\" fill=\"{fill}\"/>")
}

/// Draws a curve, interrupted at missing values. A viewer of the page shows its name under the pointer. A point without neighbours becomes a dot.
fn curve(svg: &mut String, plot: &Plot, x: &Axis, y: &Axis, index: usize, series: &Series) {
    let mut path = String::new();
    for run in series.points.split(|point| !drawable(point)).filter(|run| !run.is_empty()) {
        for (step, point) in run.iter().enumerate() {
            let letter = if step == 0 { 'M' } else { 'L' };
            let (px, py) = (plot.across(x.fraction(point[0])), plot.down(y.fraction(point[1])));
            let _ = write!(path, "{letter}{px:.1} {py:.1}");
        }
        if run.len() == 1 {
            // A stroke of no length with round ends.
            path.push_str("h0");
        }
    }
    let markers = series.points.iter().filter(|point| drawable(point));
    let markers: String = markers
        .map(|point| marker(index, plot.across(x.fraction(point[0])), plot.down(y.fraction(point[1]))))
        .collect();
    if !path.is_empty() {
        let width = if series.points.len() == 1 { " style=\"stroke-width:6;stroke-dasharray:none\"" } else { "" };
        let _ = writeln!(
            svg,
            "<g><title>{}</title><path d=\"{path}\" {} stroke-linecap=\"round\" stroke-linejoin=\"round\"{width}/>{markers}</g>",
            escape(&series.name),
            style(index)
        );
    }
}

fn dots(svg: &mut String, plot: &Plot, x: &Axis, y: &Axis, index: usize, aside: f64, series: &Series) {
    let colour = index % COLOURS.len();
    for [px, py] in series.dots.iter().filter(|dot| drawable(dot)) {
        let (px, py) = (plot.across(x.fraction(*px)) + aside, plot.down(y.fraction(*py)));
        let _ = writeln!(
            svg,
            "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"{DOT_RADIUS}\" fill=\"{}\" fill-opacity=\".45\"/>",
            page_colour(colour)
        );
    }
}

/// The colour of a series, which a page's style may change.
pub fn page_colour(index: usize) -> String {
    format!("var(--s{index}, {})", COLOURS[index % COLOURS.len()])
}

/// Converts an `<svg>` element of a page to a standalone file, on white and without the page's style.
pub fn svg_file(element: &str) -> String {
    let start = "<svg xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" color=\"#1f2328\" \
                 style=\"background:#fff\" ";
    let fixed = |text: String, index: usize| text.replace(&page_colour(index), COLOURS[index]);
    (0..COLOURS.len()).fold(element.replacen("<svg ", start, 1), fixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chart(scale: Scale, points: Vec<[f64; 2]>) -> Chart {
        let series = vec![Series { name: "a < b".into(), points, dots: Vec::new() }];
        Chart {
            x_scale: XScale::Epochs,
            title: "R&D".into(),
            x: "epoch".into(),
            y: "loss".into(),
            scale,
            series,
            note: String::new(),
        }
    }

    #[test]
    fn text_is_escaped_and_numbers_are_rounded() {
        let svg = chart(Scale::Linear, vec![[1.0, 0.2], [2.0, f64::NAN], [3.0, 0.4], [4.0, 0.5]]).svg();
        assert!(svg.contains("R&amp;D") && svg.contains("a &lt; b") && !svg.contains("NaN"), "{svg}");
        assert_eq!(svg.matches("class=\"s0\"").count(), 2, "the curve and its sample");
        assert_eq!(
            (label(0.25, 0.05).as_str(), label(1e-5, 1e-5).as_str(), label(3.0, 1.0).as_str()),
            ("0.25", "1e-5", "3")
        );
        assert!(chart(Scale::Auto, vec![]).svg().contains("no values"));
    }

    #[test]
    fn dots_count_for_the_axes_and_do_not_overlap() {
        let mut chart = chart(Scale::Linear, vec![[2.0, 0.5], [4.0, 0.6]]);
        chart.series[0].dots = vec![[2.0, 30.0], [2.0, f64::NAN]];
        chart.series.push(chart.series[0].clone());
        let svg = chart.svg();
        let places: Vec<&str> = svg.split("<circle cx=\"").skip(1).filter_map(|dot| dot.split('"').next()).collect();
        let [one, two] = places[..] else { panic!("two dots, none for NaN: {places:?}") };
        assert!(two.parse::<f64>().ok() == one.parse::<f64>().ok().map(|x| x + DOT_SHIFT), "{places:?}");
        assert!(svg.contains(">30</text>"), "{svg}");
        let file = svg_file(&svg);
        assert!(svg.contains("var(--s0, ") && !file.contains("var("), "{file}");
        assert!(file.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" ") && file.matches("<svg").count() == 1);
    }

    #[test]
    fn no_two_of_64_series_have_the_same_look() {
        let look = |index: usize| style(index) + &marker(index, 0.0, 0.0);
        let looks: std::collections::BTreeSet<String> = (0..64).map(look).collect();
        assert_eq!(looks.len(), 64);
    }

    #[test]
    fn dots_of_many_methods_stay_beside_their_label_budget() {
        let series = |n: usize| {
            let points: Vec<[f64; 2]> = [2.0, 4.0, 19.0, 38.0].map(|x| [x, 0.5]).to_vec();
            Series { name: n.to_string(), dots: points.clone(), points }
        };
        let many = Chart {
            x_scale: XScale::Budgets,
            series: (0..29).map(series).collect(),
            ..chart(Scale::Share, Vec::new())
        };
        let svg = many.svg();
        let places: Vec<f64> =
            svg.split("<circle cx=\"").skip(1).filter_map(|dot| dot.split('"').next()?.parse().ok()).collect();
        assert_eq!(places.len(), 29 * 4);
        let [left, right, ..] = MARGINS;
        assert!(places.iter().all(|x| (left..=SIZE[0] - right).contains(x)), "{places:?}");
        // Dots of one method follow each other; the last at 2 is left of the first at 4.
        assert!(places[28 * 4] < places[1], "{} and {}", places[28 * 4], places[1]);
        for tick in [">2</text>", ">4</text>", ">19</text>", ">38</text>"] {
            assert!(svg.contains(tick), "{tick} in {svg}");
        }
    }

    #[test]
    fn axes_have_round_ticks() {
        let axis = Axis::linear(0.13, 0.87);
        assert_eq!((axis.low, axis.high, axis.ticks.len()), (0.0, 1.0, 6));
        let ticks = Axis::of_epochs(1.0, 30.0).ticks;
        assert_eq!(ticks, [5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        let far = Axis::logarithmic(0.003, 2.0);
        assert_eq!((far.low, far.high), (1e-3, 10.0));
        assert!((far.fraction(0.1) - 0.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn every_number_is_finite(points in prop::collection::vec([any::<f64>(), any::<f64>()], 0..20), log in any::<bool>()) {
            let scale = if log { Scale::Auto } else { Scale::Linear };
            let svg = chart(scale, points).svg();
            let drawn = svg.split_once('>').map_or("", |(_, drawn)| drawn);
            prop_assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{svg}");
        }
    }
}
