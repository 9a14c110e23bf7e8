//! Frames with one bit per pixel: first pixel in the lowest bit, frames joined without gaps (PS3.5, 8.2 and annex D).

/// Packs frames one after the other.
#[derive(Debug, Default)]
pub(super) struct Packer {
    bytes: Vec<u8>,
    bits: usize,
}

impl Packer {
    /// Adds the pixels of a frame.
    pub fn frame(&mut self, pixels: impl Iterator<Item = bool>) {
        for pixel in pixels {
            if self.bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if pixel && let Some(last) = self.bytes.last_mut() {
                *last |= 1 << (self.bits % 8);
            }
            self.bits += 1;
        }
    }

    /// The packed frames; unused bits of the last byte are 0.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unpack(bytes: &[u8], frame: usize, pixels: usize) -> Vec<bool> {
        (frame * pixels..(frame + 1) * pixels).map(|bit| bytes[bit / 8] >> (bit % 8) & 1 == 1).collect()
    }

    #[test]
    fn frames_follow_each_other_within_a_byte() {
        let mut packer = Packer::default();
        packer.frame([true, false, true].into_iter());
        packer.frame([true, true, false].into_iter());
        packer.frame([false, true, true].into_iter());
        assert_eq!(packer.into_bytes(), [0b1001_1101, 0b1]);
    }

    proptest! {
        #[test]
        fn packed_frames_are_unpacked_unchanged(pixels in 1..40_usize, frames in prop::collection::vec(any::<u64>(), 1..6)) {
            let of = |seed: u64| (0..pixels).map(move |index| seed >> (index % 64) & 1 == 1);
            let mut packer = Packer::default();
            frames.iter().for_each(|seed| packer.frame(of(*seed)));
            let bytes = packer.into_bytes();
            prop_assert_eq!(bytes.len(), (pixels * frames.len()).div_ceil(8));
            for (index, seed) in frames.iter().enumerate() {
                prop_assert_eq!(unpack(&bytes, index, pixels), of(*seed).collect::<Vec<_>>());
            }
        }
    }
}
