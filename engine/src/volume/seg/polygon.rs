//! Filling of closed contours: a pixel is inside if its centre is inside by the even-odd rule.

/// Vertices are rounded to this fraction of a pixel, so that a vertex on a pixel centre stays there after the change of
/// coordinates.
const STEP: f64 = 1.0 / 65536.0;

/// The pixels of an image of `columns` x `rows` that lie inside an odd number of `contours`, row by row. A contour within
/// another is therefore a hole.
///
/// Vertices are (column, row) with whole numbers at pixel centres. The last vertex is joined to the first. A centre exactly
/// on a contour is inside if the interior is towards larger columns, or towards larger rows.
pub(super) fn fill(contours: &[Vec<[f64; 2]>], columns: usize, rows: usize) -> Vec<bool> {
    let mut crossings: Vec<Vec<f64>> = vec![Vec::new(); rows];
    for contour in contours {
        let snapped: Vec<[f64; 2]> = contour.iter().map(|p| p.map(|value| (value / STEP).round() * STEP)).collect();
        for (index, &from) in snapped.iter().enumerate() {
            let to = snapped[(index + 1) % snapped.len()];
            let (low, high) = if from[1] <= to[1] { (from, to) } else { (to, from) };
            // Half open, so that a vertex on a row's centre belongs to one of its two edges.
            let (first, last) = (low[1].ceil().max(0.0), high[1].ceil().min(rows as f64));
            let reached = crossings.iter_mut().enumerate().take(last.max(0.0) as usize).skip(first as usize);
            for (row, crossings) in reached {
                let share = (row as f64 - low[1]) / (high[1] - low[1]);
                crossings.push(low[0] + share * (high[0] - low[0]));
            }
        }
    }
    let mut inside = vec![false; columns * rows];
    for (row, mut index) in crossings.into_iter().enumerate() {
        index.sort_by(f64::total_cmp);
        for pair in index.chunks_exact(2) {
            let column = |x: f64| x.ceil().clamp(0.0, columns as f64) as usize;
            inside[row * columns..][column(pair[0])..column(pair[1])].fill(true);
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rectangle(x: [f64; 2], y: [f64; 2]) -> Vec<[f64; 2]> {
        vec![[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]]
    }

    fn picture(inside: &[bool], columns: usize) -> Vec<String> {
        inside.chunks(columns).map(|row| row.iter().map(|&p| if p { '#' } else { '.' }).collect()).collect()
    }

    #[test]
    fn a_pixel_is_inside_if_its_centre_is() {
        // From the edge of pixel 1 to the edge of pixel 3: three pixels, and not their neighbours.
        let inside = fill(&[rectangle([0.5, 3.5], [0.5, 2.5])], 5, 4);
        assert_eq!(picture(&inside, 5), [".....", ".###.", ".###.", "....."]);
        // Less than half a pixel does not count.
        let inside = fill(&[rectangle([0.6, 3.4], [0.51, 1.49])], 5, 4);
        assert_eq!(picture(&inside, 5), [".....", ".###.", ".....", "....."]);
        assert!(!fill(&[rectangle([0.1, 0.9], [0.0, 3.0])], 5, 4).contains(&true));
    }

    #[test]
    fn a_contour_on_pixel_centres_has_the_area_of_its_corners() {
        let inside = fill(&[rectangle([1.0, 4.0], [0.0, 2.0])], 5, 4);
        assert_eq!(inside.iter().filter(|&&p| p).count(), 6);
        let moved = fill(&[rectangle([1.0 + 1e-9, 4.0 - 1e-9], [1e-9, 2.0 + 1e-9])], 5, 4);
        assert_eq!(moved, inside, "rounding of coordinates changes nothing");
    }

    #[test]
    fn contours_within_others_are_holes_and_islands() {
        let nested =
            [rectangle([-0.5, 6.5], [-0.5, 6.5]), rectangle([0.5, 5.5], [0.5, 5.5]), rectangle([2.5, 3.5], [2.5, 3.5])];
        let inside = fill(&nested, 7, 7);
        assert_eq!(picture(&inside, 7), ["#######", "#.....#", "#.....#", "#..#..#", "#.....#", "#.....#", "#######"]);
        // The same hole as a keyhole: one contour that enters and leaves the hole along the same line.
        let keyhole = vec![
            [-0.5, -0.5],
            [6.5, -0.5],
            [6.5, 6.5],
            [-0.5, 6.5],
            [-0.5, 3.25],
            [0.5, 3.25],
            [0.5, 5.5],
            [5.5, 5.5],
            [5.5, 0.5],
            [0.5, 0.5],
            [0.5, 3.25],
            [-0.5, 3.25],
        ];
        assert_eq!(fill(&[keyhole], 7, 7), fill(&nested[..2], 7, 7));
    }

    #[test]
    fn contours_are_clipped_to_the_image() {
        assert!(fill(&[rectangle([-9.0, 99.0], [-9.0, 99.0])], 3, 2).iter().all(|&p| p));
        assert!(!fill(&[rectangle([9.0, 99.0], [0.0, 9.0]), vec![], vec![[1.0, 1.0]]], 3, 2).contains(&true));
    }

    proptest! {
        /// Against the definition, pixel by pixel: the number of edges to the right of the centre is odd.
        #[test]
        fn fill_equals_the_even_odd_rule(points in prop::collection::vec((-3.0..13.0_f64, -3.0..11.0_f64), 3..12)) {
            let contour: Vec<[f64; 2]> = points.iter().map(|&(x, y)| [x, y]).collect();
            let (columns, rows) = (10, 8);
            let inside = fill(std::slice::from_ref(&contour), columns, rows);
            for row in 0..rows {
                for column in 0..columns {
                    let (x, y) = (column as f64, row as f64);
                    let edges = contour.iter().zip(contour.iter().cycle().skip(1));
                    let to_the_right = edges.filter(|(a, b)| {
                        (a[1] > y) != (b[1] > y) && a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) > x
                    });
                    prop_assert_eq!(inside[row * columns + column], to_the_right.count() % 2 == 1);
                }
            }
        }
    }
}
