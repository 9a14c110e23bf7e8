//! Passes over channels-last values in groups of channels, whose constants and sums stay in registers. The code is compiled for
//! each instruction set.

#![allow(clippy::inline_always, reason = "compiled for the instructions in use")]

use lanes::{Cpu, Loop};

/// A pass over the values of all pixels.
pub(super) trait Pass {
    /// Processes `N` channels, starting at `first`. Mark it `#[inline(always)]`, as [`Loop::run`] requires.
    fn channels<const N: usize>(&mut self, first: usize);
}

/// Runs a pass over every channel and returns it with what it has summed.
pub(super) fn run<P: Pass>(cpu: Cpu, channels: usize, pass: P) -> P {
    cpu.run(Blocks { channels, pass })
}

struct Blocks<P> {
    channels: usize,
    pass: P,
}

impl<P: Pass> Loop for Blocks<P> {
    type Output = P;

    #[inline(always)]
    fn run(mut self) -> P {
        let mut first = 0;
        while first < self.channels {
            first += match self.channels - first {
                16.. => {
                    self.pass.channels::<16>(first);
                    16
                }
                8.. => {
                    self.pass.channels::<8>(first);
                    8
                }
                _ => {
                    self.pass.channels::<1>(first);
                    1
                }
            };
        }
        self.pass
    }
}

/// `N` values, starting at `first`.
#[inline(always)]
pub(super) fn some<const N: usize>(values: &[f32], first: usize) -> [f32; N] {
    let mut some = [0.0; N];
    some.copy_from_slice(&values[first..first + N]);
    some
}

/// Copies pixels into pixels of `channels` channels, starting at channel `offset`.
pub(super) struct Copy<'a> {
    /// `[pixels, own channels]`.
    pub from: &'a [f32],
    /// Channels of `from`.
    pub own: usize,
    /// `[pixels, channels]`.
    pub to: &'a mut [f32],
    pub channels: usize,
    pub offset: usize,
}

impl Pass for Copy<'_> {
    #[inline(always)]
    fn channels<const N: usize>(&mut self, first: usize) {
        for (to, from) in self.to.chunks_exact_mut(self.channels).zip(self.from.chunks_exact(self.own)) {
            to[self.offset + first..][..N].copy_from_slice(&from[first..][..N]);
        }
    }
}
