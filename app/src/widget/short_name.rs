//! Names that do not fit, shortened so that those of one list stay different.

use std::ops::Range;

/// For each name of a list, the characters that tell it from every other: from the word in which the names of the list
/// begin to differ, to the first character in which it differs from the name most like it.
pub fn distinctions(names: &[&str]) -> Vec<Range<usize>> {
    let letters: Vec<Vec<char>> = names.iter().map(|name| name.chars().collect()).collect();
    let shared = |a: usize, b: usize| letters[a].iter().zip(&letters[b]).take_while(|(a, b)| a == b).count();
    let mut sorted: Vec<usize> = (0..names.len()).collect();
    sorted.sort_by(|&a, &b| letters[a].cmp(&letters[b]));
    let of_all = sorted.first().zip(sorted.last()).map_or(0, |(&first, &last)| shared(first, last));
    let mut distinct: Vec<Range<usize>> = letters
        .iter()
        .map(|name| {
            let word = name[..of_all].iter().rposition(|letter| !letter.is_alphanumeric());
            let start = word.map_or(0, |at| at + 1);
            start..start
        })
        .collect();
    // The name most like another one is beside it in sorted order.
    for pair in sorted.windows(2) {
        let end = shared(pair[0], pair[1]) + 1;
        for &at in pair {
            distinct[at].end = distinct[at].end.max(end.min(letters[at].len()));
        }
    }
    distinct
}

/// A name that `fits` its place. `distinct` stays: the characters that tell it from the other names of its list. What all
/// names begin with is left out first, then the end.
pub(super) fn shorten(name: &str, distinct: &Range<usize>, fits: impl Fn(&str) -> bool) -> String {
    let letters: Vec<char> = name.chars().collect();
    let all = letters.len();
    let start = distinct.start.min(all);
    let end = distinct.end.clamp(start, all);
    // The first letters, and those from `from` to `to`.
    let cut = |head: usize, from: usize, to: usize| -> String {
        let gap = |left_out: bool| if left_out { "\u{2026}" } else { "" }.to_owned();
        let part = |range: Range<usize>| letters[range].iter().collect::<String>();
        [part(0..head), gap(head < from), part(from..to), gap(to < all)].concat()
    };
    if fits(name) {
        name.to_owned()
    } else if fits(&cut(0, start, all)) {
        cut(most(0..start, |head| fits(&cut(head, start, all))), start, all)
    } else if fits(&cut(0, start, end)) {
        cut(0, start, most(end..all, |to| fits(&cut(0, start, to))))
    } else {
        // The most similar names differ in the last of these characters.
        let kept = most(0..end - start, |kept| fits(&cut(0, end - kept, end)));
        cut(0, end - kept, end)
    }
}

/// The largest number of the range that fits, by bisection. The first one is taken to fit.
fn most(range: Range<usize>, fits: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end.max(range.start + 1));
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_of_a_list_differ_in_these_characters() {
        let told_apart = |names: &[&str]| -> Vec<String> {
            let part =
                |(name, range): (&&str, Range<usize>)| name.chars().skip(range.start).take(range.len()).collect();
            names.iter().zip(distinctions(names)).map(part).collect()
        };
        assert_eq!(
            told_apart(&["TCGA_CS_4941_19960909", "TCGA_CS_4942_19970222", "TCGA_DU_5849_19950405"]),
            ["CS_4941", "CS_4942", "D"]
        );
        assert_eq!(told_apart(&["BraTS20_Training_009", "BraTS20_Training_010"]), ["00", "01"]);
        assert_eq!(told_apart(&["p1", "p10", "p2"]), ["p1", "p10", "p2"]);
        assert_eq!(told_apart(&["one"]), [""]);
        assert_eq!(told_apart(&[]), [""; 0]);
        assert_eq!(told_apart(&["Jürgen_a", "Jürgen_b"]), ["a", "b"]);
    }

    /// The names of a list in this many characters.
    fn shortened(names: &[&str], width: usize) -> Vec<String> {
        let fits = |text: &str| text.chars().count() <= width;
        names.iter().zip(distinctions(names)).map(|(name, distinct)| shorten(name, &distinct, fits)).collect()
    }

    /// The middle was left out, so that TCGA_CS_4941_19960909 and TCGA_CS_5393_19960909 looked the same.
    #[test]
    fn shortened_names_of_a_list_stay_different() {
        let cohorts: [&[&str]; 5] = [
            &["TCGA_CS_4941_19960909", "TCGA_CS_4942_19960909", "TCGA_CS_5393_19960909", "TCGA_DU_4941_19960909"],
            &["TCGA_CS_4941_19960909", "TCGA_CS_4941_19970302", "TCGA_CS_4941_19970310"],
            &["BraTS20_Training_001", "BraTS20_Training_002", "BraTS20_Training_101"],
            &["sub-strokecase0001_ses-0001", "sub-strokecase0002_ses-0001", "sub-strokecase0002_ses-0002"],
            &["a_very_long_name_without_an_end_1", "a_very_long_name_without_an_end_2", "b"],
        ];
        for names in cohorts {
            for width in 10..40 {
                let shown = shortened(names, width);
                assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), names.len(), "{width}: {shown:?}");
                assert!(shown.iter().all(|name| name.chars().count() <= width), "{width}: {shown:?}");
            }
        }
    }

    #[test]
    fn what_all_names_begin_with_is_left_out_first() {
        let names = ["TCGA_CS_4941_19960909", "TCGA_DU_5849_19950405"];
        let of = |width: usize| shortened(&names, width).remove(0);
        assert_eq!(of(21), "TCGA_CS_4941_19960909");
        assert_eq!(of(20), "TCG\u{2026}CS_4941_19960909");
        assert_eq!(of(17), "\u{2026}CS_4941_19960909");
        assert_eq!(of(14), "\u{2026}CS_4941_1996\u{2026}");
        assert_eq!(shortened(&["BraTS20_Training_001", "BraTS20_Training_002"], 14)[1], "BraTS20_Tr\u{2026}002");
        assert_eq!(shorten("a single long name", &(0..0), |text| text.chars().count() <= 9), "a single\u{2026}");
    }
}
