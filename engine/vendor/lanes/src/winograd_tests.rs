//! Winograd's products against the convolution that they replace, and every index that must be refused.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::tests::numbers;
use crate::{Cpu, PLACES, Pixels, Planes};

/// A row of tiles whose slices end right after the last number.
struct Row {
    from: Pixels,
    to: Pixels,
    planes: Planes,
    values: Vec<f32>,
    gradient: Vec<f32>,
    weights: Vec<f32>,
}

impl Row {
    fn new(cpu: Cpu, tiles: usize) -> Self {
        let channels = 2 * cpu.lanes();
        let pixels = |columns: usize| Pixels {
            first: 3,
            row_stride: columns * (channels + 1) + 2,
            column_stride: channels + 1,
            channels,
            tiles,
        };
        let end = |p: Pixels, rows: usize, columns: usize| {
            p.first + (rows - 1) * p.row_stride + (columns - 1) * p.column_stride + channels
        };
        let (from, to) = (pixels(2 * tiles + 2), pixels(2 * tiles));
        let planes = Planes { first: 5, place_stride: tiles * channels + 7, tile_stride: channels };
        Self {
            from,
            to,
            planes,
            values: numbers(end(from, 4, 2 * tiles + 2), 1),
            gradient: numbers(end(to, 2, 2 * tiles), 2),
            weights: numbers(9 * channels, 3),
        }
    }

    fn room(&self) -> Vec<f32> {
        let Planes { first, place_stride, tile_stride } = self.planes;
        vec![0.0; first + (PLACES - 1) * place_stride + (self.from.tiles - 1) * tile_stride + self.from.channels]
    }

    fn plane(&self, planes: &[f32], place: usize, tile: usize, channel: usize) -> f32 {
        planes[self.planes.first + place * self.planes.place_stride + tile * self.planes.tile_stride + channel]
    }

    fn at(pixels: Pixels, row: usize, column: usize, channel: usize) -> usize {
        pixels.first + row * pixels.row_stride + column * pixels.column_stride + channel
    }
}

/// A convolution of every channel by itself: what the sixteen products give, summed over nothing.
#[test]
fn values_and_weights_through_the_places_are_a_convolution() {
    for (cpu, tiles) in Cpu::all().into_iter().flat_map(|cpu| [1, 2, 5].map(|tiles| (cpu, tiles))) {
        let row = Row::new(cpu, tiles);
        let channels = row.from.channels;
        let mut spread = row.room();
        cpu.spread_input(row.from, &row.values, row.planes, &mut spread);
        let stride = channels + 3;
        let mut weights = vec![0.0; (PLACES - 1) * stride + channels];
        cpu.spread_weights(&row.weights, channels, &mut weights, stride);
        let mut products = row.room();
        for (place, (tile, channel)) in (0..PLACES)
            .flat_map(|p| (0..tiles).flat_map(move |t| (0..channels).map(move |c| (t, c))).map(move |tile| (p, tile)))
        {
            let at = row.planes.first + place * row.planes.place_stride + tile * row.planes.tile_stride + channel;
            products[at] = spread[at] * weights[place * stride + channel];
        }
        let bias = numbers(channels, 4);
        for bias in [None, Some(bias.as_slice())] {
            let mut out = vec![0.0; row.gradient.len()];
            cpu.gather_output(row.planes, &products, bias, row.to, &mut out);
            for (y, x, c) in
                (0..2).flat_map(|y| (0..2 * tiles).flat_map(move |x| (0..channels).map(move |c| (y, x, c))))
            {
                let mut sum = bias.map_or(0.0, |bias| f64::from(bias[c]));
                for at in 0..9 {
                    let value = row.values[Row::at(row.from, y + at / 3, x + at % 3, c)];
                    sum += f64::from(value) * f64::from(row.weights[at * channels + c]);
                }
                let found = f64::from(out[Row::at(row.to, y, x, c)]);
                assert!((found - sum).abs() < 2e-6, "{cpu:?}, row {y}, column {x}, channel {c}: {found}, not {sum}");
            }
        }
    }
}

