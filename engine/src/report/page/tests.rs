#![allow(clippy::unwrap_used, reason = "tests")]

use super::html::{href, png_size};
use super::sections::duration;
use super::*;
use crate::draw::Canvas;
use crate::report::CaseScore;
use crate::report::figures::{Scale, Series, XScale};

fn method(name: &str, scores: &[f64]) -> MethodScores {
    let case = |(index, dsc): (usize, &f64)| CaseScore {
        case: format!("P{index}"),
        dsc: *dsc,
        sensitivity: 0.5,
        precision: 0.5,
        hd95_mm: f64::NAN,
        volume_ml: 12.345,
        truth_volume_ml: 10.0,
    };
    MethodScores::new(name, scores.iter().enumerate().map(case).collect())
}

fn input() -> PageInput {
    PageInput {
        title: "<b>title</b>".into(),
        summary: "a & b".into(),
        methods: vec![method("\"one\"", &[0.5, 0.6, 0.7]), method("two", &[0.6, 0.6004, f64::NAN])],
        method_notes: vec![("one".into(), "<i>how</i>".into())],
        verdicts: vec!["one < two".into()],
        setup: Setup { train: vec!["P8".into(), "P9'".into()], seed: 17, ..Setup::default() },
        charts: vec![Chart {
            x_scale: XScale::Epochs,
            title: "loss".into(),
            x: "epoch".into(),
            y: "loss".into(),
            scale: Scale::Linear,
            series: vec![Series { name: "<s>".into(), points: vec![[1.0, 2.0], [2.0, 1.0]], ..Series::default() }],
            note: "n > 1".into(),
        }],
        overlays: vec![Figure::new(
            "overlays/P 1.png",
            "the \"alt\"",
            "<caption>",
            &Canvas::new(30, 20).to_png().unwrap(),
        )],
        relabelling: vec![Figure { file: "javascript:alert(1)".into(), ..Figure::default() }],
        timings: vec![("pre-training".into(), 75.4), ("rest".into(), 2.0)],
        command: "amlp demo --out <FOLDER>".into(),
        attribution: vec!["Vallières: Soft-tissue-Sarcoma, licensed CC BY 3.0".into()],
    }
}

/// Elements of the page that are opened but not closed, or closed but not opened.
fn unbalanced(html: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for tag in html.split('<').skip(1).filter(|tag| !tag.starts_with('!')) {
        let (tag, _) = tag.split_once('>').unwrap();
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap().to_owned();
        if tag.starts_with('/') {
            if open.pop().as_ref() != Some(&name) {
                return vec![name];
            }
        } else if !tag.ends_with('/') && !["meta", "img"].contains(&name.as_str()) {
            open.push(name);
        }
    }
    open
}

#[test]
fn every_text_is_escaped_and_every_element_closed() {
    let html = page(&input());
    assert_eq!(unbalanced(&html), Vec::<String>::new());
    for raw in [
        "<b>title",
        "a & b",
        "\"one\"",
        "<i>how",
        "one < two",
        "P9'",
        "<s>",
        "\"alt\"",
        "<caption>",
        "n > 1",
        "<FOLDER>",
    ] {
        assert!(!html.contains(raw), "{raw} is not escaped");
    }
    for shown in ["&lt;b&gt;title", "a &amp; b", "&quot;one&quot;", "one &lt; two", "P9&#39;", "&lt;FOLDER&gt;"] {
        assert!(html.contains(shown), "{shown} is missing");
    }
    assert_eq!(unbalanced("<p><b></p>"), ["p"], "the check can fail");
}

#[test]
fn the_page_has_its_notice_caution_attribution_and_timings() {
    let html = page(&input());
    assert!(html.contains("research use, not a medical device"));
    assert!(html.contains(NOTICE) && html.contains("no claim that pre-training helps"));
    assert!(html.contains("Vallières") && html.contains("CC BY 3.0") && html.contains("Soft-tissue-Sarcoma"));
    assert!(html.contains("<dt>Seed</dt><dd>17</dd>") && html.contains("<dt>Held out</dt><dd>none</dd>"));
    assert!(html.contains("1 min 15 s") && html.contains("1 min 17 s"), "the time of a part and the total");
    // The page loads nothing external and has no scripts.
    assert!(!html.contains("<script") && !html.contains("<link") && !html.contains("src=\"http"));
    // An empty page is also valid.
    assert_eq!(unbalanced(&page(&PageInput::default())), Vec::<String>::new());
}

#[test]
fn the_best_number_of_a_row_is_marked_after_rounding() {
    let html = page(&input());
    let rows: Vec<&str> = html.lines().filter(|line| line.starts_with("<tr><th scope=\"row\">")).collect();
    let marked =
        |row: &str| -> Vec<bool> { row.split("<td").skip(1).map(|cell| cell.contains("class=\"best\"")).collect() };
    assert_eq!(marked(rows[0]), [false, true]);
    assert_eq!(marked(rows[1]), [true, true], "equal as shown: {}", rows[1]);
    assert_eq!(marked(rows[2]), [true, false], "NaN is never the best: {}", rows[2]);
    assert!(rows[2].contains("–"));
    assert!(rows[3].contains("Mean") && rows[3].contains("0.600") && rows[4].contains("SD"));
    assert_eq!(marked(rows[4]), [false, false]);
    let alone = PageInput { methods: vec![method("one", &[0.5])], ..PageInput::default() };
    assert!(!page(&alone).contains("class=\"best\""), "nothing to compare with");
}

#[test]
fn links_stay_in_the_folder_of_the_page() {
    let html = page(&input());
    assert!(html.contains("src=\"overlays/P%201.png\" alt=\"the &quot;alt&quot;\" width=\"30\" height=\"20\""));
    assert_eq!(href("javascript:alert(1)"), "javascript%3Aalert%281%29");
    assert_eq!(href("//elsewhere/ä.png"), "elsewhere/%C3%A4.png");
    assert_eq!((png_size(b"no picture"), png_size(&[0; 40])), (None, None));
}

#[test]
fn durations_are_formatted_in_words() {
    let spans = [0.04, 9.96, 59.6, 61.0, 3700.0, f64::NAN].map(duration);
    assert_eq!(spans, ["0.0 s", "10 s", "1 min 00 s", "1 min 01 s", "1 h 01 min", "–"]);
}
