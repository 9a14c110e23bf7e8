//! Charts as small SVGs. Axes have the page's text colour; series differ in colour and dashes.

use std::fmt::Write;

use crate::experiment::page::escape;

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
/// Larger numbers are taken for invalid and not drawn.
const GREATEST: f64 = 1e15;

/// Curves in one pair of axes.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Title above the plot.
    pub title: String,
    /// Name of the horizontal axis.
    pub x: String,
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

/// The range and the ticks of an axis. `place` maps `low` to 0 and `high` to 1.
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
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
    (0..64).map(|at| (first + f64::from(at)) * step).take_while(|v| *v <= high + step * 1e-6).collect()
}

fn drawable(point: &[f64; 2]) -> bool {
    point.iter().all(|v| v.is_finite() && v.abs() <= GREATEST)
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
            for (at, series) in self.series.iter().enumerate() {
                curve(&mut svg, &plot, &x, &y, at, series);
            }
            for (at, series) in self.series.iter().enumerate() {
                // Series are shifted sideways, or their dots would overlap.
                let aside = (at as f64 - (self.series.len() as f64 - 1.0) / 2.0) * DOT_SHIFT;
                dots(&mut svg, &plot, &x, &y, at, aside, series);
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
        Some([Axis::of_epochs(x_low, x_high), y])
    }

    fn legend(&self, svg: &mut String) {
        for (at, series) in self.series.iter().enumerate() {
            let (x, y) = ((at % 2) as f64 * SIZE[0] / 2.0, 32.0 + (at / 2) as f64 * LEGEND_ROW);
            let _ = writeln!(
                svg,
                "<path d=\"M{x} {}h28\" {}/><text x=\"{}\" y=\"{y}\">{}</text>",
                y - 4.0,
                style(at),
                x + 34.0,
                escape(&series.name)
            );
        }
    }

    fn frame(&self, svg: &mut String, plot: &Plot, x: &Axis, y: &Axis) {
        let step = |axis: &Axis| axis.ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        for tick in &y.ticks {
            let at = plot.down(y.place(*tick));
            let step = if y.logarithmic { *tick } else { step(y) };
            let _ = writeln!(
                svg,
                "<path d=\"M{:.1} {at:.1}h{:.1}\" stroke=\"currentColor\" stroke-opacity=\".15\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                plot.x,
                plot.w,
                plot.x - 6.0,
                at + 4.0,
                label(*tick, step)
            );
        }
        let base = plot.y + plot.h;
        for tick in &x.ticks {
            let at = plot.across(x.place(*tick));
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} {base:.1}v5\" stroke=\"currentColor\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                base + 18.0,
                label(*tick, step(x))
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

fn style(at: usize) -> String {
    let (colour, dash) = (at % COLOURS.len(), (at + at / COLOURS.len()) % DASHES.len());
    format!(
        "class=\"s{colour}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-dasharray=\"{}\"",
        COLOURS[colour], DASHES[dash]
    )
}

/// Draws a curve, interrupted at missing values. A point without neighbours becomes a dot.
fn curve(svg: &mut String, plot: &Plot, x: &Axis, y: &Axis, at: usize, series: &Series) {
    let mut path = String::new();
    for run in series.points.split(|point| !drawable(point)).filter(|run| !run.is_empty()) {
        for (step, point) in run.iter().enumerate() {
            let letter = if step == 0 { 'M' } else { 'L' };
            let (px, py) = (plot.across(x.place(point[0])), plot.down(y.place(point[1])));
            let _ = write!(path, "{letter}{px:.1} {py:.1}");
        }
        if run.len() == 1 {
            // A stroke of no length with round ends.
            path.push_str("h0");
        }
    }
    if !path.is_empty() {
        let width = if series.points.len() == 1 { " style=\"stroke-width:6;stroke-dasharray:none\"" } else { "" };
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" {} stroke-linecap=\"round\" stroke-linejoin=\"round\"{width}/>",
            style(at)
        );
    }
}

fn dots(svg: &mut String, plot: &Plot, x: &Axis, y: &Axis, at: usize, aside: f64, series: &Series) {
    let colour = at % COLOURS.len();
    for [px, py] in series.dots.iter().filter(|dot| drawable(dot)) {
        let (px, py) = (plot.across(x.place(*px)) + aside, plot.down(y.place(*py)));
        let _ = writeln!(
            svg,
            "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"{DOT_RADIUS}\" fill=\"{}\" fill-opacity=\".45\"/>",
            page_colour(colour)
        );
    }
}

/// The colour of a series, which a page's style may change.
pub fn page_colour(at: usize) -> String {
    format!("var(--s{at}, {})", COLOURS[at % COLOURS.len()])
}

/// Converts an `<svg>` element of a page to a standalone file, on white and without the page's style.
pub fn svg_file(element: &str) -> String {
    let start = "<svg xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" color=\"#1f2328\" \
                 style=\"background:#fff\" ";
    let fixed = |text: String, at: usize| text.replace(&page_colour(at), COLOURS[at]);
    (0..COLOURS.len()).fold(element.replacen("<svg ", start, 1), fixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chart(scale: Scale, points: Vec<[f64; 2]>) -> Chart {
        let series = vec![Series { name: "a < b".into(), points, dots: Vec::new() }];
        Chart { title: "R&D".into(), x: "epoch".into(), y: "loss".into(), scale, series, note: String::new() }
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
        let [one, two] = places[..] else { panic!("two dots, none for what is no number: {places:?}") };
        assert!(two.parse::<f64>().ok() == one.parse::<f64>().ok().map(|x| x + DOT_SHIFT), "{places:?}");
        assert!(svg.contains(">30</text>"), "{svg}");
        let file = svg_file(&svg);
        assert!(svg.contains("var(--s0, ") && !file.contains("var("), "{file}");
        assert!(file.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" ") && file.matches("<svg").count() == 1);
    }

    #[test]
    fn axes_have_round_ticks() {
        let axis = Axis::linear(0.13, 0.87);
        assert_eq!((axis.low, axis.high, axis.ticks.len()), (0.0, 1.0, 6));
        let ticks = Axis::of_epochs(1.0, 30.0).ticks;
        assert_eq!(ticks, [5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        let far = Axis::logarithmic(0.003, 2.0);
        assert_eq!((far.low, far.high), (1e-3, 10.0));
        assert!((far.place(0.1) - 0.5).abs() < 1e-9);
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
