//! Focal frequency loss (Jiang et al., 2021): errors of orthonormal 2-D Fourier transforms, weighted by their size.

use std::f64::consts::PI;

use burn::tensor::{Device, Tensor, TensorData};

/// The Fourier transform of square images of one size, restricted to a band of frequencies.
#[derive(Clone, Debug)]
pub struct Spectrum {
    /// cos(2 pi j k / n) / sqrt(n) and the sine, `[n, n]`.
    cosine: Tensor<4>,
    sine: Tensor<4>,
    /// 1 for frequencies in the band, `[1, 1, n, n]`.
    band: Tensor<4>,
}

/// A frequency band, defined by a square around the zero frequency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    /// Inside the square.
    Low,
    /// Outside.
    High,
    /// Every frequency.
    All,
}

impl Spectrum {
    /// For images of `size` x `size`; `half_width` is the square's, in frequencies.
    pub fn new(size: usize, band: Band, half_width: f64, device: &Device) -> Self {
        let table = |of: fn(f64) -> f64| {
            let entry = |index: usize| {
                let turns = ((index / size) * (index % size) % size) as f64 / size as f64;
                (of(2.0 * PI * turns) / (size as f64).sqrt()) as f32
            };
            tensor((0..size * size).map(entry).collect(), size, device)
        };
        let frequency = |i: usize| if 2 * i < size { i as f64 } else { i as f64 - size as f64 };
        let counts = |i: usize| {
            let inside = [i / size, i % size].into_iter().all(|i| frequency(i).abs() <= half_width);
            f32::from(u8::from(match band {
                Band::Low => inside,
                Band::High => !inside,
                Band::All => true,
            }))
        };
        let band = tensor((0..size * size).map(counts).collect(), size, device);
        Self { cosine: table(f64::cos), sine: table(f64::sin), band }
    }

    /// Mean over slices, channels and frequencies of `v |F|^2`: see [`Spectrum::power`] and [`weights`].
    pub fn error(&self, difference: &Tensor<4>) -> Tensor<1> {
        let power = self.power(difference);
        (power.clone() * weights(power)).mean()
    }

    /// `|F|^2`, where F is the transform of `difference` `[B, C, n, n]`, 0 outside the band.
    pub fn power(&self, difference: &Tensor<4>) -> Tensor<4> {
        let [real, imaginary] = self.transform(difference);
        (real.clone() * real + imaginary.clone() * imaginary) * self.band.clone()
    }

    /// The part of real images `[B, C, n, n]` in the band.
    pub fn filtered(&self, images: &Tensor<4>) -> Tensor<4> {
        let [real, imaginary] = self.transform(images).map(|part| part * self.band.clone());
        let both = |rows: &Tensor<4>, x: &Tensor<4>, columns: &Tensor<4>| {
            rows.clone().matmul(x.clone()).matmul(columns.clone())
        };
        let (cosine, sine) = (&self.cosine, &self.sine);
        // exp(i a) (real - i imaginary) exp(i b), whose own imaginary part is 0.
        both(cosine, &real, cosine) - both(sine, &real, sine)
            + both(sine, &imaginary, cosine)
            + both(cosine, &imaginary, sine)
    }

    /// Real and negative imaginary part of the transform of real images `[B, C, n, n]`.
    fn transform(&self, images: &Tensor<4>) -> [Tensor<4>; 2] {
        let rows = |table: &Tensor<4>| table.clone().matmul(images.clone());
        let (cosine, sine) = (rows(&self.cosine), rows(&self.sine));
        let columns = |x: &Tensor<4>, table: &Tensor<4>| x.clone().matmul(table.clone());
        // exp(-i a) exp(-i b): the tables are symmetric.
        let real = columns(&cosine, &self.cosine) - columns(&sine, &self.sine);
        [real, columns(&cosine, &self.sine) + columns(&sine, &self.cosine)]
    }
}

/// `v = ln(1 + |F|)` divided by its maximum in each image, detached; `power` `[B, C, n, n]` is `|F|^2`.
pub fn weights(power: Tensor<4>) -> Tensor<4> {
    let [batch, channels, size, _] = power.dims();
    let weight = (power.detach().sqrt() + 1.0).log();
    let largest = weight.clone().reshape([batch * channels, size * size]).max_dim(1).reshape([batch, channels, 1, 1]);
    weight / largest.clamp_min(1e-12)
}

fn tensor(values: Vec<f32>, size: usize, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, [1, 1, size, size]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_tensors::values;

    #[test]
    fn the_error_matches_the_reference_implementation() {
        let device = Device::flex();
        let all = Spectrum::new(2, Band::All, 0.0, &device);
        let error = |pixels: [f32; 4]| values(all.error(&tensor(pixels.to_vec(), 2, &device)))[0];
        assert!((error([1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-6);
        assert!((error([1.0, 2.0, 3.0, 4.0]) - 6.95986).abs() < 1e-4);
        assert_eq!(error([0.0; 4]), 0.0);
    }

    /// A constant has the zero frequency only, a checkerboard the highest only.
    #[test]
    fn the_low_and_high_bands_partition_the_spectrum() {
        let device = Device::flex();
        let error = |band, pixels: fn(usize) -> f32| {
            let spectrum = Spectrum::new(8, band, 1.5, &device);
            values(spectrum.error(&tensor((0..64).map(pixels).collect(), 8, &device)))[0]
        };
        let constant = |_| 1.0;
        let checkers = |index: usize| if (index / 8 + index % 8).is_multiple_of(2) { 1.0 } else { -1.0 };
        // All power, 64, is in one of 64 frequencies.
        assert!((error(Band::Low, constant) - 1.0).abs() < 1e-4 && error(Band::High, constant) < 1e-4);
        assert!((error(Band::High, checkers) - 1.0).abs() < 1e-4 && error(Band::Low, checkers) < 1e-4);
    }

    #[test]
    fn the_parts_of_an_image_in_both_bands_add_up_to_it() {
        let device = Device::flex();
        let image = tensor((0..64).map(|index: usize| (index * index % 11) as f32).collect(), 8, &device);
        let part = |band| Spectrum::new(8, band, 1.5, &device).filtered(&image);
        let sum = values(part(Band::Low) + part(Band::High));
        assert!(sum.iter().zip(values(image.clone())).all(|(a, b)| (a - b).abs() < 1e-4), "{sum:?}");
        let power = |part: Tensor<4>| values(part.clone() * part).iter().sum::<f32>();
        assert!(power(part(Band::Low)) > 1.0 && power(part(Band::High)) > 1.0);
    }

    /// Of 160 pixels the square has a half-width of 12 frequencies.
    #[test]
    fn the_band_is_centred_at_the_zero_frequency() {
        let spectrum = Spectrum::new(160, Band::Low, 0.078 * 160.0, &Device::flex());
        assert_eq!(values(spectrum.band).iter().sum::<f32>(), 25.0 * 25.0);
    }
}