#[test]
fn gradients_through_the_places_are_those_of_the_weights() {
    for (cpu, tiles) in Cpu::all().into_iter().flat_map(|cpu| [1, 4].map(|tiles| (cpu, tiles))) {
        let row = Row::new(cpu, tiles);
        let (mut spread, mut gradient) = (row.room(), row.room());
        cpu.spread_input(row.from, &row.values, row.planes, &mut spread);
        cpu.spread_gradient(row.to, &row.gradient, row.planes, &mut gradient);
        let channels = row.from.channels;
        let sums = (0..PLACES).flat_map(|place| (0..channels).map(move |c| (place, c))).map(|(place, c)| {
            (0..tiles).map(|t| row.plane(&spread, place, t, c) * row.plane(&gradient, place, t, c)).sum()
        });
        let mut found = vec![0.0; 9 * channels];
        cpu.gather_weights(&sums.collect::<Vec<f32>>(), channels, &mut found);
        for (at, c) in (0..9).flat_map(|at| (0..channels).map(move |c| (at, c))) {
            let mut sum = 0.0;
            for (y, x) in (0..2).flat_map(|y| (0..2 * tiles).map(move |x| (y, x))) {
                let value = row.values[Row::at(row.from, y + at / 3, x + at % 3, c)];
                sum += f64::from(value) * f64::from(row.gradient[Row::at(row.to, y, x, c)]);
            }
            let found = f64::from(found[at * channels + c]);
            assert!((found - sum).abs() < 1e-5, "{cpu:?}, channel {c}, place {at}: {found}, not {sum}");
        }
    }
}

/// Whether work on a row is refused.
fn refused(work: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

/// One number less in any slice is one too few, and so is a stride that wraps around.
#[test]
fn indices_out_of_range_are_refused() {
    for cpu in Cpu::all() {
        let (row, channels) = (Row::new(cpu, 3), 2 * cpu.lanes());
        let (values, gradient, room) = (&row.values, &row.gradient, row.room());
        let cut = |numbers: &[f32]| numbers[..numbers.len() - 1].to_vec();
        let input = |from: Pixels, values: &[f32], to: Planes, mut planes: Vec<f32>| {
            refused(|| cpu.spread_input(from, values, to, &mut planes))
        };
        assert!(!input(row.from, values, row.planes, room.clone()));
        assert!(input(row.from, &cut(values), row.planes, room.clone()));
        assert!(input(row.from, values, row.planes, cut(&room)));
        let output = |planes: &[f32], bias: &[f32], to: Pixels, mut out: Vec<f32>| {
            refused(|| cpu.gather_output(row.planes, planes, Some(bias), to, &mut out))
        };
        let bias = vec![0.0; channels];
        assert!(!output(&room, &bias, row.to, gradient.clone()));
        assert!(output(&cut(&room), &bias, row.to, gradient.clone()));
        assert!(output(&room, &cut(&bias), row.to, gradient.clone()));
        assert!(output(&room, &bias, row.to, cut(gradient)));
        let back = |from: Pixels, values: &[f32], mut planes: Vec<f32>| {
            refused(|| cpu.spread_gradient(from, values, row.planes, &mut planes))
        };
        assert!(!back(row.to, gradient, room.clone()));
        assert!(back(row.to, &cut(gradient), room.clone()));
        assert!(back(row.to, gradient, cut(&room)));
        let weights = |values: &[f32], count: usize, mut to: Vec<f32>| {
            refused(|| cpu.spread_weights(values, count, &mut to, channels))
        };
        let places = vec![0.0; PLACES * channels];
        assert!(!weights(&row.weights, channels, places.clone()));
        assert!(weights(&cut(&row.weights), channels, places.clone()));
        assert!(weights(&row.weights, channels, cut(&places)));
        assert!(weights(&row.weights, channels - 1, places.clone()));
        assert!(weights(&row.weights, usize::MAX / 9 + 1, places.clone()));
        let weight_gradient =
            |places: &[f32], count: usize, mut to: Vec<f32>| refused(|| cpu.gather_weights(places, count, &mut to));
        assert!(!weight_gradient(&places, channels, row.weights.clone()));
        assert!(weight_gradient(&cut(&places), channels, row.weights.clone()));
        assert!(weight_gradient(&places, channels, cut(&row.weights)));
        assert!(weight_gradient(&places, channels - 1, row.weights.clone()));
        for wrapped in [usize::MAX, usize::MAX / 2 + 1, usize::MAX / 4 + 1] {
            let mut to = places.clone();
            assert!(refused(|| cpu.spread_weights(&row.weights, channels, &mut to, wrapped)));
            assert!(input(Pixels { row_stride: wrapped, ..row.from }, values, row.planes, room.clone()));
            assert!(input(Pixels { column_stride: wrapped, ..row.from }, values, row.planes, room.clone()));
            assert!(input(Pixels { tiles: wrapped, ..row.from }, values, row.planes, room.clone()));
            assert!(input(Pixels { first: wrapped, ..row.from }, values, row.planes, room.clone()));
            assert!(input(row.from, values, Planes { place_stride: wrapped, ..row.planes }, room.clone()));
            assert!(input(row.from, values, Planes { tile_stride: wrapped, ..row.planes }, room.clone()));
        }
        assert!(input(Pixels { channels: channels - 1, ..row.from }, values, row.planes, room));
    }
}
