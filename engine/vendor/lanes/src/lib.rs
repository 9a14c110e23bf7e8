//! The inner loops of convolutions on the CPU: tiles of a matrix product, held in vector registers, and the transforms
//! of 3x3 convolutions to Winograd's tiles and back.
//!
//! # Why a crate of its own
//! It is the one place that needs `unsafe`. AVX-512, and AVX2 with FMA, are chosen at run time, and the loops read without
//! bounds checks. Portable Rust compiles to SSE2 on x86-64 and runs these loops at an eighth of the speed.
//!
//! # What keeps it sound
//! - [`Cpu::tile`] and the methods of `winograd.rs` are the only entries to the loops ([`Cpu::run`] only runs safe
//!   code). Before they start they check every index that they will use, in arithmetic that cannot wrap. The fields of
//!   [`Tile`] and [`Cpu`] are private, so nothing can change between the check and the loop.
//! - [`keep_freed_memory`] sets numbers of the allocator, which change where memory comes from, not what it holds.
//! - A [`Cpu`] comes from [`Cpu::detect`] or [`Cpu::all`], so its instructions exist on this processor.
//! - The tests run every tile shape on every instruction set against a plain sum, on slices that end where the last
//!   index says, and refuse each index that is out of range or overflows.
//! - The same tests run under the address sanitizer, which sees a read or write beyond a slice that returns the right sum
//!   all the same. `.ci/run` has it as the step "address sanitizer", which is
//!
//!   ```sh
//!   RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test --target x86_64-unknown-linux-gnu \
//!       --manifest-path engine/vendor/lanes/Cargo.toml --lib
//!   ```

mod memory;
mod portable;
#[cfg(test)]
mod tests;
mod tile;
mod winograd;
#[cfg(test)]
mod winograd_tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use memory::keep_freed_memory;
pub use tile::{Left, Right, Segment, Shape, Start, Tile};
pub use winograd::{PLACES, Pixels, Planes};

/// Plain code that [`Cpu::run`] compiles for the instructions in use.
pub trait Loop {
    /// What it returns.
    type Output;

    /// The code. Mark it, and what it calls, `#[inline(always)]`: other code uses only what every processor has.
    fn run(self) -> Self::Output;
}

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

impl Cpu {
    /// The fastest instruction set of this processor.
    pub fn detect() -> Self {
        Self::all()[0]
    }

    /// Every instruction set that this processor can run, fastest first.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self(Kind::Portable)];
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            all.insert(0, Self(Kind::Avx2));
            // The AVX-512 code uses AVX2 and FMA as well, which a hypervisor may hide.
            if std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512vl") {
                all.insert(0, Self(Kind::Avx512));
            }
        }
        all
    }

    /// `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            Kind::Portable => "portable",
        }
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

    /// Runs safe code compiled for these instructions. Rust does not fuse products and sums, so the numbers are the
    /// same on every instruction set.
    pub fn run<L: Loop>(self, code: L) -> L::Output {
        match self.0 {
            // SAFETY: `all` saw the instructions on this processor.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { x86::run_avx512(code) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { x86::run_avx2(code) },
            Kind::Portable => code.run(),
        }
    }

    /// Computes a tile of any height into `out`, whose rows start `out_stride` numbers apart.
    ///
    /// # Panics
    /// If an index lies outside its slice, or if no tile of this width is compiled.
    pub fn tile(self, tile: &Tile<'_>, out: &mut [f32], out_stride: usize) {
        tile.check(self.lanes(), out.len(), out_stride);
        match self.0 {
            // SAFETY: `all` saw the instructions on this processor; `check` has seen every index.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { x86::avx512(tile, out, out_stride) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { x86::avx2(tile, out, out_stride) },
            // SAFETY: `check` has seen every index.
            Kind::Portable => unsafe { portable::run(tile, out, out_stride) },
        }
    }
}
