//! Learning curves over label budgets, and a dot per patient.

use std::fmt::Write;

use super::Source;
use crate::report::figures::{Chart, Scale, Series, XScale, page_colour};
use crate::report::page::escape;
use crate::study::results::Results;
use crate::study::summary::{Group, patient_means};

/// The learning curve of each cohort with more than one label budget: means of the plan's first metric over the number of
/// labelled patients, with a dot for each test patient.
pub fn learning_curves(source: Source<'_>) -> Vec<(String, Chart)> {
    let curve = |cohort: &str| {
        let own: Vec<&Group> = source.groups.iter().filter(|group| group.cohort == cohort).collect();
        (own.len() > 1).then(|| (cohort.to_owned(), learning_curve(cohort, &own, source.results)))
    };
    source.plan.cohorts.iter().filter_map(|cohort| curve(&cohort.name)).collect()
}

fn learning_curve(cohort: &str, groups: &[&Group], results: &Results) -> Chart {
    let mut series: Vec<Series> = Vec::new();
    for group in groups {
        for method in &group.methods {
            let Some(spread) = method.metrics.get(&group.metric()) else { continue };
            let x = group.labelled as f64;
            let dots = patient_means(results, group, &method.method, group.metric());
            let dots = dots.into_values().map(|value| [x, value]);
            if let Some(series) = series.iter_mut().find(|series| series.name == method.method) {
                series.points.push([x, spread.mean]);
                series.dots.extend(dots);
            } else {
                let points = vec![[x, spread.mean]];
                series.push(Series { name: method.method.clone(), points, dots: dots.collect() });
            }
        }
    }
    series.iter_mut().for_each(|series| series.points.sort_by(|a, b| a[0].total_cmp(&b[0])));
    let metric = groups.first().map(|group| group.metric()).unwrap_or_default();
    Chart {
        title: format!("{cohort}: {} by label budget", metric.heading()),
        x: "labelled patients, log scale".into(),
        x_scale: XScale::Budgets,
        y: format!("mean {}", metric.heading()),
        scale: if metric.is_share() { Scale::Share } else { Scale::Linear },
        series,
        note: "Each dot is a test patient, averaged over draws and seeds.".into(),
    }
}

/// One dot per test patient and method: the patient's mean over draws and seeds. A bar marks the method's mean.
pub fn dots(group: &Group, results: &Results) -> String {
    const ROW: f64 = 22.0;
    const LEFT: f64 = 130.0;
    const WIDTH: f64 = 640.0;
    let metric = group.metric();
    let values = |method: &str| patient_means(results, group, method, metric);
    let largest = group.methods.iter().flat_map(|method| values(&method.method).into_values()).fold(0.0, f64::max);
    let top = if metric.is_share() { 1.0 } else { (largest / 20.0).ceil().max(1.0) * 20.0 };
    let x = |value: f64| LEFT + (value / top).clamp(0.0, 1.0) * (WIDTH - LEFT - 20.0);
    let height = ROW * group.methods.len() as f64 + 58.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{} of every test patient\" font-size=\"12\" \
         fill=\"currentColor\">\n",
        metric.heading()
    );
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (tick, bottom) = (share * top, height - 42.0);
        let _ = writeln!(
            svg,
            "<line x1=\"{0}\" x2=\"{0}\" y1=\"4\" y2=\"{bottom}\" stroke=\"currentColor\" opacity=\".15\"/>\
             <text x=\"{0}\" y=\"{1}\" text-anchor=\"middle\">{tick}</text>",
            x(tick),
            height - 26.0
        );
    }
    let (middle, base) = (x(top / 2.0), height - 8.0);
    let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{base}\" text-anchor=\"middle\">{}</text>", metric.heading());
    for (row, method) in group.methods.iter().enumerate() {
        let y = ROW * (row as f64 + 0.5) + 6.0;
        let _ = writeln!(svg, "<text x=\"0\" y=\"{}\">{}</text>", y + 4.0, escape(&method.method));
        for (patient, value) in values(&method.method) {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{y}\" r=\"4\" fill=\"{}\" opacity=\".55\"><title>{} {value:.*}</title></circle>",
                x(value),
                page_colour(0),
                escape(patient),
                metric.decimals()
            );
        }
        if let Some(spread) = method.metrics.get(&metric) {
            let (x, top, bottom) = (x(spread.mean), y - 9.0, y + 9.0);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"{}\" stroke-width=\"3\"/>",
                page_colour(1)
            );
        }
    }
    svg + "</svg>\n"
}
