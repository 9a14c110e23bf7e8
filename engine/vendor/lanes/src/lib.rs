//! The inner loop of convolutions on the CPU: one tile of a matrix product, held in vector registers.
//!
//! A crate of its own because it is the one place that needs `unsafe`: instructions that only some processors have
//! (AVX-512, AVX2 with FMA) are chosen at run time, and the loops read without bounds checks. [`Cpu::tile`] checks every
//! index it will use before it starts, so its callers stay safe code. Portable Rust compiles to SSE2 on x86-64 and runs
//! these loops at an eighth of the speed.

mod portable;
mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use tile::{Segment, Start, Tile};

/// The vector instructions in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// Tile heights that are compiled, as far as a processor's registers allow.
const HEIGHTS: [usize; 8] = [12, 10, 8, 6, 4, 3, 2, 1];

impl Cpu {
    /// The best that this processor has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512vl") {
                return Self(Kind::Avx512);
            }
            if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
                return Self(Kind::Avx2);
            }
        }
        Self(Kind::Portable)
    }

    /// Everything that this processor can run, best first: for tests.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::detect()];
        #[cfg(target_arch = "x86_64")]
        if all[0].0 == Kind::Avx512 && std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            all.push(Self(Kind::Avx2));
        }
        if all[0].0 != Kind::Portable {
            all.push(Self(Kind::Portable));
        }
        all
    }

    /// Numbers in one vector.
    pub fn lanes(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => 16,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => 8,
            Kind::Portable => 8,
        }
    }

    /// The tallest tile of `vectors` (1 or 2) that fits into `rows` and the registers: of two that need as many tiles to
    /// cover `rows`, the lower one, so that the last tile is not a sliver.
    pub fn height(self, vectors: usize, rows: usize) -> usize {
        let most = match (self.0, vectors) {
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx512, _) | (Kind::Avx2, 1) => 12,
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx2, _) => 6,
            (Kind::Portable, 1) => 4,
            (Kind::Portable, _) => 2,
        };
        let mut fitting = HEIGHTS.into_iter().filter(|&h| h <= most && h <= rows);
        let exact = fitting.clone().find(|&h| h * 2 > most && rows.is_multiple_of(h));
        exact.or_else(|| fitting.next()).unwrap_or(1)
    }

    /// Computes one tile. Panics on an index outside its slices.
    #[inline]
    pub fn tile(self, tile: &Tile<'_>, out: &mut [f32]) {
        tile.check(self.lanes(), out.len());
        match self.0 {
            // SAFETY: `detect` saw the instructions on this processor; `check` has seen every index.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { x86::avx512(tile, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { x86::avx2(tile, out) },
            // SAFETY: `check` has seen every index.
            Kind::Portable => unsafe { portable::run(tile, out) },
        }
    }
}
