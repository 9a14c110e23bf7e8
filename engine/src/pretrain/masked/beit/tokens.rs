//! The codes of the tokenizer, and their use in the current epoch.

use crate::loss::{Codebook, perplexity};
use crate::trainer::Parts;
use crate::{Error, ErrorKind, Result};

/// Checkpoint parts: the codes `[K][D]` as f32, present once the teacher phase has ended; the counts as f64.
pub(super) const CODES_PART: &str = "codes.bin";
pub(super) const USES_PART: &str = "code_uses.bin";

/// Codes, with the number of uses of each.
#[derive(Default)]
pub(super) struct Tokens {
    codebook: Option<Codebook>,
    /// Number of cells assigned to each code, `[K]`.
    uses: Vec<f64>,
}

impl Tokens {
    /// # Errors
    /// Before [`Tokens::start`].
    pub fn codebook(&self) -> Result<&Codebook> {
        let missing =
            || ErrorKind::Compute { step: "reading the codes".into(), why: "the tokenizer has none yet".into() };
        self.codebook.as_ref().ok_or_else(|| missing().into())
    }

    /// `count` codes by k-means over `vectors` `[n][D]`.
    pub fn start(&mut self, vectors: &[f32], dimension: usize, count: usize, seed: u64) {
        self.codebook = Some(Codebook::start(vectors, dimension, count, seed));
        self.uses = vec![0.0; count];
    }

    /// Moves the codes towards the vectors of a step and counts their use. Each row lists, for every cell of a slice, its
    /// vector and code index.
    pub fn learn(&mut self, rows: &[Vec<f64>], dimension: usize) {
        let Some(codebook) = &mut self.codebook else { return };
        let (mut vectors, mut nearest) = (Vec::new(), Vec::new());
        for cell in rows.iter().flat_map(|row| row.chunks_exact(dimension + 1)) {
            vectors.extend(cell[..dimension].iter().map(|v| *v as f32));
            nearest.push(cell[dimension] as usize);
        }
        codebook.update(&vectors, &nearest);
        nearest.into_iter().for_each(|code| self.uses[code] += 1.0);
    }

    /// Counts the codes of the masked cells of some slices.
    pub fn count(&mut self, rows: &[Vec<f64>]) {
        rows.iter().flatten().for_each(|code| self.uses[*code as usize] += 1.0);
    }

    /// Ends an epoch. Returns the perplexity of its codes, if there were any.
    pub fn end_epoch(&mut self) -> Option<f64> {
        let used = self.uses.iter().any(|uses| *uses > 0.0);
        let perplexity = used.then(|| perplexity(&self.uses));
        self.uses.fill(0.0);
        perplexity
    }

    /// For a checkpoint.
    pub fn parts(&self) -> Parts {
        let uses = self.uses.iter().flat_map(|uses| uses.to_le_bytes()).collect();
        let codes = |codebook: &Codebook| codebook.codes().iter().flat_map(|v| v.to_le_bytes()).collect();
        let codes = self.codebook.as_ref().map(|codebook| (CODES_PART.to_owned(), codes(codebook)));
        std::iter::once((USES_PART.to_owned(), uses)).chain(codes).collect()
    }

    /// From a checkpoint.
    ///
    /// # Errors
    /// A wrong number of codes or counts.
    pub fn from_parts(codes: Option<Vec<u8>>, uses: &[u8], dimension: usize, count: usize) -> Result<Self> {
        let damaged = |part: &str| -> Error {
            let why = format!("it does not have {count} codes of {dimension} numbers");
            ErrorKind::Compute { step: format!("reading {part}"), why }.into()
        };
        let uses: Vec<f64> = uses.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
        let Some(codes) = codes else {
            return if uses.is_empty() { Ok(Self::default()) } else { Err(damaged(CODES_PART)) };
        };
        if codes.len() != 4 * dimension * count {
            return Err(damaged(CODES_PART));
        }
        if uses.len() != count {
            return Err(damaged(USES_PART));
        }
        let codes = codes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Ok(Self { codebook: Some(Codebook::new(codes, dimension)), uses })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn codes_move_are_counted_and_round_trip_through_a_checkpoint() {
        let mut tokens = Tokens::default();
        assert!(tokens.codebook().is_err() && tokens.end_epoch().is_none());
        let part = |parts: &Parts, name: &str| parts.iter().find(|(n, _)| n == name).map(|(_, bytes)| bytes.clone());
        let none =
            Tokens::from_parts(part(&tokens.parts(), CODES_PART), &part(&tokens.parts(), USES_PART).unwrap(), 2, 2);
        assert!(none.unwrap().codebook.is_none());
        tokens.start(&[1.0, 0.0, 0.0, 1.0], 2, 2, 1);
        let first = tokens.codebook().unwrap().nearest(&[1.0, 0.0])[0];
        let second = (1 - first) as f64;
        // Three cells in two slices.
        tokens.learn(&[vec![0.8, 0.6, first as f64, 0.0, 1.0, second], vec![1.0, 0.0, first as f64]], 2);
        let codes = tokens.codebook().unwrap().codes()[2 * first..][..2].to_vec();
        assert!((codes[0] - 0.999_995).abs() < 1e-6 && (codes[1] - 0.003_164).abs() < 1e-6, "{codes:?}");
        let parts = tokens.parts();
        let read = |codes, uses: &[u8]| Tokens::from_parts(codes, uses, 2, 2);
        let (codes, uses) = (part(&parts, CODES_PART), part(&parts, USES_PART).unwrap());
        let mut again = read(codes.clone(), &uses).unwrap();
        assert_eq!((again.codebook.as_ref(), &again.uses), (tokens.codebook.as_ref(), &tokens.uses));
        assert!(read(codes.clone(), &uses[8..]).is_err() && read(None, &uses).is_err());
        assert!(read(codes.map(|codes| codes[4..].to_vec()), &uses).is_err());
        // Counts 2 and 1, then 2 and 2.
        again.count(&[vec![second]]);
        assert!((again.end_epoch().unwrap() - 2.0).abs() < 1e-12 && again.end_epoch().is_none());
    }
}
